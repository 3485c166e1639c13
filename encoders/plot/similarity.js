"use strict";
const about = JSON.parse(document.getElementById("about").textContent);
const byId = id => document.getElementById(id);
const stops = about.colors.map(hex => [0, 2, 4].map(at => parseInt(hex.slice(at, at + 2), 16)));
const panels = [];
const unpacked = new Map();
let film = 0, active = about.layers.length - 1, at = { x: 0.5, y: 0.5 }, pointer = null, picture = new Image();

// A layer's features as whole numbers, N x D, with each patch's length.
function features(filmIndex, layer) {
  const id = `f${filmIndex}-${layer}`;
  if (!unpacked.has(id)) {
    const text = atob(byId(id).textContent), values = new Int8Array(text.length);
    for (let i = 0; i < text.length; i++) values[i] = text.charCodeAt(i);
    const [rows, columns] = about.films[filmIndex].grids[layer], count = rows * columns;
    const width = values.length / count, lengths = new Float32Array(count);
    for (let n = 0; n < count; n++) {
      let sum = 0;
      for (let d = n * width; d < (n + 1) * width; d++) sum += values[d] * values[d];
      lengths[n] = Math.sqrt(sum);
    }
    unpacked.set(id, { values, lengths, rows, columns, width });
  }
  return unpacked.get(id);
}

function cosines(filmIndex, layer, patch) {
  const { values, lengths, width } = features(filmIndex, layer);
  return Float32Array.from(lengths, (length, n) => {
    let dot = 0;
    for (let d = 0; d < width; d++) dot += values[n * width + d] * values[patch * width + d];
    return length && lengths[patch] ? dot / (length * lengths[patch]) : 0;
  });
}

function patchAt(layer, point) {
  const [rows, columns] = about.films[film].grids[layer];
  const row = Math.min(rows - 1, Math.floor(point.y * rows));
  const column = Math.min(columns - 1, Math.floor(point.x * columns));
  return { row, column, rows, columns, index: row * columns + column };
}

function color(share) {
  const place = Math.min(1, Math.max(0, share)) * (stops.length - 1), low = Math.min(stops.length - 2, Math.floor(place));
  return stops[low].map((value, c) => Math.round(value + (place - low) * (stops[low + 1][c] - value)));
}

// The chosen patch has 1 with itself, which would leave the rest one colour: the scale is that of all others.
function span(values, chosen) {
  let low = Infinity, high = -Infinity;
  values.forEach((value, n) => { if (n !== chosen) { low = Math.min(low, value); high = Math.max(high, value); } });
  return [low, high];
}

function paint(panel, low, high) {
  const pen = panel.canvas.getContext("2d"), side = panel.canvas.width;
  pen.imageSmoothingEnabled = true;
  pen.globalAlpha = 1;
  pen.clearRect(0, 0, side, side);
  if (picture.complete && picture.naturalWidth) pen.drawImage(picture, 0, 0, side, side);
  const patch = patchAt(panel.layer ?? active, at);
  if (panel.layer !== null) {
    const small = document.createElement("canvas");
    small.width = patch.columns;
    small.height = patch.rows;
    const colors = new ImageData(patch.columns, patch.rows);
    panel.values.forEach((value, n) => colors.data.set([...color((value - low) / Math.max(high - low, 1e-6)), 255], 4 * n));
    small.getContext("2d").putImageData(colors, 0, 0);
    pen.imageSmoothingEnabled = false;
    pen.globalAlpha = byId("opacity").value / 100;
    pen.drawImage(small, 0, 0, side, side);
    panel.range.textContent = `${low.toFixed(2)} to ${high.toFixed(2)}`;
  }
  pen.globalAlpha = 1;
  pen.lineWidth = 3;
  pen.strokeStyle = "#e5261f";
  pen.strokeRect(patch.column * side / patch.columns, patch.row * side / patch.rows, side / patch.columns, side / patch.rows);
}

