"""Click a patch, see what an encoder holds alike: cosine maps of a film's patches, as one page and one picture.

Shape letters: H rows, W columns, N patches, D width.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from encoders.plot import canvas
from encoders.plot.shown import ShownFilm, ShownLayer

MAX_PAGE_BYTES = 40_000_000
_CELL_PX, _GAP_PX, _HEAD_PX, _FOOT_PX = 300, 12, 64, 50
_FRAME_BYTES = 60_000  # what the page weighs without films: its script, style and words
_OVERLAY = 0.6


def quantize(features_ND: NDArray[np.float32]) -> NDArray[np.int8]:
    """Each patch's features as whole numbers of -127 to 127; its own scale is dropped, a cosine does not need it."""
    largest_N1 = np.abs(features_ND).max(axis=1, keepdims=True)
    scaled_ND = features_ND * (127 / np.maximum(largest_N1, np.finfo(np.float32).tiny))
    rounded_ND: NDArray[np.int8] = scaled_ND.round().astype(np.int8)
    return rounded_ND


def cosines(features_ND: NDArray[Any], patch: int) -> NDArray[np.float32]:
    """Cosine of one patch with every patch; 0 where a patch has no length."""
    features_ND = features_ND.astype(np.float32)
    lengths_N = np.sqrt(np.einsum("nd,nd->n", features_ND, features_ND))
    dots_N = features_ND @ features_ND[patch]
    products_N = lengths_N * lengths_N[patch]
    cosines_N: NDArray[np.float32] = np.divide(dots_N, products_N, out=np.zeros_like(dots_N), where=products_N > 0)
    return cosines_N


def rounding_error(features_ND: NDArray[np.float32], *, probes: int = 16) -> float:
    """The largest difference that `quantize` makes to a cosine, over evenly spaced patches against all patches."""
    small_ND = quantize(features_ND)
    places = np.unique(np.linspace(0, len(features_ND) - 1, probes).astype(int))
    return max(float(np.abs(cosines(small_ND, n) - cosines(features_ND, n)).max()) for n in places)


def flat(layer: ShownLayer) -> NDArray[np.float32]:
    """H,W,D -> N,D, rows from the top left."""
    return layer.features_HWD.reshape(-1, layer.features_HWD.shape[-1])


def films_that_fit(shown: Sequence[ShownFilm]) -> int:
    """How many of the films, from the first, keep the page under `MAX_PAGE_BYTES`.

    Raises:
        ValueError: not even one does.
    """
    room = MAX_PAGE_BYTES - _FRAME_BYTES
    for count, one in enumerate(shown):
        room -= 4 * (sum(layer.features_HWD.size + 3 for layer in one.layers) + one.levels_HW.size) // 3
        if room < 0:
            if count == 0:
                raise ValueError(
                    f"{len(one.layers)} layers of one film need more than the page's {MAX_PAGE_BYTES / 1e6:.0f} MB; "
                    "ask for fewer layers"
                )
            return count
    return len(shown)


def write_similarity_page(path: Path, shown: Sequence[ShownFilm], *, title: str) -> None:
    """One file that needs no network: every film that fits (the page says how many), its layers side by side.

    The page computes cosines itself, of features rounded to 8 bits; it states the largest error that makes.
    Names are data to the page, never markup, and its policy lets no script run but its own.
    """
    import jinja2

    films = shown[: films_that_fit(shown)]
    error = max(rounding_error(flat(layer)) for one in films for layer in one.layers)
    about = {
        "colors": canvas.VIRIDIS,
        "opacity": _OVERLAY,
        "layers": [{"title": layer.title, "note": f"{layer.note}, norm: {layer.norm}"} for layer in films[0].layers],
        "films": [
            {"name": one.name, "image": _png(one.levels_HW), "grids": [layer.grid for layer in one.layers]}
            for one in films
        ],
    }
    folder = files("encoders.plot")
    script = (folder / "similarity.js").read_text(encoding="utf-8")
    page = jinja2.Template((folder / "similarity.html.jinja").read_text(encoding="utf-8"), autoescape=True).render(
        title=title,
        shown=len(films),
        total=len(shown),
        megabytes=MAX_PAGE_BYTES // 1_000_000,
        error=f"{error:.4f}",
        about=_data(about),
        features=[
            (film, place, base64.b64encode(quantize(flat(layer)).tobytes()).decode())
            for film, one in enumerate(films)
            for place, layer in enumerate(one.layers)
        ],
        script=_markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )
    path.write_bytes(page.encode())


def write_similarity_picture(path: Path, one: ShownFilm, *, title: str) -> None:
    """The same for paper: one film, its middle patch, each layer's map with a colour scale of its own.

    The scale runs over all patches but the chosen one (a patch's cosine with itself is always 1).
    """
    from PIL import Image

    width = max((1 + len(one.layers)) * (_CELL_PX + _GAP_PX) + _GAP_PX, 720)
    page, pen = canvas.sheet(width, _HEAD_PX + _CELL_PX + _FOOT_PX)
    canvas.write(pen, (_GAP_PX, 14), title, size_px=19, room_px=width - 2 * _GAP_PX)
    note = "Cosine similarity of the boxed patch (the film's middle) with every patch; dark blue low, yellow high"
    canvas.write(pen, (_GAP_PX, 40), note, size_px=13, room_px=width - 2 * _GAP_PX, ink=canvas.QUIET)
    film = Image.fromarray(one.levels_HW).resize((_CELL_PX, _CELL_PX), Image.Resampling.LANCZOS).convert("RGB")
    foot = _HEAD_PX + _CELL_PX + 5
    for column, layer in enumerate([one.layers[-1], *one.layers]):
        rows, columns = layer.grid
        row, place = rows // 2, columns // 2
        picture, left = film.copy(), _GAP_PX + column * (_CELL_PX + _GAP_PX)
        words = (one.name, "the input")
        if column:
            values_N = cosines(flat(layer), row * columns + place)
            others_N = np.delete(values_N, row * columns + place)
            low, high = float(others_N.min()), float(others_N.max())
            share_HW = ((values_N - low) / max(high - low, 1e-6)).reshape(rows, columns)
            overlay = Image.fromarray(canvas.viridis(share_HW)).resize(film.size, Image.Resampling.NEAREST)
            picture = Image.blend(picture, overlay, _OVERLAY)
            words = (layer.title, f"{rows} x {columns}, cosine {low:.2f} to {high:.2f}")
        page.paste(picture, (left, _HEAD_PX))
        box = [left + place * _CELL_PX / columns, _HEAD_PX + row * _CELL_PX / rows]
        pen.rectangle((*box, box[0] + _CELL_PX / columns, box[1] + _CELL_PX / rows), outline=canvas.RED, width=2)
        canvas.write(pen, (left, foot), words[0], size_px=15, room_px=_CELL_PX)
        canvas.write(pen, (left, foot + 20), words[1], size_px=13, room_px=_CELL_PX, ink=canvas.QUIET)
    page.save(path)


def _png(levels_HW: NDArray[np.uint8]) -> str:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(levels_HW).save(buffer, format="PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _data(value: object) -> Any:
    """JSON that no name can break out of: `<` is written as an escape."""
    return _markup(json.dumps(value).replace("<", "\\u003c"))


def _markup(text: str) -> Any:
    import markupsafe

    return markupsafe.Markup(text)  # our own script, and data without "<"
