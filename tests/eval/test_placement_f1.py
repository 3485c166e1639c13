import math

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score

from eval.figures import Group
from eval.placement import (
    Mark,
    excluded_studies,
    placement_columns,
    placement_figures,
    placement_table,
    wrong_placements,
)
from labeling.rollup import roll_up_findings, roll_up_lines_and_tubes
from labeling.schema import LabelRow, LineTube, Span
from labeling.vocabulary import (
    Advice,
    LineTubeType,
    Placement,
    Pleural,
    Side,
    StatedPosition,
    Status,
)

CORRECT, INCORRECT, UNCLEAR, NOT_SAID = Placement
LEFT, RIGHT, _, NO_SIDE = Side
ETT, CHEST_TUBE, PICC = LineTubeType.ENDOTRACHEAL_TUBE, LineTubeType.CHEST_TUBE, LineTubeType.PICC
NOWHERE = ()


def device(kind, placement, side=NO_SIDE, *, removed=False, at=(0, 1), pleural_at=()):
    return LineTube(
        type="x",
        type_categorical=kind,
        side_categorical=side,
        subtype="standard",
        tip_location="N/A",
        tip_distance_cm=None,
        tip_landmark=None,
        tip_direction=None,
        status=Status.REMOVED if removed else Status.IN_PLACE,
        stated_position=StatedPosition.NOT_STATED,
        advice=Advice.NONE,
        pleural=Pleural.WORSE if pleural_at else Pleural.NONE,
        placement=placement,
        placement_band=None,
        placement_rule="x",
        model_placement=None,
        review=(),
        reference_sentence="x",
        evidence=(Span(start=at[0], end=at[1]),),
        pleural_evidence=(Span(start=pleural_at[0], end=pleural_at[1]),) if pleural_at else (),
    )


def row(*devices, asked=frozenset(LineTubeType)):
    return LabelRow(
        report_id="A",
        prompt="all",
        prompt_sha256="x",
        prompts=("x",),
        engine="rules",
        model="x",
        schema_version="1.0",
        placement_sha256="x",
        lines_and_tubes=devices,
        findings=(),
        finding_labels=roll_up_findings([]),
        line_tube_labels=roll_up_lines_and_tubes(devices, asked) if asked else None,
    )


def columns(*studies, by_side=False):
    """Of (devices of the prediction, devices of the reference); None for a text whose labels failed."""
    predictions = {str(n): row(*said) for n, (said, _) in enumerate(studies) if said is not None}
    references = {str(n): row(*said) for n, (_, said) in enumerate(studies) if said is not None}
    ids = [str(n) for n in range(len(studies))]
    return placement_columns(predictions, references, ids, by_side=by_side)


def counts(prediction, reference, kind=ETT, *, by_side=False):
    table = columns((prediction, reference), by_side=by_side)
    return tuple(int(table[f"incorrect_placement_{count}_{kind}"][0]) for count in ("tp", "fp", "fn"))


def figures(table):
    return {figure.name: figure.point() for figure in placement_figures(table)}


TP, FP, FN, NONE = (1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 0, 0)


@pytest.mark.parametrize(
    ("prediction", "reference", "expected"),
    [
        ([device(ETT, INCORRECT)], [device(ETT, INCORRECT)], TP),
        (NOWHERE, [device(ETT, INCORRECT)], FN),  # left out
        ([device(ETT, INCORRECT)], NOWHERE, FP),  # invented
        ([device(ETT, CORRECT)], [device(ETT, INCORRECT)], FN),
        ([device(ETT, INCORRECT)], [device(ETT, CORRECT)], FP),
        ([device(ETT, UNCLEAR)], [device(ETT, INCORRECT)], FN),
        ([device(ETT, INCORRECT)], [device(ETT, UNCLEAR)], FP),
        ([device(ETT, INCORRECT)], [device(ETT, NOT_SAID)], FP),
        ([device(ETT, NOT_SAID, removed=True)], [device(ETT, INCORRECT)], FN),
        ([device(ETT, INCORRECT)], [device(ETT, NOT_SAID, removed=True)], FP),
        ([device(ETT, CORRECT)], NOWHERE, NONE),
        (NOWHERE, NOWHERE, NONE),
        ([device(ETT, UNCLEAR)], [device(ETT, CORRECT)], NONE),
        # any incorrect makes the unit incorrect, once
        ([device(ETT, CORRECT), device(ETT, INCORRECT)], [device(ETT, INCORRECT)] * 2, TP),
        # the removed one beside it changes nothing
        ([device(ETT, NOT_SAID, removed=True), device(ETT, INCORRECT)], [device(ETT, INCORRECT)], TP),
    ],
)
def test_a_unit_is_positive_when_a_device_in_place_is_incorrect_and_everything_else_is_negative(
    prediction, reference, expected
):
    assert counts(prediction, reference) == expected


