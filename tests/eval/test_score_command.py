"""`score-reports` as a user meets it: what it computes, refuses and says, and that every option changes something."""

import contextlib
import json
import logging
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter

import numpy as np
import pytest

from eval.figure_sets import figures_of
from eval.per_study import read_per_study
from eval.scores import patient_units
from eval.statistics.bootstrap import estimate, replicate_values
from eval.statistics.resampling import Resampling
from tests.eval.commands import (
    ROOT,
    ROUGE_L,
    STUDIES,
    Study,
    figure,
    read_scores,
    score,
    write_predictions,
    write_references,
    write_rows,
)
from tests.eval.radfact.judge_stub import answer, running_judge
from tests.stub_server import Fault, running_stub

DEAD = "http://127.0.0.1:9/v1"  # the discard port, where nothing listens
# The judge entails a phrase by one with which it shares half of their words: all of the invented studies but s2 (2 of
# 5) and s6 (none), so precision and recall are 4/6. 7 texts are unlike, and 10 phrases with what they are held against.
QUESTIONS = 17
REPLICATES = 60
MODEL_FLAGS = ("--model", "m", "--metrics", "radfact", "--max-attempts", "1")


class Bench:
    """A folder with the invented studies, in which commands run."""

    def __init__(self, folder):
        self.folder = folder
        self.predictions = write_predictions(folder / "predictions.jsonl")
        self.references = write_references(folder / "references.jsonl")
        self.done = None

    def score(self, *options, out="out", code=0):
        """Run, check the exit code, give scores.json (None where the run was refused). Few resamples are quicker."""
        few = () if "--replicates" in options else ("--replicates", REPLICATES)
        self.done = score(self.predictions, self.references, "-o", self.folder / out, *few, *options)
        assert self.done.exit_code == code, self.done.stderr
        return read_scores(self.folder / out) if (self.folder / out / "scores.json").exists() else None

    def refused(self, *options, out="out"):
        """Run what must be refused: exit 2, nothing written; gives what was said."""
        assert self.score(*options, out=out, code=2) is None
        return self.done.stderr


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def point(scores, name):
    return figure(scores, name)["point"]


