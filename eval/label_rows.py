"""The label rows of generated and reference reports: read from files, or made on the fly and kept.

What scores need of a text, findings and all lines and tubes, is what `label-reports --prompt all` writes. A generated
report may be empty: that is a report that says nothing, not a failure, and nobody is asked about it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel, ValidationError

from labeling.intake import fault
from labeling.pipeline import Labeler
from labeling.placement.tables import load_tables
from labeling.rows import RowMaker
from labeling.runtime.ask import Policy
from labeling.runtime.engine import Engine
from labeling.runtime.keep import Tally
from labeling.runtime.store import Store
from labeling.schema import SCHEMA_VERSION, LabelRow
from prompts.load import load_prompt, resolve_prompts
from studies.records import Report

_PROMPT = "all"
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

    def __init__(
        self, engine: Engine, policy: Policy, store_folder: Path, on_progress: Callable[[Tally], None] = lambda _: None
    ) -> None:
        self._engine, self._policy, self._store_folder, self._on_progress = engine, policy, store_folder, on_progress

    async def rows(self, texts: Mapping[str, str]) -> tuple[dict[str, LabelRow], dict[str, str]]:
        return await label_texts(
            texts,
            store_folder=self._store_folder,
            engine=self._engine,
            policy=self._policy,
            on_progress=self._on_progress,
        )


class _Head(BaseModel):
    report_id: str
    schema_version: str


def _proven_by(row: LabelRow, text: str) -> bool:
    """Whether the row's quotations stand in the text where the row says."""
    proofs = [(one.reference_phrase, one.evidence) for one in row.findings]
    proofs += [(one.reference_sentence, one.evidence) for one in row.lines_and_tubes]
    return all(words == " ".join(text[span.start : span.end] for span in spans) for words, spans in proofs)


async def label_texts(
    texts: Mapping[str, str],
    *,
    store_folder: Path,
    engine: Engine,
    policy: Policy,
    on_progress: Callable[[Tally], None],
) -> tuple[dict[str, LabelRow], dict[str, str]]:
    """Label texts by id as `label-reports --prompt all` does, with the shipped placement tables.

    Answers are kept in `answers.sqlite` in `store_folder`, by content: the same text is asked about once, also when a
    stopped run is started again, and `label-reports --store` shares them.

    Returns:
        The rows, and why the other ids have none; both in the order of `texts`.

    Raises:
        StoreError: answers cannot be kept.
    """
    prompts = [load_prompt(name) for name in resolve_prompts(_PROMPT)]
    row_maker = RowMaker(_PROMPT, prompts, engine.name, engine.model, load_tables())
    rows: dict[str, LabelRow] = {}
    failures: dict[str, str] = {}
    reports = [Report(report_id, text) for report_id, text in texts.items()]
    asked = []
    for report in reports:
        silent = not report.text.strip()
        reason = fault(report._replace(text="Clear.") if silent else report)  # the id can be at fault all the same
        if reason is not None:
            failures[report.report_id] = reason
        elif silent:
            rows[report.report_id] = row_maker.make(report, [], {})
        else:
            asked.append(report)
    with Store(store_folder / "answers.sqlite") as store:
        labeler = Labeler(prompts, engine, store, row_maker, policy)
        await labeler.ask(asked, on_progress)
        for report, result in labeler.results(asked, {}):
            if isinstance(result, LabelRow):
                rows[report.report_id] = result
            else:
                failures[report.report_id] = result
    return {key: rows[key] for key in texts if key in rows}, {key: failures[key] for key in texts if key in failures}


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