def test_another_devices_fault_is_a_false_alarm_and_a_miss():
    table = columns(([device(PICC, INCORRECT)], [device(ETT, INCORRECT)]))
    assert table["incorrect_placement_fp_picc"][0] == table["incorrect_placement_fn_endotracheal_tube"][0] == 1
    assert sum(column[0] for name, column in table.items() if "_present_" not in name and "_clear_" not in name) == 2


def test_sides_part_units_only_when_asked_to():
    # Left tube misplaced, right one well; the prediction has it the other way round.
    reference = [device(CHEST_TUBE, INCORRECT, LEFT), device(CHEST_TUBE, CORRECT, RIGHT)]
    prediction = [device(CHEST_TUBE, CORRECT, LEFT), device(CHEST_TUBE, INCORRECT, RIGHT)]
    assert counts(prediction, reference, CHEST_TUBE) == (1, 0, 0)
    assert counts(prediction, reference, CHEST_TUBE, by_side=True) == (0, 1, 1)


def test_bilateral_tubes_are_two_units_by_side_and_one_without():
    both = [device(CHEST_TUBE, INCORRECT, LEFT), device(CHEST_TUBE, INCORRECT, RIGHT)]
    left = [device(CHEST_TUBE, INCORRECT, LEFT)]
    assert counts(both, both, CHEST_TUBE) == (1, 0, 0)
    assert counts(both, both, CHEST_TUBE, by_side=True) == (2, 0, 0)
    assert counts(left, both, CHEST_TUBE) == (1, 0, 0)
    assert counts(left, both, CHEST_TUBE, by_side=True) == (1, 0, 1)


def test_a_side_that_one_text_leaves_out_is_a_unit_of_its_own():
    unsided, left = [device(CHEST_TUBE, INCORRECT)], [device(CHEST_TUBE, INCORRECT, LEFT)]
    assert counts(unsided, left, CHEST_TUBE, by_side=True) == (0, 1, 1)


# Ten studies, counted by hand. ETT: 2 tp, 1 fp, 3 fn; chest tube: 1 tp, 1 fp; PICC: 2 fp and no case.
STUDIES = (
    ([device(ETT, INCORRECT)], [device(ETT, INCORRECT)]),
    ([device(ETT, INCORRECT), device(PICC, INCORRECT)], [device(ETT, INCORRECT), device(PICC, CORRECT)]),
    ([device(ETT, INCORRECT)], [device(ETT, UNCLEAR)]),
    (NOWHERE, [device(ETT, INCORRECT)]),
    ([device(ETT, CORRECT)], [device(ETT, INCORRECT)]),
    ([device(ETT, NOT_SAID, removed=True)], [device(ETT, INCORRECT)]),
    ([device(CHEST_TUBE, INCORRECT, LEFT)], [device(CHEST_TUBE, INCORRECT, LEFT)]),
    ([device(CHEST_TUBE, INCORRECT, LEFT)], NOWHERE),
    ([device(PICC, INCORRECT)], [device(PICC, NOT_SAID, removed=True)]),
    ([device(PICC, CORRECT)], [device(PICC, CORRECT)]),
)


def test_figures_of_ten_studies_are_those_counted_by_hand():
    found = figures(columns(*STUDIES))
    # all: 3 tp, 4 fp, 3 fn
    assert found["incorrect_placement_f1"] == pytest.approx(6 / 13)
    assert found["incorrect_placement_precision"] == pytest.approx(3 / 7)
    assert found["incorrect_placement_recall"] == pytest.approx(3 / 6)
    # device in place in both: studies 0, 1, 2, 4, 6, 9 -> 3 tp, 2 fp (PICC, ETT unclear), 1 fn
    assert found["incorrect_placement_both_present_f1"] == pytest.approx(6 / 9)
    # without study 2, whose reference is unclear: 3 tp, 3 fp, 3 fn
    assert found["incorrect_placement_reference_clear_f1"] == pytest.approx(6 / 12)
    assert found["incorrect_placement_f1_endotracheal_tube"] == pytest.approx(4 / 8)
    assert found["incorrect_placement_f1_chest_tube"] == pytest.approx(2 / 3)
    assert math.isnan(found["incorrect_placement_f1_picc"])
    assert found["incorrect_placement_macro_f1"] == pytest.approx((4 / 8 + 2 / 3) / 2)


