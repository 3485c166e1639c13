"""What the meter reads from events, by hand."""

from dataclasses import replace

import pytest

from llava.config import StageSettings
from llava.planning.flops import EncoderShape, LanguageModelShape, ModelShape
from llava.progress.events import StageStarted, StepDone
from llava.progress.meter import Meter

SHAPE = ModelShape(
    EncoderShape(num_tokens=10, token_width=4, weights=5, flops=1_000, kept_values=0, largest_values=0),
    num_layers=1,
    language_model=LanguageModelShape(
        layers=2,
        width=8,
        attention_width=8,
        kv_width=8,
        vocab_size=20,
        positions=64,
        weights=900,
        product_weights=500,
        head_weights=160,
    ),
)
STAGES = [StageSettings(name="tune", train=("projector", "language_model"))]
STEP = StepDone(
    stage="tune",
    step=1,
    loss=2.0,
    learning_rates={"projector": 1e-3},
    grad_norm=1.0,
    studies=4,
    images=6,
    supervised_tokens=12,
    useful_tokens=100,
    computed_tokens=125,
    lengths2=3_000,
    seconds=2.0,
    waited_seconds=0.5,
)
# films 6 x 1,000; projector, without gradients of its inputs: 4 passes of 32 weights by 60 image tokens
ENCODER = 6_000
PROJECTOR = 4 * 32 * 60
LANGUAGE_MODEL = 6 * 500 * 100 + 6 * 2 * 8 * 3_000 + 6 * 160 * 12
RECOMPUTED = 2 * 500 * 100 + 2 * 2 * 8 * 3_000


def meter(*, first_step=0, steps=100, **changes):
    made = Meter(SHAPE, STAGES, **({"peak_flops": 1e6, "world_size": 2, "checkpointing": True} | changes))
    made.start(StageStarted("tune", first_step, steps, 1_000, 4, {}, {}))
    return made


def test_utilisation_is_useful_work_of_all_processes_peak():
    reading = meter().read(STEP)
    peak = 2 * 1e6 * 2.0
    assert reading.mfu == pytest.approx((ENCODER + PROJECTOR + LANGUAGE_MODEL) / peak)
    assert reading.mfu_encoder == pytest.approx(ENCODER / peak)
    assert reading.mfu_language_model == pytest.approx((PROJECTOR + LANGUAGE_MODEL) / peak)
    assert reading.hfu == pytest.approx((ENCODER + PROJECTOR + LANGUAGE_MODEL + RECOMPUTED) / peak)


def test_without_checkpointing_hardware_does_what_the_model_asks():
    reading = meter(checkpointing=False).read(STEP)
    assert reading.hfu == reading.mfu


def test_padding_is_no_useful_work():
    plain, padded = meter().read(STEP), meter().read(replace(STEP, computed_tokens=1_000))
    assert padded.mfu == plain.mfu
    assert plain.pad_share == pytest.approx(0.2)
    assert padded.pad_share == pytest.approx(0.9)


def test_unknown_peak_is_no_measurement():
    reading = meter(peak_flops=None).read(STEP)
    assert (reading.mfu, reading.mfu_encoder, reading.mfu_language_model, reading.hfu) == (None,) * 4


def test_rates_and_waiting():
    reading = meter().read(replace(STEP, step=2))
    assert reading.useful_tokens_per_s == 50
    assert reading.studies_per_s == 2
    assert reading.wait_share == 0.25


def test_step_of_bad_studies_alone_has_no_padding():
    empty = replace(STEP, studies=0, images=0, supervised_tokens=0, useful_tokens=0, computed_tokens=0, lengths2=0)
    reading = meter().read(empty)
    assert (reading.pad_share, reading.mfu) == (0, 0)


def test_time_left_is_the_mean_of_recent_steps_by_those_left():
    made = meter()
    assert made.read(replace(STEP, waited_seconds=0.0)).eta_s == 99 * 2.0
    made.read(replace(STEP, step=2, seconds=1.0))
    assert made.read(replace(STEP, step=3, seconds=3.0)).eta_s == 97 * 2.0


def test_first_step_which_compiles_is_soon_forgotten():
    made = meter()
    made.read(replace(STEP, seconds=60.0))
    reading = made.read(replace(STEP, step=2, seconds=1.0))
    assert (reading.eta_s, reading.studies_per_s) == (98.0, 4.0)


def test_only_the_last_fifty_steps_count():
    made = meter()
    for step in range(1, 52):
        made.read(replace(STEP, step=step, seconds=100.0))
    for step in range(52, 102):
        reading = made.read(replace(STEP, step=step, seconds=0.5))
    assert reading.studies_per_s == 8


def test_resumed_stage_begins_at_its_step():
    made = meter(first_step=90)
    waiting = replace(STEP, step=91, seconds=62.0, waited_seconds=60.0)
    assert made.read(waiting).eta_s == 9 * 2.0, "the processes that read studies start once"
    assert made.read(replace(STEP, step=92, seconds=1.0)).eta_s == 8 * 1.0, "its first step compiles too"
