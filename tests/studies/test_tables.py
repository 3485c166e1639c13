"""Rows of named columns from every kind of file; reports themselves are read in tests/labeling/test_inputs.py."""

import json

import duckdb
import pytest

from studies.tables import PATIENT_ID_NAMES, STUDY_ID_NAMES, InputError, free_text, identity, open_table, read_rows


@pytest.fixture
def write(tmp_path):
    def written(name, content):
        path = tmp_path / name
        if name.endswith(".parquet"):
            duckdb.sql(content).write_parquet(str(path))
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    return written


class TestColumns:
    def test_the_named_one_wins_and_must_be_there(self, write):
        table = open_table(write("t.csv", "id,key\n1,2\n"))
        assert table.columns == ("id", "key")
        assert table.column("key", STUDY_ID_NAMES, "--id-column") == "key"
        with pytest.raises(InputError, match=r"t\.csv has no column 'uid' \(--id-column\); its columns: id, key"):
            table.column("uid", STUDY_ID_NAMES, "--id-column")

    def test_the_likeliest_name_is_taken_whatever_its_case_or_spaces_and_place(self, write):
        table = open_table(write("t.csv", "uid, Study_ID ,MRN\n1,2,3\n"))
        assert table.column(None, STUDY_ID_NAMES, "--id-column") == " Study_ID "
        assert table.find(PATIENT_ID_NAMES) == "MRN"

    def test_none_that_is_known_is_refused_with_the_option(self, write):
        table = open_table(write("t.csv", "a,b\n1,2\n"))
        assert table.find(STUDY_ID_NAMES) is None
        with pytest.raises(InputError, match=r"none of its columns \(a, b\) is obvious; name one with --id-column"):
            table.column(None, STUDY_ID_NAMES, "--id-column")


class TestRows:
    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("t.csv", "a,b,c\n1,x,\n2,y,z\n"),
            ("t.csv", "a;b;c\r\n1;x;\r\n\r\n2;y;z\r\n"),
            ("t.tsv", "a\tb\tc\n1\tx\t\n2\ty\tz\n"),
            ("t.jsonl", '{"a": "1", "b": "x", "c": ""}\n\n{"c": "z", "a": "2", "b": "y"}\n'),
            ("t.ndjson", '{"a": "1", "b": "x", "c": ""}\n{"a": "2", "b": "y", "c": "z"}\n'),
            ("t.parquet", "SELECT * FROM (VALUES ('1', 'x', ''), ('2', 'y', 'z')) v(a, b, c)"),
        ],
    )
    def test_come_in_order_with_the_columns_that_were_asked_for_and_optional_ones_last(self, write, name, content):
        rows = list(read_rows(open_table(write(name, content)), ("b", "a"), ("c",)))
        assert [row.values for row in rows] == [("x", "1", ""), ("y", "2", "z")]

    def test_say_where_they_stand(self, write):
        csv = list(read_rows(open_table(write("t.csv", 'a\n"one\ntwo"\n3\n')), ("a",)))
        assert [row.where.rsplit("/", 1)[1] for row in csv] == ["t.csv line 3", "t.csv line 4"]
        parquet = list(read_rows(open_table(write("t.parquet", "SELECT 1 AS a")), ("a",)))
        assert parquet[0].where.endswith("t.parquet row 1")

    def test_a_json_line_may_lack_an_optional_column_but_no_other(self, write):
        table = open_table(write("t.jsonl", '{"a": 1, "b": 2}\n{"a": 3}\n'))
        assert [row.values for row in read_rows(table, ("a",), ("b",))] == [(1, 2), (3, None)]
        with pytest.raises(InputError, match=r"t\.jsonl line 2: no b"):
            list(read_rows(table, ("a", "b")))

    def test_keep_their_types_where_the_format_has_types(self, write):
        path = write("t.parquet", 'SELECT 7::BIGINT AS a, NULL::BIGINT AS b, \'x\' AS "c ""d"""')
        assert next(read_rows(open_table(path), ("a", "b", 'c "d"'))).values == (7, None, "x")
        path = write("t.jsonl", json.dumps({"a": 7, "b": None}))
        assert next(read_rows(open_table(path), ("a", "b"))).values == (7, None)

    def test_are_read_one_at_a_time(self, write):
        rows = read_rows(open_table(write("t.jsonl", '{"a": 1}\n{"a": 2\n')), ("a",))
        assert next(rows).values == (1,)
        with pytest.raises(InputError, match="line 2: not JSON"):
            next(rows)


def test_a_semicolon_in_a_header_with_commas_is_no_delimiter(write):
    assert open_table(write("t.csv", "a;b,c\n1,2\n")).columns == ("a;b", "c")


def test_an_unknown_encoding_is_named(write):
    with pytest.raises(InputError, match="--encoding 'latin-0' is not known"):
        open_table(write("t.csv", "a\n1\n"), encoding="latin-0")


def test_only_parquet_is_free_of_the_encoding(write):
    path = write("t.parquet", "SELECT 'Größe' AS a")
    assert next(read_rows(open_table(path, encoding="cp1252"), ("a",))).values == ("Größe",)


def test_ids_are_text_or_whole_numbers():
    assert identity("007", "here") == "007"
    assert identity(50414267, "here") == "50414267"
    for wrong in (None, 1.0, True, ["a"]):
        with pytest.raises(InputError, match=r"here: id .* is neither text nor a whole number"):
            identity(wrong, "here")


def test_texts_are_text_and_a_missing_one_is_empty():
    assert free_text(" as it is\n", "here") == " as it is\n"
    assert free_text(None, "here") == ""
    for wrong in (0, False, 1.5, ["a"]):
        with pytest.raises(InputError, match=r"here: the report is (int|bool|float|list), not text"):
            free_text(wrong, "here")
