"""`compare-scores` as a user meets it, on runs that `score-reports` wrote."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from eval.per_study import read_per_study, write_per_study
from tests.eval.commands import (
    ROOT,
    ROUGE_L,
    STUDIES,
    compare,
    read_scores,
    score,
    write_predictions,
    write_references,
)

MEAN = sum(ROUGE_L.values()) / 6


class Bench:
    """Runs by name, made from predictions that are gone once they are scored."""

    def __init__(self, folder):
        self.folder = folder
        self.done = None

    def made(self, name, studies=STUDIES, *options, references=STUDIES, metrics="rouge_l", code=0):
        texts = self.folder / "texts"
        texts.mkdir()
        paths = write_predictions(texts / "p.jsonl", studies), write_references(texts / "r.jsonl", references)
        done = score(*paths, "-o", self.folder / name, "--metrics", metrics, *options)
        assert done.exit_code == code, done.stderr
        shutil.rmtree(texts)
        for path in (self.folder / name).iterdir():
            if path.name not in ("scores.json", "per_study.parquet"):  # all that a comparison needs
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        return self.folder / name

    def compare(self, *arguments, code=0):
        """Run, check the exit code, give what was written as JSON. Few resamples are quicker."""
        few = () if "--replicates" in arguments else ("--replicates", 500)
        output = self.folder / "comparison.json"
        output.unlink(missing_ok=True)
        self.done = compare(*arguments, *few, "-o", output)
        assert self.done.exit_code == code, self.done.stderr
        return json.loads(output.read_text(), parse_constant=pytest.fail) if output.exists() else None

    def refused(self, *arguments):
        assert self.compare(*arguments, code=2) is None
        assert self.done.stdout == ""
        return self.done.stderr


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def perfect(*study_ids):
    """Systems that write these studies as the radiologist did."""
    return [one._replace(prediction=one.reference) if one.study_id in study_ids else one for one in STUDIES]


def test_a_difference_is_that_of_the_two_means_with_an_interval_over_patients(bench):
    # b has s3 (patient p2) right, which adds 1/3: a resample holds p2 0 to 3 times, so a - b is 0, -1/18, ... -1/6.
    runs = bench.made("a"), bench.made("b", perfect("s3"))
    done = compare(*runs, "-o", bench.folder / "found.json")
    assert done.exit_code == 0, done.stderr
    found = json.loads((bench.folder / "found.json").read_text())
    (one,) = found["differences"]
    assert (one["figure"], one["first"], one["second"]) == ("rouge_l", "a", "b")
    assert one["first_point"] == pytest.approx(MEAN)
    assert one["second_point"] == pytest.approx(MEAN + 1 / 18)
    assert one["difference"] == pytest.approx(-1 / 18)
    # p2 is never drawn in (2/3)^3 = 8/27 of resamples and thrice in 1/27 = 3.7 %, more than the 2.5 % of a tail
    assert (one["low"], one["high"]) == (pytest.approx(-1 / 6), pytest.approx(0, abs=1e-9))
    assert one["p"] == pytest.approx(2 * 8 / 27, abs=0.04)  # 4 standard errors of 10,000, doubled
    assert (found["studies"], found["patients"], found["unit"]) == (6, 3, "patient")
    assert found["settings"] | {"runs": None} == {"correction": "holm", "replicates": 10_000, "seed": 0, "runs": None}
    for words in ("6 common studies of 3 patients", "10,000 paired resamples of patients", "a - b", "-5.6 [-16.7, "):
        assert words in done.stdout


def test_the_same_system_twice_differs_by_nothing(bench):
    (one,) = bench.compare(bench.made("a"), bench.made("b"))["differences"]
    assert (one["difference"], one["low"], one["high"], one["p"], one["p_adjusted"]) == (0, 0, 0, 1, 1)


def test_nothing_is_measured_again_the_tables_are_all_there_is(bench):
    runs = bench.made("a"), bench.made("b")
    columns = read_per_study(runs[1] / "per_study.parquet")
    write_per_study(runs[1] / "per_study.parquet", {**columns, "rouge_l": np.full(6, 0.25)})
    assert bench.compare(*runs)["differences"][0]["second_point"] == 0.25


class TestOptions:
    @pytest.fixture
    def runs(self, bench):
        return bench.made("a"), bench.made("b", perfect("s2", "s3"))

    def test_iid_resamples_studies(self, bench, runs):
        patients, studies = bench.compare(*runs), bench.compare(*runs, "--iid")
        assert (studies["unit"], studies["patients"]) == ("study", None)
        assert studies["differences"][0]["low"] != patients["differences"][0]["low"]
        assert "paired resamples of studies" in bench.done.stdout

    def test_seed_and_replicates_change_the_resamples_and_not_the_difference(self, bench, runs):
        found = [
            bench.compare(*runs, "--iid", *options)["differences"][0]
            for options in ((), ("--seed", 1), ("--replicates", 300))
        ]
        assert len({one["difference"] for one in found}) == 1
        assert len({one["p"] for one in found}) == 3

    def test_all_figures_compares_more_than_the_headline(self, bench):
        runs = [bench.made(name, metrics="rouge_l,incorrect_placement") for name in "ab"]
        few, many = bench.compare(*runs), bench.compare(*runs, "--all-figures", "--replicates", 100)
        assert [one["figure"] for one in few["differences"]] == ["rouge_l", "incorrect_placement_f1"]
        assert "incorrect_placement_f1_chest_tube" in {one["figure"] for one in many["differences"]}

    def test_three_runs_are_three_pairs_corrected_by_holm_or_by_bonferroni(self, bench, runs):
        runs = (*runs, bench.made("c", perfect(*(one.study_id for one in STUDIES))))
        holm = bench.compare(*runs, "--iid")["differences"]
        bonferroni = bench.compare(*runs, "--iid", "--correction", "bonferroni")["differences"]
        assert [(one["first"], one["second"]) for one in holm] == [("a", "b"), ("a", "c"), ("b", "c")]
        assert holm[1]["difference"] == pytest.approx(MEAN - 1)
        small, middle, large = sorted(one["p"] for one in holm)
        steps = [3 * small, max(3 * small, 2 * middle), max(3 * small, 2 * middle, large)]
        assert sorted(one["p_adjusted"] for one in holm) == pytest.approx([min(1, p) for p in steps])
        assert sorted(one["p_adjusted"] for one in bonferroni) == pytest.approx(
            [min(1, 3 * p) for p in (small, middle, large)]
        )
        assert holm != bonferroni

    def test_too_few_resamples_to_show_anything_is_said(self, bench, runs):
        bench.compare(*runs, "--replicates", 10)  # the least p is 2 / 11
        assert "10 resamples cannot show p below 0.05 for 1 tests; give more with --replicates" in bench.done.stdout
        bench.compare(*runs, "--replicates", 100)
        assert "cannot show" not in bench.done.stdout


class TestCommonStudies:
    def test_runs_of_other_studies_are_compared_on_what_they_share(self, bench):
        part = perfect("s3")[1:]  # without s1, as a run that crashed would leave it
        runs = bench.made("a"), bench.made("b", part, "--allow-missing")
        found = bench.compare(*runs)
        assert found["studies"] == 5
        assert found["left_out"] == {"a": 1, "b": 0}
        assert found["differences"][0]["first_point"] == pytest.approx((sum(ROUGE_L.values()) - 1) / 5)
        assert found["differences"][0]["difference"] == pytest.approx(-1 / 15)
        assert "a: 1 studies are not in every run and are left out" in bench.done.stdout

    def test_what_failed_in_one_run_counts_in_neither(self, bench):
        # Chest tubes: s4 and s5 are hits, s6 a miss: F1 4/5. Where s5 has no labels, 2/3, and so for the other run.
        foreign = "Der Thorax ist unauffällig und ohne Nachweis von Stauung."
        failed = [one._replace(prediction=foreign) if one.study_id == "s5" else one for one in STUDIES]
        runs = (
            bench.made("a", failed, metrics="incorrect_placement", code=3),
            bench.made("b", metrics="incorrect_placement"),
        )
        assert read_scores(runs[1])["figures"][0]["point"] == pytest.approx(4 / 5)
        (one,) = bench.compare(*runs)["differences"]
        assert (one["first_point"], one["second_point"]) == (pytest.approx(2 / 3), pytest.approx(2 / 3))
        assert one["difference"] == 0.0

    def test_a_figure_without_a_case_is_not_available_and_never_0(self, bench):
        references = [one._replace(reference="No pneumothorax.") for one in STUDIES]
        runs = [bench.made(name, references=references, metrics="rouge_l,incorrect_placement") for name in "ab"]
        rouge, placement = bench.compare(*runs)["differences"]
        assert (placement["difference"], placement["p"], placement["p_adjusted"]) == (None, None, None)
        assert rouge["p"] == rouge["p_adjusted"] == 1
        assert "n/a" in bench.done.stdout


class TestRefused:
    def test_unlike_settings_unless_they_are_allowed(self, bench):
        runs = bench.made("a"), bench.made("b", STUDIES, "--use-stemmer")
        said = bench.refused(*runs)
        assert "rouge_l use_stemmer: False in a, True in b" in said
        assert "--allow-unlike" in said
        found = bench.compare(*runs, "--allow-unlike")
        assert found["unlike"] == ["rouge_l use_stemmer: False in a, True in b"]
        assert "--allow-unlike: rouge_l use_stemmer" in bench.done.stdout

    def test_by_side_and_another_labeler_too(self, bench):
        runs = [
            bench.made("a", metrics="incorrect_placement"),
            bench.made("b", STUDIES, "--by-side", metrics="incorrect_placement"),
        ]
        assert "incorrect_placement unit: 'study x device type' in a" in bench.refused(*runs)

    def test_changed_references_unless_they_are_allowed(self, bench):
        changed = [one._replace(reference="No pneumothorax.") if one.study_id == "s2" else one for one in STUDIES]
        runs = bench.made("a"), bench.made("b", references=changed)
        assert "other texts in 1 of 6 common studies" in bench.refused(*runs)
        assert bench.compare(*runs, "--allow-unlike")["studies"] == 6

    def test_folders_that_hold_no_whole_run(self, bench):
        a, b = bench.made("a"), bench.made("b")
        assert "does not exist" in bench.refused(a, bench.folder / "none")
        assert "two or more different folders" in bench.refused(a)
        assert "two or more different folders" in bench.refused(a, a)
        scores = (b / "scores.json").read_text()
        (b / "scores.json").write_text(scores[: len(scores) // 2])
        assert "scores.json cannot be read" in bench.refused(a, b)
        (b / "scores.json").write_text(scores.replace("carina-scores/1", "carina-scores/0"))
        assert "is not of format" in bench.refused(a, b)
        (b / "scores.json").write_text(scores)
        (b / "per_study.parquet").write_bytes(b"PAR1")
        assert "is damaged" in bench.refused(a, b)
        (b / "per_study.parquet").unlink()
        assert "per_study.parquet does not exist" in bench.refused(a, b)

    def test_runs_that_share_no_study_or_figure(self, bench):
        a = bench.made("a")
        renamed = [one._replace(study_id=f"x{one.study_id}") for one in STUDIES]
        assert "no study in common" in bench.refused(a, bench.made("b", renamed, references=renamed))
        assert "no figure in common" in bench.refused(a, bench.made("c", metrics="incorrect_placement"))


def test_an_output_that_cannot_be_written_is_1(bench):
    runs = bench.made("a"), bench.made("b")
    done = compare(*runs, "--replicates", 9, "-o", runs[0])  # which is a folder
    assert done.exit_code == 1
    assert "cannot write" in done.stderr


def test_the_command_as_it_is_installed(bench):
    runs = bench.made("a"), bench.made("b")
    start = [sys.executable, "-c", "from eval.cli import compare_scores_main; compare_scores_main()"]
    done = subprocess.run([*start, *runs], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "ROUGE-L" in done.stdout
