"""A run of training small enough for tests: films, a table, a language model, settings. Run as a script it trains."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import multiprocessing.forkserver
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from safetensors import safe_open

from llava.config import TrainSettings
from llava.progress.events import Event, StepDone
from llava.tiny import tiny_language_model
from studies.synthetic import make_cohort
from studies.synthetic.files import write_png

PATH = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
ALIGN: dict[str, Any] = {"name": "align", "train": ["projector"], "learning_rate": 1e-3, "batch_studies": 4}
TUNE: dict[str, Any] = {
    "name": "tune",
    "train": ["projector", "language_model"],
    "learning_rate": 1e-3,
    "batch_studies": 4,
    "lora": {"rank": 4, "alpha": 8, "dropout": 0.3},
}


class Data(NamedTuple):
    table: Path
    validation: Path
    language_model: Path


def make_data(folder: Path, *, studies: int = 10, size_px: int = 64) -> Data:
    """Studies of one to three films each, every patient with one study, and a Llama of two layers and width 32."""
    (folder / "films").mkdir(parents=True)
    films = []
    for number, study in enumerate(
        make_cohort(studies + 6, 3, studies_per_patient=1, lateral_share=0, size_px=size_px)
    ):
        films.append(f"films/{number}.png")
        write_png(folder / films[-1], study.pixels_HW)
    rows = [_row(number, films) for number in range(studies + 4)]
    table, validation = folder / "train.jsonl", folder / "validation.jsonl"
    write_rows(table, rows[:studies])
    write_rows(validation, rows[studies:])
    texts = [text for row in rows for text in (row["findings"], row["indication"]) if text]
    tiny_language_model(folder / "lm", texts, vocab_size=300, width=32, layers=2, heads=2, kv_heads=1, positions=1024)
    return Data(table, validation, folder / "lm")


def _row(number: int, films: list[str]) -> dict[str, Any]:
    sides = ("left", "right")
    size = ("small", "large")[number % 2]
    findings = f"There is a {size} {sides[number // 2 % 2]} effusion."
    return {
        "study_id": f"s{number}",
        "patient_id": f"p{number}",
        "frontal": films[number],
        "lateral": films[(number + 1) % len(films)] if number % 3 == 1 else None,
        "prior_frontal": films[(number + 2) % len(films)] if number % 4 == 2 else None,
        "prior_report": "No effusion." if number % 4 == 2 else None,
        "indication": "Cough." if number % 2 else None,
        "findings": findings + " The heart is normal." * (number % 3),
    }


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def read_rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def make_settings(output: Path, data: Data, /, *stages: dict[str, Any], **changes: dict[str, Any]) -> TrainSettings:
    """changes: sections of the settings, such as compute={"token_budget": 100}."""
    told: dict[str, Any] = {
        "output": str(output),
        "seed": 5,
        "encoder": {"name": "rad_dino", "weights": "tiny", "image_size_px": 56},
        "language_model": {"path": str(data.language_model)},
        "projector": {"num_layers": 2},
        "data": {"train": str(data.table), "root": str(data.language_model.parent), "workers": 0},
        "compute": {"device": "cpu", "precision": "float32", "token_budget": 400, "gradient_checkpointing": False},
        "checkpoints": {"every_steps": 2},
        "validation": {"generate": False, "studies": 0},
        "logging": {"tensorboard": False},
        "stages": list(stages),
    }
    for name, change in changes.items():
        told[name] = {**told[name], **change} if isinstance(change, dict) else change
    return TrainSettings.model_validate(told)


def weights_sha256(folder: Path) -> dict[str, str]:
    """Of every tensor of a model folder, adapters among them."""
    found = {}
    for shard in sorted(folder.rglob("*.safetensors")):
        with safe_open(shard, framework="pt") as opened:
            for name in opened.keys():  # noqa: SIM118
                found[f"{shard.name} {name}"] = hashlib.sha256(opened.get_tensor(name).numpy().tobytes()).hexdigest()
    return found


class Ended(NamedTuple):
    """How a process ended: what it said, and its exit code (-9: killed)."""

    code: int
    said: str


def train_apart(settings: TrainSettings, *, kill: str = "") -> Ended:
    """Train in a process of its own, forked of one that has imported everything.

    kill: "step:4" ends it by SIGKILL when its fourth step is told, "save:2" in the save of its second state; "term:3"
    sends it SIGTERM at its third step.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["llava.trainer", "peft"])
    with pytest.MonkeyPatch.context() as patch:  # Python 3.11 does not tell the server where modules are
        patch.setenv("PYTHONPATH", PATH)
        patch.setenv("OMP_NUM_THREADS", "1")
        multiprocessing.forkserver.ensure_running()
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_train, args=(settings.model_dump_json(), kill, sender))
    child.start()
    sender.close()
    try:
        said = receiver.recv()
    except EOFError:  # it was killed
        said = ""
    child.join()
    return Ended(child.exitcode if child.exitcode is not None else 1, said)


def train_together(settings: TrainSettings, processes: int) -> str:
    """Train in several processes, and give what they said."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": PATH}
    start = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = [sys.executable, *start, __file__, settings.model_dump_json()]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def _train(settings: str, kill: str, sender: Any) -> None:
    import torch

    from llava.trainer import train
    from llava.training.stop import StoppedError

    torch.set_num_threads(1)
    try:
        train(TrainSettings.model_validate_json(settings), _killer(kill) if kill else lambda _: None)
    except (StoppedError, ValueError) as error:
        sender.send(f"{type(error).__name__}: {error}")
    else:
        sender.send("done")


def _killer(kill: str) -> Callable[[Event], None]:
    kind, _, number = kill.partition(":")
    seen: list[Event] = []

    if kind == "save":
        _kill_in_save(int(number))

    def on_event(event: Event) -> None:
        if kind != "save" and isinstance(event, StepDone):
            seen.append(event)
            if len(seen) == int(number):
                os.kill(os.getpid(), signal.SIGTERM if kind == "term" else signal.SIGKILL)

    return on_event


def _kill_in_save(number: int) -> None:
    """Die when the state of this many is written and has not its name yet."""
    rename, renamed = Path.rename, []

    def killing(self: Path, target: Any) -> Path:
        if self.name.startswith("step_"):
            renamed.append(self)
            if len(renamed) == number:
                os.kill(os.getpid(), signal.SIGKILL)
        return rename(self, target)

    Path.rename = killing  # type: ignore[method-assign, assignment]


if __name__ == "__main__":
    from llava.trainer import train

    train(
        TrainSettings.model_validate_json(sys.argv[1]),
        lambda event: sys.stdout.write(f"{json.dumps(asdict(event), default=str)}\n"),
    )
