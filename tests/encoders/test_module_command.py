"""`python -m encoders` as a user types it."""

import argparse
import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from safetensors.torch import load_file
from typer.testing import CliRunner

from encoders import cli, commands
from encoders.preprocessing.prepare import prepare
from encoders.preprocessing.recipe import load_recipe
from encoders.registry import NAMES
from studies.images import read_film

ROOT = Path(__file__).parents[2]
FILM = ROOT / "examples/images/pa_effusion_right.png"


def call(*words):
    return CliRunner().invoke(cli.app, list(map(str, words)))


@pytest.fixture
def golden():
    return prepare(read_film(FILM), load_recipe("biomedclip"))


def test_list_names_every_encoder_with_its_terms():
    shown = call("list")
    assert shown.exit_code == 0
    lines = shown.stdout.splitlines()
    assert [line.split()[0] for line in lines if line.split()[0] in NAMES] == list(NAMES)
    assert "gated" in next(line for line in lines if line.startswith("medsiglip"))


def test_show_tells_sizes_preprocessing_with_its_sources_and_the_fingerprint():
    shown = call("show", "biomedclip", "--image-size", 32).stdout
    assert "input: 3 x 32 x 32" in shown
    assert "map of stride 16: 32 x 2 x 2" in shown
    assert shown.count("source:") == 4  # the weights' and three sections'
    assert '"weights_sha256"' in shown
    assert "fit = pad" in call("show", "biomedclip", "--image-size", 32, "--preprocessing", "medsiglip").stdout


def test_doctor_tells_what_happens_to_a_film_and_exits_0():
    told = call("doctor", FILM, "--encoder", "biomedclip")
    assert told.exit_code == 0
    assert "518 x 518 -> 224 x 224" in told.stdout


def test_doctor_exits_0_for_golden_pixels_and_1_naming_a_missing_inversion(golden, tmp_path):
    np.save(tmp_path / "same.npy", golden)
    same = call("doctor", FILM, "--encoder", "biomedclip", "--tensor", tmp_path / "same.npy")
    assert (same.exit_code, "identical" in same.stdout) == (0, True)
    mean, std = (np.array(value)[:, None, None] for value in (load_recipe("biomedclip").normalize.mean,
                                                              load_recipe("biomedclip").normalize.std))  # fmt: skip
    np.save(tmp_path / "negative.npy", ((1 - (golden * std + mean)) - mean) / std)
    negative = call("doctor", FILM, "--encoder", "biomedclip", "--tensor", tmp_path / "negative.npy")
    assert negative.exit_code == commands.EXIT_DRIFT
    assert "invert" in negative.stdout.split("Likely cause:")[1].splitlines()[0]


def test_doctor_calls_a_pipeline_from_this_folder(golden, tmp_path, monkeypatch):
    np.save(tmp_path / "same.npy", golden)
    (tmp_path / "mine.py").write_text(
        f"import numpy\ndef load(path):\n    return numpy.load({str(tmp_path / 'same.npy')!r})"
    )
    monkeypatch.chdir(tmp_path)
    told = call("doctor", FILM, "--encoder", "biomedclip", "--pipeline", "mine:load")
    assert (told.exit_code, "identical" in told.stdout) == (0, True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("show", "radd_dino"), "no encoder 'radd_dino'; known: rad_dino"),
        (("show", "rad_dino", "--weights", "nothing.pt"), "no weights at nothing.pt"),
        (("show", "medsiglip", "--weights", "x.pt"), "--accept-licence"),
        (("doctor", "nothing.png", "--encoder", "rad_dino"), "nothing.png"),
        (("doctor", FILM, "--encoder", "biomedclip", "--tensor", "a.npy", "--pipeline", "b:c"), "not both"),
        (("convert", "nothing.pt", "out.safetensors"), "nothing.pt"),
        (("pin", "ark_plus"), "ark_plus is not on the hub"),
    ],
)
def test_a_users_mistake_is_one_message_and_exit_code_2(words, message):
    told = call(*words)
    assert told.exit_code == commands.EXIT_USE
    assert message in told.stderr
    assert "Traceback" not in told.output


def test_convert_takes_the_weights_that_are_named_and_unpickles_only_when_told(tmp_path):
    old, new = tmp_path / "old.pt", tmp_path / "new.safetensors"
    torch.save({"student": {"a": torch.zeros(2)}, "model": {"a": torch.ones(2)}, "args": argparse.Namespace()}, old)
    assert "--trust-pickle" in call("convert", old, new).stderr
    assert "--inside" in call("convert", old, new, "--trust-pickle").stderr
    assert not new.exists()
    told = call("convert", old, new, "--trust-pickle", "--inside", "model")
    assert (told.exit_code, "1 tensors (of model)" in told.stdout) == (0, True)
    assert load_file(new)["a"].tolist() == [1, 1]


def test_pin_asks_the_hub_of_an_encoder_by_its_name(monkeypatch):
    monkeypatch.setattr("encoders.hub.current_commit", lambda hub_id: f"asked of {hub_id}")
    assert call("pin", "rad_dino").stdout.strip() == "asked of microsoft/rad-dino"
    assert call("pin", "some/repository").stdout.strip() == "asked of some/repository"


@pytest.mark.parametrize(
    "words", [("list",), ("show", "rad_dino"), ("doctor", FILM, "-e", "rad_dino"), ("encode", "x")]
)
def test_a_small_install_is_told_what_to_install(words, monkeypatch):
    there = importlib.util.find_spec
    monkeypatch.setattr(cli, "find_spec", lambda name: None if name == "torch" else there(name))
    told = call(*words)
    assert (told.exit_code, "torch not installed; install the extra" in told.stderr) == (2, True)


def test_the_module_runs_and_its_help_names_every_command():
    done = subprocess.run([sys.executable, "-m", "encoders", "--help"], capture_output=True, text=True, check=True)
    commands_there = {command.name for command in typer.main.get_group(cli.app).commands.values()}
    assert commands_there == {"encode", "list", "show", "doctor", "convert", "pin"}
    assert all(name in done.stdout for name in commands_there)
