"""Splits a report into sections and numbered sentences, each with its exact place in the text."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple


class Section(StrEnum):
    """What a heading opens. BODY is text before any heading, or under one that is not known."""

    INDICATION = "indication"
    HISTORY = "history"
    TECHNIQUE = "technique"
    COMPARISON = "comparison"
    FINDINGS = "findings"
    IMPRESSION = "impression"
    RECOMMENDATION = "recommendation"
    ADDENDUM = "addendum"
    BODY = "body"


# What these sections say was known or asked before the film was read: no label may rest on them.
NOT_OBSERVED = frozenset({Section.INDICATION, Section.HISTORY, Section.TECHNIQUE, Section.COMPARISON})

_HEADINGS: dict[str, Section] = {}
for _section, _names in {
    Section.INDICATION: "indication|indications|clinical indication|reason for exam|reason for examination|"
    "reason for study|reason|clinical question|exam indication|reason for this examination|clinical concern",
    Section.HISTORY: "history|clinical history|clinical information|clinical data|medical history|hx|"
    "clinical statement|clinical details|clinical|patient history|pertinent history|past medical history|"
    "admitting diagnosis|pre-op diagnosis|preoperative diagnosis",
    Section.TECHNIQUE: "technique|procedure|exam|examination|study|views|view|exam type|type of exam|protocol|"
    "exam date|date|time|procedure comments|examination type|study type|exam description",
    Section.COMPARISON: "comparison|comparisons|compared to|prior|priors|comparison studies|prior studies|"
    "comparison exam|comparison study",
    Section.FINDINGS: "findings|finding|observations|report|description|other|others|misc|other findings",
    Section.IMPRESSION: "impression|impressions|conclusion|conclusions|opinion|summary|interpretation|assessment|"
    "imp|final impression|wet read|preliminary read|preliminary report|final report",
    Section.RECOMMENDATION: "recommendation|recommendations|recommend|notification|notifications|communication",
    Section.ADDENDUM: "addendum|addenda",
}.items():
    for _name in _names.split("|"):
        _HEADINGS[_name] = _section

# A heading stands at the start of a line, or after a sentence's end when in capitals or one of _SPOKEN, and ends in a
# colon ("FINDINGS:", "Comparison 1/4:"), or stands alone on its line.
_HEADING_PLACE = re.compile(r"\A|\n|[.!?:;] {1,2}(?=[A-Z*#])")
_HEADING = re.compile(
    r"[ \t*#>]*"
    r"([A-Za-z][A-Za-z/&,() -]{0,48}?)[ \t]*\**[ \t]*(?:[\d/.,-]{3,10}[ \t]*(?=:))?(:|(?=[ \t]*(?:\n|\Z)))[ \t]*\**"
)
_SPOKEN = frozenset("findings impression comparison technique indication history conclusion recommendation".split())
# What is asked of the film or was done before it, not what it shows.
_REQUEST = re.compile(
    r"\W*(?:rule out|r/o|evaluat|eval\b|assess|please|status post|s/p|check|follow|query|confirm|\?|post[- ]op|"
    r"history of|hx of|h/o|patient|pt\b|\d+[- ]?(?:year|yo\b|y/o|m\b|f\b))",
    re.IGNORECASE,
)
_BLANK_LINE = re.compile(r"\n[ \t\r]*\n")
_LAST_WORD = re.compile(r"(\S+)\Z")
# Never the end of a sentence; and those that are one only before a capital ("no PTX on the L. Heart normal").
_TITLES = frozenset("dr. mr. mrs. ms. prof. st. vs. approx. e.g. i.e. cf. ca. e.t. n.g. o.g. i.j. p.a. a.p.".split())
_ABBREVIATIONS = frozenset(
    "fig. max. min. resp. incl. est. p.m. a.m. s.c. r. l. rt. lt. bilat. ant. post. lat. sup. inf. med. hx. w.".split()
)
# A sentence ends at a stop before white space; a new line ends one too, unless the text only wraps.
_BOUNDARY = re.compile(r"[.!?]+[\"')\]]*(?=\s|\Z)|\.(?=[A-Z][a-z]{2,})|\n")
_BULLET = re.compile(r"[ \t]*(?:[-*•–+>]|\(?\d{1,2}[.)])[ \t]+")
_WRAP_COLUMN = 55  # a line at least this long that stops without a full stop goes on in the next


class Sentence(NamedTuple):
    """One sentence: 1-based number in its report, text[start:end] its exact words, and the section it stands in."""

    number: int
    start: int
    end: int
    section: Section
    text: str


def _is_stop(text: str, at: int, match: re.Match[str]) -> bool:
    """Whether the dot at this place ends a sentence: not in "Dr. Lee", "approx. 4 cm", "1. Stable"."""
    if match.group().startswith("?") and (match.start() == at or text[match.start() - 1] in " \t\n,;(/"):
        return False  # "Opacity, ? pneumonia": a question mark that opens a doubt
    if match.group() != ".":
        return True
    word = _LAST_WORD.search(text, at, match.end())
    if word is None:
        return True
    token = word.group(1).lstrip("([\"'").lower()
    if token in _TITLES:
        return False
    if token in _ABBREVIATIONS:
        if text[at : match.end()].strip() == word.group(1):
            return False  # "Rt. IJ line": nothing but the side stands before it
        rest = text[match.end() : match.end() + 40].lstrip()
        return not rest or rest[0].isupper()
    return not (token[:-1].isdigit() and len(token) <= 3 and text[at : match.end()].strip() == word.group(1))


def _wraps(text: str, line_start: int, at: int) -> bool:
    """Whether the new line at `at` only wraps a sentence that goes on."""
    line = text[line_start:at].rstrip()
    rest = text[at + 1 : at + 61]
    following = rest.lstrip(" \t\r")
    if not line or not following or following[0] == "\n" or line[-1] in ".!?:":
        return False
    if _BULLET.match(following):
        return False
    if following[0].islower() or line[-1] in ",-(/":
        return True
    last = line.rsplit(None, 1)[-1].lower()
    if last in _OPEN_WORDS:
        return True
    return len(line) >= _WRAP_COLUMN and not _HEADING.match(text, at + 1)


_OPEN_WORDS = frozenset(
    "the a an of in on at to with and or from for by is are has have been was were no without near above below over "
    "left right upper lower mid into than approximately about which that".split()
)


def _sections(text: str) -> list[tuple[int, int, Section]]:
    """(heading start, body start, section) in order of place."""
    found: list[tuple[int, int, Section]] = []
    for place in _HEADING_PLACE.finditer(text):
        match = _HEADING.match(text, place.end())
        if match is None:
            continue
        raw = match.group(1).strip()
        colon = bool(match.group(2))
        at_line_start = match.start() == 0 or text[match.start() - 1] == "\n"
        section = _HEADINGS.get(" ".join(raw.lower().replace("(s)", "s").split()))
        if section is None:
            # "HEART: enlarged", "ETT: 4 cm above carina": a heading of its own group ends a history section, but its
            # words belong to the sentence.
            if colon and at_line_start and found and found[-1][2] in NOT_OBSERVED:
                found.append((match.start(), match.start(), Section.BODY))
            continue
        if not at_line_start and not raw.isupper() and not (raw[0].isupper() and raw.lower() in _SPOKEN):
            continue
        if not colon and (not at_line_start or (not raw.isupper() and section is Section.TECHNIQUE)):
            continue  # "Examination" alone on a line may be a sentence's end
        found.append((match.start(), match.end(), section))
    return found


def _bodies(text: str) -> list[tuple[int, int, Section]]:
    """(start, end, section) of every stretch of text between headings, in order."""
    bodies: list[tuple[int, int, Section]] = []
    section, start = Section.BODY, 0
    for heading_start, body_start, next_section in [*_sections(text), (len(text), len(text), None)]:
        end = heading_start
        if section in NOT_OBSERVED and next_section in _AFTER_UNNAMED_FINDINGS:
            end = _end_of_unobserved(text, start, heading_start, last=next_section is None)
        bodies.append((start, end, section))
        if end < heading_start:
            bodies.append((end, heading_start, Section.BODY))
        if next_section is not None:
            section, start = next_section, body_start
    return bodies


# "INDICATION: Hypoxia." and then the findings, without a heading of their own, up to one of these or the end.
_AFTER_UNNAMED_FINDINGS = frozenset({None, Section.IMPRESSION, Section.RECOMMENDATION, Section.ADDENDUM})


def _end_of_unobserved(text: str, start: int, end: int, *, last: bool) -> int:
    """Where a history-like section really ends: with its paragraph, its line, or (all in one line, nothing after it)
    its first sentence; what is asked of the film or was done before it still belongs to it."""
    at = start + _leading_space(text, start, end)
    blank = _BLANK_LINE.search(text, at, end)
    if blank is None and "\n" not in text[at:end].rstrip() and not last:
        return end
    while at < end:
        at = blank.end() if blank else _next_break(text, at, end)
        at += _leading_space(text, at, end)
        if not _REQUEST.match(text, at, end):
            return at
        blank = None
    return end


def _next_break(text: str, start: int, end: int) -> int:
    """The end of the line (a wrapped one goes on), or of the sentence where there is one line only."""
    one_line = "\n" not in text[start:end].rstrip()
    line_start = start
    for match in _BOUNDARY.finditer(text, start, end):
        if match.group() == "\n":
            if not _wraps(text, line_start, match.start()):
                return match.end()
            line_start = match.end()
        elif one_line and _is_stop(text, start, match):
            return match.end()
    return end


def split_sentences(text: str) -> list[Sentence]:
    """Give the report's sentences in order; headings belong to none.

    Every sentence is exactly `text[start:end]`, never empty, and sentences don't overlap.
    """
    sentences: list[Sentence] = []
    for body_start, body_end, body_section in _bodies(text):
        begin = line_start = body_start
        for match in _BOUNDARY.finditer(text, body_start, body_end):
            at = match.start()
            if match.group() == "\n":
                if _wraps(text, line_start, at):
                    line_start = at + 1
                    continue
                line_start = at + 1
            elif not _is_stop(text, begin, match):
                continue
            _add(sentences, text, begin, match.end(), body_section)
            begin = match.end()
        _add(sentences, text, begin, body_end, body_section)
    return sentences


def _add(sentences: list[Sentence], text: str, start: int, end: int, section: Section) -> None:
    bullet = _BULLET.match(text, start + _leading_space(text, start, end), end)
    if bullet:
        start = bullet.end()
    start += _leading_space(text, start, end)
    while end > start and text[end - 1].isspace():
        end -= 1
    if any(character.isalnum() for character in text[start:end]):
        sentences.append(Sentence(len(sentences) + 1, start, end, section, text[start:end]))


def _leading_space(text: str, start: int, end: int) -> int:
    count = 0
    while start + count < end and text[start + count].isspace():
        count += 1
    return count
