"""Reads rows of named columns from CSV, TSV, JSONL, Parquet or standard input, and says plainly what is wrong."""

from __future__ import annotations

import csv
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

# Names that hospitals' exports give to these columns, likeliest first.
STUDY_ID_NAMES = (
    "study_id",
    "report_id",
    "id",
    "accession",
    "accession_number",
    "accession_no",
    "exam_id",
    "note_id",
    "uid",
)
PATIENT_ID_NAMES = ("patient_id", "subject_id", "patient", "mrn", "person_id")
_MANY_BYTES = 1 << 30  # one field may be long; whether a report is too long is said later, by its id


class InputError(ValueError):
    """The user's file cannot be used; the message says what, where and what to do."""


class Table(NamedTuple):
    """A file of rows and how to read it. given: its name as the user wrote it; kind: csv, tsv, jsonl or parquet."""

    given: str
    path: Path
    kind: str
    encoding: str
    delimiter: str
    columns: tuple[str, ...]

    def column(self, named: str | None, known: Sequence[str], option: str) -> str:
        """The column the user named, or the first of the known names that the table has.

        Raises:
            InputError: there is no such column; the message lists those that are there.
        """
        shown = ", ".join(self.columns)
        if named is not None:
            if named not in self.columns:
                raise InputError(f"input {self.given} has no column {named!r} ({option}); its columns: {shown}")
            return named
        found = self.find(known)
        if found is None:
            raise InputError(f"input {self.given}: none of its columns ({shown}) is obvious; name one with {option}")
        return found

    def find(self, known: Sequence[str]) -> str | None:
        """The first of the known names that the table has, whatever its case; None where it has none."""
        found = [column for name in known for column in self.columns if column.strip().lower() == name]
        return found[0] if found else None


class Row(NamedTuple):
    """where: file and line, for messages; values: in the order of the columns asked for."""

    where: str
    values: tuple[Any, ...]


def open_table(given: str, *, encoding: str = "utf-8", spool: Path | None = None) -> Table:
    """Look at a file's beginning and settle how to read it.

    Args:
        given: a path, or "-" for standard input, which is first copied to a private file in `spool`, since tables are
            read more than once (checked before anything is asked, then used).

    Raises:
        InputError: no such file, an unknown suffix, not text in that encoding, nothing in it.
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
    return Table(given, path, kind, encoding, delimiter, tuple(_columns(path, kind, encoding, delimiter, given)))


def read_rows(table: Table, columns: Sequence[str], optional: Sequence[str] = ()) -> Iterator[Row]:
    """Give these columns of every row in the file's order, one row at a time; `optional` ones come last.

    CSV gives text, the other formats whatever type they hold.

    Raises:
        InputError: a line that cannot be read, or a JSON line without one of `columns`, with its number.
    """
    if table.kind == "parquet":
        yield from _read_parquet(table, (*columns, *optional))
    elif table.kind == "jsonl":
        yield from _read_jsonl(table, columns, optional)
    else:
        yield from _read_csv(table, (*columns, *optional))


def identity(value: Any, where: str) -> str:
    """An id as text.

    Raises:
        InputError: it is neither text nor a whole number.
    """
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InputError(f"{where}: id {value!r} is neither text nor a whole number")
    return str(value)


def free_text(value: Any, where: str) -> str:
    """A report's text; a missing one is the empty text.

    Raises:
        InputError: it is something else than text.
    """
    if value is not None and not isinstance(value, str):
        raise InputError(f"{where}: the report is {type(value).__name__}, not text")
    return value or ""


def _read_csv(table: Table, columns: Sequence[str]) -> Iterator[Row]:
    csv.field_size_limit(_MANY_BYTES)
    with table.path.open(encoding=_with_mark(table.encoding), newline="") as file:
        rows = csv.reader(file, delimiter=table.delimiter, strict=True)
        try:
            header = next(rows)
            places = [header.index(name) for name in columns]
            for row in rows:
                if not row:
                    continue
                if len(row) != len(header):
                    raise InputError(
                        f"{table.path} line {rows.line_num}: {len(row)} fields where the header has {len(header)}; "
                        "texts with commas or new lines must be quoted"
                    )
                yield Row(f"{table.path} line {rows.line_num}", tuple(row[place] for place in places))
        except csv.Error as error:
            raise InputError(f"{table.path} line {rows.line_num}: {error}") from None


def _read_jsonl(table: Table, columns: Sequence[str], optional: Sequence[str]) -> Iterator[Row]:
    with table.path.open(encoding=_with_mark(table.encoding)) as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            row = _json_object(line, table.path, number)
            missing = [name for name in columns if name not in row]
            if missing:
                raise InputError(f"{table.path} line {number}: no {' and no '.join(missing)}")
            values = [row[name] for name in columns] + [row.get(name) for name in optional]
            yield Row(f"{table.path} line {number}", tuple(values))


def _read_parquet(table: Table, columns: Sequence[str]) -> Iterator[Row]:
    import duckdb

    with duckdb.connect() as db:
        names = ", ".join('"' + name.replace('"', '""') + '"' for name in columns)
        rows = db.execute(f"SELECT {names} FROM read_parquet(?)", [str(table.path)])
        number = 0
        while batch := rows.fetchmany(1000):
            for values in batch:
                number += 1
                yield Row(f"{table.path} row {number}", tuple(values))


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
