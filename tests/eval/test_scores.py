"""scores.json and the figures behind it: null where a number is not defined, both schemes of resampling, subgroups."""

import json

import numpy as np
import pytest

from eval.chexpert import label_columns
from eval.figure_sets import figures_of, studies_counted
from eval.measures import Measured
from eval.pairs import Pairs, Study
from eval.placement import placement_columns
from eval.scores import build_scores, patient_units
from eval.statistics.bootstrap import bootstrap
from eval.statistics.resampling import Resampling, unit_numbers

POSITIVE, NEGATIVE, UNCERTAIN = 1, 2, 3
CARDIOMEGALY = 1
ROUGE = [1.0, 0.5, 0.25, 0.25]
PATIENTS = ["p1", "p2", "p2", "p2"]


def words(values):
    return np.array(list(values), dtype=object)


def columns_of(rouge=ROUGE, patients=PATIENTS, **more):
    return {
        "study_id": words(f"s{n}" for n in range(len(rouge))),
        "patient_id": words(patients or [None] * len(rouge)),
        "reference_sha256": words(["x"] * len(rouge)),
        "rouge_l": np.array(rouge),
        **more,
    }


def codes(*cardiomegaly, blank=0):
    """Labels of studies that differ in one class; -1 is a study without labels."""
    rows = np.full((len(cardiomegaly), 14), blank, dtype=np.int8)
    rows[:, CARDIOMEGALY] = cardiomegaly
    rows[rows[:, CARDIOMEGALY] == -1] = -1
    return rows


def scores_of(columns, *, metrics=("rouge_l",), iid=False, groups=(), replicates=50, seed=0):
    studies = tuple(Study(one, None, "", "", ()) for one in columns["study_id"])
    pairs = Pairs(studies, groups, {"scored": len(studies)})
    measured = [Measured(name, {}, {}) for name in metrics]
    return build_scores(pairs, columns, measured, {}, Resampling(replicates, seed), iid=iid)


def by_name(scores):
    return {one["name"]: one for one in scores["figures"]}


def test_the_point_is_the_mean_over_studies_and_the_interval_is_over_patients():
    columns = columns_of()
    scores = scores_of(columns)
    (rouge,) = scores["figures"]
    assert rouge["point"] == 0.5
    over_patients = bootstrap(figures_of(columns), Resampling(50), unit_numbers(PATIENTS))[0]
    over_studies = bootstrap(figures_of(columns), Resampling(50))[0]
    assert rouge["low"] == rouge["intervals"]["patient"]["low"] == over_patients.low
    assert rouge["intervals"]["study"]["low"] == over_studies.low
    # Two patients: every resample has both (1/2), p1 twice (mean 1) or p2 twice (mean 1/3).
    assert (rouge["low"], rouge["median"], rouge["high"]) == pytest.approx((1 / 3, 0.5, 1.0))
    assert scores["bootstrap"] == {
        "replicates": 50,
        "seed": 0,
        "unit": "patient",
        "rng": "fast",
        "confidence": 0.95,
        "warning": "only 2 patients were resampled: intervals from so few are too short",
    }
    assert scores["counts"]["patients"] == 2


def test_iid_makes_the_headline_interval_one_over_studies_and_keeps_the_other():
    rouge = by_name(scores_of(columns_of(), iid=True))["rouge_l"]
    assert rouge["low"] == rouge["intervals"]["study"]["low"] != rouge["intervals"]["patient"]["low"]
    assert scores_of(columns_of(), iid=True)["bootstrap"]["unit"] == "study"


def test_without_patients_there_is_nothing_but_studies():
    columns = columns_of(patients=None)
    scores = scores_of(columns)
    assert patient_units(columns) is None
    assert scores["counts"]["patients"] is None
    assert set(scores["figures"][0]["intervals"]) == {"study", "study_bca"}


def test_patients_are_numbered_from_0_in_the_order_of_the_table():
    units = patient_units(columns_of(patients=["b", "a", "b", "c"]))
    assert units.tolist() == [0, 1, 0, 2]


def test_the_bca_interval_is_null_where_a_figure_never_varies():
    rouge = by_name(scores_of(columns_of([0.5] * 4)))["rouge_l"]
    assert (rouge["low"], rouge["high"]) == (0.5, 0.5)
    assert rouge["intervals"]["patient_bca"] == {"median": 0.5, "low": None, "high": None}


