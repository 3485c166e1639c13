"""Examines one file: what an encoder's golden path makes of it, and why a user's own pixels are not that.

Shape letters: C channels, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from encoders.doctor.causes import bank
from encoders.doctor.drift import Drift, FeatureDrift, Verdict, measure, measure_features
from encoders.doctor.golden import steps
from encoders.doctor.search import Explanation, search
from encoders.doctor.ways import Bench
from encoders.preprocessing.guards import Guard, PreprocessingError, check_film, check_levels
from encoders.preprocessing.input_guards import check_input
from encoders.preprocessing.recipe import Recipe

if TYPE_CHECKING:
    from encoders.contract import Encoder

EXPLAINED = 0.9  # the share of a drift that a cause has to explain before it is named as the cause
_ALIKE = 1e-3  # two explanations this close (shares of the drift) cannot be told apart on this film


@dataclass(frozen=True)
class Diagnosis:
    """What was found. Without a user's pixels: the steps and the guards; the rest is None or empty.

    guards: what the guards say of the film, and of the user's pixels; () where they pass.
    explanations: all tried, the best first; `causes` are those that count.
    """

    path: Path
    encoder: str
    steps: tuple[tuple[str, str], ...]
    guards: tuple[str, ...]
    golden_CHW: NDArray[np.float32]
    drift: Drift | None = None
    features: FeatureDrift | None = None
    user_guards: tuple[str, ...] = ()
    explanations: tuple[Explanation, ...] = ()

    @property
    def verdict(self) -> Verdict:
        return Verdict.NOT_COMPARED if self.drift is None else self.drift.verdict

    @property
    def causes(self) -> tuple[Explanation, ...]:
        """The explanation of at least 90 % of the drift, and those that fit as well on this film; () for none."""
        if not self.explanations or self.explanations[0].explained < EXPLAINED:
            return ()
        best = self.explanations[0]
        return tuple(
            other
            for other in self.explanations
            if len(other.causes) == len(best.causes) and best.explained - other.explained < _ALIKE
        )


def examine(path: str | Path, encoder: Encoder | Recipe, user_CHW: NDArray[np.float32] | None = None) -> Diagnosis:
    """Follow the golden path of a file, and explain how a user's pixels of the same file drift from it.

    Args:
        encoder: with a Recipe alone no features are compared.
        user_CHW: what the user's pipeline feeds to the encoder.

    Raises:
        ImageError: the file is no usable film.
        ValueError: the pixels have not the shape of the encoder's input.
    """
    recipe = encoder if isinstance(encoder, Recipe) else encoder.recipe
    bench = Bench(path, recipe)
    film, golden_CHW = bench.film, bench.pixels(bench.golden)
    guards = (*_complaints(check_film, film), *_complaints(check_levels, bench.levels(bench.golden), recipe))
    seen = Diagnosis(Path(path), recipe.encoder, steps(film, recipe, golden_CHW), guards, golden_CHW)
    if user_CHW is None:
        return seen
    if user_CHW.shape != golden_CHW.shape:
        raise ValueError(
            f"the pixels are {user_CHW.shape}; {recipe.encoder} takes {golden_CHW.shape}: resize to that "
            f"({recipe.resize.fit.value}, {recipe.resize.kernel.value}), or load the encoder at your image size"
        )
    drift = measure(golden_CHW, user_CHW, recipe.normalize)
    identical = drift.verdict is Verdict.IDENTICAL
    return replace(
        seen,
        drift=drift,
        features=None if isinstance(encoder, Recipe) else measure_features(encoder, golden_CHW, user_CHW),
        user_guards=_complaints(check_input, user_CHW[None], recipe),
        explanations=() if identical else tuple(search(bench, bank(film, bench.golden), user_CHW)),
    )


def _complaints(check: Callable[..., None], *subject: object) -> tuple[str, ...]:
    """What each guard of a check says that does not pass; a check itself stops at its first."""
    said: dict[Guard, str] = {}
    while True:
        try:
            check(*subject, skip=said)
        except PreprocessingError as error:
            if error.guard in said:  # it does not heed `skip`
                raise
            said[error.guard] = str(error)
        else:
            return tuple(said.values())
