"""The label rows of generated and reference reports: read from files, or made on the fly and kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel, ValidationError

from labeling.runtime.ask import Policy
from labeling.runtime.engine import Engine
from labeling.schema import SCHEMA_VERSION, LabelRow
from labeling.texts import label_texts

_SUFFIXES = (".jsonl", ".parquet")


class RowSource(Protocol):
    """Gives the label rows of texts by id, and why the other ids have none; see `LabelFile` and `Labelled`."""

    async def rows(self, texts: Mapping[str, str]) -> tuple[dict[str, LabelRow], dict[str, str]]: ...


class LabelFile:
    """A JSONL or Parquet file that `label-reports` wrote.

    Rows are kept as text and read when they are asked for: as objects, those of 40,000 studies would take 1 GB.

    Raises:
        ValueError: no such file, another format, a line that is no such row or of another schema version, an id that
            stands twice, or no row at all; the message says where.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        _check_suffix(path)
        if not path.is_file():
            raise ValueError(f"label rows {path}: no such file")
        self._found: dict[str, tuple[str, str | bytes]] = {}
        for where, text in _lines(path) if path.suffix.lower() == ".jsonl" else _parquet_rows(path):
            try:
                head = _Head.model_validate_json(text)
            except ValidationError as error:
                raise self._fault(where, error) from None
            if head.schema_version != SCHEMA_VERSION:
                raise ValueError(f"{path} {where}: schema_version {head.schema_version!r}, not {SCHEMA_VERSION!r}")
            if head.report_id in self._found:
                raise ValueError(f"{path} {where}: report_id {head.report_id!r} stands a second time")
            self._found[head.report_id] = where, text
        if not self._found:
            raise ValueError(f"label rows {path}: there is no row in it")

    def read(self) -> Iterator[LabelRow]:
        """Every row, in the file's order.

        Raises:
            ValueError: a row that is none of label-reports.
        """
        return (self._row(report_id) for report_id in self._found)

    async def rows(self, texts: Mapping[str, str]) -> tuple[dict[str, LabelRow], dict[str, str]]:
        """The rows of these texts; a text without a row is a failure.

        Raises:
            ValueError: a row that is none of label-reports, or whose evidence does not stand in the text: then the
                labels were made from other texts than those that are scored.
        """
        found: dict[str, LabelRow] = {}
        failures: dict[str, str] = {}
        for report_id, text in texts.items():
            if report_id not in self._found:
                failures[report_id] = f"{self._path} has no row with this report_id"
                continue
            row = self._row(report_id)
            if not _proven_by(row, text):
                raise ValueError(
                    f"{self._path} {self._found[report_id][0]}: the evidence of {report_id!r} does not stand in the "
                    "text that is scored; label the very texts that are scored"
                )
            found[report_id] = row
        return found, failures

    def _row(self, report_id: str) -> LabelRow:
        where, text = self._found[report_id]
        try:
            return LabelRow.model_validate_json(text)
        except ValidationError as error:
            raise self._fault(where, error) from None

    def _fault(self, where: str, error: ValidationError) -> ValueError:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "row"
        return ValueError(f"{self._path} {where} is no row of label-reports: {field}: {first['msg']}")


class Labelled:
    """Rows made on the fly by an engine, through the store of answers.

    Raises (from `rows`):
        StoreError: answers cannot be kept.
    """

    def __init__(self, engine: Engine, policy: Policy, store_folder: Path) -> None:
        self._engine, self._policy, self._store_folder = engine, policy, store_folder

    async def rows(self, texts: Mapping[str, str]) -> tuple[dict[str, LabelRow], dict[str, str]]:
        return await label_texts(texts, store_folder=self._store_folder, engine=self._engine, policy=self._policy)


class _Head(BaseModel):
    report_id: str
    schema_version: str


def _proven_by(row: LabelRow, text: str) -> bool:
    """Whether the row's quotations stand in the text where the row says."""
    proofs = [(one.reference_phrase, one.evidence) for one in row.findings]
    proofs += [(one.reference_sentence, one.evidence) for one in row.lines_and_tubes]
    return all(words == " ".join(text[span.start : span.end] for span in spans) for words, spans in proofs)


def _check_suffix(path: Path) -> None:
    if path.suffix.lower() not in _SUFFIXES:
        raise ValueError(f"label rows {path}: suffix {path.suffix or '(none)'} is not {' or '.join(_SUFFIXES)}")


def _lines(path: Path) -> Iterator[tuple[str, bytes]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            yield f"line {number}", line


def _parquet_rows(path: Path) -> Iterator[tuple[str, str]]:
    """Each row as JSON, so that both formats are checked in one way."""
    import duckdb

    try:
        with duckdb.connect(config={"threads": 1}) as db:
            found = db.execute("SELECT to_json(found) FROM read_parquet(?) AS found", [str(path)])
            number = 0
            while batch := found.fetchmany(1000):
                for (text,) in batch:
                    number += 1
                    yield f"row {number}", text
    except duckdb.Error as error:
        raise ValueError(f"label rows {path}: {error}") from None
