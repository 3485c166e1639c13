"""What the commands of `llava` show: progress and messages on standard error, tables on standard output."""

from __future__ import annotations

import time
from collections.abc import Mapping

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from encoders.console import Screen as _Screen
from encoders.console import size
from llava.planning.plan import KindCost, Plan, StageCost
from llava.progress.events import Event, StageDone, StageStarted, StepDone, Validated
from llava.progress.meter import Reading

_EVERY_S = 30.0  # between lines where there is no terminal


class Screen(_Screen):
    """Everything the user sees of one run. quiet: nothing is said but errors (a process that is not the first)."""

    @property
    def quiet(self) -> bool:
        return self._quiet

    @property
    def shows_bars(self) -> bool:
        return self._err.is_terminal and not self._quiet

    def training(self) -> TrainingView:
        """Shows a run of the trainer: a live bar on a terminal, a line every half minute elsewhere."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[now]}"),
        )
        bar = Progress(*columns, console=self._err, disable=not self.shows_bars, refresh_per_second=4)
        return TrainingView(self, bar)

    def plan(self, plan: Plan) -> None:
        """A plan, as tables."""
        model = plan.model
        for line in (
            f"encoder: {count(model.encoder.weights)} weights, {model.encoder.num_tokens:,} tokens of width "
            f"{model.encoder.token_width:,} an image, {flop(model.encoder.flops)}",
            f"projector: {count(model.projector_weights)} weights in {model.num_layers} layers",
            f"language model: {count(model.language_model.weights)} weights in {model.language_model.layers} layers of "
            f"width {model.language_model.width:,}, context {plan.context:,} tokens, "
            f"{size(model.language_model.kv_bytes())} of cache a token",
            data_source(plan),
        ):
            self.lines([line])
        self.lines([""])
        head = ("stage", "learning", "frozen", "studies", "steps", "GPU-hours", f"hours on {plan.gpus}", "dollars")
        self.table(head, [_stage(stage, plan) for stage in plan.stages])
        self.lines([""])
        head = ("memory a GPU", "state", "frozen", "at work", "activations", "in all", plan.gpu.name, "saved on disk")
        self.table(head, [_memory(stage, plan) for stage in plan.stages])
        self.lines([""])
        columns = (
            "images",
            "studies",
            "tokens",
            "training",
            "encoder's",
            "GPU-hours, an epoch of such",
            "cache a study",
        )
        self.table(columns, [*(_kind(cost) for cost in plan.kinds), ("mix", *_kind(plan.mix)[1:])])
        self.lines(
            [
                "",
                f"Training: on one study in stage {plan.dearest}. GPU-hours: at {plan.mfu:.1%} of "
                f"{plan.gpu.name}'s {plan.gpu.bf16_flops / 1e12:,.0f} TFLOP/s; validation, saving and starting are not "
                "in them. State: weights, gradients and AdamW's means of what learns, "
                + ", ".join(f"{_gb(16 * sum(stage.trained.values()))} in {stage.name}" for stage in plan.stages)
                + f" over all GPUs. {_host_memory(plan)}",
                *(f"warning: {warning}" for warning in plan.warnings),
            ]
        )


class TrainingView:
    """Give it every event; use it as a context."""

    def __init__(self, screen: Screen, bar: Progress) -> None:
        self._screen = screen
        self._bar = bar
        self._task: TaskID | None = None
        self._said_s = -_EVERY_S
        self._steps = 0
        self._cut = 0  # prior reports

    def __enter__(self) -> TrainingView:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def tell(self, event: Event, reading: Reading | None = None) -> None:
        """reading: of a step, the meter's."""
        if isinstance(event, StageStarted):
            self._start(event)
        elif isinstance(event, StepDone) and reading is not None:
            self._step(event, reading)
        elif isinstance(event, Validated):
            scores = "".join(f"; {_scores(control, found)}" for control, found in event.scores.items())
            self._screen.say(f"{event.stage}, step {event.step:,}: validation loss {event.loss:.4f}{scores}")
        elif isinstance(event, StageDone):
            self._screen.say(f"{event.stage}: done, its model is {event.folder}")
            if event.better is not None:
                self._screen.say(
                    f"{event.stage}: its validation loss was lower in {event.better}; for the model of that, "
                    f"python -m llava export {event.better} -o MODEL"
                )
            if event.bad_studies:
                listed = event.folder.parents[1] / "failures.jsonl"
                self._screen.say(f"{event.bad_studies:,} studies could not be used and were left out: {listed}")
            if self._cut:
                self._screen.say(f"{self._cut:,} times a prior report was shortened to fit the context")
                self._cut = 0

    def _start(self, event: StageStarted) -> None:
        self._steps = event.steps
        learning = ", ".join(f"{part} {count(number)}" for part, number in event.trained.items() if number)
        goes_on = f", going on after step {event.first_step:,}" if event.first_step else ""
        self._screen.say(
            f"{event.stage}: {event.steps:,} steps of {event.batch_studies:,} of {event.studies:,} studies{goes_on}; "
            f"learning: {learning}"
        )
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task(event.stage, total=event.steps, completed=event.first_step, now="")

    def _step(self, event: StepDone, reading: Reading) -> None:
        mfu = "" if reading.mfu is None else f", MFU {reading.mfu:.1%}"
        self._cut += event.cut_studies
        loss = f"loss {event.loss:.4f}" if event.supervised_tokens else "no study of it could be used"
        now = f"{loss}, {reading.studies_per_s:,.2f} studies/s{mfu}, {duration(reading.eta_s)} left"
        if self._task is not None:
            self._bar.update(self._task, completed=event.step, now=now)
        due = time.monotonic() - self._said_s >= _EVERY_S or event.step == self._steps
        if due and not self._screen.shows_bars:
            self._said_s = time.monotonic()
            self._screen.say(f"{event.stage}, step {event.step:,} of {self._steps:,}: {now}")


