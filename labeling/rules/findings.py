"""Reads the findings of a report without a language model: sentences in, wire entries of `labeling.facts` out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from typing import Any

from labeling.rules.assertion import CUES, Kind
from labeling.rules.finding_anatomy_words import ANATOMY, QUALITY
from labeling.rules.finding_clause import NEGATIVE, POSITIVE, SHADOWS, SIDELESS, UNCERTAIN, Meaning, Statement
from labeling.rules.finding_lexicon import ABNORMALITY, ASIDE, FINDINGS
from labeling.rules.finding_reader import SentenceReader
from labeling.rules.finding_size import TimeWords, change_between, timed_sizes
from labeling.rules.finding_spelling import SPELLINGS
from labeling.rules.lexer import Lexicon, expand
from labeling.vocabulary import NO_FINDING_LABEL
from studies.report_text import NOT_OBSERVED, Sentence

_REMEMBERED_SENTENCES = 20_000  # reports repeat their sentences
_UNSAID = "unspecified"

# Words of two uses: a quality of the anatomy beside them, else a modifier of the noun behind them.
_TWO_USES: dict[str, Meaning] = {
    "increase/increased/increasing": Meaning(Kind.QUALITY, "increased", "worse"),
    "decrease/decreased/reduced/diminished": Meaning(Kind.QUALITY, "decreased", "improved"),
    "not increased": Meaning(Kind.QUALITY, "not_increased", "unchanged"),
    "have/has not enlarged": Meaning(Kind.QUALITY, "not_increased", "unchanged"),
    "have/has both? enlarged": Meaning(Kind.QUALITY, "enlarged", "worse"),
    "enlargement": Meaning(Kind.QUALITY, "enlarged", "worse"),
    "increased in size": Meaning(Kind.QUALITY, "enlarged", "worse"),
    "large": Meaning(Kind.QUALITY, "enlarged", "severe"),
    "now large": Meaning(Kind.QUALITY, "enlarged", "now severe"),
    "cm": Meaning(Kind.FINDING, "cm"),
    "bases/apices": Meaning(Kind.SIDE, "both", "lung"),
    "lung bases/apices": Meaning(Kind.SIDE, "both", "lung"),
}
_EXPLAINS_VOLUME_LOSS = frozenset(
    "hemithorax thorax sided hand lobectomy pneumonectomy thoracotomy resection surgical postsurgical surgery "
    "postoperative expected scarring scar fibrosis fibrotic".split()
)

Entry = tuple[str, str, str, str, str]  # label, assertion, side, severity, comparison


def _sizes() -> dict[str, str]:
    severities = CUES[Kind.SEVERITY]
    return {**severities, "severe": severities["severe"] + "|large"}


def _phrases() -> Iterator[tuple[str, Meaning]]:
    """All patterns and what they stand for; of equal ones the later counts."""
    for cue, by_value in CUES.items():
        for value, patterns in by_value.items():
            yield from ((pattern, Meaning(cue, value)) for pattern in patterns.split("|"))
    sizes = _sizes()
    yield from ((pattern, Meaning(Kind.SEVERITY, value)) for pattern, value in timed_sizes(sizes))
    yield from ((pattern, Meaning(Kind.ABNORMALITY, "")) for pattern in ABNORMALITY.split("|"))
    for kind, table in ((Kind.ANATOMY, ANATOMY), (Kind.QUALITY, QUALITY), (Kind.FINDING, FINDINGS)):
        for value, patterns in table.items():
            yield from ((pattern, Meaning(kind, value)) for pattern in patterns.split("|"))
    yield from ((pattern, Meaning(Kind.ASIDE, "")) for pattern in ASIDE.split("|"))
    yield from _TWO_USES.items()


@cache
def _time_words() -> TimeWords:
    phrases = (phrase for patterns in _sizes().values() for size in patterns.split("|") for phrase in expand(size))
    return TimeWords(frozenset(phrase[0] for phrase in phrases))


@cache
def _lexicon() -> Lexicon[Meaning]:
    nouns = [pattern for table in (FINDINGS, ANATOMY) for patterns in table.values() for pattern in patterns.split("|")]
    return Lexicon(_phrases(), SPELLINGS, nouns)


def _settle_collapse(statement: Statement, statements: list[Statement], words: list[str]) -> None:
    """Turn "collapse" and "volume loss" into atelectasis, unless a pneumothorax or surgery explains them."""
    if statement.labels == ("collapse",):
        by_air = any("pneumothorax" in other.labels and other.assertion == POSITIVE for other in statements)
        statement.labels = () if by_air else ("atelectasis",)
    elif statement.labels == ("volume_loss",):
        statement.labels = () if _EXPLAINS_VOLUME_LOSS.intersection(words) else ("atelectasis",)


def _without_what_is_excepted(statements: list[Statement]) -> list[Statement]:
    """Drop what an exception takes back: "clear except for atelectasis" is not normal, but denies an opacity."""
    stated = [set(statement.labels) for statement in statements if statement.assertion != NEGATIVE]
    if all(labels == {NO_FINDING_LABEL} for labels in stated):
        return statements
    opaque = any(labels & SHADOWS or "pneumonia" in labels for labels in stated)
    return [
        statement
        for statement in statements
        if not (
            statement.labels == (NO_FINDING_LABEL,)
            or (statement.labels == ("lung_opacity",) and statement.assertion == NEGATIVE and opaque)
        )
    ]


def read_sentence(text: str) -> tuple[Entry, ...]:
    """Give the entries of one sentence in the order in which it says them, each once."""
    lexicon = _lexicon()
    words = _time_words().drop_idle(lexicon.split(text))
    reader = SentenceReader(words, lexicon.find(words))
    statements = reader.read()
    if reader.excepted:
        statements = _without_what_is_excepted(statements)
    entries: dict[Entry, None] = {}
    for statement in statements:
        _settle_collapse(statement, statements, words)
        assertion, comparison = statement.assertion, statement.comparison
        if comparison in ("", "unchanged"):
            comparison = change_between(statement.before, statement.severity) or comparison
        elif comparison == "recurred":
            comparison = "worse"
        if (assertion == NEGATIVE) is not (comparison == "resolved"):
            comparison = ""  # what is denied did not change; what has resolved is denied
        for name in statement.labels:
            label = name.removesuffix("?")
            if label != name and assertion == POSITIVE:
                assertion = UNCERTAIN
            if label == "fracture" and assertion == NEGATIVE and len(statement.labels) > 1:
                continue  # "no rib fracture" says nothing of other bones
            sides = statement.sides if label not in SIDELESS or label == NO_FINDING_LABEL else ()
            for side in sides or (_UNSAID,):
                entries[(label, assertion, side, statement.severity or _UNSAID, comparison or _UNSAID)] = None
    return tuple(entries)


remembered_sentence = lru_cache(maxsize=_REMEMBERED_SENTENCES)(read_sentence)


def read_findings(sentences: Sequence[Sentence]) -> list[dict[str, Any]]:
    """Give the wire entries of a report (`labeling.facts.FindingFacts`), in order of their first place in the text.

    Sentences that were known or asked before the film was read (indication, history, technique, comparison) give none.
    Equal entries of several sentences are one entry with several sentence numbers.
    """
    places: dict[Entry, list[int]] = {}
    for sentence in sentences:
        if sentence.section in NOT_OBSERVED:
            continue
        for entry in remembered_sentence(sentence.text):
            places.setdefault(entry, []).append(sentence.number)
    return [
        {
            "label": label,
            "sentences": numbers,
            "assertion": assertion,
            "side": side,
            "severity": severity,
            "comparison": comparison,
        }
        for (label, assertion, side, severity, comparison), numbers in places.items()
    ]
