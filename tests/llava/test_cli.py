"""`train-llava`, `generate-reports` and `python -m llava` as a user meets them: options, messages, exit codes."""

import inspect
import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

import llava.generate.run
import llava.trainer
from llava.cli import app
from llava.generate.parity_command import check_parity
from llava.progress.journal import read_log
from llava.training.state import StateError
from llava.training.stop import StoppedError
from llava.training.together import RefusedError
from tests.llava.tiny_run import PATH, make_data, make_settings

runner = CliRunner()
STAGE = {"name": "tune", "train": ["projector"], "learning_rate": 1e-3, "batch_studies": 4}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp("data"), studies=10)


@pytest.fixture
def config(data, tmp_path):
    """A run of three steps, as a TOML file."""
    settings = make_settings(tmp_path / "run", data, STAGE, logging={"tensorboard": True})
    return write_toml(tmp_path / "run.toml", settings.model_dump(mode="json", exclude_none=True))


def write_toml(file, values):
    """Settings in TOML, whose values are JSON's but for tables."""
    lines, stages = [], values.pop("stages")
    lines += [f"{key} = {json.dumps(value)}" for key, value in values.items() if not isinstance(value, dict)]
    for key, table in values.items():
        if isinstance(table, dict):
            lines += table_lines(f"[{key}]", key, table)
    for stage in stages:
        lines += table_lines("[[stages]]", "stages", stage)
    file.write_text("\n".join(lines) + "\n")
    return file


def table_lines(head, name, table):
    lines = [head, *[f"{key} = {json.dumps(value)}" for key, value in table.items() if not isinstance(value, dict)]]
    for key, inner in table.items():
        if isinstance(inner, dict):
            lines += table_lines(f"[{name}.{key}]", f"{name}.{key}", inner)
    return lines


def train(*arguments):
    return runner.invoke(app, ["train", *map(str, arguments)])


def failing(error):
    def train(_settings, _tell):
        raise error

    return train


# train-llava


def test_run_leaves_a_model_a_log_and_a_figure_and_again_does_nothing(config, tmp_path):
    done = train(config)
    assert done.exit_code == 0, done.stderr
    run = tmp_path / "run"
    assert (run / "tune" / "model" / "config.json").is_file()
    rows = read_log(run / "log.jsonl")
    steps = [row for row in rows if row["event"] == "step"]
    assert [row["step"] for row in steps] == [1, 2, 3]
    assert all(row["mfu"] is None and row["studies_per_s"] > 0 for row in steps), "on a CPU nothing is measured"
    assert {row["event"] for row in rows} == {"stage_started", "step", "state_saved", "stage_done"}
    assert Image.open(run / "loss.png").format == "PNG"
    assert list((run / "tensorboard" / "tune").glob("events*"))
    assert "tune: 3 steps of 4 of 10 studies; learning: projector" in done.stderr
    assert f"generate-reports --checkpoint {run / 'tune' / 'model'}" in done.stderr
    assert done.stdout == ""
    assert (run / "log.jsonl").stat().st_mode & 0o077 == 0, "what concerns patients is for this user only"

    before = (run / "log.jsonl").read_bytes()
    again = train(config)
    assert again.exit_code == 0
    assert (run / "log.jsonl").read_bytes() == before


def test_output_and_settings_are_those_of_the_command_line(config, tmp_path):
    done = train(
        config, "--output", tmp_path / "other", "--set", "stages.tune.max_steps=1", "--set", "logging.tensorboard=false"
    )
    assert done.exit_code == 0, done.stderr
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "other" / "tensorboard").exists()
    record = json.loads((tmp_path / "other" / "run.json").read_text())
    assert record["settings"]["stages"][0]["max_steps"] == 1
    assert [row["step"] for row in read_log(tmp_path / "other" / "log.jsonl") if row["event"] == "step"] == [1]


def test_plan_is_shown_and_nothing_done(config, tmp_path):
    done = train(config, "--plan")
    assert done.exit_code == 0, done.stderr
    assert f"10 studies of {tmp_path.parent}" in done.stdout or "data: 10 studies of " in done.stdout
    assert "GPU-hours" in done.stdout
    assert not (tmp_path / "run").exists()


def test_assumptions_stand_in_for_the_table(config):
    done = train(config, "--plan", "--studies", 2, "--text-tokens", 30, "--images", 2)
    # at 56 px RAD-DINO gives 16 tokens an image
    assert "assumed are 2 studies of 2 images and 62 tokens" in done.stdout


