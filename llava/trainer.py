"""Trains a report generator, stage by stage: the whole of it is read from top to bottom here.

What is drawn at a step (the order of studies, dropout) is drawn from the run's seed and the step's number, and nothing
is carried from step to step but weights and the optimiser's moments. So a run that was killed goes on from its newest
state to the same weights, bit for bit.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, NoReturn

import torch

from llava.config import TrainSettings
from llava.dataset.bad_studies import BadStudies, check_table
from llava.dataset.batching import steps_per_epoch
from llava.dataset.example import StepBatch
from llava.dataset.loader import step_batches
from llava.dataset.reading import StudyReader
from llava.dataset.shared import refuse_shared
from llava.dataset.table import StudyTable, say_ignored
from llava.packed_attention import check_isolation
from llava.progress.events import Event, StageDone, StageStarted, StateSaved, StepDone, Validated
from llava.training.kernels import use_kernels
from llava.training.lock import locked
from llava.training.objective import supervised_loss
from llava.training.optim import build_optimizer, learning_rates, set_rates
from llava.training.parallel import Parallel
from llava.training.run_record import RunRecord, table_sha256
from llava.training.stage_model import stage_model_together, write_stage_model
from llava.training.starting_model import model_folder
from llava.training.state import States
from llava.training.step_share import StepShare, idle_row, seed_of
from llava.training.stop import StoppedError, StopRequest
from llava.training.together import from_first, on_first
from llava.validation import validate
from prompts.report_prompt import load_report_prompt


class NonFiniteError(ValueError):
    """A loss or a gradient that is no number; no weight was changed by it."""


def train(settings: TrainSettings, on_event: Callable[[Event], None]) -> Path:
    """Train all stages that are not done yet, and give the last one's model folder.

    Called in every process that `accelerate` or `torchrun` started, all of which see the output folder; events are told
    in the first one.

    Raises:
        ValueError: settings, tables, an encoder, a language model, an output folder or a state that cannot be used;
            too many bad studies; a loss that is no number; a full disk. States that were saved remain.
        StoppedError: SIGTERM or SIGINT came; the state was saved.
        RefusedError: in other processes than the first, which raises what is wrong.
    """
    parallel = Parallel(settings.compute)
    with _alone_in(settings.output, parallel), StopRequest() as stop:
        run = _begin(settings, parallel, stop, on_event if parallel.is_main else lambda _: None)
        done = from_first(parallel, lambda: [model_folder(settings, n).exists() for n in range(len(settings.stages))])
        for number in range(len(settings.stages)):
            if not done[number]:
                _Stage(run, number).train()
        return model_folder(settings, len(settings.stages) - 1)


class _Run(NamedTuple):
    """What all stages share. record: in the first process."""

    settings: TrainSettings
    parallel: Parallel
    stop: StopRequest
    tell: Callable[[Event], None]
    table: StudyTable
    bad: BadStudies
    record: RunRecord | None

    @property
    def the_record(self) -> RunRecord:
        assert self.record is not None  # asked for in the first process only
        return self.record

    def identify(self, name: str, identity: str) -> None:
        self.the_record.identify(name, identity)


@contextlib.contextmanager
def _alone_in(output: Path, parallel: Parallel) -> Iterator[None]:
    with contextlib.ExitStack() as held:
        on_first(parallel, lambda: held.enter_context(locked(output)))
        yield


def _begin(settings: TrainSettings, parallel: Parallel, stop: StopRequest, tell: Callable[[Event], None]) -> _Run:
    """Open the table and see that everything is what the run began with."""
    data = settings.data
    cache = settings.output / "tables"
    table = StudyTable.open(data.train, cache=cache, need_findings=True, root=data.root)
    check_table(table, data)

    def compare() -> RunRecord:
        if settings.language_model.quantize is not None and parallel.kind in ("fsdp2", "deepspeed"):
            raise ValueError(
                '4-bit weights cannot be sharded: with language_model.quantize set compute.parallel = "ddp"'
            )
        record = RunRecord(settings.output, settings, has_begun=model_folder(settings, 0).exists())
        record.identify("the prompt", load_report_prompt(data.prompt).sha256)
        record.identify("data.train", table_sha256(data.train))
        if data.validation is not None:
            record.identify("data.validation", table_sha256(data.validation))  # or losses would not compare
            apart = StudyTable.open(data.validation, cache=cache, need_findings=True, root=data.root)
            refuse_shared(table, apart)
            say_ignored(apart)
        say_ignored(table)
        return record

    record = on_first(parallel, compare)
    bad = BadStudies(settings.output / "failures.jsonl", data, len(table), parallel)
    return _Run(settings, parallel, stop, tell, table, bad, record)


class _Stage:
    """One stage: from the model that the one before wrote to the model that this one writes."""

    def __init__(self, run: _Run, number: int) -> None:
        self.run = run
        self.number = number
        self.settings = run.settings
        self.stage = run.settings.stages[number]
        self.parallel = run.parallel
        self.folder = run.settings.output / self.stage.name
        self.steps = steps_per_epoch(len(run.table), self.stage.batch_studies) * self.stage.epochs
        if self.stage.max_steps is not None:
            self.steps = min(self.steps, self.stage.max_steps)

    def train(self) -> None:
        """Build, load the newest state if there is one, take the steps that are left, write the model."""
        self.model, self.processor, parameters = stage_model_together(
            self.settings, self.number, self.run.identify, self.parallel
        )
        self.model.model.language_model.set_attn_implementation(self.settings.compute.attention)
        self.kernels = use_kernels(self.model, self.settings.compute)
        optimizer = build_optimizer(self.model, self.stage)
        self.prepared, self.optimizer = self.parallel.prepare(self.model, optimizer)
        with self.parallel.autocast():
            check_isolation(self.model, self.parallel.device)
        self.states = States(self.folder / "states", self.parallel)
        self.idle = idle_row(self.processor)

        [state] = from_first(self.parallel, lambda: [self.states.newest()])
        first = self.saved = 0 if state is None else state.step
        self.run.tell(
            StageStarted(self.stage.name, first, self.steps, len(self.run.table), self.stage.batch_studies, *parameters)
        )
        if state is not None:
            self.states.load(state, self.model, self.optimizer)
            self._prune()  # what a killed save left; fewer states, where fewer are to be kept from now on
            self._validate_if_due(first, already=state.validation_loss is not None)

        began = time.monotonic()
        for batch in self._batches(first):
            waited = time.monotonic() - began
            self._take_step(batch, began, waited)
            step = batch.step + 1
            stop = self._stop_asked()
            if stop or step == self.steps or step % self.settings.checkpoints.every_steps == 0:
                self._save(step)
            if stop:
                self._stop(step)
            self._validate_if_due(step)
            began = time.monotonic()
        self._finish()

    def _take_step(self, batch: StepBatch, began: float, waited: float) -> None:
        """One optimiser step: all processes' rows, each weighed by the supervised tokens of all of them."""
        stage, parallel, step = self.stage, self.parallel, batch.step
        if parallel.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(parallel.device)  # what reading and validation took is not a step's
        share = StepShare.of(batch)
        total = StepShare(*map(int, parallel.all_sum(share)))
        if total.bad:
            self.run.bad.add(batch.bad, stage=stage.name, step=step + 1)
        rates = learning_rates(stage, step, self.steps)
        set_rates(self.optimizer, rates)
        # a process with fewer rows than another computes rows that weigh nothing: all meet in every backward pass
        [most_rows] = parallel.all_max([float(len(batch.rows))])
        rows = [*batch.rows, *[self.idle] * (int(most_rows) - len(batch.rows))]
        torch.manual_seed(seed_of(self.settings.seed, self.number, step, parallel.rank))  # of dropout
        loss = torch.zeros((), device=parallel.device)
        for place, row in enumerate(rows):
            with parallel.autocast():
                row_loss = supervised_loss(self.prepared, row, self.processor.recipe, parallel.device)
            row_loss = row_loss * float(place < len(batch.rows)) / total.supervised_tokens
            parallel.backward(row_loss, last=place == len(rows) - 1)
            loss += row_loss.detach()
        computed = sum(row.num_tokens for row in rows)
        mean_loss, computed_tokens = parallel.all_sum([loss.item(), computed])
        grad_norm = 0.0
        if rows:  # else every study of the step was bad, and there is nothing to learn from
            grad_norm = parallel.clip(self.prepared, stage.max_grad_norm)
            self._refuse_nonfinite(mean_loss, grad_norm, step, total)
            parallel.step(self.optimizer)
        if parallel.device.type == "cuda":
            torch.cuda.synchronize(parallel.device)  # or the optimiser's time would be in no step's
        self.run.tell(
            StepDone(
                stage=stage.name,
                step=step + 1,
                loss=mean_loss if rows else math.nan,
                learning_rates=rates,
                grad_norm=grad_norm,
                studies=total.studies,
                images=total.images,
                supervised_tokens=total.supervised_tokens,
                useful_tokens=total.useful_tokens,
                computed_tokens=int(computed_tokens),
                lengths2=total.lengths2,
                seconds=time.monotonic() - began,
                waited_seconds=waited,
                bad_studies=total.bad,
                cut_studies=total.cut,
                memory_bytes=_memory_bytes(parallel.device),
            )
        )

    def _refuse_nonfinite(self, loss: float, grad_norm: float, step: int, total: StepShare) -> None:
        if math.isfinite(loss) and math.isfinite(grad_norm):
            return
        found = self.states.found()
        since = f"the state after step {found[-1].step:,} remains" if found else "no state was saved yet"
        raise NonFiniteError(
            f"stage {self.stage.name}, step {step + 1:,}: the loss of its {total.studies:,} studies is {loss:g}, the "
            f"norm of its gradients {grad_norm:g}. No weight was changed by it and {since}. A lower learning rate, a "
            'longer warm-up or compute.precision = "float32" may help'
        )

    def _batches(self, first: int) -> Iterator[StepBatch]:
        run, data, compute = self.run, self.settings.data, self.settings.compute
        reader = StudyReader(run.table, self.processor, with_target=True, skip_guards=data.skip_guards, root=data.root)
        return step_batches(
            reader,
            run.table.estimated_tokens(self.processor.num_image_tokens),
            batch_studies=self.stage.batch_studies,
            seed=seed_of(self.settings.seed, self.number),
            token_budget=compute.token_budget,
            packing=compute.packing,
            rank=self.parallel.rank,
            world_size=self.parallel.world_size,
            first_step=first,
            last_step=self.steps,
            workers=data.workers,
        )

    def _stop_asked(self) -> bool:
        """Of any process, in all of them."""
        return self.parallel.all_max([float(self.run.stop.asked)]) != [0.0]

    def _stop(self, step: int) -> NoReturn:
        raise StoppedError(
            f"stage {self.stage.name} stopped after step {step:,} of {self.steps:,}; its state is saved, and the same "
            "command goes on from it"
        )

    def _save(self, step: int) -> None:
        began = time.monotonic()
        folder = self.states.save(step, self.model, self.optimizer)
        self.saved = step
        self.run.tell(StateSaved(self.stage.name, step, folder, time.monotonic() - began))
        self._prune()

    def _prune(self) -> None:
        kept = self.settings.checkpoints
        on_first(self.parallel, lambda: self.states.prune(keep_last=kept.keep_last, keep_best=kept.keep_best))

    def _validate_if_due(self, step: int, *, already: bool = False) -> None:
        """After a state was saved, so that a run that is killed here loses nothing; noted with that state."""
        every = self.settings.validation.every_steps or self.settings.checkpoints.every_steps
        due = step == self.steps or step % every == 0
        if self.settings.data.validation is None or already or not due:
            return
        folder = self.folder / "validation" / f"step_{step:08}"
        found = validate(self.model, self.processor, self.settings, folder, self.parallel, stopped=self._stop_asked)
        if found is None:
            if self.saved != step:
                self._save(step)
            self._stop(step)
        on_first(self.parallel, lambda: self.states.set_validation_loss(step, found.loss))
        self._prune()
        self.run.tell(Validated(self.stage.name, step, found.loss, found.scores))

    def _finish(self) -> None:
        """Write the model, and adapters beside it; where that folder is, the stage is done."""
        weights = self.parallel.full_state(self.prepared)
        folder = model_folder(self.settings, self.number)

        def write() -> None:
            about = {"stage": self.stage.name, "steps": self.steps, "kernels": self.kernels}
            record = self.run.the_record.as_dict() | about
            write_stage_model(self.model, self.processor, folder, record=record, weights=weights)

        on_first(self.parallel, write)
        best = self.states.best() if self.settings.checkpoints.keep_best else None
        better = best.folder if best is not None and best.step < self.steps else None
        self.parallel.forget()
        self.run.tell(StageDone(self.stage.name, folder, len(self.run.bad), better))


def _memory_bytes(device: torch.device) -> int | None:
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
