"""Tests against a real language model run only when asked for: they need an environment of 3 GB and some minutes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.environ.get("CARINA_LLM"):
        return
    skip = pytest.mark.skip(reason="needs a served language model: run make test-llm")
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(skip)
