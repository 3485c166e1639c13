"""Runs of two stages on ten studies, in this process."""

from __future__ import annotations

import json
import math
import resource
import shutil
import signal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from llava.build import build
from llava.config import TrainSettings
from llava.dataset.bad_studies import TooManyBadError
from llava.dataset.batching import pack_row, step_studies
from llava.dataset.example import BadStudyError, Example
from llava.dataset.reading import StudyReader
from llava.dataset.table import StudyTable
from llava.dataset.table_rows import COLUMNS
from llava.generate.export import export
from llava.generate.loading import load_merged
from llava.generate.settings import Place
from llava.packed_attention import NAME as PACKED
from llava.progress.events import StageDone, StageStarted, StateSaved, StepDone, Validated
from llava.tiny import tiny_language_model
from llava.trainer import NonFiniteError, train
from llava.training.adapters import FOLDER as ADAPTER
from llava.training.lock import LockError, locked
from llava.training.objective import supervised_loss
from llava.training.parallel import Parallel
from llava.training.run_record import RecordError
from llava.training.state import StateError
from llava.training.step_share import seed_of
from llava.training.stop import StoppedError
from tests.llava.tiny_run import ALIGN, TUNE, Data, make_data, make_settings, read_rows, weights_sha256, write_rows

STEADY: dict[str, Any] = {"schedule": "constant", "warmup_ratio": 0.0}
ONE_STEP: dict[str, Any] = {**ALIGN, **STEADY, "max_steps": 1}
CPU = torch.device("cpu")
_TEXT = pa.schema([(name, pa.string()) for name in COLUMNS])


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp("data") / "d")


def told(settings: TrainSettings) -> list[Any]:
    events: list[Any] = []
    train(settings, events.append)
    return events


def steps(settings: TrainSettings) -> list[StepDone]:
    return [event for event in told(settings) if isinstance(event, StepDone)]


def weights(settings: TrainSettings, stage: int = -1) -> dict[str, torch.Tensor]:
    """Of a stage's model folder."""
    return load_file(settings.output / settings.stages[stage].name / "model" / "model.safetensors")


def built(settings: TrainSettings) -> Any:
    """What the first stage begins with."""
    return build(
        settings.encoder, settings.language_model, settings.projector, settings.data.prompt, seed=settings.seed
    )


def furthest(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor], prefix: str = "") -> float:
    assert a.keys() == b.keys()
    return max((a[name] - b[name]).abs().max().item() for name in a if name.startswith(prefix))


def with_rows(data: Data, folder: Path, **changes: dict[str, Any]) -> Data:
    """The data with some rows' values changed: s3={"findings": "..."}."""
    rows = [row | changes.get(row["study_id"], {}) for row in read_rows(data.table)]
    write_rows(folder / "changed.jsonl", rows)
    return data._replace(table=folder / "changed.jsonl")


ENCODER, PROJECTOR = "model.vision_tower.", "model.multi_modal_projector."
LANGUAGE_MODEL, HEAD = "model.language_model.", "lm_head."


def test_each_stage_changes_its_parts_and_no_bit_of_the_others(tmp_path, data):
    stages = (
        {**ONE_STEP, "name": "align"},
        {**ONE_STEP, "name": "eyes", "train": ["encoder"]},
        {**ONE_STEP, "name": "adapt", "train": ["projector", "language_model"], "lora": TUNE["lora"]},
        {**ONE_STEP, "name": "all", "train": ["language_model"]},
    )
    settings = make_settings(tmp_path / "run", data, *stages)
    events = told(settings)
    before = {name: value.detach().clone() for name, value in built(settings).model.state_dict().items()}
    expected = {
        "align": {PROJECTOR},
        "eyes": {ENCODER},
        "adapt": {PROJECTOR},  # the language model's own weights stay; its adapters lie beside them
        "all": {LANGUAGE_MODEL, HEAD},
    }
    for number, stage in enumerate(stages):
        after = weights(settings, number)
        changed = {part for part in (ENCODER, PROJECTOR, LANGUAGE_MODEL, HEAD) if furthest(before, after, part) > 0}
        assert changed == expected[stage["name"]], stage["name"]
        before = after
    adapters = load_file(settings.output / "adapt" / "model" / ADAPTER / "adapter_model.safetensors")
    assert len(adapters) == 2 * 2 * 7  # A and B of 7 layers in each of 2 blocks
    started = [event for event in events if isinstance(event, StageStarted)]
    assert [event.frozen["encoder"] == 0 for event in started] == [False, True, False, False]
    assert [event.stage for event in events if isinstance(event, StageDone)] == ["align", "eyes", "adapt", "all"]
    assert json.loads((settings.output / "all" / "model" / "run.json").read_text())["steps"] == 1


