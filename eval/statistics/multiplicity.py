"""Adjusted p values for many comparisons, in the order given.

Compare an adjusted p with the plain alpha (.05). Holm controls the chance of any false claim and is never weaker than
Bonferroni; Benjamini and Hochberg control the share of false claims, which is right for screening many subgroups.

Shape letter: M comparisons.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from eval.figures import Floats


def bonferroni(p_M: npt.ArrayLike) -> Floats:
    """M p, at most 1. p <= .05 / M says the same as an adjusted p <= .05.

    Raises:
        ValueError: no p values, or some that are NaN or outside 0 to 1.
    """
    p = _checked(p_M)
    return np.minimum(1.0, p.size * p)


def holm(p_M: npt.ArrayLike) -> Floats:
    """Holm's step down (1979): the i-th smallest p times M + 1 - i, never under the one before it, at most 1.

    Raises:
        ValueError: no p values, or some that are NaN or outside 0 to 1.
    """
    p = _checked(p_M)
    order = np.argsort(p)
    stepped = np.maximum.accumulate(np.arange(p.size, 0, -1) * p[order])
    return _back(stepped, order)


def benjamini_hochberg(p_M: npt.ArrayLike) -> Floats:
    """Step up for the false discovery rate (1995): the i-th smallest p times M / i, never over the one after it.

    Holds for independent or positively dependent tests.

    Raises:
        ValueError: no p values, or some that are NaN or outside 0 to 1.
    """
    p = _checked(p_M)
    order = np.argsort(p)
    stepped = p[order] * p.size / np.arange(1, p.size + 1)
    return _back(np.minimum.accumulate(stepped[::-1])[::-1], order)


def benjamini_yekutieli(p_M: npt.ArrayLike) -> Floats:
    """Benjamini and Hochberg times 1 + 1/2 + ... + 1/M (2001), which holds under any dependence.

    Raises:
        ValueError: no p values, or some that are NaN or outside 0 to 1.
    """
    adjusted = benjamini_hochberg(p_M)
    return np.minimum(1.0, sum(1 / i for i in range(1, adjusted.size + 1)) * adjusted)


def _checked(p_M: npt.ArrayLike) -> Floats:
    p = np.asarray(p_M, dtype=np.float64)
    if p.ndim != 1 or not p.size:
        raise ValueError(f"p values of shape {p.shape} are no list with at least one")
    outside = ~((p >= 0) & (p <= 1))  # NaN too
    if outside.any():
        raise ValueError(f"{int(outside.sum())} of {p.size} p values are NaN or outside 0 to 1")
    return p


def _back(stepped: Floats, order: npt.NDArray[np.intp]) -> Floats:
    adjusted = np.empty_like(stepped)
    adjusted[order] = np.minimum(1.0, stepped)
    return adjusted
