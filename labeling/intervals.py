"""95 % intervals for counts and resampled scores, without numpy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

_Z_95 = 1.959963984540054  # the standard normal's 0.975 quantile


class Interval(NamedTuple):
    """A 95 % interval."""

    low: float
    high: float


def wilson_interval(right: int, of: int) -> Interval:
    """Wilson's score interval for a proportion (E. B. Wilson, J Am Stat Assoc 1927;22:209-212).

    Raises:
        ValueError: `of` is not positive, or `right` is not between 0 and `of`.
    """
    if of <= 0 or not 0 <= right <= of:
        raise ValueError(f"no proportion: {right} of {of}")
    share, z2 = right / of, _Z_95**2
    centre = (share + z2 / (2 * of)) / (1 + z2 / of)
    half = _Z_95 / (1 + z2 / of) * math.sqrt(share * (1 - share) / of + z2 / (4 * of**2))
    # Rounding may leave 1e-17 where the interval ends at 0 or 1.
    return Interval(0.0 if right == 0 else centre - half, 1.0 if right == of else centre + half)


def percentile_interval(values: Sequence[float]) -> Interval | None:
    """The 2.5th and 97.5th percentile of bootstrap values, interpolated linearly; None when there are none."""
    if not values:
        return None
    ordered = sorted(values)

    def at(share: float) -> float:
        place = share * (len(ordered) - 1)
        below = math.floor(place)
        above = min(below + 1, len(ordered) - 1)
        return ordered[below] + (place - below) * (ordered[above] - ordered[below])

    return Interval(at(0.025), at(0.975))
