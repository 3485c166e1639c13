"""Lists whose members leave out the noun, spelt out: words -> words.

"ET and NG tubes" becomes "ET tube and NG tubes".

"Chest tubes: two mediastinal, one pleural" becomes "2 mediastinal drains, chest tube"; "right chest tubes x2,
apical and basal" names each by its place; "two left and one right chest tubes" counts each side by itself.
"""

from __future__ import annotations

from typing import NamedTuple

from labeling.rules.device_words import SHARED_ADJECTIVES

_SHARED = frozenset(SHARED_ADJECTIVES)
_PLURALS = frozenset(("tubes", "drains", "pigtails"))
_NOUNS = _PLURALS | {"tube", "drain", "pigtail"}
_KINDS = frozenset("chest pleural thoracostomy intercostal surgical pigtail thoracic".split())
_MEDIASTINAL = frozenset(("mediastinal", "pericardial", "retrosternal", "substernal"))
_SIDES = frozenset(("left", "right", "bilateral"))
_PLACES = frozenset(
    "apical basal basilar apex base upper lower mid middle anterior posterior lateral medial superior inferior".split()
)
_COUNTS = {
    "one": 1,
    "1": 1,
    "single": 1,
    "x1": 1,
    "two": 2,
    "2": 2,
    "x2": 2,
    "three": 3,
    "3": 3,
    "x3": 3,
    "four": 4,
    "4": 4,
}
_JOINS = frozenset(("and", ",", "slash", "&", "+"))
_LISTED = _KINDS | _MEDIASTINAL | _SIDES | _PLACES | set(_COUNTS) | _JOINS | {"sided"}
_FILL = frozenset("sided side aspect new is are".split())
_AFTER_HEAD = frozenset(
    "are is present seen noted identified again in place on situ project projecting visualized".split()
)
_STOPS = frozenset((",", ";", "(", ")", "and", "slash", "&", "+", "plus"))
_PASSED = frozenset("x on sided side tube tubes drain drains zone field lung hemithorax".split())
_ENDS = frozenset("unchanged stable removed out kinked present".split())


class _Item(NamedTuple):
    number: int
    side: str
    kind: str
    place: str
    rest: tuple[str, ...]  # "in mid zone"


def spell_out_nouns(words: list[str]) -> list[str]:
    """Give the words with every member of a list named in full; the same words when there is no such list."""
    words = _spell_out_drains(words)
    return words if _SHARED.isdisjoint(words) else _share_nouns(words)


def _share_nouns(words: list[str]) -> list[str]:
    """ "et and ng tubes" -> "et tube and ng tubes"."""
    out: list[str] = []
    for at, word in enumerate(words):
        out.append(word)
        if (
            word not in SHARED_ADJECTIVES
            or at + 2 >= len(words)
            or words[at + 1] not in ("and", "slash", ",", "&", "or", "+")
        ):
            continue
        if {word, words[at + 2]} <= {"ng", "og", "nasogastric", "orogastric"}:
            continue
        for later in words[at + 2 : at + 8]:
            if later in ("tubes", "drains", "catheters", "tube", "drain", "lines"):
                out.append(later.rstrip("s"))
                break
            if later in (
                "is",
                "are",
                "in",
                "has",
                "have",
                "with",
                "at",
                "of",
                "remain",
                "ett",
                "ngt",
                "ogt",
                "picc",
                "line",
            ):
                break
    return out


def _spell_out_drains(words: list[str]) -> list[str]:
    words = _counts_outside_brackets(words)
    head = next((at for at, word in enumerate(words) if word in _NOUNS), None)
    if head is None:
        return words
    after = _after_head(words, head) if words[head] in _PLURALS else None
    return after or _before_head(words, head) or words


def _counts_outside_brackets(words: list[str]) -> list[str]:
    """ "Mediastinal (2)" -> "mediastinal 2"."""
    if "(" not in words or _NOUNS.isdisjoint(words):
        return words
    out: list[str] = []
    for at, word in enumerate(words):
        bracket = (word == "(" and words[at + 2 : at + 3] == [")"] and words[at + 1] in _COUNTS) or (
            word == ")" and len(out) > 1 and words[at - 2] == "(" and words[at - 1] in _COUNTS
        )
        if not bracket:
            out.append(word)
    return out


