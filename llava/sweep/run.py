"""Runs a sweep: train, generate and score for each encoder, each step a process of its own whose files speak for it.

OUTPUT/table.csv  figure.png
OUTPUT/NAME/train/  predictions.jsonl  scores/  train.log  generate.log  score.log  done.json
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

from llava.console import Screen
from llava.dataset.shared import refuse_shared
from llava.dataset.table import StudyTable
from llava.running import Terminated
from llava.sweep.figure import draw_scores
from llava.sweep.results import Outcome, scored_of, scores_of, write_table
from llava.sweep.settings import RunSettings, SweepSettings, load_sweep
from llava.training.lock import locked

_OK, _SOME_FAILED, _INTERRUPTED = 0, 3, 130


class Step(NamedTuple):
    """One process of a run. name: of its log, and for messages."""

    name: str
    words: tuple[str, ...]


def sweep(file: Path, screen: Screen, *, output: Path | None, plan: bool) -> int:
    """Run what is not done yet, write the table and the figure, and give the exit code.

    A run that fails is a row of the table that says so, and the others go on.

    Raises:
        ValueError: a setting is wrong, or test studies share patients with those trained on.
    """
    settings = load_sweep(file, output)
    if plan:
        _show_plan(settings, screen)
        return _OK
    settings.output.mkdir(parents=True, exist_ok=True)
    with locked(settings.output):
        _refuse_shared_patients(settings)
        outcomes = [_outcome(settings, run, screen) for run in settings.runs]
        rows = write_table(settings, outcomes)
        for outcome, scores in rows:
            told = ", ".join(f"{score.label} {_percent(score)}" for score in scores)
            screen.lines([f"{outcome.run.name}: {outcome.problem or told}"])
        drawn = draw_scores(rows, settings.output / "figure.png")
    screen.say(f"{settings.output}: table.csv" + (", figure.png" if drawn else "; no figure, for nothing was scored"))
    scored = [settings.folder(one.run) / "scores" for one in outcomes if not one.problem]
    counts = {folder.parent.name: scored_of(folder) for folder in scored}
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{name} {count:,}" for name, count in counts.items())
        screen.say(f"runs were scored on different numbers of studies ({told}); compare-scores pairs them by study")
    if len(scored) > 1:
        screen.say(f"whether two differ: compare-scores {scored[0]} {scored[1]}")
    return _SOME_FAILED if len(scored) < len(outcomes) else _OK


def steps_of(settings: SweepSettings, run: RunSettings) -> tuple[Step, ...]:
    """What a run does, in order."""
    from llava.running import config_file

    folder, test = settings.folder(run), settings.test
    overrides = [word for key, value in settings.training_overrides(run).items() for word in _set(key, value)]
    launch = settings.launch or (sys.executable, "-m", "llava", "train")
    root = () if test.root is None else ("--root", str(test.root))
    # fmt: off
    return (
        Step("train", (*launch, str(config_file(settings.train)), *overrides)),
        Step("generate", (
            sys.executable, "-m", "llava", "generate", "--checkpoint", str(folder / "train"), "--studies",
            str(test.studies), "--output", str(folder / "predictions.jsonl"), "--engine", test.engine,
            "--max-new-tokens", str(test.max_new_tokens), *root,
        )),
        Step("score", (
            sys.executable, "-m", "eval", "score", str(folder / "predictions.jsonl"), str(test.studies), "--output",
            str(folder / "scores"), "--metrics", settings.metrics, "--allow-missing",
            *settings.score_options,
        )),
    )
    # fmt: on


def _outcome(settings: SweepSettings, run: RunSettings, screen: Screen) -> Outcome:
    folder = settings.folder(run)
    identity = settings.identity(run)
    done = folder / "done.json"
    if done.exists():
        if json.loads(done.read_text(encoding="utf-8"))["identity"] == identity:
            screen.say(f"{run.name}: done before")
            return Outcome(run)
        return Outcome(
            run, f"{folder} holds a run of other settings, tables or weights; name another output, or remove it"
        )
    folder.mkdir(parents=True, exist_ok=True)
    for step in steps_of(settings, run):
        log = folder / f"{step.name}.log"
        screen.say(f"{run.name}: {step.name} ({log})")
        with log.open("a", encoding="utf-8") as told:
            code = _ended(step.words, told)
        if code == _INTERRUPTED:
            raise KeyboardInterrupt
        if code != _OK:
            return Outcome(run, f"{step.name} failed with exit code {code}; {log} says why")
    try:
        scores_of(folder / "scores")
    except ValueError as error:
        return Outcome(run, str(error))
    part = done.with_suffix(".part")
    part.write_text(json.dumps({"identity": identity}) + "\n", encoding="utf-8")
    part.replace(done)
    return Outcome(run)


def _ended(words: Sequence[str], told: IO[str]) -> int:
    """The exit code of a command that, stopped with the sweep, has the time it needs to save its state.

    Each SIGTERM is passed on, so that asked again it ends at once, and so is every Ctrl-C but the first: that one went
    to all processes of the terminal, where there is one.
    """
    stop: KeyboardInterrupt | None = None
    with subprocess.Popen(words, stdout=told, stderr=told) as process:
        while True:
            try:
                code = process.wait()
                break
            except KeyboardInterrupt as asked:
                if stop is not None or isinstance(asked, Terminated):
                    process.terminate()
                stop = asked
    if stop is not None:
        raise stop
    return code


def _refuse_shared_patients(settings: SweepSettings) -> None:
    data = settings.training(settings.runs[0]).data
    with tempfile.TemporaryDirectory(dir=settings.output) as cache:
        trained = StudyTable.open(data.train, cache=Path(cache), need_findings=True, root=data.root)
        tested = StudyTable.open(settings.test.studies, cache=Path(cache), need_findings=True, root=settings.test.root)
        refuse_shared(trained, tested)


def _show_plan(settings: SweepSettings, screen: Screen) -> None:
    from llava.console import count, data_source
    from llava.planning.plan import plan

    plans = [plan(settings.training(run)) for run in settings.runs]
    rows: list[tuple[str, ...]] = []
    for run, found in zip(settings.runs, plans, strict=True):
        learning = max(sum(stage.trained.values()) for stage in found.stages)
        tokens = f"{found.model.encoder.num_tokens:,}"
        rows.append((run.name, run.encoder.name, tokens, count(learning), f"{found.gpu_hours:,.4g}"))
    rows.append((f"{len(plans)} runs", "", "", "", f"{sum(found.gpu_hours for found in plans):,.4g}"))
    screen.table(("run", "encoder", "image tokens", "weights learning", "GPU-hours"), rows)
    told: dict[str, list[str]] = {}  # what holds for several runs is said once
    for run, found in zip(settings.runs, plans, strict=True):
        for line in (data_source(found), *(f"warning: {warning}" for warning in found.warnings)):
            told.setdefault(line, []).append(run.name)
    for line, names in told.items():
        screen.say(f"{', '.join(names)}: {line}")


def _set(key: str, value: Any) -> tuple[str, str]:
    return "--set", f"{key}={_toml(value)}"


def _toml(value: Any) -> str:
    """A value as TOML has it: JSON but for tables."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)


def _percent(score: Any) -> str:
    if score.median is None:
        return "undefined"
    return f"{100 * score.median:.1f} [{100 * score.low:.1f}, {100 * score.high:.1f}]"
