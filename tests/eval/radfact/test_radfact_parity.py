"""The same numbers as RadFact where it is right to agree, on its own examples and on invented ones.

RadFact 1.0.0 (commit 72463ac) was run unmodified against a server that answers by the rule of `judge_stub.py`; what it
gave for `invented_pairs.csv` is frozen here.
"""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest

from eval.radfact.calibrate import read_labelled
from eval.radfact.judgments import (
    Judged,
    Outcome,
    Phrase,
    ReportPair,
    SideJudgments,
    StudyJudgments,
    Verdict,
)
from eval.radfact.score import count_failures, radfact_columns, radfact_figures
from tests.eval.radfact.invented import judge_all

HERE = Path(__file__).parent
DATA = HERE.parents[2].parent / "shared" / "data" / "radfact"
NAN = math.nan

# study -> (precision, recall, phrases of the prediction, of the reference); None: left out
MEASURED = {
    "clear": (2 / 3, 0.5, 3, 4),
    "same": (1.0, 1.0, 2, 2),
    "opposite": (0.0, 0.0, 2, 2),
    "side": (1.0, 2 / 3, 2, 3),
    "repeated": (0.75, 0.5, 4, 2),
    "long": (2 / 3, 4 / 7, 6, 7),
    "no_prediction": (NAN, 0.0, 0, 2),
    "no_reference": (0.0, NAN, 2, 0),
    "nothing": (NAN, NAN, 0, 0),
    "quality_only": (NAN, 0.0, 0, 1),
    "quality_both": (NAN, NAN, 0, 0),
    "half_quality": (1.0, 0.5, 1, 2),
    "broken_split": None,
    "broken_reference": None,
    "broken_answer": (0.5, 1.0, 2, 2),
    "no_evidence": (0.5, 0.5, 2, 2),
    "other_evidence": None,
    "rewritten": (1.0, 1.0, 2, 2),
}
MEASURED_PRECISION, MEASURED_RECALL, MEASURED_F1 = 0.6439393939393939, 0.5198412698412699, 0.575273816904319


def read_pairs(path: Path, *columns: str) -> list[ReportPair]:
    with path.open(encoding="utf-8", newline="") as file:
        return [ReportPair(*(row[column] for column in columns)) for row in csv.DictReader(file)]


def figures(columns: dict) -> dict[str, float]:
    return {figure.name: figure.point() for figure in radfact_figures(columns)}


@pytest.fixture(scope="module")
def invented(tmp_path_factory: pytest.TempPathFactory) -> list[StudyJudgments]:
    pairs = read_pairs(HERE / "invented_pairs.csv", "study_id", "prediction", "reference")
    return judge_all(pairs, tmp_path_factory.mktemp("invented"))


def test_compat_gives_what_radfact_measured_for_each_study(invented):
    columns = radfact_columns(invented, compat="radfact")
    names = ("precision", "recall", "prediction_phrases", "reference_phrases")
    rows = np.column_stack([columns[f"radfact_{name}"] for name in names])
    for study, row in zip(invented, rows, strict=True):
        measured = MEASURED[study.study_id]
        if measured is None:
            assert np.isnan(row[:2]).all(), study.study_id
        else:
            np.testing.assert_allclose(row, measured, rtol=1e-15, err_msg=study.study_id)


def test_compat_gives_the_aggregate_that_radfact_measured(invented):
    got = figures(radfact_columns(invented, compat="radfact"))
    assert got["radfact_logical_precision"] == pytest.approx(MEASURED_PRECISION, abs=1e-15)
    assert got["radfact_logical_recall"] == pytest.approx(MEASURED_RECALL, abs=1e-15)
    assert got["radfact_logical_f1"] == pytest.approx(MEASURED_F1, abs=1e-15)


def test_without_compat_failures_leave_the_scores_instead_of_counting_as_wrong(invented):
    columns = radfact_columns(invented)
    at = [study.study_id for study in invented].index
    # Of two phrases one failed, the other is entailed: 1/1, not 1/2.
    assert columns["radfact_precision"][at("broken_answer")] == 1.0
    assert columns["radfact_precision"][at("no_evidence")] == 1.0
    # "Azygos lobe WRONGEV." failed, the rest of the study still counts.
    assert columns["radfact_precision"][at("other_evidence")] == 1.0
    assert columns["radfact_recall"][at("other_evidence")] == 0.5
    assert np.isnan(columns["radfact_recall"][at("broken_split")])
    counts = count_failures(columns)
    assert counts[:2] == (36, 2)  # two reports of 18 studies
    # RadFact asked 63 times in the 16 studies that were taken apart; two answers were no use to it and one cost it the
    # study. Here five of the 63 are decided without asking, where the other report has no phrases.
    assert counts[2:] == (63, 3)


