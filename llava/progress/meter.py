"""How fast a run is and how well it uses its GPUs, from what the trainer tells of each step."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from llava.config import StageSettings
from llava.planning.flops import ModelShape
from llava.progress.events import StageStarted, StepDone

_STEPS = 50  # that rates and the time left are reckoned from


class Reading(NamedTuple):
    """Of one step, but for the last two, which are of up to 50 steps.

    mfu: model FLOPs utilisation, useful work a second of all processes' peak: 0.4 is 40 %; mfu_encoder and
    mfu_language_model (the projector is in it) add up to it. hfu: with what checkpointing computes again. All None
    where the device's peak is not known. pad_share: of computed tokens, those that are no study's. wait_share: of the
    step's time, waiting for data. studies_per_s: mean. eta_s: time left of the stage.
    """

    useful_tokens_per_s: float
    mfu: float | None
    mfu_encoder: float | None
    mfu_language_model: float | None
    hfu: float | None
    pad_share: float
    wait_share: float
    studies_per_s: float
    eta_s: float


class Meter:
    """Give it every event of a stage: its start, then each step."""

    def __init__(
        self,
        model: ModelShape,
        stages: Sequence[StageSettings],
        *,
        peak_flops: float | None,
        world_size: int,
        checkpointing: bool,
    ) -> None:
        """
        Args:
            peak_flops: of one process's device, FLOP/s in the precision of computing; None where it is not known.
            checkpointing: as `compute.gradient_checkpointing`.
        """
        self._model = model
        self._stages = {stage.name: stage for stage in stages}
        self._peak = None if peak_flops is None else peak_flops * world_size
        self._checkpointing = checkpointing
        self._steps = 0
        self._recent: deque[tuple[int, float]] = deque(maxlen=_STEPS)

    def start(self, event: StageStarted) -> None:
        self._steps = event.steps
        self._recent.clear()
        self._first = event.first_step + 1

    def read(self, event: StepDone) -> Reading:
        """The figures of a step that is done."""
        flops = self._model.training(
            self._stages[event.stage],
            images=event.images,
            tokens=event.useful_tokens,
            lengths2=event.lengths2,
            supervised_tokens=event.supervised_tokens,
            checkpointing=self._checkpointing,
        )
        if len(self._recent) == 1 and event.step == self._first + 1:
            self._recent.clear()  # the first step compiles and warms up: it tells nothing of the next
        seconds = event.seconds
        if event.step == self._first:
            seconds -= event.waited_seconds  # for the processes that read studies to start
        self._recent.append((event.studies, seconds))
        recent_s = sum(seconds for _, seconds in self._recent)
        left = self._steps - event.step

        def utilisation(work: float) -> float | None:
            return None if self._peak is None else work / (event.seconds * self._peak)

        return Reading(
            useful_tokens_per_s=event.useful_tokens / event.seconds,
            mfu=utilisation(flops.useful),
            mfu_encoder=utilisation(flops.encoder),
            mfu_language_model=utilisation(flops.projector + flops.language_model),
            hfu=utilisation(flops.useful + flops.recomputed),
            pad_share=1 - event.useful_tokens / event.computed_tokens if event.computed_tokens else 0.0,
            wait_share=event.waited_seconds / event.seconds,
            studies_per_s=sum(studies for studies, _ in self._recent) / recent_s,
            eta_s=left * recent_s / len(self._recent),
        )
