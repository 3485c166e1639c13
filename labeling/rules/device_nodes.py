"""The words of a sentence -> names of devices, places and the phrases around them.

Sides, veins and adjectives that stand together with a noun make one name: "tunneled right internal jugular dialysis
catheter". A vein without a noun is a name, a place or a way in, by the word before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from labeling.rules.device_context import COUNT_WORDS, SPELLINGS, context_phrases
from labeling.rules.device_lists import spell_out_nouns
from labeling.rules.device_words import LOOK_ALIKE, PLURAL_NOUNS, Name, device_phrases
from labeling.rules.lexer import TOKEN, Lexicon
from labeling.rules.place_words import place_phrases
from labeling.vocabulary import LineTubeType as T

_phrases: list[tuple[str, tuple[str, Any]]] = [*place_phrases(), *context_phrases(), *device_phrases()]
_KEPT_PLURALS = {f"{noun}s" for noun in PLURAL_NOUNS} | {"tips", "terminates", "ends", "has", "is", "as"}


def _spelt_out(word: str) -> str:
    return (SPELLINGS.get(word) or word) if len(word) > 2 else word  # "l" alone is a piece of "b/l"


def _singular(phrases: list[tuple[str, tuple[str, Any]]]) -> list[tuple[str, tuple[str, Any]]]:
    """Phrases folded as the words of a report are: spelt out, plain plurals singular; "tubes" stays, it counts."""
    phrases = [(" ".join(_spelt_out(word) for word in phrase.split()), value) for phrase, value in phrases]
    words = {word for phrase, _ in phrases for word in phrase.split()}

    def fold(word: str) -> str:
        return word[:-1] if word.endswith("s") and word[:-1] in words and word not in _KEPT_PLURALS else word

    return [(" ".join(map(fold, phrase.split())), value) for phrase, value in phrases]


_phrases = _singular(_phrases)
_LEXICON: Lexicon[tuple[str, Any]] = Lexicon(
    _phrases,
    SPELLINGS,
    [
        "endotracheal tracheostomy nasogastric orogastric mediastinal subclavian thoracostomy peripherally catheter"
        " unchanged introducer carina cavoatrial brachiocephalic malpositioned pneumothorax effusion atelectasis"
    ],
)
# A sentence without any of these names no device: the last word of every name.
HEADS = frozenset(
    phrase.rsplit(None, 1)[-1] for phrase, (kind, _) in _phrases if kind in ("device", "bare", "group")
) - {"tip"} | {
    "et",
    "ij",
    "ijv",
    "jugular",
    "subclavian",
    "rij",
    "lij",
    "rsc",
    "lsc",
    "rijv",
    "lijv",
    "sc",
    "scv",
    "rscv",
    "lscv",
}
# Without a name, these may still speak of a device named before.
ANAPHORS = frozenset(
    phrase.split()[0]
    for phrase, (kind, _) in _phrases
    if kind in ("tip", "side_port", "pronoun", "advice", "both", "absent", "removal")
) | {
    "unchanged",
    "kinked",
    "coiled",
    "looped",
    "standard",
    "satisfactory",
    "malpositioned",
    "one",
    "other",
    "first",
    "second",
    "third",
}

_RUN = frozenset(("side", "vein", "mod", "bare", "device", "ordinal"))
_AFTER_VEIN = frozenset(
    ", ; : . ( ) slash and or with in at to is are was were has have tip tips ends end ending terminates"
    " terminate terminating"
    " terminated projects projecting overlies overlying over within into remains remain unchanged stable"
    " removed placed lies"
    " extends extending crosses courses coursing seen noted appears again approach via on near by from reaches reaching"
    " should could now also malpositioned coiled kinked looped below above x2 out pulled withdrawn advanced"
    " unremarkable"
    " satisfactory standard appropriate good mid lower upper low distal proximal svc ra vein on, as which"
    " but does not no"
    " = > ok okay fine"
    " cephalad without for since followed toward towards up down directed heading catheter line".split()
)
_CHEST_NOUNS = ("tube", "tubes", "drain", "drains")
LUNG = ("lung_upper", "lung_mid", "lung_lower")
_HOLES = frozenset(("port", "ports", "hole", "holes"))
_CENTRAL_PLACES = frozenset(("svc", "upper_svc", "mid_svc", "lower_svc", "caj", "ra", "high_ra", "brachio"))
_IN = frozenset(
    "in into within inside at over overlying overlies near toward towards up onto along to projecting"
    " projects around by"
    " level against overlie adjacent origin takeoff ostium reaches reaching below above beyond past".split()
)
_VIA = frozenset("via through from using by entering traversing".split())


class Phrase(NamedTuple):
    """A device as one noun phrase: words[start:end]."""

    start: int
    end: int
    name: Name
    side: str
    vein: str
    number: int
    second: bool
    place: str
    past: bool


class Item(NamedTuple):
    start: int
    end: int
    kind: str
    value: Any


def _phrase_of(run: list[Item], words: list[str]) -> Iterator[Phrase | Item]:
    """Split a run of adjacent sides, veins, adjectives and nouns into noun phrases; what has no noun is given back."""
    begin = 0
    while begin < len(run):
        head: Name | None = None
        side = vein = place = ""
        count, second, past = 1, False, False
        at = begin
        while at < len(run):
            item = run[at]
            kind, value = item.kind, item.value
            if kind in ("device", "bare"):
                if head is None:
                    head = value
                else:
                    merged = _merge(head, value)
                    if merged is None:
                        break
                    head = merged
            elif head is not None:
                if any(later.kind in ("device", "bare") for later in run[at + 1 :]):
                    break
                if (
                    kind == "vein"
                    and value != "chest"
                    and head.type in (T.ENDOTRACHEAL_TUBE, T.NASOGASTRIC_TUBE, T.TRACHEOSTOMY_TUBE)
                ):
                    break
                if kind == "side" and side and value != side:
                    break
                if kind == "ordinal":
                    break
            if kind == "side":
                side = value
            elif kind == "vein":
                if isinstance(value, Name):
                    vein, side = value.vein, value.side
                elif not vein or value not in ("chest", "arm"):
                    vein = value
            elif kind == "ordinal":
                second = second or words[item.start] in ("second", "another", "third", "other")
            elif kind == "mod":
                for word in words[item.start : item.end]:
                    count = max(count, COUNT_WORDS.get(word, 1) if head is None else 1)
                    second = second or word == "additional"
                    past = past or word in ("previously", "prior", "old")
            at += 1
        if head is None and vein in ("ij", "subclavian", "femoral"):
            yield from _bare_vein(run[begin:], words, side, vein)
            return
        if head is None:
            yield from run[begin:]
            return
        if not side:
            side = head.side
        yield Phrase(run[begin].start, run[at - 1].end, head, side, vein or head.vein, count, second, place, past)
        begin = at


def _merge(head: Name, more: Name) -> Name | None:
    """One name out of two that stand side by side ("PICC line", "IJ Cordis introducer"); None: two devices."""
    if not more.type:
        return head._replace(plural=head.plural or more.plural, family=head.family or more.family)
    if not head.type:
        return None
    if head.type == more.type:
        subtype = more.subtype if more.subtype != "standard" else head.subtype
        return head._replace(subtype=subtype, plural=head.plural or more.plural, loose=head.loose and more.loose)
    if (
        more.type == LOOK_ALIKE
        and head.type in (T.INTERNAL_JUGULAR_CVC, T.CHEST_TUBE, T.MEDIASTINAL_DRAIN)
        and head.loose
    ):
        return more
    if head.loose and not more.loose:
        return more._replace(plural=head.plural or more.plural)
    if more.loose and not head.loose and more.subtype != "introducer_sheath":
        return head._replace(plural=head.plural or more.plural)
    return None


def _bare_vein(run: list[Item], words: list[str], side: str, vein: str) -> Iterator[Phrase | Item]:
    """ "Right IJ in the mid SVC" names a line, "in the right internal jugular vein" a place, "via right IJ" a way."""
    start, end = run[0].start, run[-1].end
    before = words[start - 1] if start else ""
    spoken = words[start:end]
    if "approach" in spoken or "access" in spoken or before in _VIA:
        yield Item(start, end, "entry", (side, vein))
    elif end < len(words) and words[end] not in _AFTER_VEIN:
        return  # "left subclavian stenosis", "right jugular XXXX"
    elif before in _IN or "vein" in spoken or "veins" in spoken:
        places = {"ij": "ij", "subclavian": "subclavian_vein", "femoral": "ivc"}
        yield Item(start, end, "place", (places[vein], side))
    else:
        device = {"ij": T.INTERNAL_JUGULAR_CVC, "subclavian": T.SUBCLAVIAN_CVC_OR_PORT, "femoral": LOOK_ALIKE}[vein]
        yield Phrase(start, end, Name(device, vein=vein), side, vein, 1, False, "", False)


def _part_side_ports(found: list[Item], words: list[str]) -> list[Item]:
    """ "Right side port" is the side port of the tube on the right; at the cava it is a port on the right side."""
    if "side" not in words:
        return found
    parted: list[Item] = []
    venous = any(item.kind == "place" and item.value in _CENTRAL_PLACES for item in found)
    for item in found:
        start, end = item.start, item.end
        following = words[end] if end < len(words) else ""
        if item.kind == "side" and end - start == 2 and words[end - 1] == "side" and following in _HOLES and not venous:
            longer = any(other.start <= end and other.end > end + 1 for other in found)  # "right side port catheter"
            if not longer:
                parted += [Item(start, end - 1, "side", item.value), Item(end - 1, end + 1, "side_port", "")]
                continue
        if not parted or start >= parted[-1].end:
            parted.append(item)
    return parted


def _items(words: list[str]) -> list[Phrase | Item]:
    """Names assembled, places with their sides."""
    found: list[Item] = []
    for match in _LEXICON.find(words):
        start, end, (kind, value) = match.start, match.end, match.value
        if kind == "place" and words[end - 1] == "chest" and end < len(words) and words[end] in _CHEST_NOUNS:
            noun = Name(
                str(T.CHEST_TUBE), plural=words[end].endswith("s")
            )  # "lower chest tube" is no tube in the lower chest
            found += [Item(start, end - 1, kind, value), Item(end - 1, end + 1, "device", noun)]
        elif not found or found[-1].end <= start:
            found.append(Item(start, end, kind, value))
    found = _part_side_ports(found, words)
    nodes: list[Phrase | Item] = []
    at = 0
    while at < len(found):
        item = found[at]
        before = nodes[-1] if nodes else None
        if item.kind not in _RUN:
            nodes.append(item)
            at += 1
            continue
        stop = at + 1
        while stop < len(found) and (
            (found[stop].start == found[stop - 1].end and (found[stop].kind in _RUN or _lies_between(found, stop)))
            or _bridges(found, at, stop, words)
        ):
            stop += 1
        lung = next((i.value for i in found[at:stop] if i.kind == "place"), "")
        run = [i for i in found[at:stop] if i.kind != "place"]
        for node in _phrase_of(run, words):
            if isinstance(node, Phrase):
                if (
                    isinstance(before, Item)
                    and before.kind == "place"
                    and before.value in LUNG
                    and before.end == node.start
                    and node.name.type in ("", T.CHEST_TUBE)
                ):
                    lung = before.value  # "apical right chest tube"
                    nodes.pop()
                    node = node._replace(start=before.start)
                before = None
                node = node._replace(place=lung)
            nodes.append(node)
        at = stop
    return nodes


def _share_names(nodes: list[Phrase | Item], words: list[str]) -> list[Phrase | Item]:
    """ "Right apical and left basal chest tubes": the first side has the noun of the second."""
    shared: list[Phrase | Item] = []
    for node in nodes:
        if isinstance(node, Phrase) and node.name.type and shared and words[node.start - 1] == "and":
            place, at = "", len(shared) - 1
            last = shared[at]
            if isinstance(last, Item) and last.kind == "place" and last.value in LUNG and last.end == node.start - 1:
                place, at = last.value, at - 1
                last = shared[at] if at >= 0 else last
            if place and not (isinstance(last, Item) and last.kind == "side" and last.end == shared[-1].start):
                if node.name.plural:  # "apical and basal left chest tubes"
                    shared[-1] = node._replace(start=shared[-1].start, end=shared[-1].end, place=place, number=1)
                shared.append(node)
                continue
            beside = last.end == node.start - 1 or (place and last.end == shared[-1].start)
            if (
                isinstance(last, Item)
                and last.kind == "side"
                and beside
                and last.value != "both"
                and (node.name.plural or place)
            ):
                before = words[last.start - 1] if last.start else ""
                if before not in ("on", "from", "to", "at"):
                    end = shared[-1].end
                    shared[at:] = [node._replace(start=last.start, end=end, side=last.value, place=place, number=1)]
                    node = node._replace(side=node.side or last.value)
        shared.append(node)
    return shared


def _bridges(found: list[Item], at: int, stop: int, words: list[str]) -> bool:
    """Whether one unknown word stands inside a name: "right IJ XXXX catheter"."""
    last, following = found[stop - 1], found[stop]
    if (
        following.start != last.end + 1
        or last.kind not in ("side", "vein")
        or following.kind not in ("bare", "device", "mod")
    ):
        return False
    word = words[last.end]
    if word in _AFTER_VEIN or not word.isalpha() or any(item.kind in ("device", "bare") for item in found[at:stop]):
        return False
    noun = next((item for item in found[stop : stop + 3] if item.kind in ("bare", "device")), None)
    return noun is not None and (noun.kind == "bare" or noun.value.loose)


def _lies_between(found: list[Item], at: int) -> bool:
    """Whether the place at `at` is an adjective inside a name: "right apical chest tube"."""
    item = found[at]
    return (
        item.kind == "place"
        and item.value in LUNG
        and at + 1 < len(found)
        and found[at + 1].start == item.end
        and found[at + 1].kind in ("device", "bare", "mod")
        and any(later.kind in ("device", "bare") for later in found[at + 1 : at + 4])
    )


def split_words(text: str) -> list[str]:
    """The folded words of a sentence."""
    return _LEXICON.split(text)


def word_places(text: str) -> list[tuple[str, int, int]]:
    """The folded words of a sentence, each with its place in it."""
    known = _LEXICON.words
    return [
        (word, match.start(), match.end()) for match in TOKEN.finditer(text.lower()) if (word := known[match.group()])
    ]


def halves(words: list[str]) -> tuple[str, str]:
    """The two places of "mid and lower SVC"; "" for what is none."""
    at = words.index("and")
    found = [_LEXICON.find(part) for part in ([*words[:at], *words[at + 2 :]], words[at + 1 :])]
    first, second = (
        str(matches[0].value[1]) if len(matches) == 1 and matches[0].value[0] == "place" else "" for matches in found
    )
    return first, second


def read_nodes(words: list[str]) -> tuple[list[str], list[Phrase | Item]]:
    """Give the words, left-out nouns spelt out, and the names, places and other phrases among them, in order."""
    words = spell_out_nouns(words)
    return words, _share_names(_items(words), words)
