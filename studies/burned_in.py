"""Finds white boxes that were burned into a film over a patient's name, so that statistics can leave them out.

Shape letters: H rows, W columns.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# A line of blanked text at 518 px is some 8 px high and 34 wide; smaller blots don't move a percentile.
_MIN_SIDE = 0.015  # of the film's shorter side
_MIN_AREA = 0.001  # of the film
_COARSE_PX = 130  # searched on every k-th pixel: the narrowest box still holds two
# A box that went through a resize or JPEG at quality 90 is white within 2 levels but for blur and ringing at its edges.
_WHITE = 2 / 255
_RINGING = 0.04
_FILLED = 0.9  # of its pixels are white
_JUMP = 0.1  # it ends at an edge at least this high, two pixels wide,
_SHARP = 0.9  # along this much of each side


def find_burned_in(pixels_HW: NDArray[np.float32]) -> NDArray[np.bool_] | None:
    """A mask that is False in burned-in white boxes; None where there are none.

    A box is a solid, axis-aligned rectangle at the film's largest value that ends sharply on every side that is not
    the film's own border; its sides are at least 1.5 % of the film's shorter side and 4 px, its area 0.1 % of the film.
    Saturated bone or soft tissue, and markers (L, R), are no solid rectangles with sharp ends. Not found: boxes with
    text on them, boxes that touch other white, and black boxes, which look like the edges of the collimator and,
    black as the background, hardly change a statistic.

    Args:
        pixels_HW: float32, white is high.
    """
    step = max(1, min(pixels_HW.shape) // _COARSE_PX)
    coarse_HW = pixels_HW[::step, ::step]
    white = float(coarse_HW.max())
    bright_HW = coarse_HW >= white - _WHITE
    least = _MIN_AREA * bright_HW.size / 2  # a coarse grid counts roughly
    if np.count_nonzero(bright_HW) < least:
        return None
    from scipy import ndimage

    labels_HW, _ = ndimage.label(bright_HW)
    sizes = np.bincount(labels_HW.ravel())
    places = ndimage.find_objects(labels_HW)
    valid_HW = np.ones(pixels_HW.shape, dtype=np.bool_)
    for label in np.flatnonzero(sizes[1:] >= least):
        rows, columns = places[label]
        if sizes[label + 1] >= _FILLED * (rows.stop - rows.start) * (columns.stop - columns.start):
            middle = (rows.start + rows.stop - 1) * step // 2, (columns.start + columns.stop - 1) * step // 2
            box = _box_around(middle, pixels_HW, white)
            if box is not None:
                valid_HW[box] = False
    return None if valid_HW.all() else valid_HW


def _box_around(middle: tuple[int, int], pixels_HW: NDArray[np.float32], white: float) -> tuple[slice, slice] | None:
    """The box that the white cross through a pixel spans, where it is filled, large enough and ends sharply."""
    row, column = middle
    box = _run(pixels_HW[:, column], row, white), _run(pixels_HW[row], column, white)
    sides = box[0].stop - box[0].start, box[1].stop - box[1].start
    if min(sides) < max(4, _MIN_SIDE * min(pixels_HW.shape)) or sides[0] * sides[1] < _MIN_AREA * pixels_HW.size:
        return None
    inside = pixels_HW[box]
    if inside[1:-1, 1:-1].min() < white - _RINGING or np.mean(inside >= white - _WHITE) < _FILLED:
        return None
    outside = [pixels_HW[line, box[1]] for line in _beyond(box[0], pixels_HW.shape[0])]
    outside += [pixels_HW[box[0], line] for line in _beyond(box[1], pixels_HW.shape[1])]
    return box if all(np.mean(line <= white - _JUMP) >= _SHARP for line in outside) else None


def _run(line: NDArray[np.float32], middle: int, white: float) -> slice:
    """The stretch of nearly white pixels about the middle."""
    dark = np.flatnonzero(line < white - _RINGING)
    after = int(np.searchsorted(dark, middle))
    start = int(dark[after - 1]) + 1 if after else 0
    return slice(start, int(dark[after]) if after < dark.size else line.size)


def _beyond(side: slice, size: int) -> list[int]:
    """The places two pixels beyond both ends of a side, where it does not end at the film's border."""
    return [max(side.start - 2, 0)] * (side.start > 0) + [min(side.stop + 1, size - 1)] * (side.stop < size)
