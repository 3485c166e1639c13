"""What a trainer tells those who watch: the progress display, TensorBoard, the log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class StageStarted:
    """A stage begins, or goes on at first_step of its `steps`. trained, frozen: parameters of each part."""

    stage: str
    first_step: int
    steps: int
    studies: int
    batch_studies: int
    trained: Mapping[str, int]
    frozen: Mapping[str, int]


@dataclass(frozen=True)
class StepDone:
    """One optimiser step over all processes.

    step: counted from 1 when done. loss: mean cross-entropy of the step's supervised tokens, in nats; NaN where
    none of its studies could be used. useful_tokens: of
    studies, images included; computed_tokens: with what was computed beside them (padding, dummy rows). lengths2: sum
    of the squared lengths of the studies, what attention costs. seconds: of reading and
    computing it; saving and validation are not in it. bad_studies: of this
    step. memory_bytes: most that was held on the device by this process, None where it is not known.
    """

    stage: str
    step: int
    loss: float
    learning_rates: Mapping[str, float]
    grad_norm: float
    studies: int
    images: int
    supervised_tokens: int
    useful_tokens: int
    computed_tokens: int
    lengths2: int
    seconds: float
    waited_seconds: float  # of these, for data
    bad_studies: int = 0
    cut_studies: int = 0
    memory_bytes: int | None = None


@dataclass(frozen=True)
class Validated:
    """loss: of the validation studies; scores: of generated reports by control ("none", "shuffled_images", ...), then
    by metric; empty where none were generated."""

    stage: str
    step: int
    loss: float
    scores: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class StateSaved:
    stage: str
    step: int
    folder: Path
    seconds: float


@dataclass(frozen=True)
class StageDone:
    """A stage's model is written, of its last step.

    bad_studies: of the run until here, each counted once. better: an earlier state of a lower validation loss, where
    one was kept.
    """

    stage: str
    folder: Path
    bad_studies: int = 0
    better: Path | None = None


Event = StageStarted | StepDone | Validated | StateSaved | StageDone
