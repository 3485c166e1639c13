"""Reads reports from CSV, JSONL, Parquet or standard input, and says plainly what is wrong with them."""

from __future__ import annotations

import csv
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from studies.records import Report

ID_NAMES = ("report_id", "id", "study_id", "accession", "accession_number", "accession_no", "exam_id", "note_id", "uid")
TEXT_NAMES = ("report", "text", "report_text", "radiology_report", "note_text", "findings_and_impression", "narrative")
_MANY_BYTES = 1 << 30  # one field may be long; whether a report is too long is said later, by its id


class InputError(ValueError):
    """The user's file cannot be used; the message says what, where and what to do."""


class Source(NamedTuple):
    """A file of reports and how to read it: `kind` csv, tsv, jsonl or parquet; the two columns by name."""

    path: Path
    kind: str
    encoding: str
    id_column: str
    text_column: str
    delimiter: str


def open_source(
    given: str, *, id_column: str | None, text_column: str | None, encoding: str = "utf-8", spool: Path | None = None
) -> Source:
    """Look at a file's beginning and settle how to read it.

    Args:
        given: a path, or "-" for standard input, which is first copied to a private file in `spool`, since reports are
            read twice (checked before anything is asked, then asked).

    Raises:
        InputError: no such file, an unknown suffix, not text in that encoding, no such column, nothing in it.
    """
    if given == "-":
        if sys.stdin.isatty():
            raise InputError("no input given; name a CSV, JSONL or Parquet file, or send one to standard input")
        path = _spool(sys.stdin.buffer, spool)
        kind = _kind_of_content(path)
    else:
        path = Path(given)
        if not path.is_file():
            what = "is a folder" if path.is_dir() else "does not exist"
            raise InputError(f"input {given} {what}; give a CSV, JSONL or Parquet file of reports")
        kind = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}.get(
            path.suffix.lower(), ""
        )
        if not kind:
            raise InputError(f"input {given}: suffix {path.suffix or '(none)'} is not .csv, .tsv, .jsonl or .parquet")
    if path.stat().st_size == 0:
        raise InputError(f"input {given} is empty")
    if kind != "parquet":
        _check_text(path, encoding, given)
    delimiter = {"tsv": "\t"}.get(kind, ",")
    if kind == "csv":
        delimiter = _delimiter(path, encoding)
    columns = _columns(path, kind, encoding, delimiter, given)
    return Source(
        path,
        kind,
        encoding,
        _choose(columns, id_column, ID_NAMES, "--id-column", given),
        _choose(columns, text_column, TEXT_NAMES, "--text-column", given),
        delimiter,
    )


def read_reports(source: Source) -> Iterator[Report]:
    """Give the reports in the file's order, one at a time; a missing text is the empty text.

    Raises:
        InputError: a line that cannot be read, with its number.
    """
    if source.kind == "parquet":
        yield from _read_parquet(source)
    elif source.kind == "jsonl":
        yield from _read_jsonl(source)
    else:
        yield from _read_csv(source)


def _read_csv(source: Source) -> Iterator[Report]:
    csv.field_size_limit(_MANY_BYTES)
    with source.path.open(encoding=_with_mark(source.encoding), newline="") as file:
        rows = csv.reader(file, delimiter=source.delimiter, strict=True)
        try:
            header = next(rows)
            identity, text = header.index(source.id_column), header.index(source.text_column)
            for row in rows:
                if not row:
                    continue
                if len(row) != len(header):
                    raise InputError(
                        f"{source.path} line {rows.line_num}: {len(row)} fields where the header has {len(header)}; "
                        "texts with commas or new lines must be quoted"
                    )
                yield Report(row[identity], row[text])
        except csv.Error as error:
            raise InputError(f"{source.path} line {rows.line_num}: {error}") from None


def _read_jsonl(source: Source) -> Iterator[Report]:
    with source.path.open(encoding=_with_mark(source.encoding)) as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            row = _json_object(line, source.path, number)
            missing = [name for name in (source.id_column, source.text_column) if name not in row]
            if missing:
                raise InputError(f"{source.path} line {number}: no {' and no '.join(missing)}")
            yield _report(row[source.id_column], row[source.text_column], f"{source.path} line {number}")


