"""Sizes said for now and for before: "previously large, now small", "increased from small to moderate".

A size is written as the value of a severity phrase: "mild", or with a word for its time before it:
    "now mild": of this film, so a size said earlier in the sentence was that of the film before;
    "before mild": of the film before;
    "only mild": of this film if the finding has improved ("almost cleared, only a small amount remaining");
    "to mild", "from mild": of this film and of the film before where a change is told, see `SentenceReader`.
"""

from __future__ import annotations

from collections.abc import Iterator

_ORDER = ("minimal", "mild", "moderate", "severe")
# Behind these, "substantial" measures a change or is part of a denial, not of a size.
_CHANGE = frozenset(
    "change improvement improved decrease decreased increase increased worsening worse progression clearing resolution "
    "reduction enlargement growth difference".split()
)
_DENIALS = frozenset({"no", "not", "without"})


def change_between(before: str, now: str) -> str:
    """Give "worse" or "improved" by the sizes before and now; "" if one of them is unsaid or both agree."""
    if not before or not now or before == now:
        return ""
    return "worse" if _ORDER.index(now) > _ORDER.index(before) else "improved"


def timed_sizes(sizes: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Give patterns and values of sizes with a word for their time.

    Args:
        sizes: severity -> patterns parted by "|".
    """
    for severity, patterns in sizes.items():
        for size in patterns.split("|"):
            yield f"now only? {size}", f"now {severity}"
            yield f"only {size}", f"only {severity}"
            yield f"to now? {size}", f"to {severity}"
            yield f"previously/formerly/initially/once {size}", f"before {severity}"
            yield f"{size} previously/formerly/before/yesterday", f"before {severity}"
            yield f"{size} on/in prior", f"before {severity}"
            if " to" not in size:  # "from small to moderate" is no range
                yield f"from {size}", f"from {severity}"


class TimeWords:
    """Drops "now" and "substantial" where they are no part of a size, so that they part no phrase.

    Args:
        sizes: words with which a size begins.
    """

    def __init__(self, sizes: frozenset[str]) -> None:
        self._after_now = sizes | {"only"}

    def drop_idle(self, words: list[str]) -> list[str]:
        """Give the words without those that mean nothing here: "has now resolved", "no substantial change"."""
        if "now" not in words and "substantial" not in words:
            return words
        kept: list[str] = []
        for at, word in enumerate(words):
            following = words[at + 1] if at + 1 < len(words) else ""
            if word == "now" and following not in self._after_now:
                continue
            if word == "substantial" and (following in _CHANGE or (kept and kept[-1] in _DENIALS)):
                continue
            kept.append(word)
        return kept