class TestLabels:
    def test_one_class_only_gives_null_for_the_classes_without_a_positive(self):
        found = columns_of(**label_columns(codes(POSITIVE, POSITIVE, 0, 0), codes(POSITIVE, 0, POSITIVE, 0), "labels"))
        scores = scores_of(found, metrics=("rouge_l", "labels"))
        figures = by_name(scores)
        assert figures["labels_f1_cardiomegaly"]["point"] == 0.5  # TP 1, FP 1, FN 1
        assert figures["labels_f1_cardiomegaly"]["support"] == 2
        assert figures["labels_macro_f1_14"]["point"] == pytest.approx(0.5 / 14)  # the other thirteen count as 0
        assert figures["labels_macro_f1_supported"]["point"] == 0.5
        edema = figures["labels_f1_edema"]
        assert [edema[key] for key in ("point", "median", "low", "high")] == [None] * 4
        assert edema["degenerate_share"] == 1.0
        rows = {row["class"]: row for row in scores["tables"]["labels_classes"]}
        assert rows["Edema"]["f1"] is rows["Edema"]["recall"] is None
        assert (rows["Cardiomegaly"]["precision"], rows["Cardiomegaly"]["recall"]) == (0.5, 0.5)
        json.dumps(scores, allow_nan=False)

    def test_a_study_without_labels_counts_in_nothing_but_its_other_metrics(self):
        found = columns_of(
            **label_columns(codes(POSITIVE, -1, 0, POSITIVE), codes(POSITIVE, POSITIVE, 0, -1), "chexbert")
        )
        scores = scores_of(found, metrics=("rouge_l", "chexbert"))
        assert by_name(scores)["chexbert_f1_cardiomegaly"]["point"] == 1.0
        assert by_name(scores)["chexbert_f1_cardiomegaly"]["support"] == 1
        assert scores["metrics"]["chexbert"]["studies"] == 2
        assert scores["metrics"]["rouge_l"]["studies"] == 4

    def test_uncertain_counts_as_positive_only_where_the_name_says_so(self):
        found = columns_of(**label_columns(codes(UNCERTAIN, 0, 0, 0), codes(POSITIVE, 0, 0, 0), "chexbert"))
        figures = by_name(scores_of(found, metrics=("chexbert",)))
        assert figures["chexbert_micro_f1_14"]["point"] == 0.0
        assert figures["chexbert_micro_f1_14_uncertain_positive"]["point"] == 1.0


def placement(counts, device="chest_tube"):
    """Columns of four studies with these (tp, fp, fn) of one device."""
    found = placement_columns({}, {}, [f"s{n}" for n in range(len(counts))], by_side=False)
    for place, study in enumerate(counts):
        for name in found:
            found[name][place] = np.nan if study is None else 0.0
        if study is not None:
            for name, value in zip(("tp", "fp", "fn"), study, strict=True):
                found[f"incorrect_placement_{name}_{device}"][place] = value
    return found


class TestPlacement:
    def test_without_a_case_in_the_reference_it_is_null_and_never_0(self):
        scores = scores_of(
            columns_of(**placement([(0, 1, 0), (0, 0, 0), None, (0, 1, 0)])), metrics=("incorrect_placement",)
        )
        headline = by_name(scores)["incorrect_placement_f1"]
        assert [headline[key] for key in ("point", "median", "low", "high", "mean", "std")] == [None] * 6
        assert (headline["support"], headline["degenerate_share"]) == (0, 1.0)
        assert headline["intervals"]["study_bca"] == {"median": None, "low": None, "high": None}
        rows = {row["device"]: row for row in scores["tables"]["placement_devices"]}
        assert rows["chest_tube"] == {
            "device": "chest_tube",
            "support": 0,
            "predicted": 2,
            "tp": 0,
            "fp": 2,
            "fn": 0,
            "precision": 0.0,  # two were predicted, none is right
            "recall": None,
            "f1": None,
        }
        assert rows["picc"]["precision"] is None
        assert scores["metrics"]["incorrect_placement"]["studies"] == 3
        assert '"f1": null' in json.dumps(scores, allow_nan=False)

    def test_with_a_case_that_is_missed_it_is_0_and_not_null(self):
        scores = scores_of(columns_of(**placement([(0, 0, 1)] * 4)), metrics=("incorrect_placement",))
        assert by_name(scores)["incorrect_placement_f1"]["point"] == 0.0

    def test_resamples_without_a_case_are_left_out_and_their_share_is_told(self):
        # One case in four studies, iid: it is not drawn in (3/4)^4 = 32 % of resamples.
        columns = columns_of(patients=None, **placement([(1, 0, 0), (0, 0, 0), (0, 0, 0), (0, 0, 0)]))
        headline = by_name(scores_of(columns, metrics=("incorrect_placement",), replicates=2000))[
            "incorrect_placement_f1"
        ]
        assert (headline["low"], headline["high"]) == (1.0, 1.0)
        assert headline["degenerate_share"] == pytest.approx(0.316, abs=0.04)  # 4 standard errors


