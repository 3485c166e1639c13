"""Bootstrap intervals of figures: percentile and BCa, over studies or over patients.

Studies of one patient are not independent: drawing patients and keeping all their studies gives honest intervals, while
drawing studies (the paper's way) gives intervals that are too short.

Shape letters: B replicates, U resampled units, N studies, D sums that a figure needs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from eval.figures import Figure, Floats
from eval.statistics.resampling import Resampling, replicate_sums, unit_sums

CONFIDENCE = 0.95
FEW_UNITS = (
    20  # rule of thumb: below it a percentile interval is clearly too short (sqrt((n - 1) / n), and no t quantile)
)


class Estimate(NamedTuple):
    """A figure with its bootstrap; None where it is undefined.

    point: on all studies as they are; median, mean, std (ddof 0), low, high: of the replicates that are defined.
    degenerate_share: share of replicates in which the figure is undefined (no positive was drawn, say); those are left
        out of the quantiles, as RadFact's and the paper's nanquantile does.
    """

    point: float | None
    median: float | None
    low: float | None
    high: float | None
    mean: float | None
    std: float | None
    degenerate_share: float


class BcaInterval(NamedTuple):
    """low, high, and what moved them: bias z0 and acceleration."""

    low: float
    high: float
    z0: float
    acceleration: float


def estimate(
    point: float, values_B: Floats, confidence: float = CONFIDENCE, *, num_units: int | None = None
) -> Estimate:
    """Summarise replicates: linear quantiles (Hyndman and Fan's type 7), NaN replicates left out and counted.

    num_units: how many studies or patients were resampled. All resamples of a single one are alike: they tell nothing,
    and nothing is given.
    """
    defined = values_B[np.isfinite(values_B)]
    share = (len(values_B) - len(defined)) / len(values_B) if len(values_B) else 1.0
    shown = point if math.isfinite(point) else None
    if not len(defined) or num_units == 1:
        return Estimate(shown, None, None, None, None, None, share)
    tail = (1 - confidence) / 2
    low, median, high = np.quantile(defined, [tail, 0.5, 1 - tail])
    return Estimate(shown, float(median), float(low), float(high), float(defined.mean()), float(defined.std()), share)


def replicate_values(
    figures: Sequence[Figure], resampling: Resampling, unit_of_N: npt.NDArray[np.int64] | None = None
) -> list[Floats]:
    """Each figure on each resample, (B,) a figure, all on one stream of resamples.

    Args:
        unit_of_N: number of each study's patient, to draw patients; None draws studies.

    Raises:
        ValueError: the figures rest on unlike numbers of studies, or on none.
    """
    tables: dict[int, Floats] = {id(figure.sums_ND): figure.sums_ND for figure in figures}
    grouped = [unit_sums(table, unit_of_N) for table in tables.values()]
    totals = dict(zip(tables, replicate_sums(grouped, resampling), strict=True)) if figures else {}
    return [figure.value(totals[id(figure.sums_ND)]) for figure in figures]


def bootstrap(
    figures: Sequence[Figure], resampling: Resampling, unit_of_N: npt.NDArray[np.int64] | None = None
) -> list[Estimate]:
    """Percentile bootstrap of every figure; arguments as for `replicate_values`."""
    values = replicate_values(figures, resampling, unit_of_N)
    return [
        estimate(figure.point(), values_B, num_units=count_units(figure, unit_of_N))
        for figure, values_B in zip(figures, values, strict=True)
    ]


def count_units(figure: Figure, unit_of_N: npt.NDArray[np.int64] | None) -> int:
    """How many studies, or patients, a resample of this figure draws from."""
    return len(figure.sums_ND) if unit_of_N is None else int(unit_of_N.max()) + 1


def say_few_units(num_units: int, unit: str) -> str | None:
    """What a reader must know of intervals from so few units, or None where there are enough."""
    if num_units >= FEW_UNITS:
        return None
    plural = {"patient": "patients", "study": "studies"}[unit]
    if num_units == 1:
        return f"there is one {unit} only: no interval can be had from resampling {plural}"
    return f"only {num_units} {plural} were resampled: intervals from so few are too short"


def bca_interval(
    point: float, values_B: Floats, leave_one_out_U: Floats, confidence: float = CONFIDENCE
) -> BcaInterval | None:
    """Bias-corrected and accelerated interval (Efron, J Am Stat Assoc 1987;82:171-185), or None where undefined.

    z0 counts ties with the point by half; the acceleration is the jackknife's. Undefined: the point or any
    leave-one-out value is NaN, the figure never varies, or all replicates lie on one side of the point.
    """
    values = values_B[np.isfinite(values_B)]
    if not math.isfinite(point) or not np.isfinite(leave_one_out_U).all() or not len(values):
        return None
    below = (np.sum(values < point) + 0.5 * np.sum(values == point)) / len(values)
    spread = leave_one_out_U.mean() - leave_one_out_U
    power = float((spread**2).sum())
    if not 0 < below < 1 or power == 0:
        return None
    acceleration = float((spread**3).sum()) / (6 * power**1.5)
    z0 = float(ndtri(below))
    tail = (1 - confidence) / 2
    z = z0 + ndtri(np.array([tail, 1 - tail]))
    low, high = np.quantile(values, ndtr(z0 + z / (1 - acceleration * z)))
    return BcaInterval(float(low), float(high), z0, acceleration)


def bootstrap_bca(
    figure: Figure, values_B: Floats, unit_of_N: npt.NDArray[np.int64] | None = None
) -> BcaInterval | None:
    """BCa interval of a figure from its replicates; leaving out each unit costs one pass over the sums."""
    sums_UD = unit_sums(figure.sums_ND, unit_of_N)
    return bca_interval(figure.point(), values_B, figure.value(sums_UD.sum(axis=0) - sums_UD))