def point_of(name):
    return lambda scores: point(scores, name)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A CheXbert of random weights with a vocabulary of the words of the studies."""
    torch = pytest.importorskip("torch")
    from transformers import BertConfig

    from eval.chexbert.model import Chexbert

    folder = tmp_path_factory.mktemp("chexbert")
    words = (
        "[PAD] [UNK] [CLS] [SEP] no pneumothorax the heart is enlarged normal small right left tube kinked .".split()
    )
    sizes = {"vocab_size": len(words), "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    sizes |= {"intermediate_size": 16, "initializer_range": 1.0}  # smaller weights would give every text one label
    torch.manual_seed(0)
    state = {f"module.{name}": tensor for name, tensor in Chexbert(BertConfig(**sizes)).state_dict().items()}
    torch.save({"model_state_dict": state}, folder / "chexbert.pth")
    (folder / "config.json").write_text(json.dumps(sizes))
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    (folder / "other.txt").write_text("\n".join([*words[:4], *words[:3:-1]]) + "\n")  # the same words, other numbers
    return folder


class TestScores:
    def test_without_judge_or_checkpoint_what_can_be_computed_is_and_the_rest_is_said(self, bench):
        scores = bench.score()
        assert set(scores["metrics"]) == {"rouge_l", "labels", "incorrect_placement"}
        assert point(scores, "rouge_l") == pytest.approx(sum(ROUGE_L.values()) / 6)
        # Chest tubes: s4 and s5 are called misplaced by both, s6 by the reference only: 2 TP / (2 TP + FN) = 4/5.
        assert point(scores, "incorrect_placement_f1") == pytest.approx(0.8)
        assert "--base-url" in scores["not_computed"]["radfact"]
        assert "--chexbert-checkpoint" in scores["not_computed"]["chexbert"]
        for metric in ("radfact", "chexbert"):
            assert f"{metric}: not computed; needs" in bench.done.stdout
        assert "6 studies of 3 patients" in bench.done.stdout
        assert {path.name for path in (bench.folder / "out").iterdir()} == {
            ".carina",
            "per_study.parquet",
            "prediction_labels.jsonl",
            "reference_labels.jsonl",
            "report.html",
            "score-reports.run.json",
            "scores.json",
        }
        assert (bench.folder / "out").stat().st_mode & 0o077 == 0

    def test_the_table_shows_point_interval_and_number_of_studies_uncut(self, bench):
        bench.score()
        rows = [line.split("│") for line in bench.done.stdout.splitlines() if line.startswith("│")]
        cells = {row[1].strip(): [cell.strip() for cell in row[2:5]] for row in rows}
        assert [cells["ROUGE-L"][0], cells["ROUGE-L"][2]] == ["66.5", "6"]  # 3.988 / 6
        assert cells["Incorrect Placement F1"][0] == "80.0"
        assert "…" not in bench.done.stdout

    def test_the_per_study_table_has_each_studys_own_score(self, bench):
        bench.score("--metrics", "rouge_l")
        columns = read_per_study(bench.folder / "out" / "per_study.parquet")
        assert dict(zip(columns["study_id"], columns["rouge_l"], strict=True)) == pytest.approx(ROUGE_L)
        assert columns["patient_id"].tolist() == [one.patient_id for one in STUDIES]

    def test_every_metric_together_and_the_table_gives_the_figures_to_the_last_bit(self, bench, checkpoint):
        with running_judge() as stub:
            flags = ("--model", "m", "--base-url", stub.url, "--chexbert-checkpoint", checkpoint / "chexbert.pth")
            scores = bench.score(*flags, "--metrics", "rouge_l,chexbert,radfact,incorrect_placement", "--seed", 7)
            assert stub.stats.chat_requests == QUESTIONS
        assert point(scores, "radfact_logical_precision") == pytest.approx(4 / 6)
        assert point(scores, "radfact_logical_recall") == pytest.approx(4 / 6)
        assert point(scores, "radfact_logical_f1") == pytest.approx(4 / 6)
        assert scores["metrics"]["radfact"]["failure_rate"] == 0
        assert scores["not_computed"] == {}
        columns = read_per_study(bench.folder / "out" / "per_study.parquet")
        figures = figures_of(columns)
        assert [one.name for one in figures] == [one["name"] for one in scores["figures"]]
        for units, scheme in ((None, "study"), (patient_units(columns), "patient")):
            values = replicate_values(figures, Resampling(REPLICATES, 7), units)
            for one, values_B, stored in zip(figures, values, scores["figures"], strict=True):
                again = estimate(one.point(), values_B)
                assert (again.point, stored["support"]) == (stored["point"], one.support), one.name
                assert again.low == stored["intervals"][scheme]["low"], one.name
                assert again.high == stored["intervals"][scheme]["high"], one.name

    def test_the_same_command_writes_the_same_bytes_and_asks_nothing_again(self, bench):
        with running_judge() as stub:
            for out in ("out", "out", "elsewhere"):
                bench.score("--model", "m", "--base-url", stub.url, out=out)
                assert stub.stats.chat_requests == QUESTIONS * (2 if out == "elsewhere" else 1)
                files = {path.name: path.read_bytes() for path in (bench.folder / out).glob("[!.]*")}
                del files["score-reports.run.json"]  # which names the folder
                if out == "out":
                    first = files
                assert files == first

    def test_zero_support_is_null_in_the_file_and_not_0(self, bench):
        write_references(bench.references, [one._replace(reference="No pneumothorax.") for one in STUDIES])
        scores = bench.score()
        found = figure(scores, "incorrect_placement_f1")
        assert (found["point"], found["median"], found["low"], found["high"]) == (None,) * 4
        assert found["support"] == 0
        chest_tube = next(one for one in scores["tables"]["placement_devices"] if one["device"] == "chest_tube")
        assert (chest_tube["fp"], chest_tube["f1"]) == (2, None)
        assert "n/a" in bench.done.stdout

    def test_one_study_alone_has_a_score_and_no_interval(self, bench):
        write_predictions(bench.predictions, STUDIES[1:2])
        write_references(bench.references, STUDIES[1:2])
        found = figure(bench.score(), "rouge_l")
        assert found["point"] == pytest.approx(4 / 7)
        assert (found["median"], found["low"], found["high"]) == (None, None, None)
        assert "there is one patient only" in bench.done.stdout

    def test_there_are_500_resamples_unless_told_otherwise(self, bench):
        done = score(bench.predictions, bench.references, "-o", bench.folder / "out", "--metrics", "rouge_l")
        assert done.exit_code == 0
        assert read_scores(bench.folder / "out")["bootstrap"]["replicates"] == 500

    def test_the_settings_of_a_run_are_written(self, bench):
        bench.score("--use-stemmer", "--metrics", "rouge_l")
        record = json.loads((bench.folder / "out" / "score-reports.run.json").read_text())
        assert record["use_stemmer"] is True
        assert record["metrics"] == ["rouge_l"]


class TestJoining:
    def test_whatever_does_not_fit_is_refused_by_count_and_id_and_scored_when_allowed(self, bench):
        rows = [{"study_id": one.study_id, "prediction": one.prediction} for one in STUDIES]
        rows[1]["prediction"] = " "
        write_rows(bench.predictions, [*rows[:5], rows[4], {"study_id": "x", "prediction": "?"}])  # s5 twice, no s6
        said = bench.refused("--metrics", "rouge_l")
        for problem in (
            "1 references without a prediction (s6)",
            "1 predictions without a reference (x)",
            "1 ids that stand more than once among the predictions (s5)",
            "1 empty predictions (s2)",
            "--allow-missing",
        ):
            assert problem in said
        assert not (bench.folder / "out").exists()
        scores = bench.score("--metrics", "rouge_l", "--allow-missing")
        assert "--allow-missing: 1 references without a prediction (s6)" in bench.done.stderr
        assert scores["counts"] == {
            "predictions": 6,
            "references": 6,
            "scored": 4,
            "missing_predictions": 1,
            "missing_references": 1,
            "duplicate_predictions": 1,
            "duplicate_references": 0,
            "empty_predictions": 1,
            "empty_references": 0,
            "patients": 2,
        }
        # s1, s3, s4 as they are and s2 as a report that says nothing
        assert point(scores, "rouge_l") == pytest.approx((1 + 0 + 2 / 3 + 3 / 4) / 4)

    def test_files_without_a_common_id_are_refused_even_when_missing_ones_are_allowed(self, bench):
        write_rows(bench.predictions, [{"study_id": "x", "prediction": "No pneumothorax."}])
        assert "no study id" in bench.refused("--allow-missing")

    def test_an_empty_prediction_supports_nothing_and_two_empty_texts_have_nothing_to_judge(self, bench):
        texts = {"s1": ("", "No pneumothorax."), "s2": ("", ""), "s3": ("No pneumothorax.", "No pneumothorax.")}
        studies = [Study(one, "p", "F", *pair) for one, pair in texts.items()]
        write_predictions(bench.predictions, studies)
        write_references(bench.references, studies)
        with running_judge() as stub:
            scores = bench.score("--model", "m", "--base-url", stub.url, "--allow-missing")
            assert stub.stats.chat_requests == 2  # one text, one phrase
        assert point(scores, "rouge_l") == pytest.approx(1 / 3)
        assert point(scores, "radfact_logical_precision") == 1.0  # of s3 alone: s1 and s2 claim nothing
        assert point(scores, "radfact_logical_recall") == 0.5  # s1 misses its phrase
        assert scores["metrics"]["radfact"]["failure_rate"] == 0
        columns = read_per_study(bench.folder / "out" / "per_study.parquet")
        np.testing.assert_array_equal(columns["radfact_precision"], [np.nan, np.nan, 1.0])
        np.testing.assert_array_equal(columns["radfact_recall"], [0.0, np.nan, 1.0])
        assert scores["metrics"]["labels"]["excluded"] == 0

    def test_a_system_that_says_nothing_at_all_has_no_radfact_and_null_bounds(self, bench):
        write_predictions(bench.predictions, [one._replace(prediction="") for one in STUDIES])
        with running_judge() as stub:
            scores = bench.score("--model", "m", "--base-url", stub.url, "--allow-missing")
        assert point(scores, "radfact_logical_f1") is None
        assert point(scores, "radfact_logical_recall") == 0.0
        assert scores["metrics"]["radfact"]["logical_f1_bounds"] is None
        assert point(scores, "rouge_l") == 0.0

    def test_patients_that_are_partly_missing_are_refused_and_ignored_with_iid(self, bench):
        rows = [json.loads(line) for line in bench.references.read_text().splitlines()]
        rows[3]["patient_id"] = None
        write_rows(bench.references, rows)
        assert "1 of 6 studies name no patient (s4)" in bench.refused("--metrics", "rouge_l")
        scores = bench.score("--metrics", "rouge_l", "--iid")
        assert scores["counts"]["patients"] is None
        assert scores["bootstrap"]["unit"] == "study"

    def test_texts_with_half_characters_are_scored_but_have_no_labels(self, bench):
        write_predictions(bench.predictions, [STUDIES[0]._replace(prediction="No pneumothorax \ud83d."), *STUDIES[1:]])
        scores = bench.score(code=3)
        assert point(scores, "rouge_l") == pytest.approx(sum(ROUGE_L.values()) / 6)
        assert scores["metrics"]["labels"]["excluded"] == 1
        assert "lone surrogate" in " ".join(scores["metrics"]["labels"]["notes"])


RADFACT = "radfact_logical_f1"
PLACEMENT = "incorrect_placement_f1"
UNSTEMMED = sum(ROUGE_L.values()) / 6


def interval(scores):
    found = figure(scores, "rouge_l")
    return found["low"], found["high"]


def levels(scores):
    return {one["value"]: one["point"] for block in scores["subgroups"] for one in block["levels"]}


@pytest.mark.parametrize(
    ("option", "view", "without", "with_it"),
    [
        # s3 is alike when stemmed
        (("--use-stemmer",), point_of("rouge_l"), UNSTEMMED, UNSTEMMED + (1 - 2 / 3) / 6),
        # s5 a hit, s6 a miss; s4 is a false alarm on the right and a miss on the left
        (("--by-side",), point_of(PLACEMENT), 2 * 2 / (2 * 2 + 1), 2 * 1 / (2 * 1 + 1 + 2)),
        (("--iid",), lambda scores: scores["bootstrap"]["unit"], "patient", "study"),
        (("--replicates", 40), lambda scores: scores["bootstrap"]["replicates"], REPLICATES, 40),
        (("--seed", 3), lambda scores: scores["bootstrap"]["seed"], 0, 3),
        (("--rng", "reference"), lambda scores: scores["bootstrap"]["rng"], "fast", "reference"),
        (
            ("--subgroups", "sex"),
            levels,
            {},
            {"F": pytest.approx((1 + 4 / 7 + 1 + 0) / 4), "M": pytest.approx((2 / 3 + 3 / 4) / 2)},
        ),
        (("--patient-column", "sex"), lambda scores: scores["counts"]["patients"], 3, 2),
        (
            ("--metrics", "rouge_l"),
            lambda scores: list(scores["metrics"]),
            ["rouge_l", "labels", "incorrect_placement"],
            ["rouge_l"],
        ),
        (("--labels",), lambda scores: list(scores["not_computed"]), ["chexbert", "radfact"], ["radfact"]),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_an_option_changes_the_numbers_as_derived_by_hand(bench, option, view, without, with_it):
    narrow = ("--metrics", "rouge_l,incorrect_placement") if option[0] not in ("--labels", "--metrics") else ()
    if option[0] == "--subgroups":
        narrow = ("--metrics", "rouge_l")
    assert view(bench.score(*narrow)) == (pytest.approx(without) if isinstance(without, float) else without)
    changed = view(bench.score(*narrow, *option, out="changed"))
    assert changed == (pytest.approx(with_it) if isinstance(with_it, float) else with_it)


class TestIntervals:
    def test_the_options_of_the_bootstrap_change_the_intervals_and_not_the_point(self, bench):
        found = {}
        for options in ((), ("--iid",), ("--iid", "--seed", 1), ("--iid", "--replicates", 40), ("--iid", "--rng", "reference")):  # fmt: skip # noqa: E501
            scores = bench.score("--metrics", "rouge_l", *options)
            assert point(scores, "rouge_l") == pytest.approx(UNSTEMMED)
            found[options] = interval(scores)
        assert len(set(found.values())) == len(found)

    def test_the_reference_stream_is_numpys_default_generator_one_choice_a_replicate(self, bench):
        rng = np.random.default_rng(5)
        values = np.array(list(ROUGE_L.values()))
        means = [values[rng.choice(6, 6)].mean() for _ in range(100)]
        flags = ("--metrics", "rouge_l", "--iid", "--rng", "reference", "--seed", 5, "--replicates", 100)
        assert interval(bench.score(*flags)) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])))


class TestInputOptions:
    def test_columns_can_be_named_on_both_sides(self, bench):
        for path, text in ((bench.predictions, "prediction"), (bench.references, "reference")):
            rows = [json.loads(line) for line in path.read_text().splitlines()]
            write_rows(path, [row | {"key": row["study_id"][::-1], "other": f"All of {row[text]}"} for row in rows])
        plain = bench.score("--metrics", "rouge_l")
        bench.score("--metrics", "rouge_l", "--id-column", "key")
        columns = read_per_study(bench.folder / "out" / "per_study.parquet")
        assert columns["study_id"][0] == "1s"
        # Of s1 one side then reads "All of No pneumothorax.": 2 * 2 / (2 + 4) instead of 1.
        for option in ("--prediction-column", "--reference-column"):
            assert bench.score("--metrics", "rouge_l", option, "other") != plain
            columns = read_per_study(bench.folder / "out" / "per_study.parquet")
            assert columns["rouge_l"][0] == pytest.approx(2 / 3)

    @pytest.mark.parametrize(
        "option", ["--id-column", "--prediction-column", "--reference-column", "--patient-column", "--subgroups"]
    )
    def test_a_column_that_is_not_there_is_refused_with_those_that_are(self, bench, option):
        said = bench.refused(option, "nowhere")
        assert "'nowhere'" in said
        assert option in said
        assert "study_id" in said

    def test_another_encoding_is_read_when_named(self, bench):
        for path in (bench.predictions, bench.references):
            rows = [json.loads(line) for line in path.read_text().splitlines()]
            text = "".join(json.dumps(row | {"note": "Größe"}, ensure_ascii=False) + "\n" for row in rows)
            path.write_bytes(text.encode("cp1252"))
        assert "--encoding" in bench.refused("--metrics", "rouge_l")
        bench.score("--metrics", "rouge_l", "--encoding", "cp1252")


class TestLabelOptions:
    def rows(self, bench, side, drop=()):
        """Rows of label-reports for one side, without those of some studies."""
        bench.score("--metrics", "incorrect_placement", out="made")
        lines = (bench.folder / "made" / f"{side}_labels.jsonl").read_text().splitlines()
        path = bench.folder / "rows.jsonl"
        path.write_text("".join(line + "\n" for line in lines if json.loads(line)["report_id"] not in drop))
        return path

    @pytest.mark.parametrize("side", ["prediction", "reference"])
    def test_rows_that_are_given_are_used_and_not_made(self, bench, side):
        given = self.rows(bench, side, drop=["s6"])
        flags = ("--metrics", "incorrect_placement", f"--{side}-labels", given)
        scores = bench.score(*flags, code=3)  # 1 of 6 has no row: more than 1 %
        assert point(scores, PLACEMENT) == 1.0  # the miss was s6's
        assert scores["metrics"]["incorrect_placement"]["excluded"] == 1
        assert scores["metrics"]["incorrect_placement"]["failure_rate"] == pytest.approx(1 / 6)
        assert f"{side} s6" in scores["metrics"]["incorrect_placement"]["notes"][0]
        made = {path.name for path in (bench.folder / "out").glob("*_labels.jsonl")}
        assert made == {"prediction_labels.jsonl", "reference_labels.jsonl"} - {f"{side}_labels.jsonl"}

    def test_rows_of_another_text_are_refused(self, bench):
        given = self.rows(bench, "prediction")
        write_predictions(bench.predictions, [one._replace(prediction="Heart is normal.") for one in STUDIES])
        assert "does not stand in the text" in bench.refused("--prediction-labels", given)

    def test_rows_of_other_studies_are_refused(self, bench):
        given = self.rows(bench, "prediction", drop=[one.study_id for one in STUDIES[1:]])
        write_predictions(bench.predictions, STUDIES[1:])
        write_references(bench.references, STUDIES[1:])
        assert "no study has labels on both sides" in bench.refused("--prediction-labels", given)

    def test_the_model_labels_when_told_to(self, bench):
        with running_stub() as stub:  # it finds nothing in any text
            flags = ("--model", "m", "--base-url", stub.url, "--metrics", "incorrect_placement")
            assert point(bench.score(*flags), PLACEMENT) == pytest.approx(0.8)
            assert stub.stats.chat_requests == 0
            scores = bench.score(*flags, "--labeler", "model", out="model")
            assert stub.stats.chat_requests > 0
        assert point(scores, PLACEMENT) is None
        assert "endpoint m" in scores["metrics"]["incorrect_placement"]["settings"]["prediction_labels"]

    def test_a_dead_labeler_is_said_and_scores_nothing(self, bench):
        flags = ("--metrics", "incorrect_placement", "--labeler", "model", "--model", "m", "--base-url", DEAD)
        assert bench.score(*flags, "--max-attempts", 1, code=3) is None
        assert "nothing listens" in bench.done.stderr
        assert not list((bench.folder / "out").glob("*_labels.jsonl"))

    def test_differently_labelled_sides_are_said(self, bench):
        given = self.rows(bench, "prediction")
        given.write_text(given.read_text().replace('"model":"rules-', '"model":"older-'))
        scores = bench.score("--metrics", "incorrect_placement", "--prediction-labels", given)
        assert "were labelled differently" in scores["metrics"]["incorrect_placement"]["notes"][0]


class TestChexbertOptions:
    def labels(self, bench):
        columns = read_per_study(bench.folder / "out" / "per_study.parquet")
        found = {name: values.tolist() for name, values in columns.items() if name.startswith("chexbert_")}
        assert len(found) == 28
        return found

    def test_the_checkpoint_the_vocabulary_and_the_batch_do_what_they_say(self, bench, checkpoint):
        flags = ("--metrics", "chexbert", "--chexbert-checkpoint", checkpoint / "chexbert.pth")
        scores = bench.score(*flags)
        settings = scores["metrics"]["chexbert"]["settings"]
        first = self.labels(bench)
        assert len({tuple(values) for values in first.values()}) > 5  # the labels are not all alike
        assert first["chexbert_prediction_edema"][3] == first["chexbert_reference_edema"][4]  # the same text
        assert point(scores, "chexbert_macro_f1_14") == pytest.approx(macro_f1_of(first))
        bench.score(*flags, "--batch-tokens", 1, "--device", "cpu")
        assert self.labels(bench) == first
        other = bench.score(*flags, "--chexbert-vocab", checkpoint / "other.txt")["metrics"]["chexbert"]["settings"]
        assert self.labels(bench) != first
        assert other["vocabulary_sha256"] != settings["vocabulary_sha256"]
        assert other["weights_sha256"] == settings["weights_sha256"]

    def test_what_is_missing_or_at_odds_is_refused(self, bench, checkpoint):
        weights = checkpoint / "chexbert.pth"
        for flags, said in (
            (("--metrics", "chexbert"), "chexbert needs CheXbert's weights: --chexbert-checkpoint"),
            (("--chexbert-checkpoint", bench.folder / "none.pth"), "no checkpoint file"),
            (("--chexbert-checkpoint", weights, "--chexbert-vocab", bench.folder / "no.txt"), "no vocabulary file"),
            (("--chexbert-checkpoint", weights, "--chexbert-revision", "main"), "only a hub repository has revisions"),
            (
                ("--chexbert-checkpoint", bench.predictions, "--chexbert-vocab", checkpoint / "vocab.txt"),
                "is no checkpoint",
            ),
            (("--chexbert-vocab", bench.predictions), "chexbert_vocab needs chexbert_checkpoint"),
            (("--chexbert-revision", "main"), "chexbert_revision needs chexbert_checkpoint"),
            (("--chexbert-checkpoint", weights, "--labels"), "exclude each other"),
            (("--metrics", "rouge_l", "--labels"), "add chexbert to metrics"),
        ):
            assert said in bench.refused(*flags), flags

    def test_labels_stand_in_for_the_checkpoint_when_told_to(self, bench):
        scores = bench.score("--metrics", "chexbert", "--labels")
        assert list(scores["metrics"]) == ["labels"]
        # Of what is positive in a reference, effusion (s3) and devices (s4 to s6) are predicted but for s6.
        assert point(scores, "labels_f1_pleural_effusion") == 1.0
        assert point(scores, "labels_f1_support_devices") == pytest.approx(2 * 2 / (2 * 2 + 1))
        assert any("not comparable with CheXbert" in note for note in scores["metrics"]["labels"]["notes"])


def macro_f1_of(columns):
    """scikit-learn's macro F1, uncertain as negative."""
    metrics = pytest.importorskip("sklearn.metrics")
    sides = [
        np.array([[word == "positive" for word in values] for name, values in columns.items() if f"_{side}_" in name])
        for side in ("reference", "prediction")
    ]
    return metrics.f1_score(sides[0].T, sides[1].T, average="macro", zero_division=0)


