"""Which studies are shown as the worst: lowest first, none without fault, whatever could not be measured left out."""

import numpy as np

from eval.chexpert import label_columns
from eval.pairs import Study
from eval.report.marks import Mark
from eval.worst import worst_studies

MARK = Mark("prediction", 0, 3, "unsupported", "why")


def worst(columns, number=9, marks=lambda _: ()):
    count = len(next(iter(columns.values())))
    studies = [Study(f"s{n}", None, f"prediction {n}", f"reference {n}", ()) for n in range(count)]
    named = {"study_id": np.array([one.study_id for one in studies], dtype=object), **columns}
    return worst_studies(studies, named, number, marks)


def chosen(views):
    return [(one.worst_by, one.study_id) for one in views]


def test_the_lowest_rouge_comes_first_and_a_perfect_study_is_not_shown():
    views = worst({"rouge_l": np.array([0.5, 1.0, 0.0, 0.25])})
    assert chosen(views) == [("rouge_l", "s2"), ("rouge_l", "s3"), ("rouge_l", "s0")]
    assert views[0].prediction == "prediction 2"
    assert views[0].reference == "reference 2"
    assert views[0].scores == {"rouge_l": 0.0}


def test_no_more_than_the_number_are_shown_and_ties_keep_the_order_of_the_studies():
    assert chosen(worst({"rouge_l": np.array([0.5, 0.2, 0.2, 0.2])}, 2)) == [("rouge_l", "s1"), ("rouge_l", "s2")]
    assert worst({"rouge_l": np.array([0.5])}, 0) == []


def test_radfact_ranks_by_the_mean_of_the_directions_that_are_there():
    nan = np.nan
    columns = {
        "radfact_precision": np.array([1.0, nan, 0.0, nan, 0.5]),
        "radfact_recall": np.array([0.0, 0.25, 0.0, nan, 0.75]),  # means 0.5, 0.25, 0, none, 0.625
    }
    views = worst(columns)
    assert [one.study_id for one in views] == ["s2", "s1", "s0", "s4"]
    assert views[1].scores == {"radfact_precision": None, "radfact_recall": 0.25}


def test_labels_rank_by_the_classes_that_differ_in_being_positive():
    prediction = np.array([[1, 1, 0], [1, 0, 0], [2, 3, 0], [-1, -1, -1]])
    reference = np.array([[0, 0, 0], [0, 0, 0], [0, 0, 0], [-1, -1, -1]])  # 2 apart, 1, none (not positive), no labels
    filled = [np.hstack([part, np.repeat(part[:, :1].clip(max=0), 11, axis=1)]) for part in (prediction, reference)]
    views = worst(label_columns(*filled, "labels"))
    assert chosen(views) == [("labels_macro_f1_14", "s0"), ("labels_macro_f1_14", "s1")]


def test_placement_ranks_by_false_alarms_and_misses_together():
    columns = {
        f"incorrect_placement_{count}_{device}": np.zeros(4)
        for count in ("tp", "fp", "fn")
        for device in ("chest_tube", "picc")
    }
    columns["incorrect_placement_tp_chest_tube"][0] = 3  # hits are no fault
    columns["incorrect_placement_fp_picc"][1] = 1
    columns["incorrect_placement_fn_chest_tube"][2] = 1
    columns["incorrect_placement_fp_chest_tube"][2] = 1
    for values in columns.values():
        values[3] = np.nan
    assert chosen(worst(columns)) == [("incorrect_placement_f1", "s2"), ("incorrect_placement_f1", "s1")]


def test_a_study_may_be_among_the_worst_of_several_metrics_with_the_same_marks():
    columns = {
        "rouge_l": np.array([0.5, 1.0]),
        "radfact_precision": np.array([0.5, 1.0]),
        "radfact_recall": np.array([0.5, 1.0]),
    }
    views = worst(columns, marks=lambda study: [MARK] if study.study_id == "s0" else [])
    assert chosen(views) == [("radfact_logical_f1", "s0"), ("rouge_l", "s0")]
    assert [one.marks for one in views] == [(MARK,), (MARK,)]
