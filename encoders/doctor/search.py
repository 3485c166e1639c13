"""Finds which mistake, or which two, explain a user's pixels best.

Shape letters: C channels, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from encoders.doctor.causes import Cause
from encoders.doctor.drift import mean_difference
from encoders.doctor.ways import Bench

_BEAM = 6  # single causes that a second one is tried on
_FLOOR = 0.02  # of 255 levels: what is left below this needs no second cause
_NO_EFFECT = 1e-3  # of 255 levels: a cause that changes less changes nothing on this film


@dataclass(frozen=True)
class Explanation:
    """One mistake or two, and what they leave.

    residual: mean absolute difference in levels of 255 between the user's pixels and the golden pipeline with these
    mistakes; explained: the share of the drift that is gone with them (can be negative: they make it worse).
    """

    causes: tuple[Cause, ...]
    residual: float
    explained: float

    @property
    def name(self) -> str:
        return " and ".join(cause.name for cause in self.causes)


def search(bench: Bench, causes: Sequence[Cause], user_CHW: NDArray[np.float32]) -> list[Explanation]:
    """Explanations, the best first. Two causes stand before one only if they halve what the one leaves.

    Causes that do not change this film's input (a window the file does not have) are left out.
    """
    own = bench.golden.normalize
    golden_CHW = bench.pixels(bench.golden)
    drift = mean_difference(golden_CHW, user_CHW, own)

    def tried(chosen: tuple[Cause, ...]) -> Explanation | None:
        way = bench.golden
        for cause in chosen:
            way = cause.applied_to(way)
        try:
            made_CHW = bench.pixels(way)
        except ValueError:  # the mistake leaves one value: nothing a user could have fed
            return None
        if len(chosen) == 1 and mean_difference(golden_CHW, made_CHW, own) < _NO_EFFECT:
            return None
        left = mean_difference(made_CHW, user_CHW, own)
        return Explanation(chosen, left, 1 - left / drift if drift > 0 else 0.0)

    def by_residual(found: Explanation) -> float:
        return found.residual

    ones = sorted(filter(None, (tried((cause,)) for cause in causes)), key=by_residual)
    if not ones or ones[0].residual < _FLOOR:
        return ones
    effective = [one.causes[0] for one in ones]
    pairs = {
        frozenset((first.name, second.name)): (first, second)
        for first in effective[:_BEAM]
        for second in effective
        if first.aspect != second.aspect
    }
    twos = sorted(filter(None, map(tried, pairs.values())), key=by_residual)
    return [*twos, *ones] if twos and twos[0].residual < ones[0].residual / 2 else [*ones, *twos]