class TestOutputOptions:
    def page(self, bench, *options):
        bench.score("--metrics", "rouge_l", *options)
        return (bench.folder / "out" / "report.html").read_text()

    def test_the_worst_studies_are_shown_as_many_as_wanted_and_never_the_perfect_ones(self, bench):
        page = self.page(bench)
        for words in ("heart is enlarged", "pleural effusions", "Left chest tube kinked"):  # s2, s3, s4 and s6
            assert words in page
        worst = self.page(bench, "--worst", 1)  # s6
        assert "Left chest tube kinked" in worst
        assert "heart is enlarged" not in worst
        assert "kinked" not in self.page(bench, "--worst", 0)

    def test_no_texts_keeps_every_text_out_of_the_page(self, bench):
        page = self.page(bench, "--no-texts")
        assert "ROUGE-L" in page
        for one in STUDIES:
            assert one.prediction not in page
            assert one.reference not in page

    def test_answers_are_kept_in_the_output_folder_or_where_told(self, bench):
        bench.score("--metrics", "incorrect_placement")
        assert (bench.folder / "out" / ".carina" / "answers.sqlite").exists()
        bench.score("--metrics", "incorrect_placement", "--store", bench.folder / "kept", out="other")
        assert (bench.folder / "kept" / "answers.sqlite").exists()
        assert not (bench.folder / "other" / ".carina").exists()

    def test_a_toml_file_gives_settings_and_flags_win(self, bench):
        config = bench.folder / "score.toml"
        config.write_text('use_stemmer = true\nseed = 4\nmetrics = ["rouge_l"]\n')
        scores = bench.score("--config", config)
        assert list(scores["metrics"]) == ["rouge_l"]
        assert scores["metrics"]["rouge_l"]["settings"]["use_stemmer"] is True
        assert scores["bootstrap"]["seed"] == 4
        scores = bench.score("--config", config, "--seed", 9, "--metrics", "rouge_l,incorrect_placement")
        assert scores["bootstrap"]["seed"] == 9
        assert list(scores["metrics"]) == ["rouge_l", "incorrect_placement"]

    def test_a_config_that_cannot_be_used_is_refused(self, bench):
        config = bench.folder / "score.toml"
        for text, said in (("sead = 4", "sead"), ("seed = -1", "seed = -1"), ("seed =", "config")):
            config.write_text(text)
            assert said in bench.refused("--config", config)
        assert "config" in bench.refused("--config", bench.folder / "none.toml")


