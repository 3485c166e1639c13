"""Validation measures what it says, leaves the model alone, and is the same over several processes."""

from __future__ import annotations

import json
import math
import os
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from llava.build import Built, build
from llava.config import EncoderSettings, LanguageModelSettings, ProjectorSettings, TrainSettings
from llava.dataset.example import BadStudyError, Example
from llava.dataset.reading import StudyReader
from llava.dataset.table import StudyTable
from llava.folder import save_model
from llava.generate.engine_transformers import TransformersEngine
from llava.generate.run import generate_reports
from llava.generate.settings import Decoding, make_settings
from llava.pixels import pixels
from llava.training.parallel import Parallel
from llava.validation import validate
from tests.llava.generate.made import Heard, make_films, rows, write_table

TOGETHER_S = 400  # on a busy machine; quiet, some 20
CONTROLS = ("shuffled_images", "blank_images", "no_prior_report")


@pytest.fixture(scope="module")
def built(language_model: Path) -> Built:
    return make_model(language_model)


def make_model(language_model: Path, end: int | None = None) -> Built:
    """end: the token that ends reports, in place of the tokenizer's, which a random model hardly ever writes."""
    made = build(
        EncoderSettings(name="rad_dino", weights="tiny", image_size_px=56),
        LanguageModelSettings(path=str(language_model)),
        ProjectorSettings(num_layers=2),
        "findings",
        seed=0,
    )
    with torch.no_grad():
        for parameter in (*made.model.model.language_model.parameters(), made.model.lm_head.weight):
            if parameter.ndim == 2:
                parameter.mul_(4)  # reports then differ between studies
        if end is not None:
            head, own = made.model.lm_head.weight, made.processor.end_token_id
            head[[own, end]] = head[[end, own]]
    return made


@pytest.fixture
def table(tmp_path: Path) -> Path:
    make_films(tmp_path)
    return write_table(tmp_path / "studies.jsonl", rows())


def settings(table: Path, *, output: Path | None = None, **validation: Any) -> TrainSettings:
    compute = {"precision": "float32", "device": "cpu", "token_budget": 1024} | validation.pop("compute", {})
    data = {"train": table, "validation": table, "workers": 0} | validation.pop("data", {})
    usual = {"metrics": "rouge_l", "max_new_tokens": 6, "studies": 0}
    return TrainSettings.model_validate(
        {
            "output": output or table.parent / "run",
            "encoder": {"name": "rad_dino", "weights": "tiny"},
            "language_model": {"path": "unused"},
            "data": data,
            "stages": [{"name": "tune", "train": ["projector"]}],
            "compute": compute,
            "validation": usual | validation,
        }
    )


def run(built: Built, told: TrainSettings, folder: Path) -> Any:
    return validate(built.model, built.processor, told, folder, Parallel(told.compute))


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_loss_is_the_mean_over_the_supervised_tokens_of_all_studies(built, table, tmp_path):
    found = run(built, settings(table, generate=False), tmp_path / "v")

    studies = StudyTable.open(table, cache=tmp_path / "cache", need_findings=True)
    reader = StudyReader(studies, built.processor, with_target=True)
    losses: list[float] = []
    for place in range(len(studies)):
        example = reader.read(place)
        assert isinstance(example, Example)
        ids_1T = torch.from_numpy(example.input_ids_T)[None]
        with torch.no_grad():
            films = pixels(example.images, built.processor.recipe, "cpu")
            logits_TV = built.model(input_ids=ids_1T, pixel_values=films, use_cache=False).logits[0]
        for position in np.flatnonzero(example.supervised_T):  # one study a row, one token at a time
            losses.append(functional.cross_entropy(logits_TV[position - 1], ids_1T[0, position]).item())
    assert found.loss == pytest.approx(np.mean(losses), rel=1e-5)
    assert found.scores == {}
    assert not (tmp_path / "v").exists()


@pytest.mark.parametrize("compute", [{"packing": False}, {"token_budget": 4096}], ids=["one a row", "wide rows"])
def test_rows_do_not_change_the_loss(built, table, tmp_path, compute):
    usual, other = (
        run(built, settings(table, generate=False, compute=one), tmp_path / "v").loss for one in ({}, compute)
    )
    assert other == pytest.approx(usual, rel=1e-5)


def test_the_model_and_chance_are_left_as_they_were(built, table, tmp_path):
    built.model.train()
    built.model.model.vision_tower.eval()
    modes = [part.training for part in built.model.modules()]
    before = {name: value.clone() for name, value in built.model.state_dict().items()}
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    drawing = built.model.lm_head.register_forward_hook(lambda *_: torch.rand(1) and None)
    try:
        run(built, settings(table, studies=3, controls=[], max_new_tokens=2), tmp_path / "v")
        assert torch.equal(torch.rand(3), expected)
        assert [part.training for part in built.model.modules()] == modes
    finally:
        drawing.remove()
        built.model.eval()
    assert all(torch.equal(value, before[name]) for name, value in built.model.state_dict().items())


