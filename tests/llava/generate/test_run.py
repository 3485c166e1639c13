"""`generate-reports` from its settings to its files, on a real tiny model."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from eval.generated_by import generated_by
from llava.build import Built
from llava.commands import KEPT
from llava.folder import save_model
from llava.generate.run import EXIT_FAILURES, EXIT_OK, generate_reports
from llava.generate.settings import make_settings
from llava.generate.store import part_of
from llava.model_files import read_encoder_record
from llava.running import EXIT_MACHINE, EXIT_STOPPED, EXIT_USE, exit_code
from tests.llava.generate.made import Heard, rows, write_table


@pytest.fixture
def run(model_folder: Path, table: Path, tmp_path: Path, screen: Heard) -> Any:
    """Runs with these flags over the usual ones, and gives the exit code."""

    def ran(**flags: Any) -> int:
        usual = {
            "checkpoint": model_folder,
            "studies": table,
            "output": tmp_path / "out" / "predictions.jsonl",
            "batch_size": 5,
            "max_new_tokens": 8,
            "workers": 0,
        }
        return exit_code(screen, lambda: generate_reports(make_settings(usual | flags), screen), KEPT)

    return ran


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out" / "predictions.jsonl"


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_study_gets_its_report_in_the_tables_order(run, output, built, model_folder, screen, caplog):
    assert run() == EXIT_OK, screen.errors
    found = read(output)
    assert [row["study_id"] for row in found] == [row["study_id"] for row in rows()]
    assert [row["patient_id"] for row in found] == [row["patient_id"] for row in rows()]
    assert len({row["prediction"] for row in found}) > 6  # films differ, and so do reports
    assert all(row["tokens"] == 8 for row in found if row["finish_reason"] == "length")
    record = json.loads((output.parent / "predictions.run.json").read_text())
    assert record["counts"]["written"] == record["last_call"]["generated"] == 12
    assert record["prompt"]["id"] == built.processor.prompt.id
    assert read(output.parent / "predictions.failures.jsonl") == []
    assert "random weights" in caplog.text  # of a twin nobody may think that it sees
    assert "random weights" in record["encoder_note"]
    assert record["encoder"] == {"name": "rad_dino", "key": read_encoder_record(model_folder).fingerprint.key}
    made_by = generated_by(output)
    assert made_by is not None
    assert (made_by["run"], made_by["encoder"]) == (found[0]["run"], record["encoder"])
    assert any("cut them off" in said for said in screen.said)
    assert not any(row["prediction"] in said for row in found if row["prediction"] for said in screen.said)


def test_score_reports_reads_the_predictions_as_they_are(run, output, table, tmp_path):
    assert run() == EXIT_OK
    scored = subprocess.run(
        [sys.executable, "-m", "eval", "score", output, table, "-o", tmp_path / "scores", "--metrics", "rouge_l"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert scored.returncode == 0, scored.stderr
    scores = json.loads((tmp_path / "scores" / "scores.json").read_text())
    assert scores["counts"]["scored"] == 12
    assert scores["bootstrap"]["unit"] == "patient"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_goes_on_and_ends_as_an_unbroken_one(run, output, screen, tmp_path, number):
    assert run(output=tmp_path / "whole" / "p.jsonl") == EXIT_OK

    def stop(done: int) -> None:
        if done >= 10:
            signal.raise_signal(number)

    screen.on_progress = stop
    assert run() == EXIT_STOPPED
    assert screen.errors == ["stopped; what was generated is kept, the same command goes on from here"]
    assert not output.exists()
    assert len(read(part_of(output))) == 10
    screen.on_progress = lambda _: None

    assert run() == EXIT_OK
    assert output.read_bytes() == (tmp_path / "whole" / "p.jsonl").read_bytes()
    assert "10 reports are there already" in screen.said
    assert json.loads((output.parent / "predictions.run.json").read_text())["last_call"]["generated"] == 2


def test_a_finished_run_is_not_run_again(run, output, screen):
    assert run() == EXIT_OK
    before = output.stat().st_mtime_ns, output.read_bytes()
    screen.said.clear()
    assert run() == EXIT_OK
    assert output.read_bytes() == before[1]
    assert not any(said.startswith("generating") for said in screen.said)


def test_other_batches_and_reading_processes_write_the_same(run, output, tmp_path):
    assert run() == EXIT_OK
    assert run(output=tmp_path / "b" / "p.jsonl", batch_size=3) == EXIT_OK
    assert (tmp_path / "b" / "p.jsonl").read_bytes() == output.read_bytes()


@pytest.mark.parametrize(
    "flags",
    [
        {"max_new_tokens": 9},
        {"temperature": 1.0},
        {"control": "blank_images"},
        {"control": "shuffled_images"},
    ],
    ids=lambda flags: " ".join(map(str, next(iter(flags.items())))),
)
def test_another_setting_changes_reports_and_is_never_mixed_in(run, output, screen, tmp_path, flags):
    assert run() == EXIT_OK
    assert run(**flags) == EXIT_USE
    assert "holds reports of another run" in screen.errors[-1]

    assert run(output=tmp_path / "other" / "p.jsonl", **flags) == EXIT_OK
    ours, theirs = read(output), read(tmp_path / "other" / "p.jsonl")
    assert [row["prediction"] for row in ours] != [row["prediction"] for row in theirs]
    assert {row["run"] for row in ours} != {row["run"] for row in theirs}


def test_no_prior_report_changes_only_studies_that_have_one(run, output, tmp_path):
    assert run() == EXIT_OK
    assert run(output=tmp_path / "other" / "p.jsonl", control="no_prior_report") == EXIT_OK
    changed = [
        one["study_id"]
        for one, two in zip(read(output), read(tmp_path / "other" / "p.jsonl"), strict=True)
        if one["prediction"] != two["prediction"]
    ]
    assert changed
    assert set(changed) <= {row["study_id"] for row in rows() if "prior_report" in row}


def test_overwrite_begins_anew(run, output):
    assert run() == EXIT_OK
    before = read(output)
    assert run(max_new_tokens=3, overwrite=True) == EXIT_OK
    assert {row["tokens"] for row in read(output)} == {3}
    assert len(read(output)) == len(before)


def test_other_weights_are_another_run(run, built: Built, screen, tmp_path):
    assert run() == EXIT_OK
    layer = built.model.model.multi_modal_projector.layers[0]
    layer.bias.data.add_(1)
    try:
        save_model(built.model, built.processor, tmp_path / "trained", record={})
    finally:
        layer.bias.data.sub_(1)
    assert run(checkpoint=tmp_path / "trained") == EXIT_USE
    assert "holds reports of another run" in screen.errors[-1]


def test_a_changed_study_alone_is_generated_again(run, output, table, screen):
    assert run() == EXIT_OK
    before = read(output)
    told = rows()
    told[4]["indication"] = "Fever and a new line."
    write_table(table, told)
    assert run() == EXIT_OK
    assert "1 studies have changed since; they are generated again" in screen.said
    assert "11 reports are there already" in screen.said
    after = read(output)
    assert [place for place in range(12) if before[place] != after[place]] == [4]


def test_new_findings_are_no_change_of_a_study(run, table, screen):
    assert run() == EXIT_OK
    write_table(table, [row | {"findings": "Another text."} for row in rows()])
    assert run() == EXIT_OK
    assert "12 reports are there already" in screen.said


def test_a_broken_film_is_a_failure_with_its_reason_and_tried_again(run, output, table, screen):
    good = (table.parent / "films" / "3_f.png").read_bytes()
    (table.parent / "films" / "3_f.png").write_bytes(good[:50])

    assert run() == EXIT_FAILURES  # 1 of 12 is more than 1 %
    [failure] = read(output.parent / "predictions.failures.jsonl")
    assert (failure["study_id"], failure["error"]) == ("s03", "ImageError")
    assert len(read(output)) == 11
    assert "1 of 12 studies failed" in screen.errors[-1]

    assert run(max_failures=0.1) == EXIT_OK
    assert run(on_bad_study="error") == EXIT_USE
    assert "study s03" in screen.errors[-1]

    (table.parent / "films" / "3_f.png").write_bytes(good)
    assert run() == EXIT_OK
    assert len(read(output)) == 12
    assert read(output.parent / "predictions.failures.jsonl") == []


def test_the_first_studies_alone_and_then_the_others(run, output, screen):
    assert run(limit=4) == EXIT_OK
    assert [row["study_id"] for row in read(output)] == ["s00", "s01", "s02", "s03"]
    assert run() == EXIT_OK
    assert "4 reports are there already" in screen.said
    assert len(read(output)) == 12
    assert run(limit=4) == EXIT_USE
    assert len(read(output)) == 12


def test_a_run_that_the_machine_ends_keeps_what_is_done(run, output, screen):
    def full(done: int) -> None:
        if done >= 5:
            raise OSError(28, "No space left on device")

    screen.on_progress = full
    assert run() == EXIT_MACHINE
    assert "No space left on device; what was generated is kept" in screen.errors[-1]
    assert len(read(part_of(output))) == 5


def test_a_checkpoint_or_table_that_is_none_is_said(run, screen, tmp_path):
    assert run(checkpoint=tmp_path) == EXIT_USE
    assert "no model at" in screen.errors[-1]
    assert run(studies=tmp_path / "none.jsonl") == EXIT_USE
    assert "does not exist" in screen.errors[-1]


def test_vllm_that_is_not_there_is_said(run, screen, monkeypatch):
    monkeypatch.setitem(sys.modules, "vllm", None)
    assert run(engine="vllm") == EXIT_USE
    assert "needs the vllm package" in screen.errors[-1]


def test_an_output_that_is_no_jsonl_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"must be a file that ends in \.jsonl"):
        make_settings({"checkpoint": tmp_path, "studies": tmp_path, "output": tmp_path / "p.csv"})


def test_the_table_itself_is_no_output(table, tmp_path):
    with pytest.raises(ValueError, match="is the table of studies, which it would replace"):
        make_settings({"checkpoint": tmp_path, "studies": table, "output": table, "overwrite": True})


def test_a_folder_is_no_output(tmp_path):
    (tmp_path / "p.jsonl").mkdir()
    with pytest.raises(ValueError, match=r"p\.jsonl is a folder"):
        make_settings({"checkpoint": tmp_path, "studies": tmp_path / "s.jsonl", "output": tmp_path / "p.jsonl"})


@pytest.mark.parametrize(("flag", "value"), [("gpu_memory", 0.5), ("parity_studies", 5)])
def test_a_flag_of_the_other_engine_is_refused(tmp_path, flag, value):
    told = {"checkpoint": tmp_path, "studies": tmp_path / "s.jsonl", "output": tmp_path / "p.jsonl", flag: value}
    with pytest.raises(ValueError, match=r"would do nothing: only --engine vllm reads it"):
        make_settings(told)
    assert getattr(make_settings(told | {"engine": "vllm"}), flag) == value


def test_columns_that_are_not_read_are_told(run, table, caplog):
    table.write_text(table.read_text().replace('"findings"', '"finding_text"'))
    assert run() == EXIT_OK
    assert "columns that are not read: finding_text" in caplog.text


def test_a_model_folder_without_a_file_of_its_tokenizer_is_refused(run, model_folder, screen, tmp_path):
    for name in ("tokenizer.json", "tokenizer_config.json"):
        copied = tmp_path / name
        shutil.copytree(model_folder, copied)
        (copied / name).unlink()
        assert run(checkpoint=copied) == EXIT_USE
        assert "\n" not in screen.errors[-1]
        assert "tokenizer" in screen.errors[-1]