def _read_parquet(source: Source) -> Iterator[Report]:
    import duckdb

    with duckdb.connect() as db:
        names = ", ".join('"' + name.replace('"', '""') + '"' for name in (source.id_column, source.text_column))
        rows = db.execute(f"SELECT {names} FROM read_parquet(?)", [str(source.path)])
        number = 0
        while batch := rows.fetchmany(1000):
            for identity, text in batch:
                number += 1
                yield _report(identity, text, f"{source.path} row {number}")


def _report(identity: Any, text: Any, where: str) -> Report:
    if isinstance(identity, bool) or not isinstance(identity, str | int):
        raise InputError(f"{where}: id {identity!r} is neither text nor a whole number")
    if text is not None and not isinstance(text, str):
        raise InputError(f"{where}: the report is {type(text).__name__}, not text")
    return Report(str(identity), text or "")


def _json_object(line: str, path: Path, number: int) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise InputError(f"{path} line {number}: not JSON ({error.msg} at character {error.pos})") from None
    except RecursionError:
        raise InputError(f"{path} line {number}: JSON nested too deeply for a report") from None
    if not isinstance(row, dict):
        raise InputError(f"{path} line {number}: a JSON {type(row).__name__} where an object is needed")
    return row


def _columns(path: Path, kind: str, encoding: str, delimiter: str, given: str) -> list[str]:
    if kind == "parquet":
        import duckdb

        try:
            with duckdb.connect() as db:
                rows = db.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(path)]).fetchall()
            return [row[0] for row in rows]
        except duckdb.Error:
            raise InputError(f"input {given} is not a Parquet file, or is damaged") from None
    with path.open(encoding=_with_mark(encoding), newline="") as file:
        if kind == "jsonl":
            for number, line in enumerate(file, 1):
                if line.strip():
                    return list(_json_object(line, path, number))
            raise InputError(f"input {given} is empty")
        csv.field_size_limit(_MANY_BYTES)
        rows_of_text = csv.reader(file, delimiter=delimiter)
        header = next(rows_of_text, None)
        if not header:
            raise InputError(f"input {given} has no header line")
        if next(rows_of_text, None) is None:
            raise InputError(f"input {given} has a header but no reports")
        return header


def _choose(columns: list[str], named: str | None, known: tuple[str, ...], option: str, given: str) -> str:
    shown = ", ".join(columns)
    if named is not None:
        if named not in columns:
            raise InputError(f"input {given} has no column {named!r} ({option}); its columns: {shown}")
        return named
    found = [column for name in known for column in columns if column.strip().lower() == name]
    if not found:
        raise InputError(f"input {given}: none of its columns ({shown}) is obvious; name one with {option}")
    return found[0]


def _check_text(path: Path, encoding: str, given: str) -> None:
    """Read all of it once: half a file in another encoding must not be found out after an hour of asking."""
    try:
        with path.open(encoding=_with_mark(encoding)) as file:
            while block := file.read(1 << 20):
                if "\0" in block:
                    raise InputError(f"input {given} is binary, not text (it holds NUL bytes)")
    except UnicodeDecodeError as error:
        raise InputError(
            f"input {given} is not {encoding}: {error.reason} (byte 0x{error.object[error.start]:02x}); "
            "name its encoding with --encoding, for example cp1252"
        ) from None
    except LookupError:
        raise InputError(f"--encoding {encoding!r} is not known; use utf-8, cp1252, latin-1, ...") from None


def _with_mark(encoding: str) -> str:
    return "utf-8-sig" if encoding.lower().replace("_", "-") in {"utf-8", "utf8"} else encoding


def _delimiter(path: Path, encoding: str) -> str:
    """A comma, unless the header has none and has semicolons (European spreadsheets)."""
    with path.open(encoding=_with_mark(encoding), newline="") as file:
        header = file.readline()
    return ";" if ";" in header and "," not in header else ","


def _spool(stream: BinaryIO, folder: Path | None) -> Path:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.NamedTemporaryFile(prefix="stdin-", dir=folder, delete=False) as copy:  # mode 0600
        shutil.copyfileobj(stream, copy)
    return Path(copy.name)


def _kind_of_content(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(b"PAR1"):
        return "parquet"
    return "jsonl" if start.startswith(b"{") else "csv"