def test_assumptions_are_for_plans_only(config):
    done = train(config, "--studies", 5)
    assert done.exit_code == 2
    assert "--studies, --text-tokens and --images are assumptions of --plan" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["--set", "seed"], "--set seed: write KEY=VALUE"),
        (["--set", "sead=1"], "sead is no setting; did you mean seed?"),
        (["--set", "seed=many"], "seed = 'many'"),
        (["--set", "data.train=none.csv"], "none.csv does not exist"),
        (["--set", "encoder.name=vgg"], "no encoder 'vgg'"),
        (["--set", "language_model.path=none"], "language_model.path = 'none'"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(config, arguments, match):
    done = train(config, *arguments)
    assert done.exit_code == 2
    [line] = done.stderr.splitlines()
    assert line.startswith("train-llava: ")
    assert match in line


def test_config_that_is_not_there_is_wrong_use(tmp_path):
    done = train(tmp_path / "none.toml")
    assert done.exit_code == 2
    assert "none.toml does not exist; shipped are" in done.stderr


@pytest.mark.parametrize(
    ("error", "code", "match"),
    [
        (OSError(28, "No space left on device"), 1, "No space left on device; states that were saved remain"),
        (RuntimeError("CUDA out of memory"), 1, "CUDA out of memory; states"),
        (StateError("the state could not be written"), 1, "could not be written"),
        (PermissionError(13, "Permission denied", "/there"), 2, "/there: Permission denied"),
        (KeyboardInterrupt(), 130, "stopped; states"),
        (StoppedError("stopped after step 7"), 130, "stopped after step 7"),
        (RefusedError(), 2, ""),
    ],
)
def test_each_way_to_fail_has_its_exit_code(config, monkeypatch, error, code, match):
    monkeypatch.setattr(llava.trainer, "train", failing(error))
    done = train(config)
    assert done.exit_code == code
    assert match in done.stderr
    assert "Traceback" not in done.stderr


def test_what_went_wrong_is_said_before_losses_are_drawn(config, monkeypatch):
    whole = llava.trainer.train

    def train_and_fail(settings, tell):
        whole(settings, tell)
        raise ValueError("it broke")

    monkeypatch.setattr(llava.trainer, "train", train_and_fail)
    done = train(config)
    assert done.exit_code == 2
    assert 0 < done.stderr.index("it broke") < done.stderr.index("losses and learning rates")


def test_a_second_trainer_on_the_folder_is_refused(config, tmp_path):
    from llava.training.lock import locked

    with locked(tmp_path / "run"):
        done = train(config)
    assert done.exit_code == 2
    assert "another train-llava is writing into" in done.stderr
    assert not (tmp_path / "run" / "log.jsonl").exists()


def test_other_processes_say_nothing_but_errors(config, monkeypatch):
    def warn(_settings, _tell):
        logging.getLogger("llava").warning("look here")
        raise ValueError("no good")

    monkeypatch.setattr(llava.trainer, "train", warn)
    assert "note: look here" in train(config).stderr
    monkeypatch.setenv("RANK", "3")
    [line] = train(config).stderr.splitlines()
    assert line == "train-llava (process 3): no good"


def test_help_comes_at_once():
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "from llava.cli import train_llava_main as m; m()", "--help"],
        env={**os.environ, "PYTHONPATH": PATH},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    assert "--plan" in done.stdout
    assert " torch\n" not in done.stderr, "torch takes seconds to import"
    assert " pydantic\n" not in done.stderr
    assert time.monotonic() - began < 20  # of a machine that does much else


