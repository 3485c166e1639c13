"""Finds a prompt by name and version and gives the messages that stay the same for every report.

A prompt is `labeling/NAME.vN.md`, the instructions, and `labeling/NAME.vN.jsonl`, the worked examples: a line each,
`{"report": [[number, section, sentence], ...], "answer": {...}}`. The instructions may hold
`{% include "shared/PART.vN.md" %}` and nothing else of Jinja. A released file never changes: a new wording is a new
version (`RELEASED.sha256`).
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Iterable
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, NamedTuple

ALL = ("findings", "lines_and_tubes")  # what "all" asks: every finding, and the ten types in one pass
_FILE = re.compile(r"(?P<name>[a-z][a-z0-9_]*)\.v(?P<version>[1-9][0-9]*)\.md")


class Prompt(NamedTuple):
    """One version of a prompt.

    id: "chest_tube.v1".
    sha256: of all static messages with everything they include, so that a change of any part shows.
    messages: (role, content): the instructions as system, then pairs of user and assistant, the worked examples. The
        report to label is added after them, as `render_report` writes it.
    """

    name: str
    version: int
    id: str
    sha256: str
    messages: tuple[tuple[str, str], ...]


@cache
def load_prompt(name: str, version: int | None = None) -> Prompt:
    """Give the newest version of a prompt, or the one asked for.

    Raises:
        ValueError: no such prompt or version; the message names those that exist.
    """
    versions = _require_known(name)
    if version is None:
        version = max(versions)
    elif version not in versions:
        raise ValueError(f"prompt {name!r} has no version {version}; known: {', '.join(map(str, versions))}")
    identity = f"{name}.v{version}"
    messages = [("system", _instructions(f"{identity}.md"))]
    for example in _examples(f"{identity}.jsonl"):
        messages.append(("user", render_report((n, section, text) for n, section, text in example["report"])))
        messages.append(("assistant", _compact(example["answer"])))
    digest = hashlib.sha256(_compact(messages).encode()).hexdigest()
    return Prompt(name, version, identity, digest, tuple(messages))


def render_report(lines: Iterable[tuple[int, str, str]]) -> str:
    """Write a report as the last message of a prompt.

    Args:
        lines: (number, section name, text) of each sentence, in order. White space inside a sentence becomes one
            space, so that no sentence can pass for a heading or for another number.
    """
    blocks: list[str] = []
    current: str | None = None
    for number, section, text in lines:
        if section != current:
            if blocks:
                blocks.append("")
            blocks.append(f"{_fold(section).upper()}:")
            current = section
        blocks.append(f"[{number}] {_fold(text)}")
    return "\n".join(blocks) or "(The report has no sentences.)"


def known_prompts() -> tuple[str, ...]:
    """Names of all prompts, sorted."""
    return tuple(sorted(_versions()))


def resolve_prompts(names: str) -> tuple[str, ...]:
    """Turn "all" or "chest_tube,findings" into names, in the order given and each once.

    Raises:
        ValueError: a name is unknown, or none is given.
    """
    asked = [name.strip() for name in names.split(",") if name.strip()]
    if not asked:
        raise ValueError(f"no prompt named; known: all, {', '.join(known_prompts())}")
    found: list[str] = []
    for name in asked:
        if name == "all":
            found.extend(ALL)
        else:
            _require_known(name)
            found.append(name)
    return tuple(dict.fromkeys(found))


def _require_known(name: str) -> tuple[int, ...]:
    versions = _versions()
    if name not in versions:
        close = difflib.get_close_matches(name.lower().replace("-", "_").replace(" ", "_"), ("all", *versions), n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise ValueError(f"no prompt {name!r}; {hint}known: all, {', '.join(sorted(versions))}")
    return versions[name]


def _folder() -> Traversable:
    return resources.files("prompts") / "labeling"


@cache
def _versions() -> dict[str, tuple[int, ...]]:
    found: dict[str, list[int]] = {}
    for file in _folder().iterdir():
        if match := _FILE.fullmatch(file.name):
            found.setdefault(match["name"], []).append(int(match["version"]))
    return {name: tuple(sorted(versions)) for name, versions in found.items()}


def _read(path: str) -> str:
    # Bytes, not text mode: the hash must not depend on a platform's line ends.
    return _folder().joinpath(*path.split("/")).read_bytes().decode("utf-8")


def _instructions(path: str) -> str:
    import jinja2  # here, since `--help` must not pay for it

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_read),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # text for a model, not HTML
    )
    return environment.get_template(path).render().strip()


def _examples(path: str) -> list[dict[str, Any]]:
    return [json.loads(row) for row in _read(path).split("\n") if row.strip()]


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _fold(text: str) -> str:
    return " ".join(text.split())