def test_the_encoder_learns_at_its_own_rate(tmp_path, data):
    # AdamW's first step moves each weight that has a gradient by its rate, whatever the gradient: 1e-5 and 1e-3
    stage = {**ONE_STEP, "train": ["projector", "encoder"], "learning_rates": {"encoder": 1e-5}, "epsilon": 1e-30}
    settings = make_settings(tmp_path / "run", data, stage)
    [step] = steps(settings)
    before, after = built(settings).model.state_dict(), weights(settings)
    assert step.learning_rates == {"encoder": 1e-5, "projector": 1e-3}
    assert furthest(before, after, ENCODER) == pytest.approx(1e-5, rel=1e-2)
    assert furthest(before, after, PROJECTOR) == pytest.approx(1e-3, rel=1e-2)


def examples_of(settings: TrainSettings, model: Any) -> list[Example]:
    """Of the first step's studies."""
    data = settings.data
    table = StudyTable.open(data.train, cache=settings.output / "tables", need_findings=True, root=data.root)
    reader = StudyReader(table, model.processor, with_target=True)
    batch = settings.stages[0].batch_studies
    places = step_studies(len(table), batch, seed_of(settings.seed, 0), 0)
    read = [reader.read(int(place)) for place in places]
    assert all(isinstance(one, Example) for one in read)
    return read


def test_every_supervised_token_of_a_step_weighs_the_same(tmp_path, data):
    # two studies of 3 words and of some hundred tokens in rows of their own: their losses are summed, and divided by
    # all their supervised tokens; a mean of the rows' means would give the short one as much weight as the long one
    rows = read_rows(data.table)[:2]
    texts = ["No effusion.", " ".join(["There is a small left effusion. The heart is normal."] * 6)]
    changed = data._replace(table=tmp_path / "two.jsonl")
    write_rows(changed.table, [{**row, "findings": text} for row, text in zip(rows, texts, strict=True)])
    settings = make_settings(tmp_path / "run", changed, {**ONE_STEP, "batch_studies": 2}, compute={"packing": False})
    [step] = steps(settings)
    model = built(settings)
    model.model.model.language_model.set_attn_implementation(PACKED)
    examples = examples_of(settings, model)
    counts = [int(one.supervised_T.sum()) for one in examples]
    assert max(counts) > 8 * min(counts)
    losses = [supervised_loss(model.model, pack_row([one]), model.processor.recipe, CPU) for one in examples]
    expected = (losses[0] + losses[1]) / sum(counts)
    assert step.supervised_tokens == sum(counts)
    assert step.loss == pytest.approx(expected.item(), rel=1e-6)
    projector = [weight for name, weight in model.model.named_parameters() if name.startswith(PROJECTOR)]
    gradients = torch.autograd.grad(expected, projector)
    norm = torch.cat([gradient.flatten() for gradient in gradients]).norm().item()
    assert step.grad_norm == pytest.approx(norm, rel=1e-4)


def test_the_rows_that_a_step_is_computed_in_change_nothing(tmp_path, data):
    stage = {**ALIGN, **STEADY, "train": ["projector", "language_model"], "epsilon": 1e-3}
    runs = {}
    for name, compute in {
        "one row": {"token_budget": 8000},
        "several": {"token_budget": 500},
        "a study a row": {"packing": False},
        "activations anew": {"token_budget": 8000, "gradient_checkpointing": True},
    }.items():
        settings = make_settings(tmp_path / name, data, stage, compute=compute)
        losses = [step.loss for step in steps(settings)]
        runs[name] = losses, weights(settings)
    losses, expected = runs.pop("one row")
    for name, (others, found) in runs.items():
        assert others == pytest.approx(losses, rel=1e-5), name
        assert furthest(expected, found) <= 1e-6, name
    assert furthest(expected, built(settings).model.state_dict()) > 1e-4


def test_dropout_acts_where_adapters_learn(tmp_path, data):
    found = []
    for dropout in (0.0, 0.9):
        stage = {**TUNE, **STEADY, "lora": {**TUNE["lora"], "dropout": dropout}, "max_steps": 2}
        settings = make_settings(tmp_path / str(dropout), data, stage)
        found.append([step.grad_norm for step in steps(settings)])
    assert abs(found[1][0] / found[0][0] - 1) > 0.01  # B is 0, but its gradient is of what A gives after dropout
    assert abs(found[1][1] / found[0][1] - 1) > 0.01


