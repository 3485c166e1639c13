"""The model of a training state: that of a stage which ended there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from llava.generate.export import export
from llava.model_files import find_model
from llava.trainer import train
from llava.training.run_record import RecordError
from llava.training.state import StateError
from tests.llava.tiny_run import ALIGN, TUNE, Data, make_data, make_settings, weights_sha256

# A constant rate: a stage of four steps is after two what one of two steps ends with.
STEADY: dict[str, Any] = {"schedule": "constant", "warmup_ratio": 0.0}
CHECKPOINTS = {"every_steps": 2, "keep_last": 4}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    return make_data(tmp_path_factory.mktemp("data") / "d")


@pytest.fixture(scope="module")
def run(data: Data, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of two stages, the second of four steps and with adapters."""
    return trained(tmp_path_factory.mktemp("run") / "four", data, steps=4)


def trained(output: Path, data: Data, *, steps: int) -> Path:
    stages = ({**ALIGN, "max_steps": 1}, {**TUNE, **STEADY, "epochs": 2, "max_steps": steps})
    train(make_settings(output, data, *stages, checkpoints=CHECKPOINTS), lambda _: None)
    return output


def state(run: Path, step: int) -> Path:
    return run / "tune" / "states" / f"step_{step:08}"


def test_it_is_the_model_of_a_stage_that_ended_with_this_state(run, data, tmp_path):
    ended = trained(tmp_path / "two", data, steps=2)
    export(ended, tmp_path / "expected", layout="huggingface")
    export(state(run, 2), tmp_path / "early", layout="huggingface")
    export(state(run, 4), tmp_path / "last", layout="huggingface")
    early = weights_sha256(tmp_path / "early")
    assert early == weights_sha256(tmp_path / "expected")
    assert early != weights_sha256(tmp_path / "last")
    assert json.loads((tmp_path / "early" / "run.json").read_text())["steps"] == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["early", "expected", "last", "two"]


def test_a_run_may_have_been_moved(run, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(run, moved)
    shutil.rmtree(moved / "tune" / "model")
    export(state(moved, 4), tmp_path / "a", layout="huggingface")
    export(run, tmp_path / "b", layout="huggingface")
    assert weights_sha256(tmp_path / "a") == weights_sha256(tmp_path / "b")


def test_a_language_model_that_became_another_is_refused(run, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(run, moved)
    file = moved / "run.json"
    told = json.loads(file.read_text())
    told["identities"]["the language model"] = "0" * 64
    file.write_text(json.dumps(told))
    first = moved / "align" / "states" / "step_00000001"
    with pytest.raises(ValueError, match="the language model is not what this run began with"):
        export(first, tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_a_state_that_lost_a_file_or_stands_alone_is_refused(run, tmp_path):
    alone = tmp_path / "x" / "tune" / "states" / "step_00000004"
    shutil.copytree(state(run, 4), alone)
    with pytest.raises(RecordError, match=r"run\.json: No such file"):
        export(alone, tmp_path / "a")
    next(alone.glob("*.distcp")).unlink()
    with pytest.raises(StateError, match="cannot be used"):
        export(alone, tmp_path / "a")


def test_who_takes_a_state_for_a_model_is_told_what_to_do(run):
    with pytest.raises(ValueError, match=r"is a training state: python -m llava export .*step_00000002 -o MODEL"):
        find_model(state(run, 2))
