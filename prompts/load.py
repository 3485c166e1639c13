"""Finds a prompt by name and version and gives the messages that stay the same for every report.

A prompt is `FOLDER/NAME.vN.md`, the instructions, and `FOLDER/NAME.vN.jsonl`, the worked examples: a line each,
`{"report": [[number, section, sentence], ...], "answer": {...}}`, or with "reference" (a list of phrases) and
"hypothesis" in place of "report". The folder is `labeling` or `radfact`. The instructions may hold
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
    messages: (role, content): the instructions as system, then pairs of user and assistant, the worked examples. What
        is asked about is added after them, as `render_report` or `render_entailment` writes it.
    """

    name: str
    version: int
    id: str
    sha256: str
    messages: tuple[tuple[str, str], ...]


@cache
def load_prompt(name: str, version: int | None = None, folder: str = "labeling") -> Prompt:
    """Give the newest version of a prompt, or the one asked for.

    Raises:
        ValueError: no such prompt or version; the message names those that exist.
    """
    versions = _require_known(name, folder)
    if version is None:
        version = max(versions)
    elif version not in versions:
        raise ValueError(f"prompt {name!r} has no version {version}; known: {', '.join(map(str, versions))}")
    identity = f"{name}.v{version}"
    messages = [("system", _instructions(folder, f"{identity}.md"))]
    for example in _examples(folder, f"{identity}.jsonl"):
        messages.append(("user", _render_example(example)))
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


def render_entailment(hypothesis: str, reference: Iterable[str]) -> str:
    """Write a statement and the phrases it is judged against as the last message of a prompt.

    The phrases come first: a server that keeps its work on a prefix has done most of the next statement's as well.
    White space is folded as in `render_report`.
    """
    lines = [f"[{number}] {_fold(phrase)}" for number, phrase in enumerate(reference, 1)]
    return "\n".join(["REFERENCE:", *lines, "", "HYPOTHESIS:", _fold(hypothesis)])


def known_prompts(folder: str = "labeling") -> tuple[str, ...]:
    """Names of all prompts of a folder, sorted."""
    return tuple(sorted(_versions(folder)))


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


def _require_known(name: str, folder: str = "labeling") -> tuple[int, ...]:
    versions = _versions(folder)
    if name not in versions:
        known = [*(["all"] if folder == "labeling" else []), *sorted(versions)]
        close = difflib.get_close_matches(name.lower().replace("-", "_").replace(" ", "_"), known, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise ValueError(f"no prompt {name!r}; {hint}known: {', '.join(known)}")
    return versions[name]


def _folder(name: str) -> Traversable:
    return resources.files("prompts") / name


@cache
def _versions(folder: str) -> dict[str, tuple[int, ...]]:
    found: dict[str, list[int]] = {}
    for file in _folder(folder).iterdir():
        if match := _FILE.fullmatch(file.name):
            found.setdefault(match["name"], []).append(int(match["version"]))
    return {name: tuple(sorted(versions)) for name, versions in found.items()}


def _read(folder: str, path: str) -> str:
    # Bytes, not text mode: the hash must not depend on a platform's line ends.
    return _folder(folder).joinpath(*path.split("/")).read_bytes().decode("utf-8")


def _instructions(folder: str, path: str) -> str:
    import jinja2  # here, since `--help` must not pay for it

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda part: _read(folder, part)),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # text for a model, not HTML
    )
    return environment.get_template(path).render().strip()


def _examples(folder: str, path: str) -> list[dict[str, Any]]:
    return [json.loads(row) for row in _read(folder, path).split("\n") if row.strip()]


def _render_example(example: dict[str, Any]) -> str:
    if "report" in example:
        return render_report((number, section, text) for number, section, text in example["report"])
    return render_entailment(example["hypothesis"], example["reference"])


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _fold(text: str) -> str:
    return " ".join(text.split())
