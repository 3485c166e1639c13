"""A ranked score vector, and the area under its curve for any bootstrap counts of its samples.

Both curves need only, at every score that some positive has, the weight of the positives at or above it and of the
negatives above it and at or above it. Sorting is done once; a resample costs a cumulative sum and three look-ups.

Shape letters: P positives, N negatives, G distinct scores among the positives, from the highest down.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from eval.statistics.curves import Bools, Floats
from eval.statistics.multinomial import Counts, Index

# How often each unit of the positives and each unit of the negatives was drawn: what `CountedCurve` takes.
Drawing = tuple[Counts, Counts]


class Curve(StrEnum):
    """AUPRC is the step form (`curves.average_precision`), AUROC counts ties half (`curves.auroc`)."""

    AUPRC = "auprc"
    AUROC = "auroc"


class Thresholds(NamedTuple):
    """For every score of a positive: how many places of the ranked positives and negatives lie above it.

    tp_G: positives at or above; fp_above_G: negatives above; fp_G: negatives at or above.
    """

    tp_G: Index
    fp_above_G: Index
    fp_G: Index


def find_thresholds(positives_P: Floats, negatives_N: Floats) -> Thresholds:
    """Thresholds from the negated scores of the positives and of the negatives, both in ascending order."""
    last_G = np.append(np.flatnonzero(np.diff(positives_P)), positives_P.size - 1)
    cuts_G = positives_P[last_G]
    return Thresholds(
        last_G + 1,
        np.searchsorted(negatives_N, cuts_G, side="left"),
        np.searchsorted(negatives_N, cuts_G, side="right"),
    )


class CurveArea:
    """The area under one curve from cumulative counts; buffers are kept between calls."""

    def __init__(self, curve: Curve, thresholds: Thresholds) -> None:
        self._curve = curve
        self._at = thresholds
        num_thresholds = thresholds.tp_G.size
        self._tp, self._fp, self._fp_above = np.empty((3, num_thresholds), dtype=np.int32)
        self._gained, self._term = np.empty((2, num_thresholds))

    def __call__(self, tp_cumulative: npt.NDArray[np.int32], fp_cumulative: npt.NDArray[np.int32]) -> float:
        """Area; NaN if a class was not drawn at all. Cumulative counts start with 0, as `Cumulative` gives them."""
        if tp_cumulative[-1] == 0 or fp_cumulative[-1] == 0:
            return float("nan")
        tp, fp, gained, term = self._tp, self._fp, self._gained, self._term
        tp_cumulative.take(self._at.tp_G, out=tp, mode="clip")
        fp_cumulative.take(self._at.fp_G, out=fp, mode="clip")
        gained[0] = tp[0]
        np.subtract(tp[1:], tp[:-1], out=gained[1:])
        if self._curve is Curve.AUPRC:
            np.add(tp, fp, out=fp)
            np.maximum(fp, 1, out=fp)  # nothing drawn so far: no recall is gained there either
            np.divide(tp, fp, out=term)
            term *= gained
            return float(term.sum() / tp[-1])  # not a dot product: its last digit depends on BLAS threads
        fp_cumulative.take(self._at.fp_above_G, out=self._fp_above, mode="clip")
        np.add(fp, self._fp_above, out=term)
        term *= gained
        return float(1.0 - term.sum() / (2.0 * float(tp[-1]) * float(fp_cumulative[-1])))


class Cumulative:
    """Running totals of counts, with a leading 0, in a kept buffer."""

    def __init__(self, size: int) -> None:
        self._totals = np.zeros(size + 1, dtype=np.int32)

    def __call__(self, counts: Counts) -> npt.NDArray[np.int32]:
        np.cumsum(counts, dtype=np.int32, out=self._totals[1:])
        return self._totals


class CountedCurve:
    """One score vector's area for counts of drawn units, where a unit is a sample or a patient.

    Several score vectors over the same samples are all evaluated on one drawing of counts.
    """

    def __init__(self, curve: Curve, positive: Bools, scores: Floats, unit_of_sample: Index) -> None:
        """`unit_of_sample`: a sample's place in the counts of its class (see `__call__`)."""
        falling, self._units = [], []
        for samples in (np.flatnonzero(positive), np.flatnonzero(~positive)):
            negated = -scores[samples]
            order = np.argsort(negated)
            falling.append(negated[order])
            self._units.append(unit_of_sample[samples[order]])
        self._area = CurveArea(curve, find_thresholds(*falling))
        self._counts = [np.empty(units.size, dtype=np.uint8) for units in self._units]
        self._cumulative = [Cumulative(units.size) for units in self._units]

    def point(self) -> float:
        """Area on the data as they are."""
        return self._area(*(np.arange(units.size + 1, dtype=np.int32) for units in self._units))

    def __call__(self, positive_units: Counts, negative_units: Counts) -> float:
        """Area when the units of the positives and of the negatives were drawn that often (the same, for patients)."""
        for drawn, units, counts in zip((positive_units, negative_units), self._units, self._counts, strict=True):
            drawn.take(units, out=counts, mode="clip")
        tp, fp = (cumulative(counts) for cumulative, counts in zip(self._cumulative, self._counts, strict=True))
        return self._area(tp, fp)
