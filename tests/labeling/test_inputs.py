import io
import json
import sys

import duckdb
import pytest

from labeling.inputs import InputError, open_source, read_reports


def reports(path, **options):
    source = open_source(str(path), id_column=None, text_column=None, **options)
    return [tuple(report) for report in read_reports(source)]


def write(path, content):
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_a_quoted_text_keeps_commas_quotes_and_line_ends_to_the_last_character(tmp_path):
    text = ' ETT, "ok".\r\nNo PTX\n '
    file = write(tmp_path / "in.csv", 'report_id,report\r\nA,"' + text.replace('"', '""') + '"\r\n')
    assert reports(file) == [("A", text)]


def test_all_formats_give_the_same_reports(tmp_path):
    rows = [("1", "ETT in place."), ("2", "Größe, 4 cm; «normal»")]
    write(tmp_path / "a.csv", "id,text\n" + "".join(f'{i},"{t}"\n' for i, t in rows))
    write(tmp_path / "b.tsv", "id\ttext\n" + "".join(f"{i}\t{t}\n" for i, t in rows))
    write(tmp_path / "c.jsonl", "".join(json.dumps({"id": int(i), "text": t}) + "\n" for i, t in rows))
    duckdb.sql("SELECT * FROM (VALUES (1, 'ETT in place.'), (2, 'Größe, 4 cm; «normal»')) v(id, text)").write_parquet(
        str(tmp_path / "d.parquet")
    )
    write(tmp_path / "e.csv", "id;text\n" + "".join(f'{i};"{t}"\n' for i, t in rows))
    for name in ("a.csv", "b.tsv", "c.jsonl", "d.parquet", "e.csv"):
        assert reports(tmp_path / name) == rows, name


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path):
    assert reports(write(tmp_path / "in.csv", b"\xef\xbb\xbfid,text\nA,x\n")) == [("A", "x")]


def test_another_encoding_is_read_when_named(tmp_path):
    file = write(tmp_path / "in.csv", "id,text\nA,Größe\n".encode("cp1252"))
    assert reports(file, encoding="cp1252") == [("A", "Größe")]
    with pytest.raises(InputError, match=r"is not utf-8.*--encoding"):
        reports(file)


def test_standard_input_is_read_as_csv_or_jsonl_and_its_copy_is_private(tmp_path, monkeypatch):
    for content in ("id,text\nA,x\n", '{"id": "A", "text": "x"}\n'):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content.encode())))
        source = open_source("-", id_column=None, text_column=None, spool=tmp_path)
        assert [tuple(r) for r in read_reports(source)] == [("A", "x")]
        assert source.path.stat().st_mode & 0o077 == 0


def test_columns_can_be_named(tmp_path):
    file = write(tmp_path / "in.csv", "id,text,key,body\nA,x,B,y\n")
    source = open_source(str(file), id_column="key", text_column="body")
    assert [tuple(r) for r in read_reports(source)] == [("B", "y")]


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("in.csv", "", "is empty"),
        ("in.csv", "id,text\n", "no reports"),
        ("in.csv", "a,b\n1,2\n", "none of its columns"),
        ("in.csv", b"id,text\nA,\x00\x01\n", "binary"),
        ("in.csv", b"id,text\nA,\xff\xfe\n", "is not utf-8"),
        ("in.csv", "id,text\nA,x,y\n", "line 2: 3 fields where the header has 2"),
        ("in.csv", 'id,text\nA,"x\n', "line 2"),
        ("in.jsonl", '{"id": 1, "text": "x"}\n{"id": 2', "line 2: not JSON"),
        ("in.jsonl", "[1]\n", "line 1: a JSON list"),
        ("in.jsonl", '{"id": "A", "text": ' + "[" * 200_000, "line 1: JSON nested too deeply"),
        ("in.jsonl", '{"id": 1, "text": "x"}\n{"id": 2}\n', "line 2: no text"),
        ("in.jsonl", '{"id": 1.5, "text": "x"}\n', "id 1.5"),
        ("in.jsonl", '{"id": 1, "text": 7}\n', "the report is int"),
        ("in.parquet", "not parquet", "not a Parquet file"),
        ("in.xlsx", "x", "suffix .xlsx"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_what_where_and_what_to_do(tmp_path, name, content, complaint):
    with pytest.raises(InputError, match=complaint):
        reports(write(tmp_path / name, content))


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        reports(tmp_path / "no.csv")
    with pytest.raises(InputError, match="is a folder"):
        reports(tmp_path)


def test_a_column_that_is_not_there_is_named_with_those_that_are(tmp_path):
    file = write(tmp_path / "in.csv", "id,text\nA,x\n")
    with pytest.raises(InputError, match=r"no column 'body' \(--text-column\); its columns: id, text"):
        open_source(str(file), id_column=None, text_column="body")
