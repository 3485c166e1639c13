"""Checks every report before anything is asked: ids, emptiness, length, language."""

from __future__ import annotations

import hashlib
import heapq
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from studies.records import Report

MAX_CHARACTERS = 100_000  # some 25,000 tokens; a chest X-ray report has about 1,000 characters

_WORD = re.compile(r"[^\W\d_]+")
# Words that hardly occur in English reports, of the languages hospitals write most.
_FOREIGN = frozenset(
    "der die das und ist nicht ohne kein keine keinen mit links rechts nachweis lunge beidseits unauffällig im zum "
    "le la les des du et est pas sans avec dans une droite gauche absence épanchement poumon au aux "
    "el los las una del con sin derrame pulmonar izquierdo derecho derecha izquierda y se no hay "
    "il lo gli di della e non senza sinistra destra versamento polmonare "
    "os uma dos das sem com esquerda direita não há "
    "het een van de niet geen links rechts met voor longen "
    "och är ingen utan vänster höger med i "
    "nie jest bez płuc oraz po".split()
) - frozenset("i no die e y de a le la im en po au med se".split())
_ENGLISH = frozenset(
    "the of and is in no with to are has been for at there right left normal tip tube lung lungs heart chest "
    "effusion pneumothorax unchanged stable above line catheter small new clear size above below place".split()
)


class Rejected(NamedTuple):
    report_id: str
    reason: str


class Duplicate(ValueError):  # noqa: N818
    """An id that stands twice: two answers under one id cannot be told apart."""


def fault(report: Report) -> str | None:
    """Why this report cannot be labelled, or None."""
    if not report.report_id.strip():
        return "the id is empty"
    if _half_character(report.report_id) or _half_character(report.text):
        return "id or text holds half a character (a lone surrogate, such as \\ud83d in JSON), which no file can hold"
    text = report.text
    if not text.strip():
        return "the report text is empty"
    if len(text) > MAX_CHARACTERS:
        return f"the report has {len(text):,} characters, more than {MAX_CHARACTERS:,}: is it one report?"
    language = _other_language(text)
    return f"the report is not in English ({language}); prompts and rules read English" if language else None


def _half_character(text: str) -> bool:
    return not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text)


def _other_language(text: str) -> str | None:
    """What shows that a text is not English, or None. Telegraphic English has few function words, so only positive
    signs count: another script, or more different words of other languages than of English."""
    if not text.isascii():
        letters = [c for c in text[:2000] if c.isalpha()]
        if len(letters) >= 20 and sum(c < "\u0250" for c in letters) < len(letters) / 2:
            return "another script"
    words = frozenset(_WORD.findall(text[:4000].lower()))
    foreign = words & _FOREIGN
    if len(foreign) >= 3 and len(foreign) > len(words & _ENGLISH):
        return f"{len(foreign)} of its {len(words)} different words are another language's"
    return None


def examine(reports: Iterable[Report]) -> tuple[int, list[Rejected]]:
    """Count the reports and list those that cannot be labelled.

    Raises:
        Duplicate: naming the ids that stand more than once (the first ten).
    """
    seen: set[str] = set()
    twice: dict[str, None] = {}
    rejected: list[Rejected] = []
    count = 0
    for report in reports:
        count += 1
        if report.report_id in seen:
            twice[report.report_id] = None
        seen.add(report.report_id)
        reason = fault(report)
        if reason:
            rejected.append(Rejected(report.report_id, reason))
    if twice:
        shown = ", ".join(list(twice)[:10]) + (", ..." if len(twice) > 10 else "")
        raise Duplicate(f"{len(twice)} report ids stand more than once: {shown}; give each report its own id")
    return count, rejected


def choose(reports: Iterable[Report], *, limit: int | None, sample: int | None, seed: int) -> Iterator[Report]:
    """The first `limit` reports, or `sample` chosen by chance (the same for the same seed), in the file's order.

    A report is in the sample by its id's hash, so adding reports to the file changes the sample as little as can be.
    """
    if sample is not None:
        ranked = ((_rank(report.report_id, seed), place, report) for place, report in enumerate(reports))
        chosen = heapq.nsmallest(sample, ranked, key=lambda item: item[:2])
        reports = [report for _, _, report in sorted(chosen, key=lambda item: item[1])]
    for place, report in enumerate(reports):
        if limit is not None and place >= limit:
            return
        yield report


def _rank(report_id: str, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed}:{report_id}".encode(), digest_size=8).digest()
