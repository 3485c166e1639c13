"""ROUGE-L of a generated text against a reference, equal to the package `rouge-score` to the last bit.

The longest common subsequence is rapidfuzz's, which is exact; tokens are the package's own definition in one pass, and
a word is stemmed once however often it stands.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cache
from typing import NamedTuple

from rapidfuzz.distance import LCSseq

_TOKEN = re.compile(r"[a-z0-9]+")
_MIN_STEMMED = 4  # rouge-score stems words of more than three characters
_STEMS_KEPT = 1 << 16


class RougeL(NamedTuple):
    """Precision LCS / tokens of the prediction, recall LCS / tokens of the reference, and their harmonic mean f1.

    Without a token on either side (both empty included) all three are 0, as in `rouge-score`.
    """

    precision: float
    recall: float
    f1: float


def tokenize(text: str) -> list[str]:
    """Runs of ASCII letters and digits in lower case; everything else parts tokens, so "4.8 cm" is 4, 8, cm.

    Equal to `rouge_score.tokenize.tokenize` with no stemmer, which replaces what is not a-z0-9 by spaces and splits.
    """
    return _TOKEN.findall(text.lower())


def rouge_l(prediction: str, reference: str, *, use_stemmer: bool = False) -> RougeL:
    """ROUGE-L of one pair (C.-Y. Lin, ROUGE, ACL 2004 workshop): F1 over the longest common subsequence of tokens.

    Args:
        use_stemmer: Porter's stemmer on words of more than three letters. Papers differ and rarely say; this project's
            default is without, as Hugging Face's `evaluate`.
    """
    tokens = stemmed_tokens() if use_stemmer else tokenize
    return _score(tokens(prediction), tokens(reference))


def rouge_l_scores(pairs: Iterable[tuple[str, str]], *, use_stemmer: bool = False) -> list[RougeL]:
    """ROUGE-L of many (prediction, reference) pairs, in order."""
    tokens = stemmed_tokens() if use_stemmer else tokenize
    return [_score(tokens(prediction), tokens(reference)) for prediction, reference in pairs]


def _score(prediction: list[str], reference: list[str]) -> RougeL:
    if not prediction or not reference:
        return RougeL(0.0, 0.0, 0.0)
    length = LCSseq.similarity(reference, prediction)
    precision, recall = length / len(prediction), length / len(reference)
    # the package's own order of operations, so that the last bit agrees
    f1 = 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0
    return RougeL(precision, recall, f1)


@cache
def stemmed_tokens() -> Callable[[str], list[str]]:
    """`tokenize`, then Porter's stems by the very stemmer that `rouge-score` uses (NLTK's, with its extensions)."""
    from nltk.stem.porter import PorterStemmer

    stemmer = PorterStemmer()
    stems: dict[str, str] = {}

    def tokens(text: str) -> list[str]:
        found = []
        for word in tokenize(text):
            stem = stems.get(word)
            if stem is None:
                stem = stemmer.stem(word) if len(word) >= _MIN_STEMMED else word
                if len(stems) < _STEMS_KEPT:
                    stems[word] = stem
            found.append(stem)
        return found

    return tokens