def test_a_step_tells_what_was_in_it(tmp_path, data):
    settings = make_settings(tmp_path / "run", data, {**ONE_STEP, "batch_studies": 4}, compute={"token_budget": 8000})
    [step] = steps(settings)
    examples = examples_of(settings, built(settings))
    lengths = [one.num_tokens for one in examples]
    assert (step.studies, step.images) == (4, sum(len(one.images) for one in examples))
    assert step.supervised_tokens == sum(int(one.supervised_T.sum()) for one in examples)
    assert (step.useful_tokens, step.computed_tokens) == (sum(lengths), sum(lengths))
    assert step.lengths2 == sum(length**2 for length in lengths)
    assert 0 < step.waited_seconds < step.seconds


def test_only_the_newest_states_are_kept(tmp_path, data):
    stage = {**ALIGN, "epochs": 2}  # 6 steps
    settings = make_settings(tmp_path / "run", data, stage, checkpoints={"every_steps": 1, "keep_last": 2})
    told(settings)
    states = settings.output / "align" / "states"
    assert sorted(path.name for path in states.iterdir()) == ["step_00000005", "step_00000006"]


def test_validation_changes_no_weight_and_the_best_state_is_kept(tmp_path, data):
    # at so high a rate the loss rises again: the best state is not the newest
    stage = {**TUNE, **STEADY, "learning_rate": 0.1, "epochs": 2}
    kept = {"every_steps": 1, "keep_last": 1, "keep_best": 1}
    unwatched = make_settings(tmp_path / "unwatched", data, stage, checkpoints=kept)
    told(unwatched)
    validation = {"validation": str(data.validation)}
    settings = make_settings(tmp_path / "run", data, stage, checkpoints=kept, data=validation)

    events: list[Any] = []

    def interrupted(event: Any) -> None:
        events.append(event)
        if isinstance(event, StateSaved) and event.step == 2:
            raise KeyboardInterrupt  # saved, and not validated yet

    with pytest.raises(KeyboardInterrupt):
        train(settings, interrupted)
    resumed = told(settings)
    assert [type(event) for event in resumed[:3]] == [StageStarted, Validated, StepDone]
    losses = {event.step: event.loss for event in (*events, *resumed) if isinstance(event, Validated)}
    assert list(losses) == [1, 2, 3, 4, 5, 6]
    best = min(losses, key=lambda step: losses[step])
    assert best != 6
    states = settings.output / "tune/states"
    assert sorted(path.name for path in states.iterdir()) == [f"step_{best:08}", "step_00000006"]
    assert resumed[-1] == StageDone("tune", settings.output / "tune/model", better=states / f"step_{best:08}")
    assert weights_sha256(settings.output / "tune/model") == weights_sha256(unwatched.output / "tune/model")


def test_a_disk_that_is_full_when_the_model_is_written_costs_no_step(tmp_path, data):
    settings = make_settings(tmp_path / "run", data, ONE_STEP)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(event: Any) -> None:
        if isinstance(event, StateSaved):
            resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))

    try:
        with pytest.raises(StateError, match=r"align/model could not be written: .*too large.*same command again"):
            train(settings, fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.name for path in (settings.output / "align").iterdir()] == ["states"]
    assert [type(event) for event in told(settings)] == [StageStarted, StageDone]


def test_a_second_trainer_on_the_folder_is_refused(tmp_path, data):
    settings = make_settings(tmp_path / "run", data, ALIGN)
    with locked(settings.output), pytest.raises(LockError, match="another train-llava is writing into"):
        train(settings, lambda _: None)


def test_a_bad_study_ends_the_run_or_is_left_out_and_counted(tmp_path, data):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG but no more")
    broken = with_rows(data, tmp_path, s3={"frontal": str(tmp_path / "broken.png")})
    with pytest.raises(BadStudyError, match=r"study s3: .*broken"):
        train(make_settings(tmp_path / "strict", broken, ALIGN), lambda _: None)
    skipping = {"on_bad_study": "skip", "max_bad_share": 0.1}
    settings = make_settings(tmp_path / "run", broken, {**ALIGN, "epochs": 2}, data=skipping)
    done = steps(settings)
    assert sum(step.bad_studies for step in done[:3]) == 1
    assert sum(step.studies for step in done[:3]) == 9
    assert sum(step.bad_studies for step in done) == 2  # its turn comes in every epoch
    [failure] = read_rows(settings.output / "failures.jsonl")  # and is one study all the same
    assert (failure["study_id"], failure["error"]) == ("s3", "ImageError")
    too_strict = make_settings(tmp_path / "few", broken, ALIGN, data={**skipping, "max_bad_share": 0.05})
    with pytest.raises(TooManyBadError, match=r"1 of 10 studies cannot be used, more than data\.max_bad_share = 0\.05"):
        train(too_strict, lambda _: None)


