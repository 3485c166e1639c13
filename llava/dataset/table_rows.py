"""The rows of a user's table of studies as Arrow batches: the same columns always, all of them text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]

from studies.records import GenerationStudy
from studies.tables import PATIENT_ID_NAMES, STUDY_ID_NAMES, InputError, Table, identity, open_table, read_rows

COLUMNS: tuple[str, ...] = tuple(GenerationStudy.model_fields)
_KNOWN = {"study_id": STUDY_ID_NAMES, "patient_id": PATIENT_ID_NAMES}  # other names that ids go by
_BATCH = 2048  # rows, but for a file's last; some 4 MB of text


def read_batches(files: Sequence[Path]) -> tuple[list[str], Iterator[Any]]:
    """Columns that are not used, and the rows of the others in record batches.

    Every column of `GenerationStudy` is there; blank and missing values are null. Numbers as ids become text.

    Raises:
        InputError: at once for a file that is no table or has no study_id; from the iterator for a row.
    """
    tables = [open_table(str(file)) for file in files]
    ignored: list[str] = []
    for table in tables:
        places = _places(table)
        if "study_id" not in places:
            raise InputError(
                f"table {table.given} has no column study_id; its columns: {', '.join(table.columns)}; "
                f"used are {', '.join(COLUMNS)}"
            )
        ignored += [column for column in table.columns if column not in places.values()]
    return list(dict.fromkeys(ignored)), _batches(tables)


def _places(table: Table) -> dict[str, str]:
    """Our name of each column -> the file's."""
    found = {name: name for name in COLUMNS if name in table.columns}
    for name, known in _KNOWN.items():
        column = table.find(known)
        if column is not None:
            found[name] = column
    return found


def _batches(tables: list[Table]) -> Iterator[Any]:
    for table in tables:
        yield from _parquet(table) if table.kind == "parquet" else _texts(table)


def _texts(table: Table) -> Iterator[Any]:
    """Of CSV, TSV and JSONL."""
    places = _places(table)
    if table.kind == "jsonl":  # later lines may have keys that the first has not
        places = {name: name for name in COLUMNS} | places
    rows: list[list[str | None]] = []
    for row in read_rows(table, (), optional=tuple(places.values())):
        values = [_text(name, value, row.where) for name, value in zip(places, row.values, strict=True)]
        rows.append(values)
        if len(rows) == _BATCH:
            yield _batch(tuple(places), rows)
            rows = []
    if rows:
        yield _batch(tuple(places), rows)


def _text(name: str, value: Any, where: str) -> str | None:
    if value is None or (isinstance(value, str) and not value.strip()):
        if name == "study_id":
            raise InputError(f"{where}: no study_id")
        return None
    if name in _KNOWN:
        return identity(value, where)
    if not isinstance(value, str):
        raise InputError(f"{where}: {name} is {type(value).__name__}, not text")
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise InputError(f"{where}: {name} holds half of a character (a lone surrogate): it was cut off in the middle")
    return value


def _batch(names: tuple[str, ...], rows: list[list[str | None]]) -> Any:
    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    nothing = [None] * len(rows)
    arrays = [pa.array(columns.get(name, nothing), pa.string()) for name in COLUMNS]
    return pa.RecordBatch.from_arrays(arrays, names=list(COLUMNS))


def _parquet(table: Table) -> Iterator[Any]:
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    places = _places(table)
    row = 0
    try:
        # A buffered stream decodes a row group page by page, not whole.
        with pq.ParquetFile(table.path, buffer_size=1 << 20, pre_buffer=False) as file:
            for batch in file.iter_batches(_BATCH, columns=list(places.values()), use_threads=False):
                found = {name: _column(name, batch.column(place), table, row) for name, place in places.items()}
                nothing = pa.nulls(batch.num_rows, pa.string())
                arrays = [found.get(name, nothing) for name in COLUMNS]
                yield pa.RecordBatch.from_arrays(arrays, names=list(COLUMNS))
                row += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"table {table.given} is damaged near row {row + 1}: {error}") from None


def _column(name: str, values: Any, table: Table, row: int) -> Any:
    kind = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    whole = name in _KNOWN and pa.types.is_integer(kind)
    textual = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null)
    if not whole and not any(fits(kind) for fits in textual):
        wanted = "text or whole numbers" if name in _KNOWN else "text"
        raise InputError(f"table {table.given}: column {name} is of type {kind}, not {wanted}")
    text = values.cast(pa.string())
    text.validate(full=True)  # a file may claim any bytes to be UTF-8
    filled = pc.greater(pc.utf8_length(pc.utf8_trim_whitespace(text)), 0)
    kept = pc.if_else(filled, text, pa.scalar(None, pa.string()))  # null where `filled` is null
    if name == "study_id" and kept.null_count:
        place = pc.index(pc.is_null(kept), True).as_py()
        raise InputError(f"{table.given} row {row + place + 1}: no study_id")
    return kept
