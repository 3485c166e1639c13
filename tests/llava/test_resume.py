"""A run that is stopped or killed, and goes on, against one that was let be."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from llava.config import TrainSettings
from llava.progress.events import StageStarted, StateSaved, StepDone
from llava.trainer import train
from tests.llava.tiny_run import ALIGN, TUNE, make_data, make_settings, train_apart, train_together, weights_sha256

TWO_STAGES = (ALIGN, {**TUNE, "epochs": 2})  # 10 studies in batches of 4: 3 steps, then 6 with dropout
NO_CHANCE = {"name": "all", "train": ["projector", "language_model"], "batch_studies": 5, "epochs": 2}


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    """Sums over threads come out otherwise than over another number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp("data") / "d")


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory, data):
    """Weights of both stages' models."""
    settings = make_settings(tmp_path_factory.mktemp("unbroken") / "run", data, *TWO_STAGES)
    events = []
    last = train(settings, events.append)
    assert last == settings.output / "tune" / "model"
    assert [event.step for event in events if isinstance(event, StepDone)] == [1, 2, 3, 1, 2, 3, 4, 5, 6]
    return models(settings)


def models(settings: TrainSettings) -> dict[str, dict[str, str]]:
    return {stage.name: weights_sha256(settings.output / stage.name / "model") for stage in settings.stages}


@pytest.mark.parametrize("seed", [0, 1])
def test_killed_at_any_step_it_ends_with_the_weights_of_an_unbroken_run(tmp_path, data, unbroken, seed):
    settings = make_settings(tmp_path / "run", data, *TWO_STAGES)
    first, second = sorted(random.Random(seed).sample(range(1, 8), 2))
    assert train_apart(settings, kill=f"step:{first}").code == -9
    assert train_apart(settings, kill=f"step:{second - first}").code == -9
    assert train_apart(settings).said == "done"
    assert models(settings) == unbroken


def test_killed_while_a_state_is_written_it_goes_on_from_the_one_before(tmp_path, data, unbroken):
    settings = make_settings(tmp_path / "run", data, *TWO_STAGES)
    assert train_apart(settings, kill="save:4").code == -9  # align saves at 2 and 3, tune at 2, 4 and 6
    states = settings.output / "tune" / "states"
    assert sorted(path.name for path in states.iterdir()) == ["step_00000002", "step_00000004.part"]
    events = []
    train(settings, events.append)
    assert [(e.stage, e.first_step) for e in events if isinstance(e, StageStarted)] == [("tune", 2)]
    assert models(settings) == unbroken
    assert sorted(path.name for path in states.iterdir()) == ["step_00000004", "step_00000006"]


def test_asked_to_stop_it_ends_the_step_saves_and_says_how_to_go_on(tmp_path, data, unbroken):
    settings = make_settings(tmp_path / "run", data, *TWO_STAGES, checkpoints={"every_steps": 100})
    ended = train_apart(settings, kill="term:5")
    assert ended.said == (
        "StoppedError: stage tune stopped after step 2 of 6; its state is saved, and the same command goes on from it"
    )
    events = []
    train(settings, events.append)
    assert [event.step for event in events if isinstance(event, StepDone)] == [3, 4, 5, 6]
    assert [event.step for event in events if isinstance(event, StateSaved)] == [6]
    assert models(settings) == unbroken
    events.clear()
    assert train(settings, events.append) == settings.output / "tune" / "model"
    assert events == []  # it is done, and nothing is done twice


def test_begun_by_one_process_it_goes_on_in_two_to_the_same_weights(tmp_path, data):
    # 2 of 5 studies a step are rows of the second process, 3 of the first: one of the rows is there to be even
    stage = {**NO_CHANCE, "learning_rate": 1e-3, "epsilon": 1e-4}
    alone = make_settings(tmp_path / "alone", data, stage)
    train(alone, lambda _: None)
    changes = {"token_budget": 300, "parallel": "fsdp2"}
    settings = make_settings(tmp_path / "run", data, stage, compute=changes, checkpoints={"every_steps": 100})
    assert train_apart(settings, kill="term:2").said.startswith("StoppedError")
    said = train_together(settings, processes=2)
    assert '"first_step": 2' in said
    expected, found = (load_file(one.output / "all/model/model.safetensors") for one in (alone, settings))
    assert expected.keys() == found.keys()
    for name, weight in expected.items():
        assert torch.allclose(found[name], weight, atol=1e-6), name
    began = load_file(Path(data.language_model) / "model.safetensors")["model.layers.0.mlp.up_proj.weight"]
    assert (expected["model.language_model.layers.0.mlp.up_proj.weight"] - began).abs().max() > 1e-3  # it did learn
