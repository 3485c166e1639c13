"""Writes rows as JSONL, Parquet or CSV, whole or not at all."""

from __future__ import annotations

import csv
import json
import os
import types
import typing
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path
from typing import Any, TextIO

from pydantic import BaseModel

from labeling.schema import LabelRow


class OutputError(Exception):
    """The output cannot be written; the message says where and why."""


@contextmanager
def whole_file(path: Path) -> Iterator[TextIO]:
    """Write beside `path` and move it there only when all of it is on the disk.

    Whoever sees `path` sees a complete file: after a crash or a full disk the earlier one, if any, is still there.

    Raises:
        OutputError: the folder is missing, read-only or full.
    """
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("w", encoding="utf-8", newline="") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        with suppress(OSError):  # the folder itself may be at fault
            part.unlink(missing_ok=True)
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@contextmanager
def row_writer(path: Path) -> Iterator[typing.Callable[[LabelRow], None]]:
    """Give a function that adds a row; the format is the path's suffix."""
    suffix = path.suffix.lower()
    if suffix == ".csv":
        with whole_file(path) as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(_CSV_COLUMNS)
            yield lambda row: writer.writerow(_flat(row))
    elif suffix == ".parquet":
        lines = path.with_name(path.name + ".rows")
        longest = 0

        def write(row: LabelRow) -> None:
            nonlocal longest
            longest = max(longest, len((line := row.model_dump_json() + "\n").encode()))
            file.write(line)

        try:
            with whole_file(lines) as file:
                yield write
            _to_parquet(lines, path, longest)
        finally:
            lines.unlink(missing_ok=True)
    else:
        with whole_file(path) as file:

            def write_line(row: LabelRow) -> None:
                file.write(row.model_dump_json() + "\n")

            yield write_line


_GROUP_ROWS = 10_000
_NESTED = ("lines_and_tubes", "findings")
_FINDING_NAMES = tuple(typing.get_type_hints(LabelRow)["finding_labels"].__args__[0].model_fields)
_DEVICE_NAMES = tuple(
    name for name in typing.get_type_hints(LabelRow)["line_tube_labels"].__args__[0].model_fields if name != "no_tubes"
)
_PLAIN = tuple(name for name in LabelRow.model_fields if name not in {*_NESTED, "finding_labels", "line_tube_labels"})
_CSV_COLUMNS = (
    *_PLAIN,
    *(f"finding_{name}" for name in _FINDING_NAMES),
    *(f"{name}_{part}" for name in _DEVICE_NAMES for part in ("count", "placement")),
    "no_tubes",
    *_NESTED,
)


def _flat(row: LabelRow) -> list[Any]:
    """One row for a spreadsheet: report-level labels as columns, instances as JSON; empty where not asked."""
    data = row.model_dump(mode="json")
    findings = data["finding_labels"] or {}
    devices = data["line_tube_labels"] or {}
    cells = [";".join(data[name]) if isinstance(data[name], list) else data[name] for name in _PLAIN]
    cells += [findings.get(name) for name in _FINDING_NAMES]
    cells += [(devices.get(name) or {}).get(part) for name in _DEVICE_NAMES for part in ("count", "placement")]
    cells.append(devices.get("no_tubes"))
    return cells + [json.dumps(data[name], ensure_ascii=False) for name in _NESTED]


def _to_parquet(lines: Path, path: Path, longest: int) -> None:
    """Turn JSON lines, of which none has more than `longest` bytes, into Parquet with nested columns."""
    import duckdb

    columns = {
        name: _duckdb_type(hint)
        for name, hint in typing.get_type_hints(LabelRow).items()
        if name in LabelRow.model_fields
    }
    part = path.with_name(path.name + ".part")
    try:
        # One thread and small groups of rows: the same bytes every time, and memory stays flat.
        with duckdb.connect(config={"threads": 1}) as db:
            rows = db.read_json(
                str(lines), columns=columns, format="newline_delimited", maximum_object_size=max(longest + 1, 1 << 20)
            )
            rows.write_parquet(str(part), compression="zstd", row_group_size=_GROUP_ROWS)
        part.replace(path)
    except (OSError, duckdb.Error) as error:
        part.unlink(missing_ok=True)
        raise OutputError(f"cannot write {path}: {error}") from error


def _duckdb_type(hint: Any) -> str:
    """The column type of a field: models become structs, tuples lists; numbers stay numbers."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return _duckdb_type(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return _duckdb_type(next(one for one in arguments if one is not type(None)))
    if origin is tuple:
        return _duckdb_type(arguments[0]) + "[]"
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        fields = typing.get_type_hints(hint, include_extras=True)
        return "STRUCT(" + ", ".join(f'"{name}" {_duckdb_type(fields[name])}' for name in hint.model_fields) + ")"
    if isinstance(hint, type) and issubclass(hint, Enum | str):
        return "VARCHAR"
    return {bool: "BOOLEAN", int: "BIGINT", float: "DOUBLE"}[hint]
