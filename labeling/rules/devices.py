"""Lines and tubes of a report, read without a language model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from studies.report_text import Sentence


def read_lines_and_tubes(sentences: Sequence[Sentence], findings: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Give the wire dicts of `labeling.facts.LineTubeFacts`, one for each line or tube, in order of first mention."""
    return []
