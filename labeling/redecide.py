"""A changed placement table applied to stored facts: no model is asked, and the difference is shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from labeling.inputs import InputError
from labeling.outputs import OutputError, row_writer
from labeling.placement.decide import Decision, decide
from labeling.placement.tables import PlacementTables, load_tables
from labeling.rollup import roll_up_lines_and_tubes
from labeling.rows import review_reasons
from labeling.schema import LabelRow, LineTube
from labeling.vocabulary import Advice, Direction, Landmark, LineTubeType, Pleural, StatedPosition, Status


class StoredFacts(NamedTuple):
    """A row's facts under the names a decision knows them by."""

    status: Status
    subtype: str
    stated: StatedPosition
    advice: Advice
    pleural: Pleural
    tip: str
    tip_distance_cm: float | None
    tip_landmark: Landmark | None
    tip_direction: Direction | None

    @classmethod
    def of(cls, entry: LineTube) -> StoredFacts:
        return cls(
            entry.status,
            entry.subtype,
            entry.stated_position,
            entry.advice,
            entry.pleural,
            entry.tip_location,
            entry.tip_distance_cm,
            entry.tip_landmark,
            entry.tip_direction,
        )


def redecide(row: LabelRow, tables: PlacementTables) -> LabelRow:
    """The row as these tables decide it; facts and evidence stay as they are."""
    entries = tuple(_entry(entry, tables) for entry in row.lines_and_tubes)
    summary = row.line_tube_labels
    if summary is not None:
        asked = frozenset(device for device in LineTubeType if getattr(summary, device.value) is not None)
        summary = roll_up_lines_and_tubes(entries, asked)
    return row.model_copy(
        update={"lines_and_tubes": entries, "line_tube_labels": summary, "placement_sha256": tables.sha256}
    )


def _entry(entry: LineTube, tables: PlacementTables) -> LineTube:
    table = tables.by_device[entry.type_categorical]
    facts = StoredFacts.of(entry)
    decision: Decision = decide(facts, table)
    review = review_reasons(
        entry.type_categorical, facts, entry.model_placement, decision, table, entry.reference_sentence
    )
    return entry.model_copy(
        update={
            "placement": decision.placement,
            "placement_band": decision.band,
            "placement_rule": decision.rule,
            "review": review,
        }
    )


def read_rows(labels: Path) -> Iterator[LabelRow]:
    """Give the rows of a JSONL file that `label-reports` wrote.

    Raises:
        InputError: no such file, or a line that is no such row.
    """
    if not labels.is_file():
        raise InputError(f"labels {labels} does not exist; give the .jsonl file that label-reports wrote")
    if labels.suffix.lower() != ".jsonl":
        raise InputError(f"labels {labels}: only .jsonl can be read; label with -o LABELS.jsonl")
    with labels.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                yield LabelRow.model_validate_json(line)
            except ValidationError as error:
                first = error.errors(include_url=False)[0]
                where = ".".join(str(part) for part in first["loc"]) or "row"
                raise InputError(f"{labels} line {number}: {where}: {first['msg']}") from None


class Change(NamedTuple):
    report_id: str
    device: str
    before: str
    after: str


def redecide_file(labels: Path, tables_folder: Path | None, output: Path | None) -> tuple[int, list[Change]]:
    """Decide every row again; give the number of entries and what changed. Rows are written when `output` is named."""
    tables = load_tables(tables_folder)
    if output is None:
        rows = ((row, redecide(row, tables)) for row in read_rows(labels))
        return _changes(rows)
    if output.suffix.lower() not in {".jsonl", ".parquet", ".csv"}:
        raise OutputError(f"output {output}: suffix must be .jsonl, .parquet or .csv")
    with row_writer(output) as write:

        def written() -> Iterator[tuple[LabelRow, LabelRow]]:
            for row in read_rows(labels):
                new = redecide(row, tables)
                write(new)
                yield row, new

        return _changes(written())


def _changes(rows: Iterator[tuple[LabelRow, LabelRow]]) -> tuple[int, list[Change]]:
    entries = 0
    changes: list[Change] = []
    for old, new in rows:
        for before, after in zip(old.lines_and_tubes, new.lines_and_tubes, strict=True):
            entries += 1
            if _decided(before) != _decided(after):
                device = before.type_categorical.value
                changes.append(Change(old.report_id, device, _decided(before), _decided(after)))
    return entries, changes


def _decided(entry: LineTube) -> str:
    band = f" ({entry.placement_band.value})" if entry.placement_band else ""
    return f"{entry.placement.value}{band}"


def count_changes(changes: list[Change]) -> Counter[tuple[str, str, str]]:
    """How many entries of each device went from what to what."""
    return Counter((change.device, change.before, change.after) for change in changes)
