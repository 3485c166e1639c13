"""The statistics oracles beside the repository, computed with numpy, scipy, scikit-learn and scikit-posthocs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

STATS = Path(__file__).parents[2].parent / "shared" / "data" / "stats"


def oracle(name: str) -> dict[str, Any]:
    """One oracle: its "input", what is "expected", how it was computed. The test is skipped where they are not."""
    found: dict[str, Any] = next(one for one in read_shared("oracles.json")["oracles"] if one["id"] == name)
    return found


def read_shared(name: str) -> Any:
    path = STATS / name
    if not path.is_file():
        pytest.skip(f"the shared oracles ({name}) are not beside the repository")
    return json.loads(path.read_text("utf-8"))
