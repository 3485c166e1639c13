"""Bootstrap of the difference of two means.

Shape letters: N, M studies; B replicates.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from eval.figures import Floats

ALPHA = 0.05


class TwoSample(NamedTuple):
    """difference: mean of a minus mean of b. low, high: its 95% percentile interval, not widened for comparisons.

    alpha: .05 over the number of comparisons (Bonferroni). significant: p <= alpha.
    """

    difference: float
    low: float
    high: float
    p: float
    alpha: float
    significant: bool


def bootstrap_difference(
    a_N: npt.ArrayLike,
    b_M: npt.ArrayLike,
    *,
    seed: int,
    replicates: int = 10_000,
    paired: bool = True,
    plus_one: bool = True,
    comparisons: int = 1,
) -> TwoSample:
    """Is the mean of a another than that of b?

    p = 2 min(#(d <= 0) + 1, #(d >= 0) + 1) / (B + 1), at most 1, over the B replicate differences d: the level at
    which the percentile interval just reaches 0 (not a resampling under the null hypothesis).

    Replicates come one after the other from `numpy.random.default_rng(seed)`: the indices of a, then, if unpaired,
    those of b; so anyone can repeat them, and memory holds one replicate's indices and B differences.

    Args:
        a_N, b_M: one score a study. Paired, b_M has the same studies as a_N in the same order.
        paired: both systems are resampled on the same studies. False draws a and b independently, as some papers do
            for systems that share a test set: this ignores that a hard study is hard for both, and p is far too large.
        plus_one: False gives 2 min(#, #) / B, as in papers; it can be 0, which no finite B justifies.
        comparisons: how many such tests are made together.

    Raises:
        ValueError: fewer than two studies, NaN or infinite values, unequal lengths of paired samples, or too few
            replicates for any p to reach alpha.
    """
    a, b = (np.asarray(values, dtype=np.float64) for values in (a_N, b_M))
    for name, values in (("a", a), ("b", b)):
        if values.ndim != 1 or values.size < 2:
            raise ValueError(f"{name} of shape {values.shape} is no list of at least two scores")
        if not np.isfinite(values).all():
            raise ValueError(f"{int((~np.isfinite(values)).sum())} of {values.size} scores of {name} are not finite")
    if paired and a.size != b.size:
        raise ValueError(f"{a.size} scores of a, {b.size} of b: paired samples have the same studies")
    if comparisons < 1:
        raise ValueError(f"{comparisons} comparisons; at least this one is made")
    alpha = ALPHA / comparisons
    if 2 / (replicates + 1) > alpha:
        raise ValueError(f"{replicates} replicates cannot give a p of {alpha:.3g}; take at least {int(2 / alpha)}")

    d = _differences(a, b, paired, replicates, np.random.default_rng(seed))
    # A difference of exactly 0 is on both sides of 0; rounding would put it on one.
    d[np.abs(d) <= 1e-14 * max(np.abs(a).max(), np.abs(b).max())] = 0.0
    smaller = min(int((d <= 0).sum()), int((d >= 0).sum()))
    p = min(1.0, 2 * (smaller + 1) / (replicates + 1) if plus_one else 2 * smaller / replicates)
    low, high = np.quantile(d, [ALPHA / 2, 1 - ALPHA / 2])
    return TwoSample(float(a.mean() - b.mean()), float(low), float(high), p, alpha, p <= alpha)


def _differences(a: Floats, b: Floats, paired: bool, replicates: int, rng: np.random.Generator) -> Floats:
    d = np.empty(replicates)
    if paired:
        pair = a - b
        for i in range(replicates):
            d[i] = pair[rng.integers(0, pair.size, pair.size)].mean()
    else:
        for i in range(replicates):
            mean_a = a[rng.integers(0, a.size, a.size)].mean()
            d[i] = mean_a - b[rng.integers(0, b.size, b.size)].mean()
    return d
