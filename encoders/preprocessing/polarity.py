"""Tells from the picture whether a frontal chest film is shown as films are read, or as its negative.

A drawn chest (two dark lungs, a bright column between them, a bright abdomen, dark corners above the shoulders) is laid
over the film's 32 x 32 cells in several sizes and places. A negative correlates with none of them and against all.

Measured on 125 public adult frontal films (NIH ChestX-ray14, TBX11K, the Figure 1 and Actualmed COVID-19 collections):
no film was called inverted, as it is, in a black or white border, turned by up to 20 degrees or cropped to 60 % of its
sides; turned on its side, one of 125 was. Of their negatives 122 were called inverted (337 of 375 once turned by up to
20 degrees, 300 of 375 once cropped); the rest, and nearly all on their sides or heads, were left unsure.
"""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_CELLS = 32
_BORDER_SPREAD = 0.05  # of the film's: a border row or column whose middle 80 % spans less holds no picture
_MIN_SIDE = 16  # of the sampled picture, once the border is off
_SCORE = 0.4  # the lowest of the 125 films is 0.38, the next 0.52


class Verdict(StrEnum):
    NORMAL = "normal"
    INVERTED = "inverted"
    UNSURE = "unsure"


class Judgement(NamedTuple):
    """score: best minus best negative correlation with an upright chest, -2 to 2, positive where air is dark.
    margin: by how much the winner beats the other polarity in any of the four orientations (a film on its side has
    dark places where an upright chest is bright)."""

    verdict: Verdict
    score: float
    margin: float


def judge_polarity(sample_HW: NDArray[np.float32], *, min_margin: float = 0.0) -> Judgement:
    """Judge one film by a sample of its pixels, H,W, some 64 to 128 a side; any range, higher is brighter."""
    ranks = _ranks(shrink_to_cells(_without_border(sample_HW)))
    correlation = (_templates() @ ranks).reshape(4, -1)  # orientation (upright first), template
    for_it, against_it = float(correlation[0].max()), float(-correlation[0].min())
    score = for_it - against_it
    if score > 0:
        verdict, margin = Verdict.NORMAL, for_it + float(correlation.min())
    else:
        verdict, margin = Verdict.INVERTED, against_it - float(correlation.max())
    sure = abs(score) > _SCORE and margin > min_margin
    return Judgement(verdict if sure else Verdict.UNSURE, score, margin)


def shrink_to_cells(sample_HW: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean brightness of 32 x 32 cells."""
    image = Image.fromarray(np.ascontiguousarray(sample_HW))
    return np.asarray(image.resize((_CELLS, _CELLS), Image.Resampling.BOX))


def percentile_ends(values: NDArray[np.generic], share: float = 0.01) -> tuple[float, float]:
    """The values that this share lies below, and above; not interpolated."""
    ordered = np.sort(values, axis=None)
    cut = int(ordered.size * share)
    return float(ordered[cut]), float(ordered[-1 - cut])


def _without_border(sample_HW: NDArray[np.float32]) -> NDArray[np.float32]:
    low, high = percentile_ends(sample_HW)
    rows = _picture(sample_HW, _BORDER_SPREAD * (high - low))
    columns = _picture(sample_HW.T, _BORDER_SPREAD * (high - low))
    return sample_HW[rows, columns]


def _picture(lines: NDArray[np.float32], least: float) -> slice:
    """From the first to the last row that holds a picture; all of them if that is next to nothing."""
    tenth = lines.shape[1] // 10
    ordered = np.sort(lines, axis=1)
    held = np.flatnonzero(ordered[:, -1 - tenth] - ordered[:, tenth] > least)
    if len(held) == 0 or held[-1] + 1 - held[0] < _MIN_SIDE:
        return slice(None)
    return slice(held[0], held[-1] + 1)


def _ranks(cells: NDArray[np.float32]) -> NDArray[np.float64]:
    """The cells' ranks (ties share theirs), of mean 0 and length 1: contrast and window don't matter."""
    flat = cells.ravel()
    ordered = np.sort(flat)
    twice = ordered.searchsorted(flat, "left") + ordered.searchsorted(flat, "right")
    return _unit(twice.astype(np.float64))


def _unit(values: NDArray[np.float64]) -> NDArray[np.float64]:
    centred = values - values.mean()
    length = np.linalg.norm(centred)
    scaled: NDArray[np.float64] = centred / length if length > 0 else centred
    return scaled


@cache
def _templates() -> NDArray[np.float64]:
    """Orientation by orientation, each turned the other way round than the film would be: rows of 32 * 32."""
    drawn = [
        np.rot90(_unit(_chest(lung_row, lung_height, lung_column)), quarter).ravel()
        for quarter in range(4)
        for lung_row in (0.32, 0.42, 0.52)
        for lung_height in (0.20, 0.28)
        for lung_column in (0.17, 0.23)
    ]
    return np.stack(drawn)


def _chest(lung_row: float, lung_height: float, lung_column: float) -> NDArray[np.float64]:
    """A chest on the unit square. lung_row: the lungs' middle; lung_height: half theirs; lung_column: from midline."""
    centres = (np.arange(_CELLS) + 0.5) / _CELLS
    row, column = np.meshgrid(centres, centres, indexing="ij")
    bottom = lung_row + lung_height
    from_midline = np.abs(column - 0.5)
    lung = np.exp(-((((from_midline - lung_column) / 0.13) ** 2 + ((row - lung_row) / lung_height) ** 2) ** 2))
    mediastinum = np.exp(-((from_midline / 0.08) ** 2)) * (row < bottom)
    abdomen = np.exp(-((from_midline / 0.35) ** 4)) / (1 + np.exp(-(row - bottom - 0.05) / 0.04))
    corners = np.exp(-(((0.5 - from_midline) / 0.15) ** 2) - (row / 0.18) ** 2)
    chest: NDArray[np.float64] = 0.6 * mediastinum + 0.6 * abdomen - lung - 0.5 * corners
    return chest