def test_reports_are_those_of_generate_reports_and_scored_under_every_control(built, table, tmp_path):
    folder = tmp_path / "v"
    run(built, settings(table, controls=[]), folder)
    own = {row["study_id"]: row["prediction"] for row in read(folder / "predictions.jsonl")}
    write_table(table, [row | {"findings": f"Lungs. {own[row['study_id']]}"} for row in rows()])
    found = run(built, settings(table), folder)

    save_model(built.model, built.processor, tmp_path / "model", record={})
    for control in (None, *CONTROLS):
        output = tmp_path / f"{control}.jsonl"
        flags = {"checkpoint": tmp_path / "model", "studies": table, "output": output, "max_new_tokens": 6}
        screen = Heard()
        assert generate_reports(make_settings(flags | {"control": control, "workers": 0}), screen) == 0, screen.errors
        name = "predictions.jsonl" if control is None else f"predictions.{control}.jsonl"
        ours, theirs = read(folder / name), read(output)
        assert [row["prediction"] for row in ours] == [row["prediction"] for row in theirs]
        scores = json.loads((folder / "scores" / (control or "none") / "scores.json").read_text())
        [rouge] = [figure["point"] for figure in scores["figures"] if figure["name"] == "rouge_l"]
        assert found.scores[control or "none"] == {"rouge_l": rouge}
        assert scores["counts"]["scored"] == 12
    difference = found.scores["none"]["rouge_l"] - found.scores["shuffled_images"]["rouge_l"]
    assert difference > 0.05  # the references are what it wrote of the films as they are
    assert found.scores["none_minus_shuffled_images"] == {"rouge_l": pytest.approx(difference)}
    assert read(folder / "references.jsonl")[0]["findings"] == f"Lungs. {own['s00']}"


def test_a_scorer_that_fails_is_said_and_ends_nothing(built, table, tmp_path, caplog):
    stale = tmp_path / "v" / "scores" / "none" / "scores.json"  # of a validation that was killed later on
    stale.parent.mkdir(parents=True)
    stale.write_text('{"figures": [{"name": "rouge_l", "group": "headline", "point": 1.0}]}')
    found = run(built, settings(table, studies=3, controls=[], metrics="no_such_metric"), tmp_path / "v")
    assert math.isfinite(found.loss)
    assert found.scores == {}
    assert "no_such_metric not known" in (tmp_path / "v" / "scores.error.txt").read_text()
    assert "scores.error.txt says why" in caplog.text


def test_the_studies_are_always_the_same(built, table, tmp_path):
    for step in ("a", "b"):
        run(built, settings(table, studies=5, controls=[], max_new_tokens=2), tmp_path / step)
    ids = [[row["study_id"] for row in read(tmp_path / step / "references.jsonl")] for step in ("a", "b")]
    assert ids[0] == ids[1]
    assert len(ids[0]) == 5


def test_a_control_that_cannot_be_made_is_left_out(built, table, tmp_path):
    write_table(table, [row | {"patient_id": "one"} for row in rows()[:3]])
    found = run(built, settings(table, controls=["shuffled_images"], max_new_tokens=2), tmp_path / "v")
    assert list(found.scores) == ["none"]
    assert len(read(tmp_path / "v" / "references.jsonl")) == 3


def test_a_broken_film_is_left_out_everywhere_or_refused(built, table, tmp_path, caplog):
    (table.parent / "films" / "3_f.png").write_bytes(b"no picture")
    with pytest.raises(BadStudyError, match="study s03"):
        run(built, settings(table), tmp_path / "v")
    found = run(
        built,
        settings(table, data={"on_bad_study": "skip"}, controls=["shuffled_images"], max_new_tokens=2),
        tmp_path / "v",
    )
    assert math.isfinite(found.loss)
    assert "1 of 12 validation studies cannot be used, such as s03" in caplog.text
    scored = [row["study_id"] for row in read(tmp_path / "v" / "references.jsonl")]
    assert "s03" not in scored
    assert len(scored) == 10  # nor the study that was given its film


@pytest.mark.parametrize("kind", ["ddp", "fsdp2"])
def test_two_processes_measure_what_one_does(table, tmp_path, language_model, kind):
    # 5 studies, a row and a batch each: one process has 3 and the other 2, and their reports end at different tokens
    chosen = {"studies": 5, "controls": ["shuffled_images"]}
    small = {"token_budget": 64}
    end = some_token(make_model(language_model), table, tmp_path)
    told = settings(table, output=tmp_path / "one", compute=small, **chosen)
    alone = run(make_model(language_model, end), told, tmp_path / "one" / "v")
    reasons = {row["finish_reason"] for row in read(tmp_path / "one" / "v" / "predictions.jsonl")}
    assert reasons == {"stop", "length"}

    several = settings(table, output=tmp_path / "two", compute=small | {"parallel": kind}, **chosen)
    (tmp_path / "settings.json").write_text(several.model_dump_json())
    command = [sys.executable, "-m", "tests.llava.validate_apart", tmp_path / "settings.json", language_model, str(end)]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            command,
            env=os.environ | shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        told_by = [process.communicate(timeout=TOGETHER_S) for process in processes]
    finally:
        for process in processes:
            process.kill()  # processes that wait for each other would wait for ever
    assert [process.returncode for process in processes] == [0, 0], told_by
    found = [json.loads(out.splitlines()[-1]) for out, _ in told_by]
    assert found[0]["loss"] == found[1]["loss"] == pytest.approx(alone.loss, rel=1e-5)
    assert found[0]["scores"] == {name: pytest.approx(one) for name, one in alone.scores.items()}
    for name in ("predictions.jsonl", "references.jsonl"):
        assert read(tmp_path / "two" / "v" / name) == read(tmp_path / "one" / "v" / name)


def some_token(built: Built, table: Path, folder: Path) -> int:
    """One that some reports have before their last token and others have not."""
    studies = StudyTable.open(table, cache=folder / "cache", need_findings=False)
    reader = StudyReader(studies, built.processor, with_target=False)
    examples = [one for one in map(reader.read, range(len(studies))) if isinstance(one, Example)]
    answers = TransformersEngine(built.model, built.processor, device="cpu").generate(examples, Decoding(5))
    counts = Counter(token for answer in answers for token in set(answer.token_ids[:4]))
    return min(counts, key=lambda token: (abs(counts[token] - len(answers) / 2), token))
