"""What is kept of a run's numbers: log.jsonl, TensorBoard's files, and Weights & Biases where it is asked for.

A row of log.jsonl is an event (`llava.progress.events`) with its name in `event`; a step's has the meter's figures
too. Report texts and study ids are in none of them.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from llava.config import TrainSettings
from llava.progress.events import Event, StageDone, StageStarted, StateSaved, StepDone, Validated
from llava.progress.meter import Reading
from llava.progress.sinks import make_sinks

LOG_NAME = "log.jsonl"
_NAMES = {
    StageStarted: "stage_started",
    StepDone: "step",
    Validated: "validated",
    StateSaved: "state_saved",
    StageDone: "stage_done",
}
_SHOWN = ("loss", "grad_norm", "studies_per_s", "useful_tokens_per_s", "mfu", "mfu_encoder", "mfu_language_model",
          "hfu", "pad_share", "wait_share", "memory_bytes", "eta_s", "bad_studies", "cut_studies")  # fmt: skip


class Journal:
    """Writes what it is told; a resumed stage's rows beyond its first step, of the run that was killed, are dropped."""

    def __init__(self, settings: TrainSettings) -> None:
        """
        Raises:
            ConfigError: wandb_project is set and wandb is not installed.
        """
        self._folder = settings.output
        self._settings = settings
        self._sinks = make_sinks(settings)
        self._untold = (0, 0)  # bad and cut studies of steps without a row, which count into the next row

    def tell(self, event: Event, reading: Reading | None = None) -> None:
        """reading: of a step, the meter's."""
        if isinstance(event, StageStarted):
            self._folder.mkdir(parents=True, exist_ok=True)
            _drop_beyond(self._folder / LOG_NAME, event.stage, event.first_step)
            for sink in self._sinks:
                sink.begin(event.stage, event.first_step)
        if isinstance(event, StepDone):
            bad, cut = self._untold
            event = replace(event, bad_studies=event.bad_studies + bad, cut_studies=event.cut_studies + cut)
            if event.step % self._settings.logging.every_steps:
                self._untold = (event.bad_studies, event.cut_studies)
                return
            self._untold = (0, 0)
        row = {"event": _NAMES[type(event)], "time": datetime.now(UTC).isoformat(timespec="seconds")}
        row |= asdict(event) | ({} if reading is None else reading._asdict())
        with (self._folder / LOG_NAME).open("a", encoding="utf-8") as file:
            file.write(json.dumps(_plain(row), allow_nan=False) + "\n")
        if isinstance(event, StepDone | Validated):
            for sink in self._sinks:
                sink.numbers(event.stage, event.step, dict(_numbers(event, reading)))

    def close(self) -> None:
        for sink in self._sinks:
            sink.close()


def read_log(file: Path) -> list[dict[str, Any]]:
    """The rows of a log.jsonl; a last one that a kill left unfinished is left out.

    Raises:
        ValueError: another line is no row; the message has its number.
    """
    rows = []
    lines = file.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        try:
            rows.append(dict(json.loads(line)))
        except (ValueError, TypeError):
            if number == len(lines):
                break
            raise ValueError(f"{file}, line {number}: no JSON row") from None
    return rows


def _drop_beyond(file: Path, stage: str, step: int) -> None:
    """Rewrite a log without what a resumed stage does again: its rows beyond a step."""
    if not file.exists():
        return
    rows = read_log(file)
    kept = [row for row in rows if row["stage"] != stage or row.get("step", 0) <= step]
    part = file.with_name(LOG_NAME + ".part")
    with part.open("w", encoding="utf-8") as whole:
        whole.writelines(json.dumps(row) + "\n" for row in kept)
        whole.flush()
        os.fsync(whole.fileno())
    part.replace(file)


def _numbers(event: StepDone | Validated, reading: Reading | None) -> Iterator[tuple[str, float]]:
    """Names as TensorBoard groups them, and finite numbers only."""
    if isinstance(event, Validated):
        found = {"validation/loss": event.loss}
        for control, scores in event.scores.items():
            found |= {f"validation/{metric}/{control}": value for metric, value in scores.items()}
    else:
        known = asdict(event) | ({} if reading is None else reading._asdict())
        found = {f"train/{name}": known[name] for name in _SHOWN if known.get(name) is not None}
        found |= {f"learning_rate/{part}": rate for part, rate in event.learning_rates.items()}
    yield from ((name, float(value)) for name, value in found.items() if math.isfinite(value))


def _plain(value: Any) -> Any:
    """JSON has no NaN, and no paths."""
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, Path):
        return str(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value
