"""Median and range over the folds of a cross-validation, with what the range is worth.

Shape letter: F folds.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class FoldRange(NamedTuple):
    """coverage: chance that [low, high] holds the true median. bootstrap_median_is_low: see `fold_range`."""

    median: float
    low: float
    high: float
    coverage: float
    bootstrap_median_is_low: float


def fold_range(values_F: npt.ArrayLike) -> FoldRange:
    """Median, smallest and largest of the fold values, for "median (range)" in a table.

    The range of F independent values misses their median only when all lie on one side of it, so it covers the median
    with chance 1 - 2 (1/2)^F: 93.75% for five folds, not 95%. (Folds share training data, so even that is nominal.)

    A percentile bootstrap says nothing more: its replicate is the smallest value whenever more than half of the F
    draws are that value, with chance P(Bin(F, 1/F) > F/2) = `bootstrap_median_is_low`, .058 for five folds. As long
    as that exceeds .025 (up to five folds) its "95% interval" is exactly [low, high].

    Raises:
        ValueError: fewer than two folds, NaN or infinite values.
    """
    values = np.asarray(values_F, dtype=np.float64)
    if values.ndim != 1 or values.size < 2:
        raise ValueError(f"fold values of shape {values.shape} are no list of at least two")
    if not np.isfinite(values).all():
        raise ValueError(f"{int((~np.isfinite(values)).sum())} of {values.size} fold values are NaN or infinite")
    n = values.size
    more_than_half = sum(math.comb(n, j) * (n - 1) ** (n - j) for j in range(n // 2 + 1, n + 1)) / n**n
    return FoldRange(
        median=float(np.median(values)),
        low=float(values.min()),
        high=float(values.max()),
        coverage=1 - 2 * 0.5**n,
        bootstrap_median_is_low=more_than_half,
    )