class TestJudge:
    def test_it_changes_what_can_be_computed(self, bench):
        with running_judge() as stub:
            scores = bench.score("--model", "m", "--base-url", stub.url)
        assert point(scores, RADFACT) == pytest.approx(4 / 6)
        assert list(scores["not_computed"]) == ["chexbert"]
        assert scores["metrics"]["radfact"]["settings"]["judge"]["model"] == "m"
        assert (bench.folder / "out" / "judgments.jsonl").exists()

    def test_what_it_cost_is_said_where_prices_are_known(self, bench):
        with running_judge() as stub:
            judge = ("--metrics", "radfact", "--model", "m", "--base-url", stub.url)
            bench.score(*judge, "--price-in", 0, "--price-cached", 0, "--price-out", 1e6)
            # the stub counts 8 answer tokens a request: a dollar each
            assert f"{QUESTIONS} requests" in bench.done.stderr
            assert f"${8 * QUESTIONS}.00" in bench.done.stderr

    def test_radfact_asked_for_without_a_judge_is_refused_with_what_it_needs(self, bench):
        said = bench.refused("--metrics", "rouge_l,radfact")
        for words in ("radfact needs a language model as judge", "--model", "--base-url", "--replay"):
            assert words in said

    def test_reports_go_to_another_machine_only_when_allowed(self, bench):
        with running_judge() as stub:
            elsewhere = stub.url.replace("127.0.0.1", "0.0.0.0")  # not surely this machine, and here it is
            said = bench.refused(*MODEL_FLAGS, "--base-url", elsewhere)
            assert "is not this machine" in said
            assert "--allow-remote" in said
            assert stub.stats.connections == 0
            bench.score(*MODEL_FLAGS, "--base-url", elsewhere, "--allow-remote")
            assert stub.stats.chat_requests == QUESTIONS

    def test_what_the_server_is_sent_follows_the_flags(self, bench):
        def asked(*flags):
            with running_judge(models=("only",)) as stub:
                stub.answer = lambda body: answer(body | {"response_format": schema_of(body)})
                bench.score(
                    "--metrics", "radfact", "--base-url", stub.url, "--store", bench.folder / str(flags), *flags
                )
                return stub.body_of(0)

        plain = asked()
        assert plain["model"] == "only"  # the one that the server has
        assert (plain["temperature"], plain["seed"], plain["max_tokens"]) == (0, 0, 2048)
        assert plain["response_format"]["type"] == "json_schema"
        assert asked("--model", "named")["model"] == "named"
        assert asked("--temperature", 0.5)["temperature"] == 0.5
        assert {"temperature", "seed"}.isdisjoint(asked("--server-sampling"))
        assert asked("--max-tokens", 99)["max_tokens"] == 99
        assert asked("--structured-output", "json_object")["response_format"]["type"] == "json_object"

    def test_requests_in_flight_tries_and_patience_are_limited_as_told(self, bench):
        with running_judge(latency_s=0.02) as stub:
            bench.score(*MODEL_FLAGS, "--base-url", stub.url, "--concurrency", 1, out="slow")
            assert stub.stats.max_in_flight == 1
            bench.score(*MODEL_FLAGS, "--base-url", stub.url, out="fast")
            assert stub.stats.max_in_flight > 1
        with running_judge(faults=[Fault("500", times=1)]) as stub:
            bench.score(*MODEL_FLAGS, "--base-url", stub.url, out="one try", code=3)
        with running_judge(faults=[Fault("500", times=1)]) as stub:
            bench.score(*MODEL_FLAGS, "--base-url", stub.url, "--max-attempts", 2, out="two tries")
        with running_judge(latency_s=0.3) as stub:
            bench.score(*MODEL_FLAGS, "--base-url", stub.url, "--request-timeout-s", 0.05, out="hasty", code=3)
        flags = ("--requests-per-minute", 60_000, "--tokens-per-minute", 9_000_000)
        with running_judge() as stub:
            bench.score(*MODEL_FLAGS, "--base-url", stub.url, *flags, out="limits")
        record = json.loads((bench.folder / "limits" / "score-reports.run.json").read_text())
        assert (record["requests_per_minute"], record["tokens_per_minute"]) == (60_000, 9_000_000)

    def test_a_dead_server_is_said_with_its_address_and_leaves_nothing_that_is_taken_for_an_answer(self, bench):
        scores = bench.score(*MODEL_FLAGS, "--base-url", DEAD, code=3)
        assert f"nothing listens at {DEAD}" in bench.done.stdout
        assert "100.0 % failed" in bench.done.stderr
        assert point(scores, RADFACT) is None
        assert scores["metrics"]["radfact"]["studies"] == 0
        assert scores["metrics"]["radfact"]["logical_f1_bounds"] == {"low": 0.0, "high": 1.0}
        with sqlite3.connect(bench.folder / "out" / ".carina" / "answers.sqlite") as db:
            assert db.execute("SELECT count(*) FROM answers").fetchone() == (0,)
        with running_judge() as stub:  # the same store, with the server back
            assert point(bench.score(*MODEL_FLAGS, "--base-url", stub.url), RADFACT) == pytest.approx(4 / 6)

    def test_a_dead_server_that_should_name_its_model_is_said(self, bench):
        assert bench.score("--metrics", "radfact", "--base-url", DEAD, code=3) is None
        assert f"nothing listens at {DEAD}" in bench.done.stderr

    def test_a_lying_judge_is_counted_bounded_and_not_believed(self, bench):
        studies = [Study("s1", "p", "F", "No pneumothorax. WRONGEV line.", "No pneumothorax.")]
        write_predictions(bench.predictions, studies)
        write_references(bench.references, studies)
        with running_judge() as stub:
            flags = (*MODEL_FLAGS, "--base-url", stub.url)
            scores = bench.score(*flags, code=3)
            # Of three phrases one is never judged. With it precision is 1/2 (F1 2/3) or 1, without it 1.
            assert point(scores, RADFACT) == 1.0
            radfact = scores["metrics"]["radfact"]
            assert radfact["failure_rate"] == pytest.approx(1 / 3)
            assert radfact["failures"] == {
                "reports": 2,
                "failed_reports": 0,
                "judgments": 3,
                "failed_judgments": 1,
            }
            assert radfact["logical_f1_bounds"] == {"low": pytest.approx(2 / 3), "high": 1.0}
            assert "cites evidence that does not exist" in bench.done.stdout
            assert "66.7" in bench.done.stdout
            assert "33.3 % failed, more than --max-failures 0.01" in bench.done.stderr
            asked = stub.stats.chat_requests
            bench.score(*flags, "--max-failures", 0.5)
            assert stub.stats.chat_requests == asked + 3  # the one that failed, in three tries
            # RadFact itself drops the study.
            compat = bench.score(*flags, "--compat", "radfact", "--max-failures", 0.5)
        assert point(compat, RADFACT) is None
        assert compat["metrics"]["radfact"]["settings"]["failed_judgments"] == "as RadFact"

    def test_no_word_of_a_report_is_logged_or_shown(self, bench, caplog):
        caplog.set_level(logging.DEBUG)
        secret = "zebrafish"
        studies = [
            Study("s1", "p", "F", f"The {secret} is seen. WRONGEV {secret}.", f"{secret} tube kinked."),
            Study("s2", "p", "F", f"BADJSON {secret}.", f"No {secret}. BADYAML {secret}."),
            Study("s3", "p", "F", f"{secret} " * 20_000, f"Der Thorax ist nicht mit {secret} und ohne {secret}."),
        ]
        write_predictions(bench.predictions, studies)
        write_references(bench.references, studies)
        with running_judge(faults=[Fault("500", times=2), Fault("html", times=1)]) as stub:
            bench.score("--model", "m", "--base-url", stub.url, "--max-attempts", 1, code=3)
        for said in (bench.done.stdout, bench.done.stderr, caplog.text):
            assert secret not in said.lower()
        assert secret in (bench.folder / "out" / "report.html").read_text()
        record = (bench.folder / "out" / "scores.json").read_text()
        assert secret not in record


