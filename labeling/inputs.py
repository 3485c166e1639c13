"""Reads reports: the id and text columns of a table."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from studies.records import Report
from studies.tables import STUDY_ID_NAMES, InputError, Table, free_text, identity, open_table, read_rows

__all__ = ["ID_NAMES", "TEXT_NAMES", "InputError", "Source", "open_source", "read_reports"]

ID_NAMES = ("report_id", "id", *STUDY_ID_NAMES)
TEXT_NAMES = ("report", "text", "report_text", "radiology_report", "note_text", "findings_and_impression", "narrative")


class Source(NamedTuple):
    """A table of reports and which of its columns hold id and text."""

    table: Table
    id_column: str
    text_column: str

    @property
    def path(self) -> Path:
        return self.table.path


def open_source(
    given: str, *, id_column: str | None, text_column: str | None, encoding: str = "utf-8", spool: Path | None = None
) -> Source:
    """Look at a file's beginning and settle how to read it; arguments as for `studies.tables.open_table`.

    Raises:
        InputError: no such file, an unknown suffix, not text in that encoding, no such column, nothing in it.
    """
    table = open_table(given, encoding=encoding, spool=spool)
    return Source(
        table,
        table.column(id_column, ID_NAMES, "--id-column"),
        table.column(text_column, TEXT_NAMES, "--text-column"),
    )


def read_reports(source: Source) -> Iterator[Report]:
    """Give the reports in the file's order, one at a time; a missing text is the empty text.

    Raises:
        InputError: a line that cannot be read, with its number.
    """
    for where, (report_id, text) in read_rows(source.table, (source.id_column, source.text_column)):
        yield Report(identity(report_id, where), free_text(text, where))
