"""`make demo-train`: everything from synthetic films to a table of scores on a CPU, a killed training included.

Each command is shown as it is run, to be typed by oneself; the figures mean nothing, for every weight began at random.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from llava.console import Screen

_STUDIES = 240
_PARTS = {"train": 0.8, "validation": 0.1, "test": 0.1}  # of the patients


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of everything.")] = Path("demo_train"),
    config: Annotated[Path, typer.Option(help="Of train-llava; its folders are replaced.")] = Path(
        "examples/train_demo.toml"
    ),
) -> None:
    """Make films, train, kill the training, go on, generate reports, score them."""
    if output.exists():
        _stop(f"{output} is there already; remove it, or name another with --output", 2)
    data, run, language_model = output / "data", output / "run", output / "language_model"
    _do("-m", "studies", "synthetic", "-o", data, "--count", _STUDIES, "--size", 128, "--laterals", 0.3)
    _split(data)
    _do("-m", "llava", "tiny-language-model", language_model, "--texts", data / "train.jsonl", "--width", 96)
    settings = {
        "output": run,
        "language_model.path": language_model,
        "data.train": data / "train.jsonl",
        "data.validation": data / "validation.jsonl",
    }
    overrides = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    train = ("-m", "llava", "train", config, *overrides)
    _kill_midway(train, run / "tune" / "states")
    _do(*train)
    predictions = output / "predictions.jsonl"
    _do("-m", "llava", "generate", "-c", run, "-s", data / "test.jsonl", "-o", predictions, "--max-new-tokens", 120)
    _do(
        "-m", "eval", "score", predictions, data / "test.jsonl", "-o", output / "scores",
        "--metrics", "rouge_l,incorrect_placement",
    )  # fmt: skip
    _say(f"{run / 'loss.png'}: losses and learning rates")


def _split(data: Path) -> None:
    """generation.jsonl into train, validation and test, each patient in one of them only."""
    lines = (data / "generation.jsonl").read_text(encoding="utf-8").splitlines()
    patients = list(dict.fromkeys(json.loads(line)["patient_id"] for line in lines))
    begin = 0.0
    for name, share in _PARTS.items():
        first, last = round(begin * len(patients)), round((begin + share) * len(patients))
        chosen = set(patients[first:last])
        part = [line for line in lines if json.loads(line)["patient_id"] in chosen]
        (data / f"{name}.jsonl").write_text("\n".join(part) + "\n", encoding="utf-8")
        begin += share


def _kill_midway(train: Sequence[object], states: Path) -> None:
    """Start a training and kill it, as a power cut would, once its first state of this stage is saved."""
    words = _words(train)
    # Python's resource tracker, which outlives it, would warn of semaphores that it had no time to return
    environment = os.environ | {"PYTHONWARNINGS": "ignore:resource_tracker"}
    with subprocess.Popen(words, env=environment) as process:
        while not any(states.glob("step_????????")) and process.poll() is None:
            time.sleep(0.05)
        if process.poll() is not None:
            _stop(f"the training ended with exit code {process.returncode} before it could be killed", 1)
        process.send_signal(signal.SIGKILL)
    _say("(killed, as by a power cut; the same command goes on)")


def _do(*words: object) -> None:
    code = subprocess.run(_words(words), check=False).returncode
    if code != 0:
        _stop(f"that command ended with exit code {code}", 1)


def _words(words: Sequence[object]) -> list[str]:
    told = [str(word) for word in words]
    _say("$ python " + shlex.join(told))
    return [sys.executable, *told]


def _say(message: str) -> None:
    Screen("demo").say(message)


def _stop(message: str, code: int) -> None:
    Screen("demo").error(message)
    raise typer.Exit(code)


if __name__ == "__main__":
    typer.run(demo)
