"""Columns and figures from judgments, by hand."""

import math

import numpy as np
import pytest

from eval.figures import Group
from eval.radfact.judgments import Failure, Judged, Outcome, Phrase, SideJudgments, StudyJudgments, Verdict
from eval.radfact.score import (
    count_failures,
    failure_bounds,
    radfact_columns,
    radfact_figures,
    unsupported_marks,
)
from eval.radfact.wire import NO_EVIDENCE, UNKNOWN_EVIDENCE
from eval.report.marks import Mark
from tests.eval.radfact.invented import study

NAN = math.nan


def points(columns) -> dict[str, float]:
    return {figure.name.removeprefix("radfact_logical_"): figure.point() for figure in radfact_figures(columns)}


def test_columns_count_phrases_entailed_and_failed_on_each_side():
    columns = radfact_columns([study("a", "EENF", "EF"), study("b", "!", "EN"), study("c", "", "NNN")])
    expected = {
        "radfact_precision": [2 / 3, NAN, NAN],  # 2 of the 3 judged
        "radfact_recall": [1.0, 0.5, 0.0],
        "radfact_prediction_phrases": [4, NAN, 0],
        "radfact_prediction_entailed": [2, NAN, 0],
        "radfact_prediction_failed": [1, NAN, 0],
        "radfact_reference_phrases": [2, 2, 3],
        "radfact_reference_entailed": [1, 1, 0],
        "radfact_reference_failed": [1, 0, 0],
    }
    assert list(columns) == list(expected)
    for name, values in expected.items():
        assert columns[name].dtype == np.float64
        np.testing.assert_array_equal(columns[name], values, err_msg=name)


def test_f1_is_the_harmonic_mean_of_the_two_means_and_not_the_mean_of_f1s():
    # Precision 1 and 0.5, mean 3/4; recall 0.5 and 0, mean 1/4: 2 * 3/16 / 1 = 3/8. F1 of the studies: 2/3 and 0.
    columns = radfact_columns([study("a", "E", "EN"), study("b", "EN", "N")])
    assert points(columns) == pytest.approx({"f1": 3 / 8, "precision": 3 / 4, "recall": 1 / 4})


def test_each_mean_is_over_the_studies_where_it_is_defined():
    # Precision: only a (1/2). Recall: a (1) and b (0).
    columns = radfact_columns([study("a", "EN", "E"), study("b", "", "N")])
    assert points(columns) == pytest.approx({"f1": 1 / 2, "precision": 1 / 2, "recall": 1 / 2})


def test_nothing_entailed_is_zero_and_nothing_judged_is_undefined():
    assert points(radfact_columns([study("a", "N", "N")])) == {"f1": 0.0, "precision": 0.0, "recall": 0.0}
    nothing = points(radfact_columns([study("a", "", ""), study("b", "F", "")]))
    assert all(math.isnan(value) for value in nothing.values())
    half = points(radfact_columns([study("a", "E", "")]))
    assert half["precision"] == 1.0
    assert math.isnan(half["f1"])


def test_figures_work_on_whole_arrays_of_replicates():
    f1 = radfact_figures(radfact_columns([study("a", "E", "EN"), study("b", "EN", "N")]))[0]
    first, second = f1.sums_ND
    replicates = np.stack([2 * first, first + second, 2 * second])
    # Twice a: P 1, R 1/2. Twice b: P 1/2, R 0.
    np.testing.assert_allclose(f1.value(replicates), [2 / 3, 3 / 8, 0.0])


def test_f1_is_the_headline_and_its_parts_are_details():
    figures = radfact_figures(radfact_columns([study("a", "E", "E")]))
    assert [(figure.name, figure.label, figure.group) for figure in figures] == [
        ("radfact_logical_f1", "RadFact logical F1", Group.HEADLINE),
        ("radfact_logical_precision", "RadFact logical precision", Group.DETAIL),
        ("radfact_logical_recall", "RadFact logical recall", Group.DETAIL),
    ]
    assert {figure.metric for figure in figures} == {"radfact"}


def test_figures_need_nothing_but_the_two_score_columns():
    columns = radfact_columns([study("a", "EN", "E"), study("b", "E", "N")])
    scores = {name: columns[name] for name in ("radfact_precision", "radfact_recall")}
    assert points(scores) == points(columns)


