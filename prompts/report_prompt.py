"""The prompt that a report is generated from: text, with slots for the films and for what was written before.

A prompt is `generation/NAME.vN.md`: a sentence for the system, a line of three dashes, the user's turn. It is a Jinja
template that sees only which films and texts there are. Each that is there is a slot, and the rendered text is split at
its slots once, before any of a patient's text is near it: nothing in a report can be taken for a slot or a template.
A released file never changes: a new wording is a new version (`RELEASED.sha256`).
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Collection
from functools import cache
from importlib import resources
from typing import NamedTuple, TypeAlias

FILMS = ("frontal", "lateral", "prior_frontal")  # in the order in which every prompt shows them
FIELDS = ("prior_report", "indication", "technique", "comparison")
_FILE = re.compile(r"(?P<name>[a-z][a-z0-9_]*)\.v(?P<version>[1-9][0-9]*)\.md")
_DIVIDER = "\n---\n"
_SLOT = re.compile("\0([a-z_]+)\0")  # files of prompts hold no NUL, so that a slot's mark is nothing else's


class Text(NamedTuple):
    """Words of the prompt's file."""

    text: str


class ImageSlot(NamedTuple):
    """Where a film's tokens stand. film: one of `FILMS`."""

    film: str


class FieldSlot(NamedTuple):
    """Where a text of the study stands. field: one of `FIELDS`."""

    field: str


Part: TypeAlias = Text | ImageSlot | FieldSlot


class ReportPrompt(NamedTuple):
    """One version of a prompt.

    id: "findings.v1". sha256: of its file. system: the sentence that sets the role.
    """

    id: str
    sha256: str
    system: str

    def user_turn(self, present: Collection[str]) -> tuple[Part, ...]:
        """The user's turn for a study that has these films and texts.

        Args:
            present: names of `FILMS` and `FIELDS`; a prior report is shown only beside a prior film.

        Raises:
            ValueError: a name that there is not, or no current film.
        """
        unknown = set(present) - {*FILMS, *FIELDS}
        if unknown:
            raise ValueError(f"no film or text {', '.join(sorted(unknown))}; known: {', '.join((*FILMS, *FIELDS))}")
        if not {"frontal", "lateral"} & set(present):
            raise ValueError("no current film: a prompt needs a frontal or a lateral one")
        return _parts(self.id, frozenset(present))


def load_report_prompt(name: str) -> ReportPrompt:
    """A prompt by its name ("findings": the newest version) or its id ("findings.v1").

    Raises:
        ValueError: no such prompt or version; the message names those that exist.
    """
    known = _known()
    base, dot, version = name.partition(".v")
    versions = [number for known_name, number in known if known_name == base]
    if not dot and versions:
        return _load(f"{base}.v{max(versions)}")
    if version.isdecimal() and int(version) in versions and str(int(version)) == version:
        return _load(name)
    ids = [f"{known_name}.v{number}" for known_name, number in known]
    close = difflib.get_close_matches(name, ids, n=1)
    raise ValueError(f"no prompt {name!r}; {f'did you mean {close[0]!r}? ' if close else ''}known: {', '.join(ids)}")


@cache
def _known() -> tuple[tuple[str, int], ...]:
    names = [match for file in _folder().iterdir() if (match := _FILE.fullmatch(file.name))]
    return tuple(sorted((match["name"], int(match["version"])) for match in names))


def _folder() -> resources.abc.Traversable:
    return resources.files("prompts") / "generation"


@cache
def _read(identity: str) -> bytes:
    return (_folder() / f"{identity}.md").read_bytes()  # bytes: the hash must not depend on a platform's line ends


@cache
def _load(identity: str) -> ReportPrompt:
    data = _read(identity)
    system, _, _ = data.decode("utf-8").partition(_DIVIDER)
    return ReportPrompt(identity, hashlib.sha256(data).hexdigest(), system.strip())


@cache
def _parts(identity: str, present: frozenset[str]) -> tuple[Part, ...]:
    import jinja2  # here, since `--help` must not pay for it

    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # text for a model, not HTML
        trim_blocks=True,
        lstrip_blocks=True,
    )
    _, _, user = _read(identity).decode("utf-8").partition(_DIVIDER)
    marks = {name: f"\0{name}\0" if name in present else "" for name in (*FILMS, *FIELDS)}
    pieces = _SLOT.split(environment.from_string(user).render(marks).strip())  # text, name, text, name, ..., text
    parts: list[Part] = []
    for number, piece in enumerate(pieces):
        if number % 2 == 0:
            parts += [Text(piece)] if piece else []
        else:
            parts.append(ImageSlot(piece) if piece in FILMS else FieldSlot(piece))
    return tuple(parts)
