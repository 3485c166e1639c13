"""Rows that travel between folders. Parquet columns and JSONL keys bear these names."""

from __future__ import annotations

from typing import NamedTuple


class Report(NamedTuple):
    """A radiologist's text of one study.

    `text` is kept exactly as given: every offset in a label counts its characters (Unicode code points).
    """

    report_id: str
    text: str