def test_studies_without_findings_are_known_before_anything_is_computed(tmp_path, data):
    empty = with_rows(data, tmp_path, s3={"findings": " "}, s4={"findings": None})
    with pytest.raises(TooManyBadError, match="of 10 studies 2 with no findings"):
        train(make_settings(tmp_path / "strict", empty, ALIGN), lambda _: None)
    assert not (tmp_path / "strict" / "align").exists()


def test_a_step_of_bad_studies_alone_changes_nothing(tmp_path, data):
    empty = with_rows(data, tmp_path, **{f"s{number}": {"findings": ""} for number in range(10)})
    skipping = {"on_bad_study": "skip", "max_bad_share": 1.0}
    settings = make_settings(tmp_path / "run", empty, ONE_STEP, data=skipping)
    [step] = steps(settings)
    assert math.isnan(step.loss)
    assert (step.studies, step.bad_studies, step.grad_norm) == (0, 4, 0.0)
    assert furthest(built(settings).model.state_dict(), weights(settings)) == 0


def test_a_loss_that_is_no_number_stops_the_run_and_leaves_the_states(tmp_path, data):
    stage = {**ALIGN, **STEADY, "train": ["language_model"], "learning_rate": 1e30}  # its first step ruins the weights
    settings = make_settings(tmp_path / "run", data, stage, checkpoints={"every_steps": 1})
    with pytest.raises(NonFiniteError, match=r"stage align, step 2: the loss of its 4 studies is nan") as stopped:
        train(settings, lambda _: None)
    assert "the state after step 1 remains" in str(stopped.value)
    assert [path.name for path in (settings.output / "align" / "states").iterdir()] == ["step_00000001"]


def test_a_run_goes_on_with_its_own_settings_and_things_alone(tmp_path, data):
    output = tmp_path / "run"
    train(make_settings(output, data, ONE_STEP), lambda _: None)
    with pytest.raises(RecordError, match=r"stages\.align\.learning_rate: 0\.001, now 0\.01\. Set them back"):
        train(make_settings(output, data, {**ONE_STEP, "learning_rate": 1e-2}), lambda _: None)
    with pytest.raises(RecordError, match=r"seed: 5, now 6"):
        train(make_settings(output, data, ONE_STEP, seed=6), lambda _: None)
    other_table = with_rows(data, tmp_path, s3={"findings": "No effusion."})
    with pytest.raises(RecordError, match=r"data\.train is not what this run began with"):
        train(make_settings(output, other_table, ONE_STEP), lambda _: None)
    validated = tmp_path / "validated"
    train(make_settings(validated, data, ONE_STEP, data={"validation": str(data.validation)}), lambda _: None)
    other = tmp_path / "other.jsonl"
    write_rows(other, read_rows(data.validation)[:-1])
    with pytest.raises(RecordError, match=r"data\.validation is not what this run began with"):
        train(make_settings(validated, data, ONE_STEP, data={"validation": str(other)}), lambda _: None)
    with pytest.raises(RecordError, match=r"validation\.studies: 0, now 2"):
        train(make_settings(output, data, ONE_STEP, validation={"studies": 2}), lambda _: None)
    # where things are, how they are computed and what is kept may change, and stages may follow
    moved = data._replace(table=tmp_path / "moved.jsonl")
    moved.table.write_bytes(data.table.read_bytes())
    more = make_settings(
        output,
        moved,
        ONE_STEP,
        {**ONE_STEP, "name": "more"},
        compute={"token_budget": 300},
        checkpoints={"keep_last": 1},
        data={"workers": 1},
    )
    assert [event.stage for event in told(more) if isinstance(event, StageStarted)] == ["more"]


