"""Comparing runs from their tables: paired, on the studies they share, corrected for how many tests there are."""

import json
import math

import numpy as np
import pytest

from eval.chexpert import label_columns
from eval.compare import Run, compare_runs, load_runs
from eval.per_study import write_per_study
from eval.placement import placement_columns
from eval.statistics.resampling import Resampling

IDS = [f"s{n}" for n in range(8)]
HARD = np.array([0.1, 0.8, 0.3, 0.5, 0.0, 0.7, 0.2, 0.4])  # very unlike studies: mean 0.375


def words(values):
    return np.array(list(values), dtype=object)


def run(name, rouge=HARD, ids=IDS, patients=None, settings=None, texts=None, **more):
    columns = {
        "study_id": words(ids),
        "patient_id": words(patients or [None] * len(ids)),
        "reference_sha256": words(texts or [f"sha of {one}" for one in ids]),
        "rouge_l": np.array(rouge, dtype=np.float64),
        **more,
    }
    metrics = {"rouge_l": {"settings": {"use_stemmer": False}}} if settings is None else settings
    return Run(name, {"metrics": metrics}, columns)


def compared(*runs, replicates=199, seed=0, **options):
    return compare_runs(runs, Resampling(replicates, seed), **options)


def test_the_same_scores_differ_by_0_with_p_1():
    (found,) = compared(run("a"), run("b")).differences
    assert (found.first_point, found.second_point) == (pytest.approx(0.375), pytest.approx(0.375))
    assert (found.difference, found.median, found.low, found.high) == (0.0, 0.0, 0.0, 0.0)
    assert (found.p, found.p_adjusted) == (1.0, 1.0)


def test_resamples_are_paired_so_a_constant_difference_has_no_spread():
    # Resampled apart, the interval would be as wide as those of the two means, some 0.4.
    (found,) = compared(run("a", HARD + 0.125), run("b")).differences
    assert found.difference == pytest.approx(0.125)
    assert (found.low, found.high) == (pytest.approx(0.125), pytest.approx(0.125))
    assert found.p == pytest.approx(2 / 200)  # no replicate at or below 0: 2 (0 + 1) / (199 + 1)
    (turned,) = compared(run("b"), run("a", HARD + 0.125)).differences
    assert turned.difference == pytest.approx(-0.125)
    assert turned.p == found.p


def test_three_patients_cannot_show_less_than_an_exact_sign_test_on_three():
    # All three gain: 2 of the 2^3 patterns of signs are as extreme, p = .25; 10,000 resamples alone would say .0002.
    patients = ["p", "p", "p", "q", "q", "q", "r", "r"]
    found = compared(run("a", HARD + 0.125, patients=patients), run("b", patients=patients), replicates=10_000)
    assert found.differences[0].p == 0.25
    assert found.warning == "only 3 patients were resampled: intervals from so few are too short"


def test_one_patient_gives_no_interval_and_no_p():
    patients = ["p"] * 8
    found = compared(run("a", HARD + 0.125, patients=patients), run("b", patients=patients))
    (one,) = found.differences
    assert one.difference == pytest.approx(0.125)
    assert (one.low, one.high, one.p, one.p_adjusted) == (None, None, None, None)
    assert found.warning is not None
    assert "one patient only" in found.warning


def test_enough_studies_need_no_warning():
    ids = [f"s{n}" for n in range(20)]
    rouge = np.linspace(0, 1, 20)
    assert compared(run("a", rouge, ids), run("b", rouge, ids)).warning is None


def test_the_interval_and_p_are_those_of_the_exact_distribution_of_two_patients():
    # Patient p has studies that gain 0.2, q those that lose 0.1. A resample is pp (1/4), qq (1/4) or both (1/2).
    rouge = HARD + np.array([0.2] * 4 + [-0.1] * 4)
    patients = ["p"] * 4 + ["q"] * 4
    found = compared(run("a", rouge, patients=patients), run("b", patients=patients), replicates=4000)
    (one,) = found.differences
    assert (found.unit, found.patients, found.studies) == ("patient", 2, 8)
    assert one.difference == pytest.approx(0.05)
    assert (one.low, one.median, one.high) == (pytest.approx(-0.1), pytest.approx(0.05), pytest.approx(0.2))
    assert one.p == pytest.approx(2 * 0.25, abs=0.06)  # 4 standard errors of 4000 draws, doubled
    alone = compared(run("a", rouge, patients=patients), run("b", patients=patients), iid=True)
    assert (alone.unit, alone.patients) == ("study", None)
    assert alone.differences[0].low != one.low


