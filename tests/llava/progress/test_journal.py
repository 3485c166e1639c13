"""The log of a run, and where else its numbers go."""

import json
import math
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from llava.config import ConfigError, TrainSettings
from llava.progress.events import StageDone, StageStarted, StateSaved, StepDone, Validated
from llava.progress.journal import Journal, read_log
from llava.progress.meter import Reading

STARTED = StageStarted("tune", 0, 10, 40, 4, {"projector": 7}, {"encoder": 9})
STEP = StepDone(
    stage="tune",
    step=1,
    loss=2.5,
    learning_rates={"projector": 1e-3, "language_model": 2e-5},
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
READING = Reading(50.0, None, None, None, None, 0.2, 0.25, 2.0, 18.0)
VALIDATED = Validated("tune", 2, 1.25, {"none": {"rouge_l": 0.3}, "blank_images": {"rouge_l": 0.1}})


@pytest.fixture
def settings(tmp_path):
    def make(**logging):
        return TrainSettings.model_validate(
            {
                "output": tmp_path / "run",
                "seed": 7,
                "encoder": {"name": "rad_dino", "weights": "/secret/patients/weights"},
                "language_model": {"path": "/secret/vicuna"},
                "data": {"train": "/secret/studies.csv"},
                "stages": [{"name": "tune", "train": ["projector"], "learning_rate": 0.25}],
                "logging": logging,
            }
        )

    return make


def rows(settings):
    return read_log(settings.output / "log.jsonl")


def steps(settings):
    return [row["step"] for row in rows(settings) if row["event"] == "step"]


def test_step_is_a_row_of_its_event_and_the_meters_figures(settings):
    journal = Journal(settings())
    journal.tell(STARTED)
    journal.tell(STEP, READING)
    journal.close()
    started, step = rows(settings())
    assert (started["event"], started["trained"]) == ("stage_started", {"projector": 7})
    expected = {"event": "step", "loss": 2.5, "grad_norm": 1.5, "useful_tokens": 100, "pad_share": 0.2, "eta_s": 18.0}
    assert {name: step[name] for name in expected} == expected
    assert step["learning_rates"] == {"projector": 1e-3, "language_model": 2e-5}
    assert step["mfu"] is None, "not measured is not 0"


def test_other_events_are_rows_too(settings):
    journal = Journal(settings())
    for event in (STARTED, VALIDATED, StateSaved("tune", 2, Path("a/b"), 0.5), StageDone("tune", Path("c"))):
        journal.tell(event)
    journal.close()
    _, validated, saved, done = rows(settings())
    assert validated["scores"]["blank_images"] == {"rouge_l": 0.1}
    assert (saved["event"], saved["folder"], saved["seconds"]) == ("state_saved", "a/b", 0.5)
    assert (done["event"], done["folder"]) == ("stage_done", "c")


def test_loss_that_is_no_number_is_null(settings):
    journal = Journal(settings())
    journal.tell(STARTED)
    journal.tell(replace(STEP, loss=math.nan), READING)
    journal.close()
    assert rows(settings())[1]["loss"] is None


def test_resumed_run_has_each_step_once(settings):
    first = Journal(settings())
    first.tell(STARTED)
    for step in range(1, 6):
        first.tell(replace(STEP, step=step), READING)
    first.tell(replace(VALIDATED, step=5))
    first.close()
    again = Journal(settings())  # killed after step 5; the newest state is of step 3
    again.tell(replace(STARTED, first_step=3))
    for step in range(4, 8):
        again.tell(replace(STEP, step=step, loss=9.0), READING)
    again.close()
    assert steps(settings()) == [1, 2, 3, 4, 5, 6, 7]
    assert [row["loss"] for row in rows(settings()) if row["event"] == "step"] == [2.5] * 3 + [9.0] * 4
    assert not [row for row in rows(settings()) if row["event"] == "validated"], "of step 5, which comes again"


def test_stages_before_are_kept_when_a_later_one_goes_on(settings):
    journal = Journal(settings())
    journal.tell(replace(STARTED, stage="align"))
    for step in (1, 2):
        journal.tell(replace(STEP, stage="align", step=step), READING)
    journal.tell(STARTED)
    journal.tell(STEP, READING)
    journal.tell(STARTED)  # begun again from nothing
    journal.tell(STEP, READING)
    journal.close()
    assert [(row["stage"], row["step"]) for row in rows(settings()) if row["event"] == "step"] == [
        ("align", 1),
        ("align", 2),
        ("tune", 1),
    ]


def test_row_that_a_kill_left_unfinished_is_dropped(settings):
    journal = Journal(settings())
    journal.tell(STARTED)
    journal.tell(STEP, READING)
    journal.close()
    log = settings().output / "log.jsonl"
    with log.open("a") as file:
        file.write('{"event": "step", "sta')
    assert steps(settings()) == [1]
    journal.tell(replace(STARTED, first_step=1))
    journal.tell(replace(STEP, step=2), READING)
    journal.close()
    assert steps(settings()) == [1, 2]


def test_damage_before_the_end_is_an_error_with_its_line(settings):
    log = settings().output / "log.jsonl"
    log.parent.mkdir()
    log.write_text('{"event": "step"}\nnonsense\n{"event": "step"}\n')
    with pytest.raises(ValueError, match=r"log\.jsonl, line 2: no JSON row"):
        read_log(log)


def test_every_steps_thins_the_rows(settings):
    journal = Journal(settings(every_steps=3))
    journal.tell(STARTED)
    for step in range(1, 8):
        journal.tell(replace(STEP, step=step), READING)
    journal.tell(VALIDATED)
    journal.close()
    assert steps(settings()) == [3, 6]
    assert rows(settings())[-1]["event"] == "validated", "what is rare is never left out"


def test_studies_that_were_left_out_count_in_the_next_row(settings):
    journal = Journal(settings(every_steps=3))
    journal.tell(STARTED)
    for step in range(1, 7):
        journal.tell(replace(STEP, step=step, bad_studies=step, cut_studies=1), READING)
    journal.close()
    told = [(row["bad_studies"], row["cut_studies"]) for row in rows(settings()) if row["event"] == "step"]
    assert told == [(1 + 2 + 3, 3), (4 + 5 + 6, 3)]


def tensorboard(settings, stage):
    found = EventAccumulator(str(settings.output / "tensorboard" / stage))
    found.Reload()
    return {tag: [(one.step, one.value) for one in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def test_tensorboard_has_the_figures_of_each_step(settings):
    journal = Journal(settings())
    journal.tell(STARTED)
    journal.tell(replace(STEP, memory_bytes=2**30), READING._replace(mfu=0.4))
    journal.tell(replace(STEP, step=2, loss=2.0), READING)
    journal.tell(VALIDATED)
    journal.close()
    shown = tensorboard(settings(), "tune")
    assert shown["train/loss"] == [(1, 2.5), (2, 2.0)]
    assert shown["train/mfu"] == [(1, pytest.approx(0.4))], "step 2 was not measured"
    assert shown["learning_rate/language_model"][0] == (1, pytest.approx(2e-5))
    assert shown["train/memory_bytes"] == [(1, 2**30)]
    assert shown["validation/loss"] == [(2, 1.25)]
    assert shown["validation/rouge_l/blank_images"] == [(2, pytest.approx(0.1))]
    for name in ("grad_norm", "studies_per_s", "useful_tokens_per_s", "pad_share", "wait_share"):
        assert f"train/{name}" in shown


def test_tensorboard_shows_resumed_steps_once(settings):
    journal = Journal(settings())
    journal.tell(STARTED)
    for step in (1, 2, 3):
        journal.tell(replace(STEP, step=step), READING)
    journal.close()
    journal = Journal(settings())
    journal.tell(replace(STARTED, first_step=1))
    for step in (2, 3):
        journal.tell(replace(STEP, step=step, loss=9.0), READING)
    journal.close()
    assert tensorboard(settings(), "tune")["train/loss"] == [(1, 2.5), (2, 9.0), (3, 9.0)]


def test_tensorboard_can_be_left_out(settings):
    journal = Journal(settings(tensorboard=False))
    journal.tell(STARTED)
    journal.tell(STEP, READING)
    journal.close()
    assert not (settings().output / "tensorboard").exists()


class FakeWandb:
    """What wandb was told; nothing is sent."""

    def __init__(self):
        self.begun, self.rows, self.finished = [], [], False
        self.Settings = lambda **options: SimpleNamespace(**options)

    def init(self, **options):
        self.begun.append(options)

    def define_metric(self, *_, **__):
        pass

    def log(self, row):
        self.rows.append(row)

    def finish(self):
        self.finished = True


def test_wandb_is_told_numbers_and_nothing_else(settings, monkeypatch):
    wandb = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    journal = Journal(settings(wandb_project="reports", tensorboard=False))
    journal.tell(STARTED)
    journal.tell(STEP, READING)
    journal.tell(VALIDATED)
    journal.close()
    [options] = wandb.begun
    assert (options["project"], options["name"], options["resume"]) == ("reports", "run", "allow")
    assert options["config"]["seed"] == 7
    assert options["config"]["stages.0.learning_rate"] == 0.25
    assert all(isinstance(value, int | float) for value in options["config"].values())
    assert "secret" not in json.dumps(options, default=vars)
    assert options["settings"].console == "off", "what is printed names files"
    step, validated = wandb.rows
    assert (step["tune/step"], step["tune/train/loss"], step["tune/learning_rate/projector"]) == (1, 2.5, 1e-3)
    assert validated["tune/validation/rouge_l/none"] == 0.3
    assert wandb.finished


def test_wandb_knows_a_resumed_run_by_its_folder(settings, monkeypatch):
    wandb = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    mine = settings(wandb_project="reports", tensorboard=False)
    for one in (mine, mine, mine.model_copy(update={"output": mine.output.parent / "elsewhere" / "run"})):
        journal = Journal(one)
        journal.tell(STARTED)
        journal.close()
    first, again, elsewhere = (options["id"] for options in wandb.begun)
    assert first == again != elsewhere


def test_wandb_is_not_begun_before_the_run_is(settings, monkeypatch):
    wandb = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    Journal(settings(wandb_project="reports", tensorboard=False)).close()
    assert (wandb.begun, wandb.finished) == ([], False)


def test_wandb_that_is_missing_says_how_to_get_it(settings, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ConfigError, match=r"wandb_project = 'reports' needs wandb.*pip install 'wandb"):
        Journal(settings(wandb_project="reports"))
