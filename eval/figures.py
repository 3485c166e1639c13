"""A figure: one number of the score table, as a function of sums over studies.

Every metric here is a function of such sums (a mean of ROUGE-L is sum / count, a macro F1 a function of TP, FP and FN
summed), so one bootstrap serves all of them, on one stream of resamples, and a comparison of two systems needs nothing
but the rows of `per_study.parquet`.

Shape letters: N studies, D sums that a figure needs, ... any leading axes (bootstrap replicates).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
# The per-study table: column name -> one value a study, all in the same order. Numbers are float64 with NaN for
# "not there"; words are object arrays with None.
Columns = Mapping[str, npt.NDArray[Any]]


class Group(StrEnum):
    """Where a figure is shown: in the table of the paper, among further figures, or in a table of its own."""

    HEADLINE = "headline"
    DETAIL = "detail"
    CLASS = "class"
    DEVICE = "device"


@dataclass(frozen=True, slots=True)
class Figure:
    """One number with all that is needed to resample it.

    name: key in `scores.json`, such as "rouge_l"; label: what a person reads.
    metric: the metric it belongs to ("rouge_l", "chexbert", "radfact", "incorrect_placement").
    sums_ND: per study what is summed, float64, never NaN: a study that does not count has zeros in every column.
    value: sums (..., D) -> figure (...), NaN where it is undefined (zero support). Must work on whole arrays.
    support: positives in the reference, where that means something.
    """

    name: str
    label: str
    metric: str
    group: Group
    sums_ND: Floats
    value: Callable[[Floats], Floats]
    support: int | None = None

    def __post_init__(self) -> None:
        if self.sums_ND.ndim != 2:
            raise ValueError(f"{self.name}: sums_ND has shape {self.sums_ND.shape}, not (studies, sums)")
        if not np.isfinite(self.sums_ND).all():
            raise ValueError(f"{self.name}: sums_ND holds NaN or infinite values; give zeros for what does not count")

    def point(self) -> float:
        """The figure on all studies, without resampling."""
        return float(self.value(self.sums_ND.sum(axis=0)))


def ratio(sums: Floats) -> Floats:
    """First sum over the second; NaN where the second is zero. The mean of a score is ratio of [score, 1]."""
    numerator, denominator = sums[..., 0], sums[..., 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(denominator > 0, numerator / denominator, np.nan)


def mean_figure(name: str, label: str, metric: str, values_N: Floats, group: Group = Group.HEADLINE) -> Figure:
    """The mean of a score over the studies that have one (NaN: has none; infinite values are refused)."""
    there = ~np.isnan(values_N)
    sums = np.column_stack([np.where(there, values_N, 0.0), there.astype(np.float64)])
    return Figure(name, label, metric, group, sums, ratio)