def _after_head(words: list[str], head: int) -> list[str] | None:
    """ "Chest tubes: right apical and right basal"."""
    start = head
    while start and (words[start - 1] in _KINDS | _SIDES | _FILL or words[start - 1] in _COUNTS):
        start -= 1
    noun = words[start : head + 1]
    if noun[-1] == "tubes" and _KINDS.isdisjoint(noun):
        return None  # "tubes" alone may be any
    side = next((word for word in noun if word in _SIDES), "")
    if not side and start > 2 and words[start - 1] == "," and words[start - 3] == "on" and words[start - 2] in _SIDES:
        side = words[start - 2]
    number = max((_COUNTS.get(word, 0) for word in noun), default=0)
    at = head + 1
    while at < len(words) and (
        words[at] in _AFTER_HEAD or words[at] in _SIDES or words[at] in _COUNTS or words[at] == "x"
    ):
        if words[at] in _SIDES and words[at - 1] == "on":
            side = side or words[at]
        number = max(number, _COUNTS.get(words[at], 0))
        at += 1
    if at >= len(words) or words[at] not in (":", "(", ",", "-", "–", "—"):
        return None
    if words[at] == "," and not (number or side):
        return None
    items = 0
    out, at = words[:start], at + 1
    while at < len(words):
        end = at
        while end < len(words) and words[end] not in _STOPS:
            end += 1
        item = _item(words[at:end])
        if item is None or (side == "bilateral" and item.side not in ("left", "right")):
            break
        out += _named(item, side)
        items += item.number
        if end < len(words) and words[end] != ")":
            out.append(words[end])
        at = end + 1
        if at <= len(words) and words[end : end + 1] == [")"]:
            break
    if items < max(number, 1) or (items == 1 and words[head + 1] not in (":", "-", "–", "—")):
        return None  # not all of them are told apart so
    return out + words[at:]


def _before_head(words: list[str], head: int) -> list[str] | None:
    """ "Two left and one right chest tubes", "two mediastinal and one left pleural drain"."""
    start = head
    while start and words[start - 1] in _LISTED:
        start -= 1
    while start < head and words[start] not in _COUNTS:
        start += 1
    parts: list[list[str]] = [[]]
    for word in words[start:head]:
        if word in _JOINS:
            parts.append([])
        else:
            parts[-1].append(word)
    items = [_item(part) for part in parts if part]
    named: list[list[str]] = []
    for item in items:
        if item is None or not (item.side or item.kind):
            return None
        named.append(_named(item, ""))
    if len(named) < 2 or not any(part[0] in _COUNTS for part in parts[1:] if part):
        return None
    joined = [word for name in named for word in ("and", *name)]
    return [*words[:start], *joined[1:], *words[head + 1 :]]


def _item(words: list[str]) -> _Item | None:
    count, side, kind, place = 1, "", "", ""
    for at, word in enumerate(words):
        if word in _COUNTS:
            count = _COUNTS[word]
        elif word in _PASSED:
            continue
        elif word in _SIDES:
            side = word
        elif word in _MEDIASTINAL:
            kind = word
        elif word in _KINDS:
            kind = kind or "chest"
        elif word in _PLACES:
            place = f"{place} {word}".strip()
        elif word in ("in", "at") and at and (words[0] in _COUNTS or side or kind):
            if not (_PLACES | _PASSED).issuperset(words[at + 1 :]):
                return _Item(count, side, kind, place, tuple(words[at:]))
        elif word in _ENDS and at and at == len(words) - 1 and (side or kind or place):
            return _Item(count, side, kind, place, (word,))
        else:
            return None
    return _Item(count, side, kind, place, ()) if side or kind or place else None


def _named(item: _Item, side: str) -> list[str]:
    many = item.number > 1 or item.side == "bilateral"
    noun = ["drains" if many else "drain"] if item.kind in _MEDIASTINAL else ["chest", "tubes" if many else "tube"]
    side = "" if item.kind in _MEDIASTINAL else side
    return [
        *([str(item.number)] if item.number > 1 else []),
        *([item.side or side] if item.side or side else []),
        *item.place.replace("base", "basal").replace("apex", "apical").split(),
        *([item.kind] if item.kind in _MEDIASTINAL else []),
        *noun,
        *item.rest,
    ]