def test_bounds_take_every_failure_as_wrong_and_as_right():
    # a: precision 1/4 to 2/4, recall 1. b: its prediction was not taken apart, precision 0 to 1; the reference's two
    # phrases could not be judged, recall 0 to 1.
    columns = radfact_columns([study("a", "ENNF", "E"), study("b", "!", "FF")])
    low, high = failure_bounds(columns)
    precision, recall = (1 / 4 + 0) / 2, (1 + 0) / 2
    assert low == pytest.approx(2 * precision * recall / (precision + recall))
    precision, recall = (2 / 4 + 1) / 2, (1 + 1) / 2
    assert high == pytest.approx(2 * precision * recall / (precision + recall))
    assert low < points(columns)["f1"] < high


def test_bounds_are_the_score_when_nothing_failed():
    columns = radfact_columns([study("a", "EN", "E"), study("b", "", "N")])
    assert failure_bounds(columns) == (points(columns)["f1"],) * 2


def test_failures_of_reports_and_of_judgments_are_counted_apart():
    # In b nothing could be asked: its phrases count as no failed judgments.
    counts = count_failures(radfact_columns([study("a", "EEF", "EF"), study("b", "!", "FF"), study("c", "", "E")]))
    assert counts == (6, 1, 6, 2)
    assert counts.report_rate == 1 / 6
    assert counts.judgment_rate == 2 / 6


def test_failure_rates_of_nothing_are_zero():
    counts = count_failures(radfact_columns([study("a", "", "")]))
    assert (counts.report_rate, counts.judgment_rate) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("prediction", "reference", "kind", "expected"),
    [
        ("EF", "E", NO_EVIDENCE, (0.5, 1.0)),  # kept as not entailed
        ("EF", "E", None, (0.5, 1.0)),
        ("EF", "E", UNKNOWN_EVIDENCE, (NAN, NAN)),  # costs the study
        ("E", "!", None, (NAN, NAN)),
        ("F", "", None, (0.0, NAN)),
        ("EN", "N", None, (0.5, 0.0)),
    ],
)
def test_compat_treats_failures_as_radfact_does(prediction, reference, kind, expected):
    columns = radfact_columns([study("a", prediction, reference, kind=kind)], compat="radfact")
    np.testing.assert_array_equal([columns["radfact_precision"][0], columns["radfact_recall"][0]], expected)


def test_compat_leaves_the_counts_as_they_are():
    studies = [study("a", "EFN", "EF", kind=UNKNOWN_EVIDENCE), study("b", "!", "F")]
    ours, theirs = radfact_columns(studies), radfact_columns(studies, compat="radfact")
    for name in list(ours)[2:]:
        np.testing.assert_array_equal(ours[name], theirs[name])
    assert count_failures(ours) == count_failures(theirs)


def test_no_studies_are_refused():
    with pytest.raises(ValueError, match="no studies to score"):
        radfact_columns([])


def test_a_mark_a_sentence_lists_its_phrases_that_are_not_entailed():
    def judged(text, sentence, start, end, outcome):
        failure = Failure("no valid answer", None) if outcome is Outcome.FAILED else None
        return Judged(Phrase(text, sentence, start, end), Verdict(outcome, failure=failure))

    prediction = SideJudgments(
        "",
        (
            judged("No effusion.", 1, 0, 30, Outcome.NOT_ENTAILED),
            judged("No edema.", 1, 0, 30, Outcome.ENTAILED),
            judged("No pneumothorax.", 1, 0, 30, Outcome.NOT_ENTAILED),
            judged("Normal heart.", 2, 31, 45, Outcome.FAILED),  # nobody knows: no mark
        ),
    )
    reference = SideJudgments("", (judged("Old rib fracture.", 1, 9, 26, Outcome.NOT_ENTAILED),))
    assert unsupported_marks(StudyJudgments("a", prediction, reference)) == [
        Mark("prediction", 0, 30, "unsupported", "No effusion. / No pneumothorax."),
        Mark("reference", 9, 26, "missed", "Old rib fracture."),
    ]
