"""Scores derived by hand."""

import math

import pytest

from labeling.accuracy import device_accuracy, finding_accuracy, match_instances
from labeling.intervals import percentile_interval, wilson_interval


def tube(type_="chest_tube", side="right", *, status="in_place", tip="upper", placement="correct"):
    return {
        "type_categorical": type_,
        "side_categorical": side,
        "tip_location": tip,
        "status": status,
        "placement": placement,
    }


def report(number, *entries):
    return {"report_id": f"r{number}", "lines_and_tubes": list(entries)}


def score(gold, rows, **options):
    return device_accuracy(gold, rows, **{"seed": 1, "bootstrap_samples": 50} | options)


def findings(number, **labels):
    return {"report_id": f"r{number}", "finding_labels": labels}


def test_equal_sides_are_paired_before_order():
    left, right = tube(side="left"), tube(side="right")
    pairs = match_instances([left, right], [tube(side="right"), tube(side="left")])
    assert [(m.gold["side_categorical"], m.predicted["side_categorical"]) for m in pairs] == [
        ("left", "left"),
        ("right", "right"),
    ]


def test_an_unspecified_side_is_paired_before_a_wrong_one():
    pairs = match_instances([tube(side="right")], [tube(side="left"), tube(side="unspecified")])
    assert pairs[0].predicted["side_categorical"] == "unspecified"
    assert (pairs[1].gold, pairs[1].predicted["side_categorical"]) == (None, "left")


def test_a_wrong_side_is_one_error_of_side_and_still_found():
    result = score([report(1, tube(side="right"))], [report(1, tube(side="left"))])
    assert (result.overall.found, result.overall.spurious, result.overall.missed) == (1, 0, 0)
    assert (result.side.right, result.side.of) == (0, 1)
    assert [difference.kind for difference in result.differences] == ["side"]


def test_two_tubes_of_one_side_are_two_instances():
    result = score([report(1, tube(tip="upper"), tube(tip="lower"))], [report(1, tube(tip="upper"))])
    assert (result.overall.found, result.overall.missed) == (1, 1)


def test_equal_entries_are_each_paired_once():
    twin = tube()
    assert len(match_instances([twin, twin], [twin, twin, twin])) == 3


def test_a_tube_said_to_be_in_place_when_removed_is_not_found():
    gold = [report(1, tube(status="removed", tip="N/A", placement="N/A"), tube("picc", tip="mid_svc"))]
    rows = [report(1, tube(), tube("picc", tip="mid_svc"))]
    result = score(gold, rows)
    assert (result.overall.found, result.overall.spurious, result.overall.missed) == (1, 1, 1)
    assert (result.status.right, result.status.of) == (1, 2)
    assert [difference.kind for difference in result.differences] == ["status"]


def test_precision_recall_and_f1_are_those_worked_out_by_hand():
    # 3 found (2 chest tubes, 1 PICC), 1 spurious PICC, 2 missed chest tubes.
    gold = [report(1, tube(), tube()), report(2, tube(), tube("picc")), report(3, tube(side="left"))]
    rows = [report(1, tube()), report(2, tube(), tube("picc"), tube("picc")), report(3)]
    result = score(gold, rows)
    assert result.overall.precision == pytest.approx(3 / 4)
    assert result.overall.recall == pytest.approx(3 / 5)
    assert result.overall.f1 == pytest.approx(2 * 3 / (2 * 3 + 1 + 2))
    assert result.by_type["chest_tube"].f1 == pytest.approx(4 / 6)
    assert result.by_type["picc"].f1 == pytest.approx(2 / 3)


def test_tip_and_placement_are_shares_of_what_was_found():
    gold = [report(1, tube(), tube("picc", tip="mid_svc"), tube("picc", side="left"))]
    rows = [report(1, tube(tip="lower"), tube("picc", tip="mid_svc", placement="unclear"))]
    result = score(gold, rows)
    assert (result.tip.right, result.tip.of) == (1, 2)
    assert (result.placement.right, result.placement.of) == (1, 2)


def test_a_malposition_of_a_missed_tube_is_missed():
    gold = [report(1, tube(placement="incorrect"), tube("picc", placement="incorrect"), tube("picc", side="left"))]
    rows = [report(1, tube(placement="incorrect"), tube("picc", side="left", placement="incorrect"))]
    result = score(gold, rows)
    assert result.incorrect_placement[:3] == (1, 1, 1)


def test_what_is_in_neither_set_has_no_score_rather_than_zero():
    result = score([report(1)], [report(1)])
    assert (result.overall.f1, result.overall.f1_interval, result.side.value) == (None, None, None)


def test_ids_on_one_side_only_are_refused_and_listed():
    with pytest.raises(ValueError, match=r"2 gold reports have no labels: r2, r3"):
        score([report(1), report(2), report(3)], [report(1)])
    with pytest.raises(ValueError, match=r"1 labelled reports are not in the gold set: r9"):
        score([report(1)], [report(1), report(9)])


def test_an_empty_set_is_refused():
    with pytest.raises(ValueError, match="gold set is empty"):
        score([], [report(1)])
    with pytest.raises(ValueError, match="labels is empty"):
        score([report(1)], [])


def test_an_id_that_stands_twice_is_refused():
    with pytest.raises(ValueError, match="more than once in the labels: r1"):
        score([report(1)], [report(1), report(1)])


def test_rows_of_a_run_that_did_not_ask_for_devices_are_refused():
    with pytest.raises(ValueError, match="rows of the labels lack lines_and_tubes: r1"):
        score([report(1)], [findings(1)])


def test_an_unknown_type_is_refused():
    with pytest.raises(ValueError, match="'stent' is not one of chest_tube"):
        score([report(1, tube("stent"))], [report(1)])


