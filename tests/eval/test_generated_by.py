"""Reports of one model at a time: what `generate-reports` wrote is known by its run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from eval.generated_by import generated_by
from studies.tables import InputError
from tests.eval.commands import read_scores, score, write_rows

RECORD: dict[str, Any] = {
    "run": "aa",
    "weights_sha256": "w",
    "encoder": "e",
    "prompt": {"id": "findings.v1"},
    "settings": {"control": "blank_images"},
}


def predictions(folder: Path, *runs: str) -> Path:
    rows = [
        {"study_id": f"s{place}", "prediction": "Clear.", "run": run, "study_key": "k"}
        for place, run in enumerate(runs)
    ]
    return write_rows(folder / "predictions.jsonl", rows)


def test_what_the_record_says_of_the_model_is_kept(tmp_path):
    file = predictions(tmp_path, "aa", "aa")
    assert generated_by(file) == {"run": "aa"}
    (tmp_path / "predictions.run.json").write_text(json.dumps(RECORD))
    found = generated_by(file)
    assert found is not None
    assert (found["run"], found["weights_sha256"], found["encoder"]) == ("aa", "w", "e")
    assert found["control"] == "blank_images"


def test_reports_of_two_models_are_not_scored_together(tmp_path):
    with pytest.raises(InputError, match=r"reports of 2 runs .*2 of run aa, 1 of run bb"):
        generated_by(predictions(tmp_path, "aa", "bb", "aa"))


def test_a_record_of_another_run_is_refused(tmp_path):
    file = predictions(tmp_path, "bb")
    (tmp_path / "predictions.run.json").write_text(json.dumps(RECORD))
    with pytest.raises(InputError, match=r"tells of run aa, and the reports beside it are of run bb"):
        generated_by(file)
    (tmp_path / "predictions.run.json").write_text("{")
    with pytest.raises(InputError, match="damaged"):
        generated_by(file)


def test_predictions_from_elsewhere_may_have_a_column_named_run(tmp_path):
    rows = [
        {"study_id": "a", "prediction": "Clear.", "run": "1"},
        {"study_id": "b", "prediction": "Clear.", "run": "2"},
    ]
    assert generated_by(write_rows(tmp_path / "p.jsonl", rows)) is None


def test_the_command_refuses_them_and_notes_the_model(tmp_path):
    references = write_rows(
        tmp_path / "references.jsonl",
        [{"study_id": f"s{place}", "patient_id": f"p{place}", "findings": "Clear."} for place in range(2)],
    )
    options = ("-o", tmp_path / "scores", "--metrics", "rouge_l")
    done = score(predictions(tmp_path, "aa", "bb"), references, *options)
    assert done.exit_code == 2
    assert "reports of 2 runs" in done.stderr
    assert not (tmp_path / "scores").exists()
    assert score(predictions(tmp_path, "aa", "aa"), references, *options).exit_code == 0
    assert read_scores(tmp_path / "scores")["generated_by"] == {"run": "aa"}
