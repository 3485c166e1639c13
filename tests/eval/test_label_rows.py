import asyncio
import json

import duckdb
import pytest

from eval.label_rows import LabelFile
from labeling.outputs import row_writer
from labeling.rules.engine import RulesEngine
from labeling.runtime.ask import Policy
from labeling.runtime.engine import EngineError
from labeling.texts import label_texts
from labeling.vocabulary import Mention, Placement

POLICY = Policy(concurrency=2, max_attempts=1, backoff_base_s=0.0)
TEXTS = {
    "s1": "Endotracheal tube tip is in the right main bronchus. Small left pleural effusion.",
    "s2": "",
    "s3": "Right PICC tip in the mid SVC, 4.5 cm above the cavoatrial junction. Heart size is normal.",
    "s4": " \n\t ",
    "s5": "Endotracheal tube tip is in the right main bronchus. Small left pleural effusion.",
}


class Counting(RulesEngine):
    """The rules, counting what they are asked; `broken` prompts get no answer."""

    def __init__(self, broken=()):
        super().__init__()
        self.asked = 0
        self.broken = broken

    async def reply(self, question, complaints):
        self.asked += 1
        if question.prompt_name in self.broken:
            raise EngineError("no such luck")
        return await super().reply(question, complaints)


def read_label_rows(path):
    return {row.report_id: row for row in LabelFile(path).read()}


def write_label_rows(path, rows):
    with row_writer(path) as write:
        for row in rows.values():
            write(row)


def label(texts, folder, engine=None):
    return asyncio.run(label_texts(texts, store_folder=folder, engine=engine or Counting(), policy=POLICY))


def test_texts_get_the_rows_that_label_reports_writes_with_prompt_all(tmp_path):
    rows, failures = label(TEXTS, tmp_path)
    assert failures == {}
    assert list(rows) == list(TEXTS)
    assert rows["s1"].line_tube_labels.endotracheal_tube.placement is Placement.INCORRECT
    assert rows["s1"].finding_labels.pleural_effusion is Mention.POSITIVE
    assert rows["s3"].lines_and_tubes[0].tip_distance_cm == 4.5
    assert {row.prompt for row in rows.values()} == {"all"}


def test_an_empty_text_says_nothing_and_nobody_is_asked_about_it(tmp_path):
    engine = Counting()
    rows, failures = label({"a": "", "b": "\n "}, tmp_path, engine)
    assert engine.asked == 0
    assert failures == {}
    assert rows["a"].findings == rows["a"].lines_and_tubes == ()
    assert rows["a"].line_tube_labels.no_tubes is True
    assert set(dict(rows["b"].finding_labels).values()) == {Mention.NOT_MENTIONED}


def test_the_same_text_is_asked_about_once_and_a_second_run_asks_nothing(tmp_path):
    first, second = Counting(), Counting()
    rows, _ = label(TEXTS, tmp_path, first)
    assert first.asked == 4  # two different texts, two prompts
    assert label(TEXTS, tmp_path, second) == (rows, {})
    assert second.asked == 0


def test_other_faults_are_failures_with_their_reason(tmp_path):
    texts = {
        "foreign": "Der Nachweis einer Lunge ist nicht mit links und rechts.",
        "half": "A \ud83d half.",
        " ": "",
        "good": "No pneumothorax.",
    }
    rows, failures = label(texts, tmp_path)
    assert list(rows) == ["good"]
    assert list(failures) == ["foreign", "half", " "]
    assert "not in English" in failures["foreign"]
    assert "half a character" in failures["half"]
    assert failures[" "] == "the id is empty"