def test_patients_that_one_run_names_serve_all():
    patients = ["p"] * 4 + ["q"] * 4
    assert compared(run("a"), run("b", patients=patients)).patients == 2


def test_replicates_and_seed_are_those_of_the_resampling():
    noisy = HARD + np.linspace(-0.2, 0.3, 8)
    first, again, other = (compared(run("a", noisy), run("b"), seed=seed).differences[0] for seed in (0, 0, 1))
    assert first == again
    assert first.median != other.median
    assert compared(run("a", HARD + 0.1), run("b"), replicates=19).differences[0].p == pytest.approx(2 / 20)


class TestCorrection:
    # a - b is small against its spread, a - c and b - c are not all of one p
    RUNS = (run("a", HARD + np.linspace(-0.2, 0.3, 8)), run("b"), run("c", HARD - np.linspace(-0.05, 0.3, 8)))

    def test_three_runs_give_three_pairs_of_each_figure(self):
        found = compared(*self.RUNS).differences
        assert [(one.figure, one.first, one.second) for one in found] == [
            ("rouge_l", "a", "b"),
            ("rouge_l", "a", "c"),
            ("rouge_l", "b", "c"),
        ]
        assert found[1].difference == pytest.approx(found[0].difference + found[2].difference)

    def test_holm_multiplies_the_smallest_p_by_all_tests_and_the_next_by_one_less(self):
        holm = compared(*self.RUNS).differences
        bonferroni = compared(*self.RUNS, correction="bonferroni").differences
        assert [one.p for one in holm] == [one.p for one in bonferroni]
        small, middle, large = sorted(one.p for one in holm)
        assert 3 * small < 2 * middle < 1 > large > 2 * middle  # else the two could not be told apart
        assert {one.p: one.p_adjusted for one in holm} == {
            small: pytest.approx(3 * small),
            middle: pytest.approx(2 * middle),
            large: pytest.approx(large),
        }
        assert {one.p: one.p_adjusted for one in bonferroni} == {
            p: pytest.approx(min(1.0, 3 * p)) for p in (small, middle, large)
        }

    def test_figures_count_as_tests_too(self):
        label = label_columns(*[np.eye(8, 14, dtype=np.int8)] * 2, "labels")
        figures = compared(run("a", HARD + 0.1, **label), run("b", **label)).differences
        assert [one.figure for one in figures] == ["rouge_l", "labels_macro_f1_14"]
        assert figures[0].p_adjusted == pytest.approx(2 * figures[0].p)


class TestCommonStudies:
    def test_only_studies_that_all_runs_have_count_by_id_and_in_any_order(self):
        others = [*IDS[:0:-1], "x1", "x2"]  # s7 ... s1: without s0
        found = compared(run("a"), run("b", [*HARD[:0:-1], 1.0, 1.0], others))
        (one,) = found.differences
        assert found.studies == 7
        assert found.left_out == {"a": 1, "b": 2}
        assert one.first_point == one.second_point == pytest.approx(HARD[1:].mean())
        assert (one.low, one.high) == (0.0, 0.0)

    def test_three_runs_share_what_all_three_have(self):
        found = compared(run("a"), run("b", HARD[:4], IDS[:4]), run("c", HARD[2:], IDS[2:]))
        assert found.studies == 2
        assert found.left_out == {"a": 6, "b": 2, "c": 4}

    def test_none_is_refused(self):
        with pytest.raises(ValueError, match="no study in common"):
            compared(run("a"), run("b", ids=[f"x{n}" for n in range(8)]))


