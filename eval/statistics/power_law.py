"""Data scaling: the power law f = alpha x^k of a score f over training set sizes x.

Over two decades of x a power law and a + b log x cannot be told apart, so a prediction outside the sizes seen depends
on the choice of the curve, which no interval here covers; `predict` says when that is so.

Shape letters: N points (runs), then encoders once their seeds are averaged.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from eval.figures import Floats


class PowerLaw(NamedTuple):
    """f = f_x0 (x / x0)^k, x0 the geometric mean of the sizes.

    At x0 the estimates of level and exponent are uncorrelated; alpha = f_x0 / x0^k, the level at x = 1, is an
    extrapolation over decades and only there to compare with papers.

    k_low, k_high: 95% t interval on num_points - 2 degrees of freedom. r2_log: of log f, NaN where all f are equal.
    theil_sen_k and theil_sen_alpha: median of pairwise slopes, which one failed run hardly moves; a k outside the
    interval of the other asks for a look at the runs.
    """

    k: float
    k_low: float
    k_high: float
    k_error: float
    x0: float
    f_x0: float
    alpha: float
    r2_log: float
    theil_sen_k: float
    theil_sen_alpha: float
    num_points: int
    x_low: float
    x_high: float


class Prediction(NamedTuple):
    """extrapolates: x lies outside the sizes that were fitted."""

    f: float
    extrapolates: bool


def fit_power_law(
    x_N: npt.ArrayLike, f_N: npt.ArrayLike, *, encoders_N: Sequence[Any] | npt.NDArray[Any] | None = None
) -> PowerLaw:
    """Least squares of log f on log x, with the t interval of the exponent.

    Args:
        x_N: training set sizes, positive.
        f_N: scores, positive.
        encoders_N: which encoder each run probes. The seeds of one encoder are no independent points: with one encoder
            at some sizes a nominal 95% interval on all runs covers about 81%, so their scores are averaged first.

    Raises:
        ValueError: unequal lengths; NaN, infinite or non-positive values; fewer than three distinct sizes; a run
            without encoder or an encoder with several sizes.
    """
    x, f = (np.asarray(values, dtype=np.float64) for values in (x_N, f_N))
    if x.ndim != 1 or x.shape != f.shape:
        raise ValueError(f"sizes of shape {x.shape} and scores of shape {f.shape} are not two lists of one length")
    for name, values in (("sizes", x), ("scores", f)):
        wrong = int((~(np.isfinite(values) & (values > 0))).sum())
        if wrong:
            raise ValueError(f"{wrong} of {values.size} {name} are not positive numbers: they have no logarithm")
    if encoders_N is not None:
        x, f = _average_seeds(x, f, encoders_N)
    if np.unique(x).size < 3:
        raise ValueError(f"{np.unique(x).size} distinct sizes; a power law needs at least 3")

    log_x, log_f = np.log(x), np.log(f)
    n, center = log_x.size, log_x.mean()
    dx, df = log_x - center, log_f - log_f.mean()
    sxx, syy = float(dx @ dx), float(df @ df)
    k = float(dx @ df) / sxx
    residuals = df - k * dx
    sse = float(residuals @ residuals)
    error = math.sqrt(sse / (n - 2) / sxx)
    half = float(stats.t.isf(0.025, n - 2)) * error
    robust = stats.theilslopes(log_f, log_x)
    return PowerLaw(
        k=k,
        k_low=k - half,
        k_high=k + half,
        k_error=error,
        x0=math.exp(center),
        f_x0=math.exp(log_f.mean()),
        alpha=math.exp(log_f.mean() - k * center),
        r2_log=1 - sse / syy if np.ptp(f) > 0 else math.nan,
        theil_sen_k=float(robust.slope),
        theil_sen_alpha=math.exp(float(robust.intercept)),
        num_points=n,
        x_low=float(x.min()),
        x_high=float(x.max()),
    )


def predict(law: PowerLaw, x: float) -> Prediction:
    """The score that the fitted curve gives at size x.

    Raises:
        ValueError: x is not a positive number.
    """
    if not (math.isfinite(x) and x > 0):
        raise ValueError(f"size {x} is not a positive number")
    return Prediction(law.f_x0 * (x / law.x0) ** law.k, not law.x_low <= x <= law.x_high)


def _average_seeds(x: Floats, f: Floats, encoders_N: Sequence[Any] | npt.NDArray[Any]) -> tuple[Floats, Floats]:
    if len(encoders_N) != x.size:
        raise ValueError(f"{len(encoders_N)} encoders for {x.size} runs")
    sizes: dict[Any, float] = {}
    scores: dict[Any, list[float]] = {}
    for encoder, size, score in zip(encoders_N, x.tolist(), f.tolist(), strict=True):
        if encoder is None or encoder != encoder:  # NaN
            raise ValueError(f"a run at size {size:g} has no encoder")
        if sizes.setdefault(encoder, size) != size:
            raise ValueError(f"encoder {encoder!r} has sizes {sizes[encoder]:g} and {size:g}; an encoder has one")
        scores.setdefault(encoder, []).append(score)
    return np.array(list(sizes.values())), np.array([math.fsum(s) / len(s) for s in scores.values()])