def test_a_question_without_an_answer_fails_its_text_and_is_asked_again_next_time(tmp_path):
    texts = {"s1": "No pneumothorax.", "s2": ""}
    rows, failures = label(texts, tmp_path, Counting(broken=("lines_and_tubes",)))
    assert list(rows) == ["s2"]
    assert failures == {"s1": "lines_and_tubes: no such luck"}
    again = Counting()
    rows, failures = label(texts, tmp_path, again)
    assert list(rows) == ["s1", "s2"]
    assert again.asked == 1  # the findings were kept


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.parquet"])
def test_rows_are_the_same_after_writing_and_reading(tmp_path, name):
    rows, _ = label(TEXTS, tmp_path)
    write_label_rows(tmp_path / name, rows)
    again = read_label_rows(tmp_path / name)
    assert again == rows
    assert list(again) == list(rows)


@pytest.fixture
def lines(tmp_path):
    rows, _ = label({"s1": "No pneumothorax.", "s2": "Left PICC tip in the SVC."}, tmp_path)
    write_label_rows(tmp_path / "good.jsonl", rows)
    return (tmp_path / "good.jsonl").read_text().splitlines(keepends=True)


def changed(line, **values):
    return json.dumps(json.loads(line) | values) + "\n"


def test_what_is_no_row_is_refused_with_path_and_line(tmp_path, lines):
    path = tmp_path / "bad.jsonl"
    for bad, complaint in [
        ('{"report_id": "s2"}\n', r"bad\.jsonl line 2 is no row of label-reports: schema_version: Field required"),
        ("not json\n", r"bad\.jsonl line 2 is no row"),
        (changed(lines[1], findings=None), r"bad\.jsonl line 2 .*findings"),
        (changed(lines[1], extra=1), r"bad\.jsonl line 2 .*extra"),
        (changed(lines[1], schema_version="0.9"), r"line 2: schema_version '0.9', not '1.0'"),
        (lines[0], r"line 2: report_id 's1' stands a second time"),
    ]:
        path.write_text(lines[0] + bad)
        with pytest.raises(ValueError, match=complaint):
            read_label_rows(path)
    path.write_bytes(lines[0].encode() + b'{"report_id": "\xff"}\n')
    with pytest.raises(ValueError, match="line 2"):
        read_label_rows(path)


def test_a_parquet_file_of_something_else_is_refused_with_its_row(tmp_path):
    duckdb.sql("SELECT 's1' AS report_id, 3 AS score").write_parquet(str(tmp_path / "scores.parquet"))
    with pytest.raises(ValueError, match=r"scores\.parquet row 1 is no row of label-reports"):
        read_label_rows(tmp_path / "scores.parquet")
    (tmp_path / "text.parquet").write_text("not parquet")
    with pytest.raises(ValueError, match=r"text\.parquet"):
        read_label_rows(tmp_path / "text.parquet")


def test_missing_empty_and_unreadable_files_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no such file"):
        read_label_rows(tmp_path / "none.jsonl")
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(ValueError, match="no row in it"):
        read_label_rows(tmp_path / "empty.jsonl")
    (tmp_path / "rows.csv").write_text("report_id\n")
    with pytest.raises(ValueError, match=r"suffix \.csv is not \.jsonl or \.parquet"):
        LabelFile(tmp_path / "rows.csv")


def test_a_file_gives_the_rows_of_the_texts_it_was_made_from_and_names_those_it_lacks(tmp_path):
    rows, _ = label(TEXTS, tmp_path)
    write_label_rows(tmp_path / "rows.jsonl", rows)
    found, failures = asyncio.run(LabelFile(tmp_path / "rows.jsonl").rows(TEXTS | {"s9": "No pneumothorax."}))
    assert found == rows
    assert list(failures) == ["s9"]


def test_labels_of_another_text_are_refused(tmp_path):
    rows, _ = label(TEXTS, tmp_path)
    write_label_rows(tmp_path / "rows.jsonl", rows)
    other = TEXTS | {"s3": "Left PICC tip in the mid SVC, 4.5 cm above the cavoatrial junction. Heart size is normal."}
    with pytest.raises(ValueError, match=r"line 3: the evidence of 's3' does not stand in the text"):
        asyncio.run(LabelFile(tmp_path / "rows.jsonl").rows(other))
