"""Words of a sentence and the phrases found in them, fast: a dictionary of words and a trie of phrases.

Text is folded first: lower case, plural to singular where the singular is known, abbreviations spelt out, and long
terms that a dictation engine or a typist got wrong by one letter put right ("pneumothroax"). The longest phrase wins,
so that a look-alike with a meaning of its own ("pericardial effusion") never counts as the shorter one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import Generic, NamedTuple, TypeVar

P = TypeVar("P")

# A word, a slash abbreviation, a number, or a mark that matters to scopes. A hyphen inside a word is white space;
# between white space it is a dash.
TOKEN = re.compile(
    r"(?:s/p|h/o|r/o|b/l|w/o|c/w|d/t|w/|a/w|and/or)(?![a-z])|[a-z][a-z0-9]*(?:'[a-z]+)?|\d+(?:\.\d+)?|[,;:?/()+>&=]"
    r"|(?<=\s)[-–—]+(?=\s)|—"
)
_MAX_KNOWN_WORDS = 50_000  # words met and folded are remembered up to this many
_MIN_FUZZY_LENGTH = 8


class Match(NamedTuple, Generic[P]):
    """A phrase: words[start:end] and what it stands for."""

    start: int
    end: int
    value: P


def _within_one_edit(a: str, b: str) -> bool:
    """Whether one letter inserted, left out, replaced or swapped with its neighbour turns `a` into `b`."""
    if a == b:
        return True
    if len(a) > len(b):
        a, b = b, a
    if len(b) - len(a) > 1:
        return False
    at = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), len(a))
    if len(a) < len(b):
        return a[at:] == b[at + 1 :]
    return a[at + 1 :] == b[at + 1 :] or (a[at : at + 2] == b[at : at + 2][::-1] and a[at + 2 :] == b[at + 2 :])


def _deletions(word: str) -> set[str]:
    return {word, *(word[:i] + word[i + 1 :] for i in range(len(word)))}


class Words(dict[str, str]):
    """word as written -> word as the lexicon spells it; unknown words stay as they are.

    Args:
        vocabulary: every word of the lexicon.
        spellings: abbreviations and irregular forms.
        fuzzy: words that are recognised with one wrong letter; only those of at least eight letters are.
    """

    def __init__(self, vocabulary: Iterable[str], spellings: Mapping[str, str], fuzzy: Iterable[str]) -> None:
        super().__init__(spellings)
        self._vocabulary = frozenset(vocabulary)
        self.update({word: word for word in self._vocabulary if word not in spellings})
        self._near: dict[str, list[str]] = {}
        for word in sorted(set(fuzzy)):
            if len(word) >= _MIN_FUZZY_LENGTH:
                for shorter in _deletions(word):
                    self._near.setdefault(shorter, []).append(word)

    def __missing__(self, word: str) -> str:
        folded = self._fold(word)
        if len(self) < _MAX_KNOWN_WORDS:
            self[word] = folded
        return folded

    def _fold(self, word: str) -> str:
        if word.endswith("'s"):
            word = word[:-2]
        for ending, singular in (("", ""), ("s", ""), ("es", ""), ("ies", "y")):
            stem = word[: len(word) - len(ending)] + singular
            if word.endswith(ending) and stem in self._vocabulary:
                return stem
        for trial in (word, word[:-1]) if word.endswith("s") else (word,):
            if len(trial) < _MIN_FUZZY_LENGTH - 1:
                continue
            near = {known for shorter in _deletions(trial) for known in self._near.get(shorter, ())}
            for known in sorted(near):
                if _within_one_edit(trial, known):
                    return known
        return word


def expand(pattern: str) -> Iterator[tuple[str, ...]]:
    """Give the phrases a pattern stands for: "a/b" is either word, "a?" may be missing."""
    slots = []
    for slot in pattern.split():
        optional = slot.endswith("?") and slot != "?"
        options = slot.rstrip("?").split("/") if optional or slot != "?" else ["?"]
        slots.append([*options, ""] if optional else options)
    for words in product(*slots):
        phrase = tuple(word for word in words if word)
        if phrase:
            yield phrase


class _Node(dict[str, "_Node[P]"], Generic[P]):
    """The phrases that go on from here, by their next word; value: what the phrase ending here stands for."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        super().__init__()
        self.value: P | None = None


class Lexicon(Generic[P]):
    """Phrases and what they stand for.

    Args:
        phrases: pattern (see `expand`) and value; of equal phrases the later one wins.
        spellings: see `Words`; a word spelt as "" is passed over ("the").
        fuzzy: patterns whose words may be misspelt.
    """

    def __init__(self, phrases: Iterable[tuple[str, P]], spellings: Mapping[str, str], fuzzy: Iterable[str]) -> None:
        self._root: _Node[P] = _Node()
        vocabulary: set[str] = set()
        for pattern, value in phrases:
            for phrase in expand(pattern):
                vocabulary.update(phrase)
                node = self._root
                for word in phrase:
                    if word not in node:
                        node[word] = _Node()
                    node = node[word]
                node.value = value
        fuzzy_words = {word for pattern in fuzzy for phrase in expand(pattern) for word in phrase}
        self.words = Words(vocabulary, spellings, fuzzy_words & vocabulary)

    def split(self, text: str) -> list[str]:
        """The folded words and marks of a sentence."""
        words = self.words
        return [word for raw in TOKEN.findall(text.lower()) if (word := words[raw])]

    def find(self, words: list[str]) -> list[Match[P]]:
        """The longest phrases, left to right, never overlapping."""
        found: list[Match[P]] = []
        root = self._root
        at, count = 0, len(words)
        while at < count:
            node = root.get(words[at])
            end = at + 1
            if node is None:
                at = end
                continue
            best, best_end = node.value, end
            while node and end < count:
                node = node.get(words[end])
                if node is None:
                    break
                end += 1
                if node.value is not None:
                    best, best_end = node.value, end
            if best is None:
                at += 1
                continue
            found.append(Match(at, best_end, best))
            at = best_end
        return found
