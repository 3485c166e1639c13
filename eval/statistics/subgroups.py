"""A figure for each level of a metadata column, and the gaps between levels, with intervals.

A gap is read from the interval of the gap, taken on joint replicates; two overlapping intervals of levels say little.
F1 and average precision change with prevalence, so a gap in them can come from a different case mix alone.

Shape letters: N studies, D sums of the figure, L levels, B replicates.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from eval.figures import Figure, Floats

MISSING = "(missing)"
FEW_STUDIES = 10
MOST_LEVELS = 50


class Level(NamedTuple):
    """gap: this level minus the reference level (0 at the reference itself). few: under 10 studies, read with care.

    studies: with this value of the column. Intervals are 95% percentiles of the replicates in which figure or gap is
    defined; defined: the share of those in which the gap is. NaN: undefined on the studies, or in every replicate.
    """

    value: str
    studies: int
    few: bool
    point: float
    low: float
    high: float
    gap: float
    gap_low: float
    gap_high: float
    defined: float


def subgroup_gaps(
    figure: Figure,
    levels_N: npt.NDArray[Any],
    replicate_sums: Callable[[Floats], Floats],
    *,
    reference: str | None = None,
) -> list[Level]:
    """The figure on the studies of each level, and its gap to the reference level.

    Args:
        figure: what is measured.
        levels_N: metadata value of each study. None, NaN and blank text form the level "(missing)". Numbers with few
            values, such as a scanner's id, are levels; ages are to be cut into bands first.
        replicate_sums: resamples studies (or patients): columns (N, E) -> their sums in each replicate (B, E). Called
            once, with the sums of all levels side by side, so all levels share each replicate.
        reference: level that the others are compared with. By default the one with most studies, not the best: the
            best of several is best partly by luck, and gaps to it are too large.

    Returns:
        Levels in the order of their names, "(missing)" last.

    Raises:
        ValueError: levels not one a study, no studies, over 50 levels, an unknown reference.
    """
    num_studies, num_sums = figure.sums_ND.shape
    if not num_studies or levels_N.shape != (num_studies,):
        raise ValueError(f"{figure.name}: metadata of shape {levels_N.shape} for {num_studies} studies")
    names_N = np.array([_name(value) for value in levels_N.tolist()], dtype=object)
    levels = sorted(set(names_N.tolist()), key=lambda name: (name == MISSING, name))
    if len(levels) > MOST_LEVELS:
        raise ValueError(f"{figure.name}: {len(levels)} levels, over {MOST_LEVELS}; cut the values into bands")
    member_LN = np.array([names_N == level for level in levels])
    studies_L = member_LN.sum(axis=1)
    if reference is None:
        reference = max(levels, key=lambda level: (level != MISSING, studies_L[levels.index(level)]))
    if reference not in levels:
        raise ValueError(f"{figure.name}: no study has the reference level {reference!r}; levels: {', '.join(levels)}")
    base = levels.index(reference)

    sums_NLD = member_LN.T[:, :, None] * figure.sums_ND[:, None, :]
    points_L = figure.value(sums_NLD.sum(axis=0))
    sums_BE = replicate_sums(sums_NLD.reshape(num_studies, -1))
    values_BL = figure.value(sums_BE.reshape(-1, len(levels), num_sums))
    gaps_BL = values_BL - values_BL[:, [base]]
    return [
        Level(
            level,
            int(studies_L[i]),
            bool(studies_L[i] < FEW_STUDIES),
            float(points_L[i]),
            *_interval(values_BL[:, i]),
            float(points_L[i] - points_L[base]),
            *_interval(gaps_BL[:, i]),
            float(np.isfinite(gaps_BL[:, i]).mean()),
        )
        for i, level in enumerate(levels)
    ]


def _name(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return MISSING
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # a whole-number column with gaps arrives as floats
    return str(value).strip() or MISSING


def _interval(values_B: Floats) -> tuple[float, float]:
    there = values_B[np.isfinite(values_B)]
    if not there.size:
        return math.nan, math.nan
    low, high = np.quantile(there, [0.025, 0.975])
    return float(low), float(high)
