"""Rank tests over folds and between two groups: Friedman, Nemenyi, Mann-Whitney.

With five folds these tests are coarse: nine treatments need a difference of 5.37 mean ranks of at most 8 to be told
apart, and no exact test of two treatments can give less than .0625. "Not significant" is then no evidence of equality.

Shape letters: F folds (blocks), K treatments (models), N values.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from eval.figures import Floats

EXACT_UP_TO = 8  # Mann-Whitney is exact when the smaller group has at most this many values, as in scipy's "auto"


class Friedman(NamedTuple):
    """chi2 and p: tie-corrected, K - 1 degrees of freedom. f and f_p: Iman and Davenport. sign_p: K = 2 only."""

    chi2: float
    p: float
    f: float
    f_p: float
    sign_p: float | None


class Nemenyi(NamedTuple):
    """mean_rank_K: 1 is best. p_KK: symmetric, 1 on the diagonal."""

    mean_rank_K: Floats
    p_KK: Floats


class MannWhitney(NamedTuple):
    """u: of the first group. a12: chance that a value of it exceeds one of the second, a tie counting half.

    smallest_p: the least two-sided p that groups of these sizes can give without ties, 2 / C(n + m, n); a p under it
    comes from the normal approximation and means no more than smallest_p does.
    """

    u: float
    p: float
    method: Literal["exact", "normal"]
    a12: float
    smallest_p: float


def friedman(values_FK: npt.ArrayLike) -> Friedman:
    """Do K treatments, measured on the same folds, differ in rank?

    chi2 = (K - 1) S / (sum of squared ranks - F K (K + 1)^2 / 4), S the sum of squared deviations of the rank sums
    from F (K + 1) / 2; tied values share their mean rank, which is the tie correction (Conover, Practical
    Nonparametric Statistics, 5.8). Without any difference in any fold chi2 is 0 and p is 1.

    For K = 2, which `scipy.stats.friedmanchisquare` refuses, this is (n+ - n-)^2 / (n+ + n-), the approximate sign
    test: five folds of five give p .025, but the exact two-sided sign test beside it, `sign_p`, .0625.

    f = (F - 1) chi2 / (F (K - 1) - chi2) on K - 1 and (K - 1)(F - 1) degrees of freedom (Iman and Davenport 1980).
    Where all folds have the same order f is infinite, and f_p is then the exact permutation probability of such
    agreement, m ** (1 - F) with m the number of distinct orders of one fold (K! without ties; Conover 5.8).

    Raises:
        ValueError: fewer than two folds or treatments, NaN or infinite values.
    """
    ranks = _ranks(values_FK)
    n, k = ranks.shape
    spread = float((ranks**2).sum() - n * k * (k + 1) ** 2 / 4)
    between = float(((ranks.sum(axis=0) - n * (k + 1) / 2) ** 2).sum())
    chi2 = (k - 1) * between / spread if spread > 0 else 0.0

    if spread > 0 and (ranks == ranks[0]).all():
        tied = np.unique(ranks[0], return_counts=True)[1]
        orders = math.factorial(k) // math.prod(math.factorial(int(count)) for count in tied)
        f, f_p = math.inf, 1 / orders ** (n - 1)
    else:
        f = (n - 1) * chi2 / (n * (k - 1) - chi2)
        f_p = float(stats.f.sf(f, k - 1, (k - 1) * (n - 1)))

    sign_p = None
    if k == 2:
        plus, minus = (int((ranks[:, i] > ranks[:, 1 - i]).sum()) for i in (0, 1))
        sign_p = float(stats.binomtest(plus, plus + minus).pvalue) if plus + minus else 1.0
    return Friedman(chi2, float(stats.chi2.sf(chi2, k - 1)), f, f_p, sign_p)


def nemenyi(values_FK: npt.ArrayLike, *, larger_is_better: bool) -> Nemenyi:
    """Which pairs of treatments differ? Mean ranks and pairwise p values, corrected for all pairs.

    p = P(Q_K > sqrt(2) |difference of mean ranks| / sqrt(K (K + 1) / 6F)), Q_K the studentized range with infinite
    degrees of freedom (Nemenyi 1963; Demsar, JMLR 7, 2006). Tied values share their mean rank; there is no correction
    for ties, as in scikit-posthocs, which makes p too large where there are many.

    Raises:
        ValueError: fewer than two folds or treatments, NaN or infinite values.
    """
    ranks = _ranks(values_FK)
    n, k = ranks.shape
    mean_rank = (k + 1 - ranks if larger_is_better else ranks).mean(axis=0)
    q = np.abs(mean_rank[:, None] - mean_rank) / _rank_error(k, n)
    p = np.asarray(stats.studentized_range.sf(q * math.sqrt(2), k, np.inf), dtype=np.float64)
    return Nemenyi(mean_rank, p)


def critical_difference(num_treatments: int, num_folds: int, alpha: float = 0.05) -> float:
    """The difference of two mean ranks from which Nemenyi's test gives p <= alpha (Demsar 2006).

    Raises:
        ValueError: fewer than two treatments or folds, or alpha outside (0, 1).
    """
    if num_treatments < 2 or num_folds < 2:
        raise ValueError(f"{num_treatments} treatments and {num_folds} folds: two of each is the least")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha {alpha} is not between 0 and 1")
    q = float(stats.studentized_range.isf(alpha, num_treatments, np.inf))
    return q / math.sqrt(2) * _rank_error(num_treatments, num_folds)


def mann_whitney(a_N: npt.ArrayLike, b_N: npt.ArrayLike) -> MannWhitney:
    """Do the values of two independent groups differ? Two-sided, with the effect size A12 (Vargha and Delaney 2000).

    Exact where no two values are equal and the smaller group has at most 8; else the normal approximation with the
    corrections for ties and for continuity. Where all values are equal p is 1. The groups may differ in size.

    Raises:
        ValueError: an empty group, NaN or infinite values.
    """
    a, b = (np.asarray(values, dtype=np.float64) for values in (a_N, b_N))
    for name, values in (("first", a), ("second", b)):
        if values.ndim != 1 or not values.size or not np.isfinite(values).all():
            raise ValueError(f"the {name} group is no list of finite values: shape {values.shape}, {_bad(values)}")
    together = np.concatenate([a, b])
    exact = min(a.size, b.size) <= EXACT_UP_TO and np.unique(together).size == together.size
    if np.ptp(together) > 0:
        u, p = map(float, stats.mannwhitneyu(a, b, method="exact" if exact else "asymptotic"))
    else:
        u, p = a.size * b.size / 2, 1.0
    return MannWhitney(
        u=u,
        p=p,
        method="exact" if exact else "normal",
        a12=u / (a.size * b.size),
        smallest_p=min(1.0, 2 / math.comb(a.size + b.size, a.size)),
    )


def _ranks(values_FK: npt.ArrayLike) -> Floats:
    """Rank 1 for the smallest value of each fold, mean ranks for ties."""
    values = np.asarray(values_FK, dtype=np.float64)
    if values.ndim != 2 or min(values.shape) < 2:
        raise ValueError(f"values of shape {values.shape} are not (folds, treatments) with at least two of each")
    if not np.isfinite(values).all():
        raise ValueError(f"values hold {_bad(values)}; a fold without one treatment cannot be ranked")
    return np.asarray(stats.rankdata(values, axis=1), dtype=np.float64)


def _rank_error(k: int, n: int) -> float:
    return math.sqrt(k * (k + 1) / (6 * n))


def _bad(values: Floats) -> str:
    return f"{int((~np.isfinite(values)).sum())} NaN or infinite"
