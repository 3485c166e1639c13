"""Marks spans of a report's text: what is unsupported, missed or wrongly placed.

The marked text is the text and nothing else: notes and numbers live in attributes, which CSS shows, so that copying out
of the page gives the report as it was written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

if TYPE_CHECKING:
    from markupsafe import Markup

Side = Literal["prediction", "reference"]
Kind = Literal["unsupported", "missed", "wrong_placement"]
KIND_WORDS: dict[Kind, str] = {
    "unsupported": "not supported by the reference",
    "missed": "missed by the generated report",
    "wrong_placement": "placement of a line or tube differs",
}


class Mark(NamedTuple):
    """A span of one text, `text[start:end]` in Unicode code points, and why it is marked."""

    side: Side
    start: int
    end: int
    kind: Kind
    note: str


class Segment(NamedTuple):
    """A run of text under the same marks, which are given by their place in the sequence of marks."""

    text: str
    marks: tuple[int, ...]
    starting: tuple[int, ...]  # the marks of which this is the first run


def in_order(marks: Sequence[Mark], side: Side) -> list[Mark]:
    """The marks of one side as a reader meets them."""
    return sorted((mark for mark in marks if mark.side == side), key=lambda mark: (mark.start, mark.end))


def segments(text: str, marks: Sequence[Mark]) -> Iterator[Segment]:
    """Cut a text wherever a mark starts or ends; the runs joined are the text.

    Marks may overlap, touch or be out of order.

    Raises:
        ValueError: a mark is empty, reaches past the text or has an unknown kind.
    """
    for mark in marks:
        if not 0 <= mark.start < mark.end <= len(text):
            raise ValueError(f"mark {mark.start}:{mark.end} does not lie in a text of {len(text)} characters")
        if mark.kind not in get_args(Kind):
            raise ValueError(f"unknown kind of mark {mark.kind!r}; known: {', '.join(get_args(Kind))}")
    cuts = sorted({0, len(text), *(mark.start for mark in marks), *(mark.end for mark in marks)})
    for start, end in pairwise(cuts):
        over = tuple(i for i, mark in enumerate(marks) if mark.start <= start and end <= mark.end)
        yield Segment(text[start:end], over, tuple(i for i in over if marks[i].start == start))


def exact(text: str) -> Markup:
    """Escape a text so that an HTML parser gives it back unchanged.

    A parser turns a bare carriage return into a line feed, hence the reference. It drops NUL, the one character that
    HTML cannot hold: it becomes U+FFFD, one for one.
    """
    from markupsafe import Markup, escape

    return Markup(str(escape(text)).replace("\0", "\ufffd").replace("\r", "&#13;"))


def marked_text(text: str, marks: Sequence[Mark], prefix: str) -> Markup:
    """Give the text as HTML with each mark in a `<mark>`; `marks` are those of this side, numbered from 1.

    A keyboard stops once at each mark. Where marks overlap, the shared run carries the notes of all of them. The list
    of notes beside the text gives mark number i the id `{prefix}-{i}`.
    """
    from markupsafe import Markup

    html = Markup()
    for run in segments(text, marks):
        if not run.marks:
            html += exact(run.text)
            continue
        note = "\n".join(f"{i + 1}: {KIND_WORDS[marks[i].kind]}. {marks[i].note}".strip() for i in run.marks)
        html += Markup('<mark class="{}" title="{}"{}>{}</mark>').format(
            " ".join(dict.fromkeys(marks[i].kind for i in run.marks)), note, _stop(run, note, prefix), exact(run.text)
        )
    return html


def _stop(run: Segment, note: str, prefix: str) -> Markup:
    """The attributes of a run where a mark starts: its number is shown and the keyboard stops here."""
    from markupsafe import Markup

    if not run.starting:
        return Markup(' data-note="{}"').format(note)
    numbers = [i + 1 for i in run.starting]
    return Markup(' data-note="{}" data-n="{}" tabindex="0" aria-describedby="{}"').format(
        note, ",".join(map(str, numbers)), " ".join(f"{prefix}-{i}" for i in numbers)
    )