def test_the_same_seed_gives_the_same_interval_and_another_seed_another():
    gold = [report(n, tube()) for n in range(12)]
    rows = [report(n, *([tube()] if n % 3 else [])) for n in range(12)]
    interval = score(gold, rows).overall.f1_interval
    assert score(gold, rows).overall.f1_interval == interval
    assert score(gold, rows, seed=2).overall.f1_interval != interval


def test_interval_is_wider_when_tubes_of_a_report_fail_together():
    # 40 tubes, half of them found. Alone in 40 reports their recall has se = sqrt(.25/40) = .079; in 10 reports of 4
    # with one fate se = sqrt(.25/10) = .158; F1 = 2r/(1+r) stretches both alike:
    # the interval is about twice as wide.
    def width(reports, per_report):
        gold = [report(n, *[tube()] * per_report) for n in range(reports)]
        rows = [report(n, *([tube()] * per_report if n % 2 else [])) for n in range(reports)]
        interval = score(gold, rows, bootstrap_samples=1000).overall.f1_interval
        return interval.high - interval.low

    assert width(10, 4) / width(40, 1) == pytest.approx(2.0, rel=0.15)


def test_wilson_interval_is_the_published_one():
    # 8 of 10: centre (0.8 + 3.8415/20) / 1.38415 = 0.71674,
    # half-width 1.95996/1.38415 * sqrt(.016 + 3.8415/400) = 0.22658
    interval = wilson_interval(8, 10)
    assert interval.low == pytest.approx(0.49016, abs=1e-5)
    assert interval.high == pytest.approx(0.94332, abs=1e-5)


def test_wilson_interval_of_all_right_ends_at_one_and_starts_at_n_over_n_plus_z2():
    assert wilson_interval(10, 10) == pytest.approx((10 / (10 + 1.959964**2), 1.0), abs=1e-6)


def test_no_proportion_has_no_wilson_interval():
    with pytest.raises(ValueError, match="0 of 0"):
        wilson_interval(0, 0)


def test_percentiles_are_interpolated():
    # 0, 1, ..., 10: the 2.5th percentile stands at place 0.25, the 97.5th at 9.75.
    low, high = percentile_interval([float(n) for n in range(11)])
    assert (low, high) == pytest.approx((0.25, 9.75))


@pytest.mark.parametrize(
    ("policy", "expected"),
    # gold p u n u, answers u u p n: found, spurious, missed
    [("positive", (2, 1, 1)), ("negative", (0, 1, 1)), ("ignore", (0, 1, 1))],
)
def test_uncertain_labels_count_as_the_policy_says(policy, expected):
    said, answered = (
        ["positive", "uncertain", "negative", "uncertain"],
        ["uncertain", "uncertain", "positive", "negative"],
    )
    gold = [findings(n, pulmonary_edema=label) for n, label in enumerate(said)]
    rows = [findings(n, pulmonary_edema=label) for n, label in enumerate(answered)]
    result = finding_accuracy(gold, rows, uncertain=policy, seed=1, bootstrap_samples=10)
    assert result.by_finding["pulmonary_edema"][:3] == expected


def test_ignored_gold_labels_are_left_out_even_when_the_answer_is_positive():
    gold, rows = [findings(1, hernia="uncertain")], [findings(1, hernia="positive")]
    ignored = finding_accuracy(gold, rows, uncertain="ignore", seed=1)
    as_negative = finding_accuracy(gold, rows, uncertain="negative", seed=1)
    assert (ignored.overall.spurious, as_negative.overall.spurious) == (0, 1)


def test_findings_the_gold_does_not_have_are_not_scored():
    gold = [findings(1, hernia="positive")]
    rows = [findings(1, hernia="positive", pneumothorax="positive")]
    result = finding_accuracy(gold, rows, uncertain="negative", seed=1)
    assert list(result.by_finding) == ["hernia"]
    assert result.overall[:3] == (1, 0, 0)


def test_not_mentioned_counts_as_not_positive():
    gold, rows = [findings(1, hernia="not_mentioned")], [findings(1, hernia="negative")]
    assert finding_accuracy(gold, rows, uncertain="positive", seed=1).overall.f1 is None


@pytest.mark.parametrize(
    ("gold", "answer", "message"),
    [
        ({"effusion": "positive"}, {"effusion": "positive"}, "gold findings effusion are not among"),
        ({"hernia": "yes"}, {"hernia": "positive"}, "'yes' is not one of positive"),
        ({"hernia": "positive"}, {"opacity": "positive"}, "labels of r1 lack hernia"),
    ],
)
def test_findings_that_cannot_be_compared_are_refused(gold, answer, message):
    with pytest.raises(ValueError, match=message):
        finding_accuracy([findings(1, **gold)], [findings(1, **answer)], uncertain="negative", seed=1)


def test_an_unknown_uncertain_policy_is_refused():
    with pytest.raises(ValueError, match="uncertain 'maybe' is not one of"):
        finding_accuracy([findings(1, hernia="positive")], [findings(1, hernia="positive")], uncertain="maybe", seed=1)


def test_more_bootstrap_samples_change_the_interval_and_none_is_refused():
    gold = [report(n, tube()) for n in range(12)]
    rows = [report(n, *([tube()] if n % 3 else [])) for n in range(12)]
    few, many = score(gold, rows, bootstrap_samples=10), score(gold, rows, bootstrap_samples=500)
    assert few.overall.f1_interval != many.overall.f1_interval
    assert math.isclose(few.overall.f1, many.overall.f1)
    with pytest.raises(ValueError, match="bootstrap_samples 0 is not positive"):
        score(gold, rows, bootstrap_samples=0)
