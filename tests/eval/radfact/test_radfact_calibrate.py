"""The judge against people: figures by hand and from scikit-learn, intervals over pairs, and both file formats."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from eval.radfact.calibrate import Labelled, calibrate, read_labelled
from eval.radfact.judgments import Outcome, Verdict
from eval.radfact.wire import Statement

DATA = Path(__file__).parents[3].parent / "shared" / "data" / "radfact"
ENTAILED, NOT, FAILED = Verdict(Outcome.ENTAILED, (1,)), Verdict(Outcome.NOT_ENTAILED), Verdict(Outcome.FAILED)


def case(*rows: tuple[str, bool, Verdict]) -> tuple[list[Labelled], dict[Statement, Verdict]]:
    """(pair, what people say, what the judge says) of each statement."""
    statements = [Statement(f"phrase {number}", ("reference",)) for number in range(len(rows))]
    labelled = [
        Labelled(pair, statement, people) for (pair, people, _), statement in zip(rows, statements, strict=True)
    ]
    return labelled, {statement: judge for (_, _, judge), statement in zip(rows, statements, strict=True)}


def table(tp: int, fn: int, tn: int, fp: int) -> tuple[list[Labelled], dict[Statement, Verdict]]:
    """Each statement a pair of its own."""
    kinds = [(True, ENTAILED)] * tp + [(True, NOT)] * fn + [(False, NOT)] * tn + [(False, ENTAILED)] * fp
    return case(*((f"p{number}", *kind) for number, kind in enumerate(kinds)))


def test_figures_by_hand():
    # Cohen 1960's kind of table: 20 + 15 of 50 agree, p_o = .7; p_e = (25 * 30 + 25 * 20) / 50^2 = .5; kappa = .4.
    got = calibrate(*table(tp=20, fn=5, tn=15, fp=10), seed=0, num_resamples=10)
    assert (got.true_positives, got.false_negatives, got.true_negatives, got.false_positives) == (20, 5, 15, 10)
    assert got.agreement.point == pytest.approx(0.7)
    assert got.kappa.point == pytest.approx(0.4)
    assert got.sensitivity.point == pytest.approx(20 / 25)
    assert got.specificity.point == pytest.approx(15 / 25)
    assert (got.num_pairs, got.num_statements, got.num_failed, got.failure_rate) == (50, 50, 0, 0.0)


def test_figures_agree_with_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(1)
    people = rng.random(200) < 0.3
    judge = people ^ (rng.random(200) < 0.2)
    rows = [(f"p{i // 4}", bool(p), ENTAILED if j else NOT) for i, (p, j) in enumerate(zip(people, judge, strict=True))]
    got = calibrate(*case(*rows), seed=0, num_resamples=10)
    assert got.kappa.point == pytest.approx(metrics.cohen_kappa_score(people, judge), abs=1e-12)
    assert got.agreement.point == pytest.approx(metrics.accuracy_score(people, judge), abs=1e-12)
    assert got.sensitivity.point == pytest.approx(metrics.recall_score(people, judge), abs=1e-12)
    assert got.specificity.point == pytest.approx(metrics.recall_score(~people, ~judge), abs=1e-12)
    assert got.num_pairs == 50


def test_failures_leave_all_figures_but_their_own():
    labelled, verdicts = case(("a", True, ENTAILED), ("a", False, NOT), ("b", True, FAILED), ("b", False, FAILED))
    got = calibrate(labelled, verdicts, seed=0)
    assert (got.agreement.point, got.kappa.point) == (1.0, 1.0)
    assert (got.num_failed, got.failure_rate) == (2, 0.5)


def test_a_judge_that_always_says_the_same_has_kappa_zero():
    assert calibrate(*table(tp=30, fn=0, tn=0, fp=10), seed=0).kappa.point == 0.0


def test_the_interval_of_agreement_is_that_of_a_share():
    # 400 pairs of one statement, agreement .8: 1.96 * sqrt(.8 * .2 / 400) = .039 to both sides.
    got = calibrate(*table(tp=200, fn=50, tn=120, fp=30), seed=0)
    assert got.agreement.low == pytest.approx(0.8 - 0.039, abs=0.006)
    assert got.agreement.high == pytest.approx(0.8 + 0.039, abs=0.006)


def test_the_interval_is_wider_when_statements_of_a_pair_agree():
    # 20 statements a pair, all of a pair judged alike: as wide as from 20 pairs, sqrt(20) = 4.5 times the other.
    alone = calibrate(*table(tp=150, fn=50, tn=150, fp=50), seed=0)
    kinds = [(True, ENTAILED)] * 150 + [(True, NOT)] * 50 + [(False, NOT)] * 150 + [(False, ENTAILED)] * 50
    grouped = calibrate(*case(*((f"p{i // 20}", *kind) for i, kind in enumerate(kinds))), seed=0)
    ratio = (grouped.agreement.high - grouped.agreement.low) / (alone.agreement.high - alone.agreement.low)
    assert ratio == pytest.approx(math.sqrt(20), rel=0.2)


def test_the_interval_is_the_same_for_the_same_seed_and_another_for_another():
    data = table(tp=20, fn=5, tn=15, fp=10)
    assert calibrate(*data, seed=3) == calibrate(*data, seed=3)
    assert calibrate(*data, seed=3).kappa != calibrate(*data, seed=4).kappa


def test_resamples_without_one_kind_are_counted_and_left_out():
    # 2 of 3 pairs are entailed, the judge is right. Of 27 resamples one has none entailed, 8 have nothing else.
    got = calibrate(*table(tp=2, fn=0, tn=1, fp=0), seed=0, num_resamples=4000)
    assert got.kappa.degenerate_share == pytest.approx(9 / 27, abs=0.03)
    assert (got.kappa.low, got.kappa.high) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (([], {}), "no labelled statements"),
        (table(3, 2, 0, 0), "5 of the statements judged are entailed for people and 0 are not"),
        (table(0, 0, 3, 2), "0 of the statements judged are entailed for people and 5 are not"),
        (case(("a", True, FAILED), ("a", False, FAILED)), "0 of the statements judged are entailed"),
        ((table(1, 1, 1, 1)[0], {}), "4 of 4 labelled statements have no verdict"),
    ],
)
def test_what_tells_nothing_is_refused(data, message):
    with pytest.raises(ValueError, match=message):
        calibrate(*data, seed=0)


def test_no_resamples_are_refused():
    with pytest.raises(ValueError, match="replicates 0 is below 1"):
        calibrate(*table(1, 1, 1, 1), seed=0, num_resamples=0)


def test_json_lines_are_read(tmp_path):
    rows = [
        {"pair_id": "a", "hypothesis": "No\u2028edema.", "reference": ["Clear."], "label": "entailment"},
        {"pair_id": "a", "hypothesis": "No effusion.", "reference": ["Clear."], "label": "neutral", "rater": 2},
        {"pair_id": "b", "hypothesis": "Edema.", "reference": [], "label": "contradiction"},
        {"pair_id": "b", "hypothesis": "Edema.", "reference": ["x", "y"], "label": "not_entailment"},
    ]
    path = tmp_path / "pairs.jsonl"
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n\n", "utf-8")
    assert read_labelled(path) == [
        Labelled("a", Statement("No\u2028edema.", ("Clear.",)), True),
        Labelled("a", Statement("No effusion.", ("Clear.",)), False),
        Labelled("b", Statement("Edema.", ()), False),
        Labelled("b", Statement("Edema.", ("x", "y")), False),
    ]


def test_radfacts_format_is_read_in_both_directions(tmp_path):
    example = {
        "example_id": "e1",
        "input": {"phrases_A": ["No edema."], "phrases_B": ["Clear lungs.", "Old fracture."]},
        "output": {
            "phrases_A_evidenced": [{"phrase": "No edema.", "status": "entailment", "evidence": ["Clear lungs."]}],
            "phrases_B_evidenced": [
                {"phrase": "Clear lungs.", "status": "neutral", "evidence": []},
                {"phrase": "Old fracture.", "status": "contradiction", "evidence": ["No edema."]},
            ],
        },
    }
    path = tmp_path / "examples.json"
    path.write_text(json.dumps([example]), "utf-8")
    assert read_labelled(path) == [
        Labelled("e1", Statement("No edema.", ("Clear lungs.", "Old fracture.")), True),
        Labelled("e1", Statement("Clear lungs.", ("No edema.",)), False),
        Labelled("e1", Statement("Old fracture.", ("No edema.",)), False),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"pair_id": "a"}', "line 1: hypothesis: Field required"),
        ('\n{"pair_id": "a", "hypothesis": "x", "reference": ["y"], "label": "yes"}', "line 2: label: "),
        ("pair_id,hypothesis", "line 1: row: Invalid JSON"),
        ('[{"example_id": "a"}]', "0.input: Field required"),
        ("[{", "row: Invalid JSON"),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path, text, message):
    path = tmp_path / "labels"
    path.write_text(text, "utf-8")
    with pytest.raises(ValueError, match=message):
        read_labelled(path)


def test_radfacts_labelled_examples_are_read():
    path = DATA / "test_examples.json"
    if not path.is_file():
        pytest.skip("RadFact's labelled examples are not part of this repository, and not beside it")
    labelled = read_labelled(path)
    assert len(labelled) == 249
    assert len({one.pair_id for one in labelled}) == 34