def radfact(precision, recall, phrases=1.0):
    columns = {"radfact_precision": np.array(precision), "radfact_recall": np.array(recall)}
    for side in ("prediction", "reference"):
        for what in ("phrases", "entailed", "failed"):
            columns[f"radfact_{side}_{what}"] = np.full(len(precision), phrases)
    return columns


def test_radfact_averages_each_direction_over_the_studies_that_have_it():
    nan = np.nan
    scores = scores_of(columns_of(**radfact([1.0, nan, 0.5, nan], [0.5, 1.0, nan, nan])), metrics=("radfact",))
    figures = by_name(scores)
    assert figures["radfact_logical_precision"]["point"] == 0.75
    assert figures["radfact_logical_recall"]["point"] == 0.75
    assert figures["radfact_logical_f1"]["point"] == pytest.approx(0.75)
    assert scores["metrics"]["radfact"]["studies"] == 3


def test_a_metric_that_no_study_has_is_null():
    nothing = [np.nan] * 4
    scores = scores_of(columns_of(**radfact(nothing, nothing, np.nan)), metrics=("radfact",))
    for name in ("f1", "precision", "recall"):
        assert by_name(scores)[f"radfact_logical_{name}"]["point"] is None
    assert scores["metrics"]["radfact"]["studies"] == 0
    json.dumps(scores, allow_nan=False)


def test_figures_are_those_of_the_columns_that_are_there():
    label = label_columns(codes(1, 0, 0, 0), codes(1, 0, 0, 0), "labels")
    network = label_columns(codes(1, 0, 0, 0), codes(1, 0, 0, 0), "chexbert")
    rest = columns_of(**label, **network, **radfact([1.0] * 4, [1.0] * 4), **placement([(1, 0, 0)] * 4))
    assert {one.metric for one in figures_of(rest)} == {
        "rouge_l", "labels", "chexbert", "radfact", "incorrect_placement"
    }  # fmt: skip
    headlines = [one.name for one in figures_of(rest) if one.group == "headline"]
    assert headlines == [
        "rouge_l",
        "chexbert_macro_f1_14",
        "labels_macro_f1_14",
        "radfact_logical_f1",
        "incorrect_placement_f1",
    ]
    assert [one.name for one in figures_of(columns_of())] == ["rouge_l"]
    assert studies_counted(rest, "labels") == 4


class TestSubgroups:
    def test_each_level_has_its_own_mean_and_gap_to_the_largest(self):
        columns = columns_of(group_sex=words(["F", "M", "M", None]))
        (found,) = scores_of(columns, groups=("sex",))["subgroups"]
        assert (found["column"], found["figure"]) == ("sex", "rouge_l")
        levels = {one["value"]: one for one in found["levels"]}
        assert {name: one["point"] for name, one in levels.items()} == {"F": 1.0, "M": 0.375, "(missing)": 0.25}
        assert {name: one["gap"] for name, one in levels.items()} == {"F": 0.625, "M": 0.0, "(missing)": -0.125}
        assert [one["studies"] for one in found["levels"]] == [1, 2, 1]
        assert levels["F"]["small"] is True

    def test_only_headline_figures_are_split_and_what_is_undefined_is_null(self):
        columns = columns_of(group_sex=words(["F", "M", "M", "M"]), **placement([(0, 0, 0), *[(1, 0, 0)] * 3]))
        scores = scores_of(columns, metrics=("rouge_l", "incorrect_placement"), groups=("sex",))
        assert [one["figure"] for one in scores["subgroups"]] == ["rouge_l", "incorrect_placement_f1"]
        female, male = scores["subgroups"][1]["levels"]
        assert (female["point"], female["gap"], female["low"]) == (None, None, None)
        assert male["point"] == 1.0
        json.dumps(scores, allow_nan=False)

    def test_a_column_of_too_many_values_is_refused(self):
        many = 51
        columns = columns_of([0.5] * many, None, group_age=words(str(n) for n in range(many)))
        with pytest.raises(ValueError, match="51 levels, over 50"):
            scores_of(columns, groups=("age",))
