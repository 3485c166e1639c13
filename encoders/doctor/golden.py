"""What the golden path does to one file, step by step, in words and numbers."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from encoders.preprocessing.recipe import Fit, Recipe, Scale
from encoders.preprocessing.resize import crop_shape
from studies.images import Film


def steps(film: Film, recipe: Recipe, golden_CHW: NDArray[np.float32]) -> tuple[tuple[str, str], ...]:
    """The steps in order, each named: from the file to a fingerprint of the input (C,H,W)."""
    return (
        ("file", _file(film)),
        ("view", f"{film.view} ({film.view_source})" if film.view else "not given by the file"),
        (
            "polarity",
            f"{film.photometric}: " + ("inverted once" if film.inverted else "not inverted, air is dark as stored"),
        ),
        ("window", film.window),
        ("left out of statistics", _left_out(film)),
        ("scale", _scale(film, recipe)),
        (
            "depth before the resize",
            f"rounded to {recipe.intensity.bit_depth} bits" if recipe.intensity.bit_depth else "floats",
        ),
        ("resize", _resize(film, recipe)),
        ("spacing", _spacing(film, recipe)),
        ("normalisation", f"([0, 1] - {_short(recipe.normalize.mean)}) / {_short(recipe.normalize.std)}"),
        ("input", _numbers(golden_CHW)),
        ("values", _values(golden_CHW)),
        ("input sha256", sha256(golden_CHW)),
        ("preprocessing sha256", recipe.sha256),
    )


def sha256(pixels_CHW: NDArray[np.float32]) -> str:
    """Of the little-endian float32 values, channel by channel, row by row."""
    return hashlib.sha256(np.ascontiguousarray(pixels_CHW, dtype="<f4").tobytes()).hexdigest()


def _file(film: Film) -> str:
    rows, columns = film.pixels_HW.shape
    derived = {None: "", True: ", DERIVED", False: ", ORIGINAL"}[film.derived]
    return f"{film.kind.upper()}, {columns} x {rows} px (width x height), {film.bits} bits a pixel{derived}"


def _left_out(film: Film) -> str:
    return (
        "nothing"
        if film.valid_HW is None
        else f"{1 - film.valid_HW.mean():.2%} of the pixels (burned-in boxes, padding)"
    )


def _scale(film: Film, recipe: Recipe) -> str:
    counted = film.valid_HW is not None and film.valid_HW.any()
    values = film.pixels_HW[film.valid_HW] if counted else film.pixels_HW
    scale = recipe.intensity.byte if film.bits <= 8 else recipe.intensity.deep
    if scale is Scale.FULL_RANGE:
        return f"full range: black 0, white 1 (this film holds {values.min():.4f} to {values.max():.4f})"
    if scale is Scale.MIN_MAX:
        return f"min-max of this film: black {values.min():.4f}, white {values.max():.4f}"
    assert recipe.intensity.percentiles is not None, "Intensity has them wherever a scale uses them"
    low, high = recipe.intensity.percentiles
    black, white = np.percentile(values, (low, high))
    return f"percentiles {low:g} and {high:g} of this film: black {black:.4f}, white {white:.4f}"


def _sides(film: Film, recipe: Recipe) -> tuple[float, float]:
    """Input pixels per film pixel, along rows and columns."""
    rows, columns = film.pixels_HW.shape
    resize = recipe.resize
    match resize.fit:
        case Fit.SQUASH:
            return resize.size_px / rows, resize.size_px / columns
        case Fit.PAD:
            ratio = resize.size_px / max(rows, columns)
        case Fit.CROP:
            ratio = (resize.shorter_side_px or resize.size_px) / min(rows, columns)
    return ratio, ratio


def _resize(film: Film, recipe: Recipe) -> str:
    rows, columns = film.pixels_HW.shape
    resize, (down, across) = recipe.resize, _sides(film, recipe)
    size, smooth = resize.size_px, "antialias" if resize.antialias else "no antialias"
    head = f"{columns} x {rows} -> {size} x {size}, {resize.kernel.value}, {smooth}; "
    match resize.fit:
        case Fit.SQUASH:
            return head + f"squash: width is scaled {across / down:.3f} times as much as height"
        case Fit.PAD:
            added = size - round(min(rows, columns) * down)
            return head + f"pad: {added} px of black along the shorter side ({added / size:.1%} of the input)"
        case Fit.CROP:
            high, wide = crop_shape((rows, columns), resize.shorter_side_px or size)
            lost = 1 - size * size / (wide * high)
            sides = f"{wide - size} px of width and {high - size} px of height are lost"
            return head + f"crop: the middle of {wide} x {high}; {sides} ({lost:.1%} of the film)"


def _spacing(film: Film, recipe: Recipe) -> str:
    if film.spacing_mm is None:
        return "not given by the file"
    down, across = _sides(film, recipe)
    row, column = film.spacing_mm
    in_input = f"{row / down:.3f} x {column / across:.3f} mm in the input"
    return f"{film.spacing_kind} {row:g} x {column:g} mm (row x column); {in_input}"


def _short(values: tuple[float, float, float]) -> str:
    return f"{values[0]:g}" if len(set(values)) == 1 else "(" + ", ".join(f"{value:g}" for value in values) + ")"


def _numbers(golden_CHW: NDArray[np.float32]) -> str:
    shape = " x ".join(map(str, golden_CHW.shape))
    mean, std = golden_CHW.mean(dtype=np.float64), golden_CHW.std(dtype=np.float64)
    return f"{shape} float32, {golden_CHW.min():.4f} to {golden_CHW.max():.4f}, mean {mean:.4f}, std {std:.4f}"


def _values(golden_CHW: NDArray[np.float32]) -> str:
    """Of the first channel at the middle and the four quarter points: to compare by eye."""
    _, rows, columns = golden_CHW.shape
    places = ((2, 2), (1, 1), (1, 3), (3, 1), (3, 3))
    found = [golden_CHW[0, row * rows // 4, column * columns // 4] for row, column in places]
    return "middle {:.4f}, quarter points {:.4f} {:.4f} {:.4f} {:.4f}".format(*found)
