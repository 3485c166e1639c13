"""A sheet of the films as the encoder sees them: the place to notice a film that lies, is negative or is cut."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from encoders.plot import canvas
from encoders.plot.shown import ShownFilm
from encoders.preprocessing.recipe import Recipe

_CELL_PX, _GAP_PX, _TEXT_PX, _HEAD_PX = 300, 16, 68, 64


def describe(shown: ShownFilm) -> tuple[str, str, str]:
    """Three lines for a film: its name; view, size and depth; window, inversion and boxes."""
    film = shown.film
    rows, columns = film.pixels_HW.shape
    view = film.view or "view not given"
    origin = f"{view}, {columns} x {rows} px, {film.bits}-bit {film.kind.upper()}"
    shades = [film.window, f"{film.photometric} {'inverted once' if film.inverted else 'not inverted'}"]
    if film.valid_HW is not None:
        shades.append(f"{1 - film.valid_HW.mean():.1%} left out of statistics")
    return shown.name, origin, "; ".join(shades)


def summarize(recipe: Recipe) -> str:
    """One line on what every film went through."""
    resize = recipe.resize
    smooth = "antialiased" if resize.antialias else "not antialiased"
    byte, deep = (scale.value.replace("_", " ") for scale in (recipe.intensity.byte, recipe.intensity.deep))
    return (
        f"{resize.size_px} x {resize.size_px} px, {resize.fit.value}, {resize.kernel.value}, {smooth}; "
        f"8-bit files by {byte}, deeper ones by {deep}; preprocessing {recipe.sha256[:12]}"
    )


def write_contact_sheet(path: Path, shown: Sequence[ShownFilm], recipe: Recipe, *, title: str) -> None:
    """Draw the inputs, denormalised, four to a row at most, each with the three lines of `describe`."""
    from PIL import Image

    columns = min(4, len(shown))
    rows = -(-len(shown) // columns)
    width = max(columns, 2) * (_CELL_PX + _GAP_PX) + _GAP_PX
    page, pen = canvas.sheet(width, _HEAD_PX + rows * (_CELL_PX + _TEXT_PX + _GAP_PX) + _GAP_PX)
    room = width - 2 * _GAP_PX
    canvas.write(pen, (_GAP_PX, 14), title, size_px=19, room_px=room)
    canvas.write(pen, (_GAP_PX, 40), summarize(recipe), size_px=13, room_px=room, ink=canvas.QUIET)
    for place, one in enumerate(shown):
        left = _GAP_PX + place % columns * (_CELL_PX + _GAP_PX)
        top = _HEAD_PX + place // columns * (_CELL_PX + _TEXT_PX + _GAP_PX)
        cell = Image.fromarray(one.levels_HW).resize((_CELL_PX, _CELL_PX), Image.Resampling.LANCZOS)
        page.paste(cell, (left, top))
        for line, (text, ink) in enumerate(zip(describe(one), (canvas.INK, canvas.QUIET, canvas.QUIET), strict=True)):
            at = (left, top + _CELL_PX + 6 + 19 * line)
            canvas.write(pen, at, text, size_px=14 if line == 0 else 13, room_px=_CELL_PX, ink=ink)
    page.save(path)