def test_another_encoder_or_language_model_in_the_same_place_is_found(tmp_path, data):
    settings = make_settings(tmp_path / "run", data, {**ALIGN, **STEADY}, checkpoints={"every_steps": 1})

    def interrupted(event: Any) -> None:
        if isinstance(event, StepDone):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(settings, interrupted)
    texts = [row["findings"] for row in read_rows(data.table)]
    other = tiny_language_model(
        tmp_path / "lm", texts, vocab_size=300, width=32, layers=2, heads=2, kv_heads=1, positions=1024, seed=1
    )
    changed = make_settings(tmp_path / "run", data._replace(language_model=other), *settings.model_dump()["stages"])
    with pytest.raises(RecordError, match="the language model is not what this run began with"):
        train(changed, lambda _: None)
    record = tmp_path / "run" / "run.json"
    told_before = json.loads(record.read_text())
    told_before["identities"]["the encoder"] = "0" * 64
    record.write_text(json.dumps(told_before))
    with pytest.raises(RecordError, match="the encoder is not what this run began with"):
        train(settings, lambda _: None)


def test_a_patient_in_both_tables_is_refused(tmp_path, data):
    rows = read_rows(data.validation)
    rows[1]["patient_id"] = "p2"
    write_rows(tmp_path / "validation.jsonl", rows)
    settings = make_settings(tmp_path / "run", data, ALIGN, data={"validation": str(tmp_path / "validation.jsonl")})
    with pytest.raises(ValueError, match=r"1 patients are in both .*train\.jsonl and .*such as p2"):
        train(settings, lambda _: None)


def test_a_context_longer_than_the_language_models_is_refused(tmp_path, data):
    settings = make_settings(tmp_path / "run", data, ALIGN, data={"max_tokens": 2000})
    with pytest.raises(ValueError, match=r"data\.max_tokens = 2,000, and the language model reads 1,024"):
        train(settings, lambda _: None)


def test_4_bit_base_weights_reach_the_run(data, tmp_path):
    """With bitsandbytes the base of the adapters is rounded to 16 levels; without it the run says what to install."""
    settings = make_settings(tmp_path / "run", data, {**TUNE, **STEADY, "max_steps": 1})
    small = settings.model_copy(
        update={"language_model": settings.language_model.model_copy(update={"quantize": "nf4"})}
    )
    try:
        import bitsandbytes  # noqa: F401
    except ImportError:
        with pytest.raises(ValueError, match="pip install bitsandbytes"):
            told(small)
        return
    told(small)
    before = built(settings).model.model.language_model.layers[0].mlp.up_proj.weight
    after = weights(small)["model.language_model.layers.0.mlp.up_proj.weight"]
    assert not torch.equal(before, after)
    assert len(after.unique()) < len(before.unique())


@pytest.mark.parametrize("kind", ["fsdp2", "deepspeed"])
def test_4_bit_weights_are_not_sharded_and_nothing_is_read_before_that_is_said(tmp_path, data, monkeypatch, kind):
    class Sharded(Parallel):
        def __init__(self, settings: Any) -> None:
            super().__init__(settings)
            self.kind = kind

    monkeypatch.setattr("llava.trainer.Parallel", Sharded)
    monkeypatch.setattr("llava.trainer.stage_model_together", lambda *_: pytest.fail("it was read"))
    model = {"path": str(data.language_model), "quantize": "nf4"}
    settings = make_settings(tmp_path / "run", data, TUNE, language_model=model)
    with pytest.raises(ValueError, match=r"4-bit weights cannot be sharded: .* set compute\.parallel = \"ddp\""):
        train(settings, lambda _: None)


@pytest.mark.parametrize("every", [1, 100])
def test_a_stop_during_validation_is_not_put_off_and_validation_is_made_up_for(tmp_path, data, monkeypatch, every):
    told = {"every_steps": 1, "generate": False, "studies": 0}
    settings = make_settings(
        tmp_path / "run", data, ALIGN, validation=told, checkpoints={"every_steps": every, "keep_best": int(every == 1)}
    )
    settings = settings.model_copy(update={"data": settings.data.model_copy(update={"validation": data.validation})})
    monkeypatch.setattr("llava.validation._READ_AT_ONCE", 1)

    def stop(*given: Any) -> torch.Tensor:
        signal.raise_signal(signal.SIGTERM)
        return supervised_loss(*given)

    events: list[Any] = []
    with monkeypatch.context() as patch:
        patch.setattr("llava.validation.supervised_loss", stop)
        with pytest.raises(StoppedError, match=r"stopped after step 1 of .*; its state is saved"):
            train(settings, events.append)
    assert not [event for event in events if isinstance(event, Validated)]
    assert [event.step for event in events if isinstance(event, StateSaved)] == [1]
    events.clear()
    train(settings, events.append)
    assert [type(event) for event in events[:3]] == [StageStarted, Validated, StepDone]
    assert [event.step for event in events[1:3]] == [1, 2]


