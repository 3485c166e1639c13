"""Sentence numbers -> exact character spans; what cannot be proven never becomes a label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from labeling.facts import Answer, FindingAnswer
from labeling.rules.names import name_in
from labeling.runtime.engine import InvalidAnswer
from labeling.schema import Span
from labeling.vocabulary import Pleural
from studies.report_text import NOT_OBSERVED, Sentence


class Proof(NamedTuple):
    """text is exactly the report's text at each span, joined by one space."""

    text: str
    spans: tuple[Span, ...]


def prove(numbers: Sequence[int], sentences: Sequence[Sentence]) -> Proof:
    """Turn sentence numbers into their text and offsets, in the report's order."""
    chosen = [sentences[number - 1] for number in sorted(set(numbers))]
    return Proof(" ".join(s.text for s in chosen), tuple(Span(start=s.start, end=s.end) for s in chosen))


def check_evidence(answer: Answer, sentences: Sequence[Sentence]) -> None:
    """Refuse an answer whose sentences cannot prove it.

    Raises:
        InvalidAnswer: a number that doesn't exist, a sentence from a section that only says what was known before the
            film (indication, history, technique, comparison), or sentences that never name the device.
    """
    problems: list[str] = []
    if isinstance(answer, FindingAnswer):
        for place, finding in enumerate(answer.findings):
            problems += _problems(f"findings[{place}] ({finding.label})", finding.sentences, sentences)
    else:
        for place, device in enumerate(answer.lines_and_tubes):
            owner = f"lines_and_tubes[{place}] ({device.type.value})"
            found = _problems(owner, device.sentences, sentences)
            if device.pleural is not Pleural.NONE:
                found += _problems(f"{owner} pleural", device.pleural_sentences, sentences)
            if not found and not any(name_in(device.type, sentences[n - 1].text) for n in device.sentences):
                found.append(
                    f"{owner}: none of its sentences {list(device.sentences)} names such a device; "
                    "give the sentence that names it, or leave the entry out"
                )
            problems += found
    if problems:
        raise InvalidAnswer("; ".join(problems[:5]), kind="cites sentences that cannot prove it")


def _problems(owner: str, numbers: Sequence[int], sentences: Sequence[Sentence]) -> list[str]:
    found = []
    for number in numbers:
        if not 1 <= number <= len(sentences):
            found.append(f"{owner}: sentence {number} does not exist; the report has sentences 1 to {len(sentences)}")
        elif sentences[number - 1].section in NOT_OBSERVED:
            section = sentences[number - 1].section.value
            found.append(f"{owner}: sentence {number} stands in the {section} section, which says nothing of this film")
    return found
