"""The word lists of the offline engine, read from the TOML files in `lexicon/`."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

from labeling.rules.lexer import expand


def read_lexicon(name: str) -> dict[str, Any]:
    """Give `lexicon/<name>.toml`."""
    return tomllib.loads((resources.files("labeling.rules") / "lexicon" / f"{name}.toml").read_text("utf-8"))


def phrases(patterns: str, lists: Mapping[str, str] | None = None) -> Iterator[tuple[str, ...]]:
    """Give the phrases, as words, of patterns that "|" separates; `{name}` stands for a list of alternatives."""
    for name, words in (lists or {}).items():
        patterns = patterns.replace("{" + name + "}", words)
    for pattern in patterns.split("|"):
        yield from expand(pattern)
