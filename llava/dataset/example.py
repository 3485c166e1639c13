"""One study as a language model reads it, and several of them in one row.

Shape letters: T tokens of a row, K supervised tokens, I images, H rows, W columns, S studies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from encoders.preprocessing.intensity import Levels


class BadStudy(NamedTuple):
    """A study that cannot be used. error: a short class of fault ("ImageError"); message: what, where, what to do;
    never report text."""

    study_id: str
    error: str
    message: str


class BadStudyError(ValueError):
    """Raised where a bad study ends the run; `bad` says which and why."""

    def __init__(self, bad: BadStudy) -> None:
        super().__init__(f"study {bad.study_id}: {bad.message}")
        self.bad = bad


@dataclass(frozen=True)
class Example:
    """A study's tokens and films.

    input_ids_T: the prompt with num_tokens placeholders an image, then, in training, the target and the end token.
    supervised_T: True at exactly the target and the end token; all False where reports are generated.
    images: the films' levels (`encoders.preprocessing.prepare.to_levels`), H,W each, in the order of the placeholders:
        current frontal, current lateral, prior frontal.
    cut_tokens: of the prior report, left out to fit the context; 0 where all of it fitted.
    """

    study_id: str
    input_ids_T: NDArray[np.int64]
    supervised_T: NDArray[np.bool_]
    images: tuple[Levels, ...]
    cut_tokens: int = 0

    @property
    def num_tokens(self) -> int:
        return len(self.input_ids_T)


@dataclass(frozen=True)
class PackedRow:
    """Studies one after another in one row, each of which may see itself only.

    input_ids_T: all of them. position_ids_T: beginning at 0 in every study. boundaries_S1: int32, where each study
    begins, and T at the end (flash attention's cu_seqlens). predicting_K: positions whose output predicts a supervised
    token: one before it. targets_K: those tokens. images: of all studies, in order.
    """

    study_ids: tuple[str, ...]
    input_ids_T: NDArray[np.int64]
    position_ids_T: NDArray[np.int64]
    boundaries_S1: NDArray[np.int32]
    predicting_K: NDArray[np.int64]
    targets_K: NDArray[np.int64]
    images: tuple[Levels, ...]

    @property
    def num_tokens(self) -> int:
        return len(self.input_ids_T)

    @property
    def longest(self) -> int:
        """Tokens of the longest study."""
        return int(np.diff(self.boundaries_S1).max())


@dataclass(frozen=True)
class StepBatch:
    """What one process computes in one optimiser step: its share of the step's studies.

    step: counted from 0 over the whole stage; rows may be empty where every study of the share was bad.
    """

    step: int
    rows: tuple[PackedRow, ...]
    bad: tuple[BadStudy, ...]
    cut_studies: int = 0

    @property
    def num_studies(self) -> int:
        return sum(len(row.study_ids) for row in self.rows)

    @property
    def supervised_tokens(self) -> int:
        return sum(len(row.targets_K) for row in self.rows)