def test_the_headline_is_one_figure_and_each_device_has_its_own_with_its_support():
    found = {figure.name: figure for figure in placement_figures(columns(*STUDIES))}
    headline = [figure for figure in found.values() if figure.group is Group.HEADLINE]
    assert [(one.name, one.label, one.support) for one in headline] == [
        ("incorrect_placement_f1", "Incorrect Placement F1", 6)
    ]
    support = {figure.label: figure.support for figure in found.values() if figure.group is Group.DEVICE}
    assert len(support) == 10
    assert (support["endotracheal_tube"], support["chest_tube"], support["picc"]) == (5, 1, 0)


def test_micro_figures_agree_with_scikit_learn_on_units_drawn_by_chance():
    draw = np.random.default_rng(5)
    placements = np.array(Placement, dtype=object)
    drawn = draw.choice(placements, size=(80, 2, 10))
    there = draw.random((80, 2, 10)) < 0.6
    studies = [
        [
            [device(kind, drawn[n, text, k]) for k, kind in enumerate(LineTubeType) if there[n, text, k]]
            for text in range(2)
        ]
        for n in range(80)
    ]
    positive = (drawn == INCORRECT) & there
    predicted, truth = positive[:, 0].ravel(), positive[:, 1].ravel()
    found = figures(columns(*studies))
    assert found["incorrect_placement_f1"] == pytest.approx(f1_score(truth, predicted), abs=1e-12)
    assert found["incorrect_placement_precision"] == pytest.approx(precision_score(truth, predicted), abs=1e-12)
    assert found["incorrect_placement_recall"] == pytest.approx(recall_score(truth, predicted), abs=1e-12)
    macro = f1_score(positive[:, 1], positive[:, 0], average="macro", zero_division=np.nan)
    assert found["incorrect_placement_macro_f1"] == pytest.approx(macro, abs=1e-12)
    both = there.all(axis=1).ravel()
    assert found["incorrect_placement_both_present_f1"] == pytest.approx(f1_score(truth[both], predicted[both]))
    clear = ~((drawn[:, 1] == UNCLEAR) & there[:, 1]).ravel()
    assert found["incorrect_placement_reference_clear_f1"] == pytest.approx(f1_score(truth[clear], predicted[clear]))


def test_without_a_case_in_the_reference_f1_and_recall_are_undefined_whatever_the_false_alarms():
    found = figures(columns(([device(ETT, INCORRECT)], [device(ETT, CORRECT)])))
    assert found["incorrect_placement_precision"] == 0.0
    for name in ("f1", "recall", "macro_f1", "both_present_f1", "f1_endotracheal_tube", "f1_picc"):
        assert math.isnan(found[f"incorrect_placement_{name}"]), name


def test_cases_of_which_none_is_found_score_zero():
    found = figures(columns((NOWHERE, [device(ETT, INCORRECT)])))
    assert found["incorrect_placement_f1"] == found["incorrect_placement_macro_f1"] == 0.0
    assert math.isnan(found["incorrect_placement_precision"])


def test_a_study_whose_labels_failed_counts_nowhere_and_is_counted():
    failed = ((None, [device(ETT, INCORRECT)]), ([device(ETT, INCORRECT)], None), (None, None))
    with_failures = columns(*STUDIES, *failed)
    assert all(np.isnan(column[-3:]).all() and not np.isnan(column[:-3]).any() for column in with_failures.values())
    assert excluded_studies(with_failures) == 3
    assert excluded_studies(columns(*STUDIES)) == 0
    assert figures(with_failures) == pytest.approx(figures(columns(*STUDIES)), nan_ok=True)


def test_a_resample_averages_over_the_devices_that_still_have_a_case():
    macro = next(f for f in placement_figures(columns(*STUDIES)) if f.name == "incorrect_placement_macro_f1")
    picks = np.array([[0, 3, 6], [0, 3, 3], [6, 6, 7], [8, 8, 9]])
    # ETT 1 tp 1 fn = 2/3 and chest tube 1; only ETT 1 tp 2 fn = 2/4; only chest tube 2 tp 1 fp = 4/5; none. A PICC
    # never counts: it has no case in the full set.
    expected = [(2 / 3 + 1) / 2, 1 / 2, 4 / 5, np.nan]
    np.testing.assert_allclose(macro.value(macro.sums_ND[picks].sum(axis=1)), expected)


