"""The similarity page in a real browser: its numbers are numpy's, its keys and switches work, no name is markup."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from encoders.plot import similarity
from encoders.plot.shown import ShownFilm, ShownLayer
from studies.images import Film

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium or Chrome is installed")

HOSTILE = "</script><img src=x onerror=\"document.title='owned'\"><b>&amp;.png"


def shown_film(seed: int, name: str) -> ShownFilm:
    rng = np.random.default_rng(seed)
    levels_HW = rng.integers(0, 256, (64, 64)).astype(np.uint8)
    layers = tuple(
        ShownLayer(layer, "none", rng.normal(0.3, 1, (side, side, 16)).astype(np.float32), (side, side))
        for layer, side in ((1, 8), (5, 16))
    )
    return ShownFilm(
        name, Film(Path(name), levels_HW / np.float32(255), 8, "png", "L", False, "full range"), levels_HW, layers
    )


FILMS = [shown_film(0, "first.png"), shown_film(1, HOSTILE)]

# A click at 30 % across and 80 % down the last map; then the pointer at the top left; then keys; then switches.
DRIVE = """
window.addEventListener("load", () => setTimeout(() => {
  const canvases = [...document.querySelectorAll("canvas")], last = canvases[2], seen = {};
  const fire = (type, x, y) => { const b = last.getBoundingClientRect(), clientX = b.left + x * b.width;
    last.dispatchEvent(new PointerEvent(type, { clientX, clientY: b.top + y * b.height, bubbles: true })); };
  const press = key => last.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  const inks = () => canvases.map(c => { const d = c.getContext("2d").getImageData(0, 0, 640, 640).data; let sum = 0;
    for (let i = 0; i < d.length; i += 4) sum += d[i] + 3 * d[i + 1] + 7 * d[i + 2]; return sum; });
  const at = (c, x, y) => [...c.getContext("2d").getImageData(x, y, 1, 1).data].slice(0, 3);
  const place = () => document.getElementById("place").textContent;
  const values = () => [...document.querySelectorAll("output")].map(o => o.textContent);
  seen.start = place();
  fire("click", 0.3, 0.8);
  seen.clicked = place();
  seen.maps = [0, 1].map(layer => [...cosines(0, layer, patchAt(layer, at_()).index)]);
  seen.edge = at(last, 4 * 40, 12 * 40 + 8);
  seen.far = at(last, 5, 5);
  fire("pointermove", 0.01, 0.01);
  seen.hover = values();
  seen.own = inks();
  document.getElementById("shared").click();
  seen.shared = inks();
  document.getElementById("own").click();
  const opacity = document.getElementById("opacity");
  opacity.value = 0; opacity.dispatchEvent(new Event("input"));
  seen.bare = inks();
  opacity.value = 60; opacity.dispatchEvent(new Event("input"));
  ["ArrowLeft", "ArrowUp", "ArrowUp"].forEach(press);
  seen.moved = place();
  for (let i = 0; i < 30; i++) press("ArrowDown");
  seen.bottom = place();
  const select = document.getElementById("film");
  seen.names = [...select.options].map(o => o.textContent);
  select.value = "1"; select.dispatchEvent(new Event("change"));
  seen.other = [...cosines(1, 0, 0)];
  seen.title = document.title;
  seen.images = document.images.length;
  seen.page = [document.documentElement.scrollWidth, document.documentElement.clientWidth];
  seen.widths = canvases.map(c => c.getBoundingClientRect().width);
  document.getElementById("measured").textContent = JSON.stringify(seen);
}, 300));
function at_() { return { x: 0.3, y: 0.8 }; }
"""


def run_browser(tmp_path: Path, page: Path, *options: str) -> str:
    """Open a page in a browser that has a profile of its own and asks nobody anything; give what it prints."""
    command = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        f"--user-data-dir={tmp_path / 'profile'}", *options, page.as_uri(),
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "similarity.html"
    similarity.write_similarity_page(path, FILMS, title="Patch similarity in <b>us</b>")
    return path


def with_script(page: Path, script: str, *, policy: bool) -> Path:
    """A copy of the page that holds a script; without the page's policy the script may run."""
    text = page.read_bytes().decode("utf-8")
    if not policy:
        text, removed = re.subn(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
        assert removed == 1
    copy = page.with_name("copy.html")
    added = f'<pre id="measured"></pre><script>{script}</script></body>'
    copy.write_text(text.replace("</body>", added), "utf-8", newline="")
    return copy


@pytest.fixture(scope="module")
def seen(page: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    copy = with_script(page, DRIVE, policy=False)
    folder = tmp_path_factory.mktemp("browser")
    dom = run_browser(folder, copy, "--window-size=1280,900", "--virtual-time-budget=5000", "--dump-dom")
    found = re.search(r'<pre id="measured">(.+?)</pre>', dom, re.DOTALL)
    assert found, "the driving script did not run"
    measures: dict[str, Any] = json.loads(html.unescape(found[1]))
    return measures


def exact(film: int, layer: int, patch: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    features_ND = FILMS[film].layers[layer].features_HWD.reshape(-1, 16).astype(float)
    features_ND /= np.linalg.norm(features_ND, axis=1, keepdims=True)
    return features_ND @ features_ND[patch]


def test_a_click_gives_the_cosines_that_numpy_gives(seen: dict[str, Any]) -> None:
    # 30 % across and 80 % down: row 6, column 2 of 8 x 8; row 12, column 4 of 16 x 16.
    assert seen["clicked"] == "row 13 of 16, column 5 of 16 (layer 5)"
    for layer, patch in ((0, 6 * 8 + 2), (1, 12 * 16 + 4)):
        np.testing.assert_allclose(seen["maps"][layer], exact(0, layer, patch), atol=0.02)
        rounded = similarity.quantize(FILMS[0].layers[layer].features_HWD.reshape(-1, 16))
        np.testing.assert_allclose(seen["maps"][layer], similarity.cosines(rounded, patch), atol=2e-6)
    np.testing.assert_allclose(seen["other"], exact(1, 0, 0), atol=0.02)


def test_the_value_under_the_pointer_is_shown_for_every_layer(seen: dict[str, Any]) -> None:
    for text, layer, patch in zip(seen["hover"][1:], (0, 1), (50, 196), strict=True):
        assert float(text) == pytest.approx(exact(0, layer, patch)[0], abs=0.02)


def test_it_starts_in_the_middle_and_arrow_keys_move_the_patch_up_to_the_edge(seen: dict[str, Any]) -> None:
    assert seen["start"] == "row 9 of 16, column 9 of 16 (layer 5)"
    assert seen["moved"] == "row 11 of 16, column 4 of 16 (layer 5)"
    assert seen["bottom"] == "row 16 of 16, column 4 of 16 (layer 5)"


def test_the_patch_has_a_red_box(seen: dict[str, Any]) -> None:
    red, green, blue = seen["edge"]
    assert red > 200
    assert max(green, blue) < 60
    assert seen["far"][0] < 200 or max(seen["far"][1:]) > 60


def test_scale_and_opacity_change_the_maps_and_not_the_input(seen: dict[str, Any]) -> None:
    assert seen["shared"][1:] != seen["own"][1:]
    assert seen["shared"][0] == seen["own"][0]
    assert seen["bare"][1] != seen["own"][1]
    assert seen["bare"][0] == seen["own"][0]


def test_names_are_shown_as_they_are_and_do_nothing(seen: dict[str, Any], page: Path) -> None:
    assert seen["names"] == ["first.png", HOSTILE]
    assert seen["title"] == "Patch similarity in <b>us</b>"
    assert seen["images"] == 0
    assert "<img" not in page.read_text("utf-8")


def test_the_page_fits_its_window(seen: dict[str, Any]) -> None:
    assert seen["page"][0] <= seen["page"][1]
    assert len(seen["widths"]) == 3
    assert min(seen["widths"]) >= 250


def test_the_page_asks_no_network(page: Path) -> None:
    text = page.read_text("utf-8")
    assert not re.search(r'(?:src|href)\s*=\s*["\'](?!data:)', text)
    assert "http" not in text.replace('http-equiv="Content-Security-Policy"', "")


def test_its_own_script_runs_under_its_policy_and_no_other_does(page: Path, tmp_path: Path) -> None:
    copy = with_script(page, "document.getElementById('measured').textContent = 'ran'", policy=True)
    dom = run_browser(tmp_path, copy, "--virtual-time-budget=3000", "--dump-dom")
    assert "row 9 of 16" in dom
    assert '<pre id="measured"></pre>' in dom