def test_accelerate_launches_the_module():
    done = subprocess.run(
        [sys.executable, "-m", "llava.train", "--help"],
        env={**os.environ, "PYTHONPATH": PATH},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    assert "--plan" in done.stdout


def test_small_install_is_told_the_extra(config, monkeypatch):
    import llava.cli

    monkeypatch.setattr(llava.cli, "_NEEDED", ("torch", "no_such_package"))
    for arguments in (["train", str(config)], ["plot", "."]):
        done = runner.invoke(app, arguments)
        assert done.exit_code == 2
        assert "no_such_package not installed; install the extra: pip install 'carina-cxr[train]'" in done.stderr


# generate-reports

GIVEN = ["generate", "--checkpoint", "c", "--studies", "s.csv", "--output", "o.jsonl"]
OPTIONS = {
    "root": ("--root films", "films"),
    "limit": ("--limit 5", 5),
    "control": ("--control blank_images", "blank_images"),
    "skip_guards": ("--skip-guard constant", ("constant",)),
    "on_bad_study": ("--on-bad-study error", "error"),
    "max_failures": ("--max-failures 0.5", 0.5),
    "max_new_tokens": ("--max-new-tokens 7", 7),
    "temperature": ("--temperature 0.5", 0.5),
    "seed": ("--seed 9", 9),
    "engine": ("--engine vllm", "vllm"),
    "batch_size": ("--batch-size 3", 3),
    "dtype": ("--dtype float32", "float32"),
    "device": ("--device cpu", "cpu"),
    "gpu_memory": ("--gpu-memory 0.5", 0.5),
    "parity_studies": ("--parity-studies 2", 2),
    "workers": ("--workers 0", 0),
    "overwrite": ("--overwrite", True),
}


@pytest.fixture
def generated(monkeypatch):
    """The settings that each run was given."""
    seen = []

    def run(settings, _screen):
        seen.append(settings)
        return 3

    monkeypatch.setattr(llava.generate.run, "generate_reports", run)
    return seen


def test_exit_code_is_the_runs(generated):
    assert runner.invoke(app, GIVEN).exit_code == 3
    [settings] = generated
    assert (str(settings.checkpoint), str(settings.studies), str(settings.output)) == ("c", "s.csv", "o.jsonl")


@pytest.mark.parametrize("name", OPTIONS)
def test_each_option_reaches_the_run(generated, name):
    option, value = OPTIONS[name]
    words = [*GIVEN, "--engine", "vllm"] if name in ("gpu_memory", "parity_studies") else GIVEN
    runner.invoke(app, words)
    runner.invoke(app, [*words, *option.split()])
    usual, given = (settings.model_dump(mode="json") for settings in generated)
    assert given[name] == (list(value) if isinstance(value, tuple) else value)
    assert {key for key in usual if usual[key] != given[key]} == {name}


def test_every_setting_has_an_option():
    from llava.generate.settings import GenerateSettings

    assert set(GenerateSettings.model_fields) == {"checkpoint", "studies", "output", *OPTIONS}


def test_wrong_value_is_one_line(generated):
    done = runner.invoke(app, [*GIVEN, "--batch-size", "0"])
    assert done.exit_code == 2
    assert "--batch-size 0: " in done.stderr
    assert generated == []


def test_checkpoint_that_is_not_there_is_wrong_use(tmp_path, data):
    done = runner.invoke(
        app, ["generate", "-c", str(tmp_path / "none"), "-s", str(data.table), "-o", str(tmp_path / "o.jsonl")]
    )
    assert done.exit_code == 2
    [line] = done.stderr.splitlines()
    assert line.startswith("generate-reports: ")
    assert "none" in line


# python -m llava


def test_plot_draws_and_prints_where(tmp_path):
    rows = [{"event": "stage_started", "stage": "a", "steps": 1}]
    rows += [{"event": "step", "stage": "a", "step": 1, "loss": 1.0, "learning_rates": {"projector": 0.1}}]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = runner.invoke(app, ["plot", str(tmp_path)])
    assert (done.exit_code, done.stdout.strip()) == (0, str(tmp_path / "loss.png"))
    assert runner.invoke(app, ["plot", str(tmp_path / "none")]).exit_code == 2


def test_tiny_language_model_is_made_of_a_tables_words(tmp_path, data):
    options = ["--width", "16", "--layers", "1", "--vocab-size", "300", "--seed", "4"]
    done = runner.invoke(app, ["tiny-language-model", str(tmp_path / "lm"), "--texts", str(data.table), *options])
    assert (done.exit_code, done.stdout.strip()) == (0, str(tmp_path / "lm"))
    config = json.loads((tmp_path / "lm" / "config.json").read_text())
    assert (config["hidden_size"], config["num_hidden_layers"]) == (16, 1)
    assert config["vocab_size"] <= 300
    assert "effusion" in (tmp_path / "lm" / "tokenizer.json").read_text(), "a word of the findings is a token"
    again = runner.invoke(app, ["tiny-language-model", str(tmp_path / "lm"), "--texts", str(data.table)])
    assert again.exit_code == 2
    assert "holds a model already" in again.stderr


def test_parity_hands_its_options_on(monkeypatch):
    import llava.generate.parity_command as module

    seen = []
    monkeypatch.setattr(module, "check_parity", lambda **options: seen.append(options) or 3)
    usual = ["parity", "-c", "model", "-s", "s.csv"]
    given = "--count 5 --root films --device cpu --dtype float32 --gpu-memory 0.5 --skip-guard constant".split()
    assert [runner.invoke(app, arguments).exit_code for arguments in (usual, [*usual, *given])] == [3, 3]
    for options in seen:
        del options["screen"]
    assert set(seen[0]) == {name for name in inspect.signature(check_parity).parameters if name != "screen"}
    assert all(seen[0][name] != seen[1][name] for name in seen[0] if name not in ("checkpoint", "studies"))


def test_export_writes_both_layouts_or_one(monkeypatch, tmp_path):
    import llava.generate.export as module

    seen = []
    monkeypatch.setattr(module, "export", lambda *given, layout: seen.append((*given, layout)) or tmp_path)
    usual = ["export", "run", "-o", "out"]
    assert runner.invoke(app, usual).stdout.strip() == str(tmp_path)
    runner.invoke(app, [*usual, "--layout", "huggingface"])
    assert seen == [(Path("run"), Path("out"), "vllm"), (Path("run"), Path("out"), "huggingface")]


def test_sweep_that_is_not_there_is_wrong_use(tmp_path):
    done = runner.invoke(app, ["sweep", str(tmp_path / "none.toml"), "--plan"])
    assert done.exit_code == 2
    [line] = done.stderr.splitlines()
    assert "none.toml" in line