class TestFailures:
    """What failed in one run is left out of both: else the run would be compared on easier studies."""

    def test_labels(self):
        truth = np.zeros((8, 14), dtype=np.int8)
        truth[:, 1] = 1
        right, wrong = truth.copy(), truth.copy()
        wrong[0, 1] = 0  # the study that failed in a is the only one that b has wrong
        failed = label_columns(np.where(np.arange(8)[:, None] == 0, -1, right).astype(np.int8), truth, "labels")
        found = compared(run("a", **failed), run("b", **label_columns(wrong, truth, "labels")), all_figures=True)
        one = next(one for one in found.differences if one.figure == "labels_f1_cardiomegaly")
        assert (one.first_point, one.second_point, one.difference) == (1.0, 1.0, 0.0)
        rouge = next(one for one in found.differences if one.figure == "rouge_l")
        assert rouge.first_point == pytest.approx(0.375)  # which did not fail

    def test_placement(self):
        def counts(**of):
            columns = placement_columns({}, {}, IDS, by_side=False)
            for values in columns.values():
                values[:] = 0.0
            for name, places in of.items():
                columns[f"incorrect_placement_{name}_chest_tube"][places] = 1.0
            return columns

        failed = counts(tp=[1, 2])
        for values in failed.values():
            values[0] = np.nan
        found = compared(run("a", **failed), run("b", **counts(tp=[1, 2], fn=[0])))
        one = next(one for one in found.differences if one.figure == "incorrect_placement_f1")
        assert (one.first_point, one.second_point) == (1.0, 1.0)

    @pytest.mark.parametrize(("phrases", "left_out"), [(np.nan, True), (2.0, True), (0.0, False)])
    def test_radfact_but_a_report_without_phrases_is_no_failure(self, phrases, left_out):
        # phrases NaN: not taken apart; 2: taken apart and no judgment of either came; 0: it says nothing
        whole = radfact_columns_of([1.0] * 4 + [0.0] * 4)
        part = radfact_columns_of([np.nan] + [1.0] * 3 + [0.0] * 4)
        part["radfact_prediction_phrases"][0] = phrases
        found = compared(run("a", **part), run("b", **whole), all_figures=True)
        one = next(one for one in found.differences if one.figure == "radfact_logical_precision")
        assert one.first_point == pytest.approx(3 / 7)
        assert one.second_point == pytest.approx(3 / 7 if left_out else 4 / 8)


def radfact_columns_of(precision):
    columns = {"radfact_precision": np.array(precision), "radfact_recall": np.ones(8)}
    return columns | {f"radfact_{side}_phrases": np.full(8, 2.0) for side in ("prediction", "reference")}


class TestUnlike:
    def test_settings_that_differ_are_refused_with_both_values(self):
        with pytest.raises(ValueError, match=r"rouge_l use_stemmer: False in a, True in b.*--allow-unlike"):
            compared(run("a"), run("b", settings={"rouge_l": {"settings": {"use_stemmer": True}}}))

    def test_nested_settings_and_those_that_one_run_lacks_too(self):
        settings = {"radfact": {"settings": {"judge": {"model": "m", "prompts": {"p": "1"}}}}}
        other = {"radfact": {"settings": {"judge": {"model": "n", "prompts": {}}}}}
        with pytest.raises(ValueError, match=r"judge\.model: 'm' in a, 'n' in b; radfact judge\.prompts\.p: '1' in a"):
            compared(run("a", settings=settings), run("b", settings=other))

    def test_settings_of_a_metric_that_only_one_run_has_do_not_matter(self):
        more = {"rouge_l": {"settings": {"use_stemmer": False}}, "radfact": {"settings": {"judge": {"model": "m"}}}}
        assert compared(run("a"), run("b", settings=more)).unlike == []

    def test_changed_references_are_refused_and_counted(self):
        texts = ["another", "text", *[f"sha of {one}" for one in IDS[2:]]]
        with pytest.raises(ValueError, match="other texts in 2 of 8 common studies"):
            compared(run("a"), run("b", texts=texts))

    def test_both_are_compared_and_told_when_allowed(self):
        other = run("b", texts=["another"] * 8, settings={"rouge_l": {"settings": {"use_stemmer": True}}})
        found = compared(run("a"), other, allow_unlike=True)
        assert found.differences[0].p == 1.0
        assert found.unlike == [
            "rouge_l use_stemmer: False in a, True in b",
            "reference texts: other texts in 8 of 8 common studies",
        ]