def test_figures_of_columns_that_were_stored_are_those_of_the_rows(tmp_path):
    before = columns(*STUDIES, (None, NOWHERE))
    np.savez(tmp_path / "columns.npz", **before)
    with np.load(tmp_path / "columns.npz") as stored:
        assert figures(dict(stored)) == pytest.approx(figures(before), nan_ok=True)
    assert all(column.dtype == np.float64 for column in before.values())


def test_the_table_has_a_line_a_device_with_none_for_what_is_undefined():
    lines = {line.device: line for line in placement_table(columns(*STUDIES, (None, NOWHERE)))}
    assert lines["endotracheal_tube"][1:] == (5, 3, 2, 1, 3, pytest.approx(2 / 3), pytest.approx(2 / 5), 0.5)
    assert lines["picc"][1:] == (0, 2, 0, 2, 0, 0.0, None, None)
    assert lines["swan_ganz_catheter"][1:] == (0, 0, 0, 0, 0, None, None, None)


def test_marks_name_the_false_alarms_and_the_misses_with_the_other_texts_state():
    prediction = row(
        device(ETT, INCORRECT, at=(0, 9)),
        device(PICC, CORRECT, at=(10, 19)),
        device(CHEST_TUBE, INCORRECT, LEFT, at=(20, 29), pleural_at=(30, 39)),
    )
    reference = row(
        device(ETT, CORRECT, at=(0, 5)),
        device(ETT, UNCLEAR, at=(6, 9)),
        device(PICC, INCORRECT, at=(40, 49)),
        device(PICC, NOT_SAID, removed=True, at=(50, 59)),
        device(LineTubeType.NASOGASTRIC_TUBE, INCORRECT, at=(60, 69)),
    )
    assert wrong_placements(prediction, reference, by_side=False) == [
        Mark("prediction", 0, 9, "wrong_placement", "endotracheal_tube: incorrect here, unclear in the reference"),
        Mark("reference", 40, 49, "wrong_placement", "picc: incorrect here, correct in the prediction"),
        Mark("prediction", 20, 29, "wrong_placement", "chest_tube: incorrect here, not in the reference"),
        Mark("prediction", 30, 39, "wrong_placement", "chest_tube: incorrect here, not in the reference"),
        Mark("reference", 60, 69, "wrong_placement", "nasogastric_tube: incorrect here, not in the prediction"),
    ]


def test_marks_follow_the_units_and_a_hit_has_none():
    left, right = device(CHEST_TUBE, INCORRECT, LEFT, at=(0, 5)), device(CHEST_TUBE, INCORRECT, RIGHT, at=(5, 9))
    removed = device(CHEST_TUBE, NOT_SAID, LEFT, removed=True)
    assert wrong_placements(row(left), row(right), by_side=False) == []
    assert wrong_placements(row(left), row(right, removed), by_side=True) == [
        Mark("prediction", 0, 5, "wrong_placement", "chest_tube (left): incorrect here, removed in the reference"),
        Mark("reference", 5, 9, "wrong_placement", "chest_tube (right): incorrect here, not in the prediction"),
    ]


def test_two_devices_of_one_sentence_are_marked_once():
    two = row(device(PICC, INCORRECT, LEFT), device(PICC, INCORRECT, RIGHT))
    assert len(wrong_placements(two, row(), by_side=False)) == 1


def test_what_cannot_be_scored_is_refused():
    good = {"a": row(), "b": row()}
    for ids, complaint in [
        ([], "no studies"),
        (["a", "b", "a"], "1 of 3 study ids stand more than once"),
    ]:
        with pytest.raises(ValueError, match=complaint):
            placement_columns(good, good, ids, by_side=False)
    for asked in (frozenset(), frozenset({ETT})):
        partly = {"a": row(asked=asked)}
        for prediction, reference in [(good, partly), (partly, good)]:
            with pytest.raises(ValueError, match="label with prompt 'all'"):
                placement_columns(prediction, reference, ["a"], by_side=False)
    with pytest.raises(ValueError, match="no column incorrect_placement_tp_chest_tube"):
        placement_figures({})
