"""judgments.jsonl: what is written is read back, scores need nothing else, and a wrong file is refused."""

import json

import numpy as np
import pytest

from eval.pairs import text_sha256
from eval.radfact.judgments import ReportPair, read_judgments, replay, write_judgments
from eval.radfact.score import radfact_columns
from tests.eval.radfact.invented import judge_all, study

JUDGE = {"engine": "stub", "model": "rule", "settings": {"seed": 0}, "prompts": {"phrases.v1": "ab"}}
PAIRS = [
    ReportPair("s1", "FINDINGS: Small left effusion. The heart is large.", "The heart is large. No edema."),
    ReportPair("s2", "", "BADJSON in this one."),
    ReportPair("s3", "The spine is straight NOEVID. No edema.", "No edema."),
    ReportPair("s4", "", "No edema."),
]
KEYS = [
    *("study_id", "direction", "text_sha256", "number", "sentence", "start", "end", "phrase"),
    *("outcome", "evidence", "failure", "failure_kind"),
]


@pytest.fixture
def judged(tmp_path):
    return judge_all(PAIRS, tmp_path)


@pytest.fixture
def path(judged, tmp_path):
    write_judgments(tmp_path / "judgments.jsonl", JUDGE, judged)
    return tmp_path / "judgments.jsonl"


def change(path, line, **changes):
    lines = path.read_text("utf-8").splitlines()
    lines[line - 1] = json.dumps(json.loads(lines[line - 1]) | changes)
    path.write_text("\n".join(lines) + "\n", "utf-8")


def test_what_is_written_is_read_back(judged, path):
    assert read_judgments(path) == (JUDGE, tuple(judged))


def test_a_row_a_phrase_and_one_for_each_side_without_phrases(path):
    head, *rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert head == {"radfact_judgments": 1, "rows": 11, "judge": JUDGE}
    assert all(list(row) == KEYS for row in rows)
    assert [(row["study_id"], row["direction"], row["number"], row["outcome"]) for row in rows] == [
        ("s1", "prediction", 1, "not_entailed"),
        ("s1", "prediction", 2, "entailed"),
        ("s1", "reference", 1, "entailed"),
        ("s1", "reference", 2, "not_entailed"),
        ("s2", "prediction", None, "no_phrases"),
        ("s2", "reference", None, "not_split"),
        ("s3", "prediction", 1, "failed"),
        ("s3", "prediction", 2, "entailed"),
        ("s3", "reference", 1, "entailed"),
        ("s4", "prediction", None, "no_phrases"),
        ("s4", "reference", 1, "not_entailed"),
    ]
    entailed, failed, unsplit = rows[1], rows[6], rows[5]
    assert entailed["phrase"] == "The heart is large."
    assert PAIRS[0].prediction[entailed["start"] : entailed["end"]] == "The heart is large."
    assert (entailed["sentence"], entailed["evidence"], entailed["failure"]) == (2, [1], None)
    assert entailed["text_sha256"] == text_sha256(PAIRS[0].prediction)
    assert failed["failure_kind"] == "entails without evidence"
    assert failed["failure"] == "no valid answer in 1 tries; the last one entails without evidence"
    assert unsplit["failure_kind"] == "is not JSON"


def test_scores_follow_from_the_file_alone(judged, path):
    fresh, replayed = radfact_columns(judged), radfact_columns(read_judgments(path).studies)
    for name, values in fresh.items():
        np.testing.assert_array_equal(replayed[name], values)


def test_replay_gives_the_judgments_in_the_order_of_the_pairs(judged, path):
    assert replay(read_judgments(path), [PAIRS[2], PAIRS[0]]) == [judged[2], judged[0]]


def test_a_text_that_has_changed_since_is_refused(path):
    changed = [PAIRS[0]._replace(reference="The heart is large. No edema!"), *PAIRS[1:]]
    with pytest.raises(ValueError, match="1 reports have changed since they were judged, the reference of study 's1'"):
        replay(read_judgments(path), changed)


def test_a_study_that_was_not_judged_is_refused(path):
    with pytest.raises(ValueError, match="1 of 2 studies were not judged, 's9' for one"):
        replay(read_judgments(path), [PAIRS[0], ReportPair("s9", "", "")])


def test_odd_texts_have_a_hash_of_their_own():
    assert text_sha256("\ud800") != text_sha256("?") != text_sha256("")


@pytest.mark.parametrize(
    ("line", "changes", "message"),
    [
        (1, {"radfact_judgments": 2}, "version 2 of the format is not known"),
        (1, {"rows": 12}, "rows, not the 12 that were written"),
        (2, {"outcome": "maybe"}, "line 2: outcome: "),
        (2, {"extra": 1}, "line 2: extra: "),
        (2, {"number": 2}, "phrases of its prediction are not numbered 1 to 2"),
        (2, {"phrase": None}, "the row of phrase 1 lacks its words or place"),
        (2, {"outcome": "failed"}, "phrase 1 has outcome 'failed' and failure None"),
        (2, {"outcome": "entailed"}, r"phrase 1 is entailed by evidence \[\] of 2 phrases"),
        (3, {"evidence": [3]}, r"phrase 2 is entailed by evidence \[3\] of 2 phrases"),
        (2, {"text_sha256": "0"}, "rows of its prediction name different texts"),
        (2, {"study_id": "s0"}, "study 's0': has no row for its reference"),
        (6, {"outcome": "entailed"}, "a row without a phrase has outcome 'entailed'"),
        (7, {"failure": None}, "a row without a phrase has outcome 'not_split' and failure None"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(path, line, changes, message):
    change(path, line, **changes)
    with pytest.raises(ValueError, match=message):
        read_judgments(path)


def test_a_study_that_stands_twice_is_refused(path):
    lines = path.read_text("utf-8").splitlines()
    path.write_text("\n".join([*lines, *lines[1:5]]) + "\n", "utf-8")
    change(path, 1, rows=15)
    with pytest.raises(ValueError, match="study 's1' stands at two places"):
        read_judgments(path)


@pytest.mark.parametrize("text", ["", "[1]\n", '{"study_id": "s1"}\n', "study_id,phrase\n", "[" * 100_000])
def test_another_file_is_refused_by_name(tmp_path, text):
    other = tmp_path / "other.jsonl"
    other.write_text(text, "utf-8")
    with pytest.raises(ValueError, match=r"other\.jsonl is no file of RadFact judgments"):
        read_judgments(other)


def test_a_torn_line_is_refused_with_its_number(path):
    text = path.read_text("utf-8")
    path.write_text(text[:-20], "utf-8")
    with pytest.raises(ValueError, match=r"judgments.jsonl, line \d+: "):
        read_judgments(path)


def test_letters_of_any_language_come_back(tmp_path):
    studies = [study("é\u2028学", "E", "N")]
    write_judgments(tmp_path / "j.jsonl", JUDGE, studies)
    assert read_judgments(tmp_path / "j.jsonl").studies[0].study_id == "é\u2028学"
