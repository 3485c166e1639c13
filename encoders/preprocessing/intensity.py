"""Black, white and levels: a film's [0, 1] into the 0..255 an encoder's publisher resized."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from encoders.preprocessing.recipe import Intensity, Polarity, Rounding, Scale
from studies.images import Film

Levels = NDArray[np.uint8] | NDArray[np.float32]

_BLOCK = 1 << 16  # pixels a pass: buffers that stay in the cache halve the time of a full-size film
# float32 arithmetic may put a whole level just below itself, by up to 2.3e-5 at 255; rounding down forgives that.
_DOWN_SLACK = np.float32(2**-15)


def scale_to_levels(film: Film, intensity: Intensity) -> Levels:
    """The film's pixels as levels of 0 to 255, H,W: uint8 where bit_depth is 8, else float32.

    Statistics (min-max, percentiles) are of the pixels that `film.valid_HW` keeps; all others are clipped to the ends.

    Raises:
        ValueError: the scale's two ends are one value: a blank film.
    """
    black, white = _ends(film, intensity)
    if intensity.polarity is Polarity.AIR_BRIGHT:
        black, white = white, black
    if black == white:
        raise ValueError(f"{film.path}: black and white are one value, {black:.6g}: a blank film has no levels")
    gain = 255.0 / (white - black)
    pixels_HW = film.pixels_HW
    levels_HW = np.empty(pixels_HW.shape, np.uint8 if intensity.bit_depth == 8 else np.float32)
    rows = max(1, _BLOCK // pixels_HW.shape[1])
    buffer = np.empty((rows, pixels_HW.shape[1]), np.float32)
    for top in range(0, len(pixels_HW), rows):
        block = pixels_HW[top : top + rows]
        scaled = buffer[: len(block)]
        shifted = np.subtract(block, np.float32(black), out=scaled) if black else block
        np.multiply(shifted, np.float32(gain), out=scaled)
        np.clip(scaled, 0, 255, out=scaled)
        if intensity.bit_depth == 8:
            _round(scaled, intensity.rounding)
        levels_HW[top : top + rows] = scaled
    return levels_HW


def round_levels(levels_HW: NDArray[np.float32], rounding: Rounding) -> NDArray[np.uint8]:
    """Float levels to whole ones of 0..255, in place of the floats."""
    np.clip(levels_HW, 0, 255, out=levels_HW)
    _round(levels_HW, rounding)
    return levels_HW.astype(np.uint8)


def _round(levels: NDArray[np.float32], rounding: Rounding) -> None:
    if rounding is Rounding.EVEN:
        np.rint(levels, out=levels)
    else:
        np.add(levels, _DOWN_SLACK, out=levels)
        np.floor(levels, out=levels)


def _ends(film: Film, intensity: Intensity) -> tuple[float, float]:
    scale = intensity.byte if film.bits <= 8 else intensity.deep
    if scale is Scale.FULL_RANGE:
        return 0.0, 1.0
    counted = film.pixels_HW if film.valid_HW is None else film.pixels_HW[film.valid_HW]
    if counted.size == 0:
        raise ValueError(f"{film.path}: no pixel is valid")
    if scale is Scale.MIN_MAX:
        return film.extremes if film.valid_HW is None else (float(counted.min()), float(counted.max()))
    assert intensity.percentiles is not None
    low, high = np.percentile(counted, intensity.percentiles)
    return float(low), float(high)