def test_headline_figures_are_compared_and_all_of_them_when_wanted():
    columns = radfact_columns_of([1.0, *[0.0] * 7])
    names = [one.figure for one in compared(run("a", **columns), run("b", **columns)).differences]
    assert names == ["rouge_l", "radfact_logical_f1"]
    everything = compared(run("a", **columns), run("b", **columns), all_figures=True).differences
    assert {one.figure for one in everything} - set(names) == {"radfact_logical_precision", "radfact_logical_recall"}


def test_figures_that_one_run_lacks_are_not_compared_and_none_in_common_is_refused():
    columns = radfact_columns_of([1.0] * 8)
    assert [one.figure for one in compared(run("a", **columns), run("b")).differences] == ["rouge_l"]
    lone = run("c", **columns)
    del lone.columns["rouge_l"]
    with pytest.raises(ValueError, match="no figure in common"):
        compared(run("a"), lone)


def test_a_figure_without_a_case_has_no_difference_and_is_no_test():
    columns = placement_columns({}, {}, IDS, by_side=False)
    for values in columns.values():
        values[:] = 0.0
    rouge, placement = compared(run("a", HARD + 0.1, **columns), run("b", **columns)).differences
    assert placement.figure == "incorrect_placement_f1"
    assert placement[4:12] == (None,) * 8  # from first_point to p_adjusted
    assert placement.degenerate_share == 1.0
    assert rouge.p_adjusted == rouge.p


class TestLoading:
    @pytest.fixture
    def folder(self, tmp_path):
        def made(name, scores='{"format": "carina-scores/1", "metrics": {}}'):
            (tmp_path / name).mkdir(parents=True)
            (tmp_path / name / "scores.json").write_text(scores)
            write_per_study(tmp_path / name / "per_study.parquet", run("x").columns)
            return tmp_path / name

        return made

    def test_runs_are_named_by_their_folders_and_by_paths_where_names_repeat(self, folder):
        assert [one.name for one in load_runs([folder("a"), folder("b")])] == ["a", "b"]
        same = [folder("one/run"), folder("two/run")]
        assert [one.name for one in load_runs(same)] == [str(one) for one in same]

    def test_the_table_is_the_one_that_was_written(self, folder):
        first, _ = load_runs([folder("a"), folder("b")])
        assert first.columns["rouge_l"].tolist() == HARD.tolist()
        assert first.scores["format"] == "carina-scores/1"

    def test_one_folder_or_the_same_one_twice_is_refused(self, folder, tmp_path):
        one = folder("a")
        for folders in ([], [one], [one, one], [one, tmp_path / "." / "a"]):
            with pytest.raises(ValueError, match="two or more different folders"):
                load_runs(folders)

    @pytest.mark.parametrize(
        ("scores", "complaint"),
        [
            ("{", "cannot be read"),
            (b"\xff\xfe", "cannot be read"),
            ("[]", "is not of format carina-scores/1"),
            ('{"format": "carina-scores/9"}', "is not of format carina-scores/1"),
        ],
    )
    def test_what_is_no_scores_file_is_named(self, folder, scores, complaint):
        broken = folder("b")
        (broken / "scores.json").write_bytes(scores if isinstance(scores, bytes) else scores.encode())
        with pytest.raises(ValueError, match=rf"b/scores\.json {complaint}"):
            load_runs([folder("a"), broken])

    def test_missing_files_are_named(self, folder, tmp_path):
        with pytest.raises(ValueError, match=r"none/scores\.json does not exist; score-reports -o"):
            load_runs([folder("a"), tmp_path / "none"])
        (folder("c") / "per_study.parquet").unlink()
        with pytest.raises(ValueError, match=r"c/per_study\.parquet does not exist"):
            load_runs([tmp_path / "a", tmp_path / "c"])


def test_every_number_of_a_comparison_is_one_that_json_has():
    found = compared(run("a", HARD + 0.1), run("b"))
    assert math.isfinite(found.differences[0].p)
    json.dumps(found._asdict() | {"differences": [one._asdict() for one in found.differences]}, allow_nan=False)