def radfacts_pairs(name: str) -> list[ReportPair]:
    if not (DATA / name).is_file():
        pytest.skip(f"{name} is not there: RadFact's examples are not part of this repository")
    return read_pairs(DATA / name, "example_id", "prediction", "target")


def test_radfacts_findings_examples_give_its_numbers(tmp_path):
    columns = radfact_columns(judge_all(radfacts_pairs("findings_generation_examples.csv"), tmp_path), compat="radfact")
    assert columns["radfact_prediction_phrases"].sum() + columns["radfact_reference_phrases"].sum() == 266
    # RadFact, given the report as it is, was made to judge a phrase more: the reference of example 7 holds a lone full
    # stop, which is no sentence here. It is not entailed.
    columns["radfact_reference_phrases"][7] += 1
    columns["radfact_recall"][7] = columns["radfact_reference_entailed"][7] / columns["radfact_reference_phrases"][7]
    got = figures(columns)
    assert got["radfact_logical_precision"] == pytest.approx(0.5895995670995671, abs=1e-12)
    assert got["radfact_logical_recall"] == pytest.approx(0.5601154401154401, abs=1e-12)
    assert got["radfact_logical_f1"] == pytest.approx(0.5744794474202917, abs=1e-12)


def test_edge_cases_give_radfacts_numbers(tmp_path):
    got = figures(radfact_columns(judge_all(radfacts_pairs("edge_cases_made_here.csv"), tmp_path), compat="radfact"))
    # RadFact left out the broken report and the invented evidence: precision 2.5 of 6, recall 3.5 of 7.
    assert got["radfact_logical_precision"] == pytest.approx(2.5 / 6, abs=1e-12)
    assert got["radfact_logical_recall"] == pytest.approx(3.5 / 7, abs=1e-12)
    assert got["radfact_logical_f1"] == pytest.approx(0.45454545454545453, abs=1e-12)


@pytest.fixture(scope="module")
def gold() -> tuple[list[StudyJudgments], dict]:
    """RadFact's human labels as judgments: report A is the prediction, B the reference."""
    if not (DATA / "test_examples.json").is_file():
        pytest.skip("RadFact's labelled examples are not part of this repository, and not beside it")
    labelled = read_labelled(DATA / "test_examples.json")
    examples = json.loads((DATA / "test_examples.json").read_text(encoding="utf-8"))
    statements = iter(labelled)

    def side(num_phrases: int) -> SideJudgments:
        outcomes = [Outcome.ENTAILED if next(statements).entailed else Outcome.NOT_ENTAILED for _ in range(num_phrases)]
        return SideJudgments("", tuple(Judged(Phrase("", 1, 0, 0), Verdict(outcome)) for outcome in outcomes))

    studies = [
        StudyJudgments(one["example_id"], side(len(one["input"]["phrases_A"])), side(len(one["input"]["phrases_B"])))
        for one in examples
    ]
    assert next(statements, None) is None
    return studies, json.loads((DATA / "radfact_gold_oracle.json").read_text(encoding="utf-8"))


def test_human_labels_give_radfacts_own_scores(gold):
    studies, oracle = gold
    got = figures(radfact_columns(studies))
    for name in ("precision", "recall", "f1"):
        assert got[f"radfact_logical_{name}"] == pytest.approx(oracle["aggregate"][f"logical_{name}"], abs=1e-12)


def test_resampling_the_figures_as_radfact_resamples_studies_gives_its_intervals(gold):
    studies, oracle = gold
    rng = np.random.default_rng(42)
    resamples = [rng.choice(len(studies), size=len(studies), replace=True) for _ in range(500)]
    for figure in radfact_figures(radfact_columns(studies)):
        values = [figure.value(figure.sums_ND[indices].sum(axis=0)) for indices in resamples]
        prefix = "" if figure.name.endswith("f1") else figure.name.removeprefix("radfact_") + "/"
        low, median, high = np.quantile(values, [0.025, 0.5, 0.975])
        for name, got in (("p2.5th", low), ("median", median), ("p97.5th", high), ("mean", np.mean(values))):
            assert got == pytest.approx(oracle["bootstrap"][prefix + name], abs=1e-12), (figure.name, name)