function readOut() {
  for (const panel of panels) {
    if (panel.layer === null) continue;
    panel.value.textContent = pointer ? panel.values[patchAt(panel.layer, pointer).index].toFixed(3) : "";
  }
  const patch = patchAt(active, at);
  byId("place").textContent = `row ${patch.row + 1} of ${patch.rows}, column ${patch.column + 1} of ${patch.columns} (${about.layers[active].title})`;
}

function draw() {
  for (const panel of panels) {
    if (panel.layer === null) continue;
    const patch = patchAt(panel.layer, at), key = `${film} ${patch.index}`;
    if (panel.key !== key) {
      panel.values = cosines(film, panel.layer, patch.index);
      [panel.low, panel.high] = span(panel.values, patch.index);
      panel.key = key;
    }
  }
  const maps = panels.filter(panel => panel.layer !== null), shared = byId("shared").checked;
  const low = Math.min(...maps.map(panel => panel.low)), high = Math.max(...maps.map(panel => panel.high));
  panels.forEach(panel => shared ? paint(panel, low, high) : paint(panel, panel.low, panel.high));
  readOut();
}

function pointOf(event, canvas) {
  const box = canvas.getBoundingClientRect();
  const inside = value => Math.min(0.999999, Math.max(0, value));
  return { x: inside((event.clientX - box.left) / box.width), y: inside((event.clientY - box.top) / box.height) };
}

function choose(point, layer) {
  if (layer !== null) active = layer;
  const patch = patchAt(active, point);
  at = { x: (patch.column + 0.5) / patch.columns, y: (patch.row + 0.5) / patch.rows };
  draw();
}

function addPanel(layer) {
  const figure = document.createElement("figure"), canvas = document.createElement("canvas");
  const caption = document.createElement("figcaption"), head = document.createElement("strong");
  const note = document.createElement("span"), value = document.createElement("output"), range = document.createElement("span");
  canvas.width = canvas.height = 640;
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "img");
  head.textContent = layer === null ? "The input" : about.layers[layer].title;
  note.className = "note";
  note.textContent = layer === null ? "as the encoder sees it" : about.layers[layer].note;
  canvas.setAttribute("aria-label", `${head.textContent}: click a patch, or move it with the arrow keys`);
  value.className = "value";
  range.className = "range";
  caption.append(head, value, note, range);
  figure.append(canvas, caption);
  byId("panels").append(figure);
  const panel = { layer, canvas, value, range };
  panels.push(panel);
  canvas.addEventListener("click", event => { canvas.focus(); choose(pointOf(event, canvas), layer); });
  canvas.addEventListener("pointermove", event => { pointer = pointOf(event, canvas); readOut(); });
  canvas.addEventListener("pointerleave", () => { pointer = null; readOut(); });
  canvas.addEventListener("keydown", event => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    if (layer !== null) active = layer;
    const patch = patchAt(active, at), within = (value, count) => Math.min(count - 1, Math.max(0, value));
    const column = within(patch.column + step[0], patch.columns), row = within(patch.row + step[1], patch.rows);
    choose({ x: (column + 0.5) / patch.columns, y: (row + 0.5) / patch.rows }, null);
  });
}

function show(index) {
  film = index;
  for (const key of unpacked.keys()) if (!key.startsWith(`f${index}-`)) unpacked.delete(key);
  picture = new Image();
  picture.onload = draw;
  picture.src = about.films[index].image;
  draw();
}

about.films.forEach((one, index) => byId("film").append(new Option(one.name, index)));
[null, ...about.layers.keys()].forEach(addPanel);
byId("bar").style.background = `linear-gradient(90deg, ${about.colors.map(hex => "#" + hex).join(", ")})`;
byId("opacity").value = 100 * about.opacity;
byId("film").addEventListener("change", event => show(Number(event.target.value)));
byId("opacity").addEventListener("input", draw);
byId("shared").addEventListener("change", draw);
byId("own").addEventListener("change", draw);
show(0);
