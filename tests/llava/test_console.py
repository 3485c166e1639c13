"""What a user sees of a training run and of a plan."""

import math
import re
from dataclasses import replace
from pathlib import Path

import pytest

from llava.config import load_settings
from llava.console import Screen, count, duration, flop
from llava.planning.kinds import Assumed
from llava.planning.plan import plan
from llava.progress.events import StageDone, StageStarted, StateSaved, StepDone, Validated
from llava.progress.meter import Reading

CONFIGS = Path(__file__).parents[2] / "llava" / "configs"
STARTED = StageStarted("tune", 0, 100, 400, 4, {"projector": 82_595_840, "encoder": 0}, {"encoder": 5})
STEP = StepDone(
    stage="tune",
    step=1,
    loss=2.5,
    learning_rates={"projector": 1e-3},
    grad_norm=1.5,
    studies=4,
    images=6,
    supervised_tokens=12,
    useful_tokens=100,
    computed_tokens=125,
    lengths2=3_000,
    seconds=2.0,
    waited_seconds=0.5,
)
READING = Reading(50.0, None, None, None, None, 0.2, 0.25, 2.0, 198.0)


@pytest.fixture(scope="module")
def shown_plan():
    settings = load_settings(
        CONFIGS / "maira2_vicuna13b_medimageinsight.toml",
        {"language_model.rope.factor": 1.0, "cost.usd_per_gpu_hour": 2.0, "data.max_tokens": 1300},
    )
    return plan(settings, Assumed(studies=2_500_000))


def told(capsys, *events, quiet=False):
    with Screen("train-llava", quiet=quiet).training() as view:
        for event in events:
            view.tell(event, READING if isinstance(event, StepDone) else None)
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()


def test_stage_says_what_learns(capsys):
    assert told(capsys, STARTED) == ["tune: 100 steps of 4 of 400 studies; learning: projector 82.6 M"]


def test_resumed_stage_says_where_it_goes_on(capsys):
    [line] = told(capsys, replace(STARTED, first_step=30))
    assert ", going on after step 30; " in line


def test_without_a_terminal_steps_are_plain_lines_and_few(capsys):
    steps = [replace(STEP, step=number) for number in range(1, 101)]
    _, first, last = told(capsys, STARTED, *steps)
    assert first == "tune, step 1 of 100: loss 2.5000, 2.00 studies/s, 3 min left"
    assert last.startswith("tune, step 100 of 100: ")


def test_steps_are_said_again_after_half_a_minute(capsys, monkeypatch):
    now = iter(range(0, 10_000, 20))  # seconds, at each look at the clock
    monkeypatch.setattr("llava.console.time.monotonic", lambda: next(now))
    lines = told(capsys, STARTED, *[replace(STEP, step=number) for number in range(1, 7)])
    assert 2 < len(lines) - 1 < 6


def test_utilisation_is_shown_where_it_was_measured(capsys):
    with Screen("train-llava").training() as view:
        view.tell(STARTED)
        view.tell(STEP, READING._replace(mfu=0.416))
    assert "MFU 41.6%" in capsys.readouterr().err


def test_validation_shows_scores_and_what_blinding_does_to_them(capsys):
    scores = {"none": {"rouge_l": 0.31, "f1": 0.2}, "shuffled_images": {"rouge_l": 0.12}}
    [line] = told(capsys, Validated("tune", 50, 1.25, scores))
    assert line == ("tune, step 50: validation loss 1.2500; rouge_l 0.3100, f1 0.2000; shuffled images: rouge_l 0.1200")


def test_model_folder_is_named_and_states_are_not(capsys):
    saved = StateSaved("tune", 50, Path("a"), 1.0)
    assert told(capsys, saved, StageDone("tune", Path("runs/a/tune/model"))) == [
        "tune: done, its model is runs/a/tune/model"
    ]


def test_a_state_that_was_better_than_the_last_is_named(capsys):
    [_, line] = told(capsys, StageDone("tune", Path("a/tune/model"), better=Path("a/tune/states/step_00000002")))
    assert "python -m llava export a/tune/states/step_00000002 -o MODEL" in line


def test_other_processes_say_nothing(capsys):
    assert told(capsys, STARTED, STEP, StageDone("tune", Path("a")), quiet=True) == []


def test_plan_shows_each_figure(capsys, shown_plan):
    Screen("train-llava").plan(shown_plan)
    out = capsys.readouterr().out
    assert "289 tokens of width 2,048 an image, 733 GFLOP" in out
    assert "context 1,300 tokens, 819.2 KB of cache a token" in out
    assert "train.parquet does not exist; assumed are 2,500,000 studies of 3 images and 1,317 tokens" in out
    rows = {line.split()[0]: re.split(r" {2,}", line.strip()) for line in out.splitlines() if line.strip()}
    assert rows["3"][1:5] == ["2,500,000", "1,317", "0.105 PFLOP", "2.09%"]
    assert rows["1"][1:3] == ["none", "739"]
    assert rows["mix"][2:] == rows["3"][2:]
    stage, memory = (re.split(r" {2,}", line.strip()) for line in out.splitlines() if line.startswith("tune "))
    assert stage[1:5] == ["projector 89.1 M, language_model 13.0 B", "encoder 363 M", "7,500,000", "58,596"]
    assert stage[5:] == ["533", "66.6", "1,065.22"]
    assert memory[1] == "26.2 GB"
    assert memory[6:] == ["80.0 GB", "157.3 GB"]
    assert "209.7 GB in tune over all GPUs" in out
    assert "the process that reads the whole model holds 53.9 GB" in out
    Screen("train-llava").plan(shown_plan._replace(one_reads=False))
    again = capsys.readouterr().out
    assert "every process holds the whole model, 53.9 GB" in again
    assert "431.0 GB on a machine with 8 GPUs" in again
    assert "warning: studies of 3 images reach 1,317 tokens, and the context is 1,300" in out


def test_plan_without_a_price_says_so(capsys, shown_plan):
    Screen("train-llava").plan(shown_plan._replace(stages=[shown_plan.stages[0]._replace(usd=None)], warnings=[]))
    out = capsys.readouterr().out
    assert "not given" in out
    assert "warning" not in out


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1.00 K"),
        (362_733_568, "363 M"),
        (82_595_840, "82.6 M"),
        (13_015_864_320, "13.0 B"),
        (2.5e12, "2,500 B"),
    ],
)
def test_counts_for_people(number, shown):
    assert count(number) == shown


@pytest.mark.parametrize(
    ("number", "shown"),
    [(3.755e14, "0.376 PFLOP"), (1.5e12, "1.5 TFLOP"), (3.03e11, "303 GFLOP"), (1.1e8, "0.11 GFLOP"), (0, "0 GFLOP")],
)
def test_flops_for_people(number, shown):
    assert flop(number) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.4, "0 s"), (59.4, "59 s"), (60, "1 min"), (3599, "59 min"), (7500, "2 h 5 min")]
)
def test_durations_for_people(seconds, shown):
    assert duration(seconds) == shown


def test_studies_left_out_and_reports_cut_are_told_with_the_stage(capsys):
    step = replace(STEP, cut_studies=2)
    said = told(capsys, STARTED, step, StageDone("tune", Path("runs/a/tune/model"), bad_studies=3))
    assert "3 studies could not be used and were left out: runs/a/failures.jsonl" in said
    assert "2 times a prior report was shortened to fit the context" in said


def test_a_step_without_a_study_has_no_loss(capsys):
    said = told(capsys, STARTED, replace(STEP, supervised_tokens=0, loss=math.nan))
    assert "no study of it could be used" in said[-1]
    assert "nan" not in said[-1]