def test_after_the_first_stage_the_record_keeps_where_the_models_were_found(tmp_path, data):
    first = make_settings(tmp_path / "run", data, ALIGN)
    train(first, lambda _: None)
    again = make_settings(tmp_path / "run", data, ALIGN, TUNE, language_model={"path": "elsewhere/another"})
    folder = train(again, lambda _: None)
    for record in (tmp_path / "run" / "run.json", folder / "run.json"):
        assert json.loads(record.read_text())["settings"]["language_model"]["path"] == str(data.language_model)


def test_a_study_in_both_tables_is_refused_without_patients_too(tmp_path, data):
    rows = [{**row, "patient_id": None} for row in read_rows(data.table)]
    write_rows(data.table.parent / "nobodys.jsonl", rows)
    settings = make_settings(tmp_path / "run", data, ALIGN)
    told_data = settings.data.model_copy(
        update={"train": data.table.parent / "nobodys.jsonl", "validation": data.table.parent / "nobodys.jsonl"}
    )
    with pytest.raises(ValueError, match=r"10 studies are in both .*such as s0"):
        train(settings.model_copy(update={"data": told_data}), lambda _: None)


def test_patients_that_are_not_known_are_told(tmp_path, data, caplog):
    rows = [{**row, "patient_id": None} for row in read_rows(data.validation)]
    write_rows(data.table.parent / "unknown.jsonl", rows)
    settings = make_settings(tmp_path / "run", data, ONE_STEP)
    told_data = settings.data.model_copy(update={"validation": data.table.parent / "unknown.jsonl"})
    train(settings.model_copy(update={"data": told_data}), lambda _: None)
    assert f"{len(rows)} of {len(rows)} studies have no patient_id" in caplog.text


def test_a_folder_of_parquet_files_is_a_table_and_its_change_is_found(tmp_path, data):
    rows = read_rows(data.table)
    folder = tmp_path / "tables"
    folder.mkdir()
    for name, part in (("a", rows[:6]), ("b", rows[6:])):
        pq.write_table(pa.Table.from_pylist(part, _TEXT), folder / f"{name}.parquet")
    settings = make_settings(tmp_path / "run", data, ONE_STEP)
    settings = settings.model_copy(update={"data": settings.data.model_copy(update={"train": folder})})
    assert sum(isinstance(event, StepDone) for event in told(settings)) == 1
    pq.write_table(pa.Table.from_pylist(rows[6:9], _TEXT), folder / "b.parquet")
    with pytest.raises(RecordError, match=r"data\.train is not what this run began with"):
        train(settings, lambda _: None)


def test_a_table_of_bad_studies_alone_is_an_error_however_many_may_be_bad(tmp_path, data):
    rows = [{**row, "frontal": "films/none.png"} for row in read_rows(data.table)]
    write_rows(data.table.parent / "bad.jsonl", rows)
    settings = make_settings(tmp_path / "run", data, ALIGN)
    told_data = settings.data.model_copy(
        update={"train": data.table.parent / "bad.jsonl", "on_bad_study": "skip", "max_bad_share": 1.0}
    )
    with pytest.raises(TooManyBadError, match="none of the 10 studies can be used"):
        train(settings.model_copy(update={"data": told_data}), lambda _: None)


def test_a_model_whose_adapters_are_gone_is_not_taken_for_the_trained_one(tmp_path, data):
    run = make_settings(tmp_path / "run", data, {**TUNE, "max_steps": 1})
    train(run, lambda _: None)
    folder = run.output / "tune" / "model"
    export(folder, tmp_path / "merged", layout="huggingface")
    shutil.rmtree(folder / ADAPTER)
    with pytest.raises(ValueError, match="was trained with LoRA, and its folder adapter is gone"):
        load_merged(folder, Place("cpu", "float32"))
    with pytest.raises(ValueError, match="its folder adapter is gone"):
        export(folder, tmp_path / "other")
    more = make_settings(tmp_path / "run", data, {**TUNE, "max_steps": 1}, ONE_STEP)
    with pytest.raises(ValueError, match="its folder adapter is gone"):
        train(more, lambda _: None)
    load_merged(tmp_path / "merged", Place("cpu", "float32"))  # merged ones are no lost ones