def count(number: float) -> str:
    """Weights for people: "86.6 M"."""
    for unit, of in (("B", 1e9), ("M", 1e6), ("K", 1e3)):
        if number >= 1000 * of:
            return f"{number / of:,.0f} {unit}"
        if number >= of:
            return f"{number / of:#.3g}".rstrip(".") + f" {unit}"
    return f"{number:,.0f}"


def flop(number: float) -> str:
    """FLOPs for people: "0.376 PFLOP", "303 GFLOP"."""
    if number >= 1e13:
        return f"{number / 1e15:,.3g} PFLOP"
    return f"{number / 1e12:,.3g} TFLOP" if number >= 1e12 else f"{number / 1e9:,.3g} GFLOP"


def duration(seconds: float) -> str:
    """Time for people: "2 h 5 min"."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest} s"
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60:,} h {minutes % 60} min"


def data_source(plan: Plan) -> str:
    """Whether the plan reckons with a table's studies or with assumed ones."""
    mean = plan.mix.kind
    if plan.counted:
        return f"data: {mean.studies:,} studies of {plan.table}, their tokens estimated from the length of their texts"
    missing = "" if plan.table.exists() else f"{plan.table} does not exist; "
    return (
        f"data: {missing}assumed are {mean.studies:,} studies of {mean.images:.0f} images and {mean.tokens:,.0f} "
        "tokens (train-llava's --studies, --images, --text-tokens)"
    )


def _host_memory(plan: Plan) -> str:
    whole = _gb(plan.host_bytes)
    if plan.one_reads:
        return f"Host memory: the process that reads the whole model holds {whole} before it is moved or sharded."
    everywhere = _gb(plan.host_bytes * plan.gpus)
    return (
        f"Host memory: every process holds the whole model, {whole}, before it is moved or sharded: {everywhere} on a "
        f"machine with {plan.gpus:,} GPUs."
    )


def _stage(stage: StageCost, plan: Plan) -> tuple[str, ...]:
    return (
        stage.name,
        ", ".join(f"{part} {count(number)}" for part, number in stage.trained.items() if number),
        ", ".join(f"{part} {count(number)}" for part, number in stage.frozen.items() if number),
        f"{stage.studies:,}",
        f"{stage.steps:,}",
        _hours(stage.gpu_hours),
        _hours(stage.gpu_hours / plan.gpus),
        "not given" if stage.usd is None else f"{stage.usd:,.2f}",
    )


def _memory(stage: StageCost, plan: Plan) -> tuple[str, ...]:
    return (stage.name, *map(_gb, stage.memory), _gb(stage.memory.total), _gb(plan.gpu.memory), _gb(stage.saved_bytes))


def _kind(cost: KindCost) -> tuple[str, ...]:
    kind = cost.kind
    return (
        f"{kind.images:g}",
        f"{kind.studies:,}" if kind.studies else "none",
        f"{kind.tokens:,.0f}",
        flop(cost.flops.useful),
        f"{cost.flops.encoder / cost.flops.useful:.2%}",
        _hours(cost.gpu_hours),
        size(cost.kv_bytes),
    )


def _gb(number: float) -> str:
    return f"{number / 1e9:,.1f} GB" if number >= 1e8 else size(number)


def _hours(hours: float) -> str:
    return f"{hours:,.0f}" if hours >= 100 else f"{hours:,.3g}"


def _scores(control: str, scores: Mapping[str, float]) -> str:
    name = "" if control == "none" else f"{control.replace('_', ' ')}: "
    return name + ", ".join(f"{metric} {value:.4f}" for metric, value in scores.items())
