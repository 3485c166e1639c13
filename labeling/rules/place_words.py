"""Places in and around the chest where a tip may be said to lie: phrase -> place.

A place is anatomy, the same for every device; what it means for one type is in `labeling.rules.tips`. The word
lists are in `lexicon/places.toml`.
"""

from __future__ import annotations

from collections.abc import Iterator

from labeling.rules.lexer import expand
from labeling.rules.lexicon_files import phrases, read_lexicon

_UPPER = "upper/proximal/high/superior"
_MID = "mid/middle/midportion/central"
_LOWER = "lower/distal/low/inferior/lowermost"
_PART = "portion/part/third/aspect/segment/half/extent/region"


def _levels(organ: str, upper: str, middle: str, lower: str) -> dict[str, str]:
    """Patterns for the thirds of a vessel: "mid SVC", "lower third of the SVC", "mid to distal SVC"."""
    return {
        upper: f"{_UPPER} {organ}|{_UPPER} {_PART} {organ}|uppermost {organ}|{organ} {_UPPER}",
        middle: f"{_MID} {organ}|{_MID} {_PART} {organ}|{_UPPER} to/slash {_MID} {organ}|mid upper {organ}"
        f"|upper mid {organ}"
        f"|{_UPPER} or {_MID} {organ}",
        lower: f"{_LOWER} {organ}|{_LOWER} {_PART} {organ}|{_MID} to/slash/or/and {_LOWER} {organ}"
        f"|mid lower/distal {organ}"
        f"|lower mid {organ}|base {organ}|{_LOWER} to {_MID} {organ}|{_MID} {organ} to {_LOWER}"
        f" {organ}|{organ} {_LOWER}",
    }


_THIRDS = {
    "lung_upper": "upper/superior/high/uppermost/apical",
    "lung_mid": "mid/middle",
    "lung_lower": "lower/inferior/basal/basilar/low/lowermost",
}
_HALVES = "hemithorax/lung/thorax/zone"


def place_phrases() -> Iterator[tuple[str, tuple[str, str | tuple[str, str]]]]:
    """Give (phrase, ("place", place)) for the lexicon; the place is (place, side) where the phrase holds its side."""
    tables: list[dict[str, str]] = [
        {"svc": "svc|superior vena cava|vena cava|superior caval vein|superior vena caval|cava"},
        _levels("svc", "upper_svc", "mid_svc", "lower_svc"),
        _levels("superior vena cava", "upper_svc", "mid_svc", "lower_svc"),
        read_lexicon("places")["place"],
    ]
    for table in tables:
        for place, patterns in table.items():
            for words in phrases(patterns):
                yield " ".join(words), ("place", place)
    for place, thirds in _THIRDS.items():
        for side in ("left", "right"):
            for pattern in (
                f"{thirds} {side} {_HALVES} zone/field?",
                f"{thirds} {side} pleural space/cavity",
                f"{thirds} part/aspect/portion/third {side} {_HALVES}",
            ):
                for words in expand(pattern):
                    yield " ".join(words), ("place", (place, side))