class TestReplay:
    @pytest.fixture
    def judgments(self, bench):
        with running_judge() as stub:
            self.first = bench.score("--model", "m", "--base-url", stub.url, "--metrics", "radfact", out="judged")
        return bench.folder / "judged" / "judgments.jsonl"

    def test_it_gives_the_very_figures_without_a_server(self, bench, judgments):
        scores = bench.score("--metrics", "radfact", "--replay", judgments)
        assert scores == self.first
        assert not (bench.folder / "out" / ".carina").exists()
        assert not (bench.folder / "out" / "judgments.jsonl").exists()

    def test_a_replay_of_a_part_gives_the_parts_figures(self, bench, judgments):
        write_predictions(bench.predictions, STUDIES[:2])
        write_references(bench.references, STUDIES[:2])
        assert point(bench.score("--metrics", "radfact", "--replay", judgments), RADFACT) == pytest.approx(1 / 2)

    def test_judgments_of_changed_texts_are_refused(self, bench, judgments):
        write_predictions(bench.predictions, [STUDIES[0]._replace(prediction="Pneumothorax."), *STUDIES[1:]])
        said = bench.refused("--metrics", "radfact", "--replay", judgments)
        assert "1 reports have changed since they were judged, the prediction of study 's1'" in said

    def test_judgments_of_other_studies_are_refused(self, bench, judgments):
        studies = [*STUDIES, Study("s7", "p", "F", "Clear.", "Clear.")]
        write_predictions(bench.predictions, studies)
        write_references(bench.references, studies)
        assert "1 of 7 studies were not judged, 's7'" in bench.refused("--replay", judgments)

    def test_what_is_no_file_of_judgments_or_asks_somebody_is_refused(self, bench, judgments):
        assert "none.jsonl" in bench.refused("--replay", bench.folder / "none.jsonl")
        assert "no file of RadFact judgments" in bench.refused("--replay", bench.predictions)
        assert "replay asks no model" in bench.refused("--replay", judgments, "--model", "m")

    def test_compat_can_be_chosen_afterwards(self, bench):
        studies = [Study("s1", "p", "F", "No pneumothorax. BADYAML line.", "No pneumothorax.")]
        write_predictions(bench.predictions, studies)
        write_references(bench.references, studies)
        with running_judge() as stub:
            bench.score(*MODEL_FLAGS, "--base-url", stub.url, code=3, out="judged")
        flags = ("--metrics", "radfact", "--replay", bench.folder / "judged" / "judgments.jsonl", "--max-failures", 1)
        name = "radfact_logical_precision"
        assert point(bench.score(*flags), name) == 1.0
        assert point(bench.score(*flags, "--compat", "radfact"), name) == 0.5  # what failed is not entailed there


