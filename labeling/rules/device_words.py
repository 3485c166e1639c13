"""What lines and tubes are called, and what only looks like one. The word lists are in `lexicon/devices.toml`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from labeling.rules.lexicon_files import phrases, read_lexicon
from labeling.vocabulary import LineTubeType as T

PORTED = "ported"  # the subtype of a look-alike that has a port of its own
LOOK_ALIKE = "look_alike"  # a device of none of the ten types: it takes its own predicates and gives no entry


class Name(NamedTuple):
    """A device as named.

    type: one of the ten types, LOOK_ALIKE, or "" for a bare noun ("catheter") that only context can type.
    family: the bare noun's family (catheter, line, tube, drain, port, sheath), or "".
    vein: "ij", "subclavian" when the name itself says it.
    loose: the name fits more than one type ("central line", "pigtail"); a closer word may change it.
    """

    type: str
    subtype: str = "standard"
    plural: bool = False
    vein: str = ""
    side: str = ""
    loose: bool = False
    family: str = ""
    removed: bool = False


_LEXICON = read_lexicon("devices")
PLURAL_NOUNS = frozenset(
    "tube catheter line drain pigtail cannula port picc sheath introducer cvc ngt ett iabp lead wire pump dobhoff swan"
    " thoracostomy tracheostomy device structure apparatus dht".split()
)


def _plural(words: tuple[str, ...]) -> tuple[str, ...] | None:
    return (*words[:-1], words[-1] + "s") if words[-1] in PLURAL_NOUNS else None


def device_phrases() -> Iterator[tuple[str, tuple[str, Name]]]:
    """Give (phrase, (kind, name)) for the lexicon; kinds: device, vein, bare, group, nothing."""
    for row in _LEXICON["device"]:
        kind = "nothing" if row["type"] == "no_device" else "device"
        name = Name(row["type"], row["subtype"], loose=row["loose"])
        for words in phrases(row["names"], _LEXICON["list"]):
            yield " ".join(words), (kind, name)
            many = _plural(words)
            if many is not None:
                yield " ".join(many), (kind, name._replace(plural=True))
    for word in ("extubated", "extubation"):
        yield word, ("device", Name(T.ENDOTRACHEAL_TUBE, removed=True))
    yield "bilateral cts", ("device", Name(T.CHEST_TUBE, side="both", plural=True))
    yield "decannulated", ("device", Name(T.TRACHEOSTOMY_TUBE, removed=True))
    yield "decannulation", ("device", Name(T.TRACHEOSTOMY_TUBE, removed=True))
    for side, letter in (("right", "r"), ("left", "l")):
        for short in (f"{letter}ij", f"{letter}ijv", f"{letter} ij"):
            yield short, ("vein", Name(T.INTERNAL_JUGULAR_CVC, vein="ij", side=side))
        for short in (f"{letter}sc", f"{letter}scv", f"{letter} sc"):
            yield short, ("vein", Name(T.SUBCLAVIAN_CVC_OR_PORT, vein="subclavian", side=side))
        for noun in ("ijc", "ijcvc", "ij cvc"):
            yield f"{letter}{noun}", ("device", Name(T.INTERNAL_JUGULAR_CVC, vein="ij", side=side))
        yield f"{letter}ct", ("device", Name(T.CHEST_TUBE, side=side))
        yield f"{side} ct", ("device", Name(T.CHEST_TUBE, side=side))
        yield f"{side} cts", ("device", Name(T.CHEST_TUBE, side=side, plural=True))
        yield f"{side} one", ("bare", Name("", side=side, family="one"))
        yield f"{side} sided one", ("bare", Name("", side=side, family="one"))
        # otherwise "right pulmonary artery" would be read as a place
        for noun in ("catheter", "line", "balloon catheter", "flotation catheter"):
            yield f"{side} pulmonary artery {noun}", ("device", Name(T.SWAN_GANZ_CATHETER, side=side))
            yield f"{side} pulmonary arterial {noun}", ("device", Name(T.SWAN_GANZ_CATHETER, side=side))
            yield f"{side} pa {noun}", ("device", Name(T.SWAN_GANZ_CATHETER, side=side))
        yield f"{letter}picc", ("device", Name(T.PICC, side=side))
        yield f"{letter}ue picc", ("device", Name(T.PICC, side=side))
    for family, patterns in _LEXICON["bare"].items():
        for (word,) in phrases(patterns):
            yield word, ("bare", Name("", family=family))
            yield word + "s", ("bare", Name("", family=family, plural=True))
    for words in phrases(_LEXICON["group"]["names"]):
        yield " ".join(words), ("group", Name("", plural=True))
        many = tuple(word + "s" if word in _GROUP_NOUNS else word for word in words)
        yield " ".join(many), ("group", Name("", plural=True))


_GROUP_NOUNS = frozenset("line tube drain device catheter structure".split())
_SUBTYPES = {"feeding": "feeding", "pericardial": "pericardial"}
SHARED_ADJECTIVES: dict[str, Name] = {
    word: Name(device, _SUBTYPES.get(word, "standard"))
    for device, patterns in _LEXICON["shared"].items()
    for (word,) in phrases(patterns)
}