class TestExitCodes:
    @pytest.mark.parametrize(
        ("flags", "said"),
        [
            (("--metrics", "rouge"), "metrics rouge not known; known: rouge_l, chexbert, radfact"),
            (("--metrics", ","), "(none) not known"),
            (("--replicates", 0), "replicates = 0"),
            (("--seed", -1), "seed = -1"),
            (("--worst", -1), "worst = -1"),
            (("--max-failures", 1.5), "max_failures = 1.5"),
            (("--labeler", "model"), "labeler model needs a language model"),
            (("--price-in", "1"), "price_in and price_out must be given together"),
            (("--base-url", "nonsense", "--model", "m"), "nonsense"),
        ],
    )
    def test_wrong_settings_are_2_and_named(self, bench, flags, said):
        assert said in bench.refused(*flags)

    def test_files_that_cannot_be_read_are_2(self, bench):
        done = score(bench.folder / "none.csv", bench.references, "-o", bench.folder / "out")
        assert (done.exit_code, "none.csv does not exist" in done.stderr) == (2, True)
        bench.predictions.write_text("{")
        assert "line 1: not JSON" in bench.refused()

    def test_a_store_or_folder_that_cannot_be_written_is_1(self, bench):
        flags = ("--metrics", "incorrect_placement", "--store", bench.predictions)
        assert bench.score(*flags, code=1) is None
        assert "answer store" in bench.done.stderr
        (bench.folder / "file").write_text("")
        bench.score("--metrics", "rouge_l", out="file", code=1)
        assert "file" in bench.done.stderr
        (bench.folder / "taken" / "scores.json").mkdir(parents=True)
        done = score(bench.predictions, bench.references, "-o", bench.folder / "taken", "--metrics", "rouge_l")
        assert done.exit_code == 1
        assert "cannot write" in done.stderr

    def test_texts_that_cannot_be_labelled_are_3_and_more_are_allowed_when_told(self, bench):
        foreign = "Der Thorax ist unauffällig und ohne Nachweis von Stauung."
        write_predictions(bench.predictions, [STUDIES[0]._replace(prediction=foreign), *STUDIES[1:]])
        scores = bench.score(code=3)
        assert scores["metrics"]["labels"]["failure_rate"] == pytest.approx(1 / 6)
        assert scores["metrics"]["incorrect_placement"]["excluded"] == 1
        assert "16.7 % failed, more than --max-failures 0.01" in bench.done.stderr
        bench.score("--max-failures", 0.2)

    def test_help_needs_no_files_and_a_command_without_them_is_wrong_use(self):
        start = [sys.executable, "-c", "from eval.cli import score_reports_main; score_reports_main()"]
        shown = subprocess.run([*start, "--help"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
        assert shown.returncode == 0
        assert "--allow-missing" in shown.stdout
        alone = subprocess.run(start, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
        assert alone.returncode == 2
        assert "Traceback" not in alone.stderr


class TestStopped:
    STUDIES = tuple(
        Study(f"s{n}", f"p{n}", "F", f"Opacity number {n} is seen. Line {n} ends high.", f"Rib {n} is broken.")
        for n in range(20)
    )
    QUESTIONS = 20 * (2 + 3)  # reports taken apart, phrases judged
    CONCURRENCY = 2

    @pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
    def test_the_same_command_goes_on_and_no_kept_judgment_is_asked_for_again(self, tmp_path, how):
        arguments = [
            write_predictions(tmp_path / "p.jsonl", self.STUDIES),
            write_references(tmp_path / "r.jsonl", self.STUDIES),
            *("-o", tmp_path / "out", *MODEL_FLAGS, "--concurrency", self.CONCURRENCY),
        ]
        asked = Counter()
        with running_judge(latency_s=0.02) as stub:
            judge = stub.answer

            def counted(body):
                asked[json.dumps(body["messages"])] += 1
                return judge(body)

            stub.answer = counted
            arguments += ["--base-url", stub.url]
            process = subprocess.Popen(
                [sys.executable, "-c", "from eval.cli import score_reports_main; score_reports_main()"]
                + [str(one) for one in arguments],
                cwd=ROOT,
                env={name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")},
                stderr=subprocess.PIPE,
                text=True,
            )
            while stub.stats.chat_requests < self.QUESTIONS * 0.6 and process.poll() is None:
                time.sleep(0.005)
            process.send_signal(how)
            _, stderr = process.communicate(timeout=30)
            if how is signal.SIGINT:
                assert process.returncode == 130, stderr
                assert "stopped; answers so far are kept" in stderr
                assert "Traceback" not in stderr
            assert not (tmp_path / "out" / "scores.json").exists()
            with contextlib.closing(sqlite3.connect(tmp_path / "out" / ".carina" / "answers.sqlite")) as db:
                kept = db.execute("SELECT count(*) FROM answers").fetchone()[0]
            assert 0 < self.QUESTIONS * 0.6 - kept < 20  # what came in the last twentieth of a second is lost at most
            before = stub.stats.chat_requests
            done = score(*arguments)
            assert done.exit_code == 0, done.stderr
            assert stub.stats.chat_requests - before == self.QUESTIONS - kept
        assert len(asked) == self.QUESTIONS
        assert max(asked.values()) <= 2
        # Taken apart as the judge does it, no phrase is half of another: "number" and "is seen" are not enough.
        assert point(read_scores(tmp_path / "out"), "radfact_logical_precision") == 0.0


def schema_of(body):
    """The response format that the judge of the tests reads, by what the prompt asks for."""
    split = not str(body["messages"][-1]["content"]).startswith("REFERENCE:")
    return {"json_schema": {"name": "phrases" if split else "entailment"}}
