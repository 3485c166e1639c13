"""One sentence -> the lines and tubes it speaks of and what it says of each.

Walking along the sentence, a group of devices that only "and", "with" or a comma joins shares what is said next ("ETT, NGT
and right IJ line are in standard position"); the first name after something has been said opens a new group. What stands in
front of a name ("interval removal of the ...") waits for it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from labeling.rules.device_context import COUNT_WORDS, NUMBER_WORDS, WEAK
from labeling.rules.device_nodes import ANAPHORS, HEADS, Item, Phrase, read_nodes, split_words
from labeling.rules.device_words import LOOK_ALIKE, Name
from labeling.rules.tips import LANDMARKS, Spot, fits, measured_from
from labeling.vocabulary import Advice, StatedPosition
from labeling.vocabulary import LineTubeType as T

_JOIN = frozenset(
    "and or slash & + , with plus also as well along together both nor ( ) : in addition to additional associated x"
    " there is are x2 x1 x3 2 its".split()
)
_COPULA = frozenset(
    "is are was were remain remains appear appears been be being has have lie lies seem seems otherwise still essentially"
    " grossly overall relatively largely also again which tip tips position positions".split()
)
_VERBS = frozenset(
    "is are was were remain remains appear appears has have in terminate terminates terminating end ends project projects"
    " projecting overlies at lies extend extends course courses tip unchanged stable pass passes seen noted traverse"
    " traverses over overlying again stays coiled removed".split()
)
_ON = frozenset("on from to via ( : both".split())
_VIA = frozenset("via through from using by".split())
_NEGATIONS = frozenset(("no", "without", "nor", "neither", "absence", "not", "never"))
_NONE = ((":", "none"), ("none",), (":", "no"), (":", "absent"), (":", "nil"), ("nil",))
_OUT = (("out",), ("is", "out"), ("now", "out"), ("are", "out"), (":", "out"), ("d", "c"), ("dcd",))
_NEGATION_FILL = frozenset(
    "evidence definite visible radiopaque other obvious discrete new additional any radiographic is".split()
)
_OPEN = frozenset(
    ", ; and or but in at since compared from with when as over overlying projecting is are again although while by for to on"
    " which that however without no upon within position positions positioning location locations appearance course"
    " configuration placement after following relative ( ) slash given than there during despite except noted seen"
    " terminating ending : — - -- – extending coursing alignment side nor if where allowing near compatible ? standing"
    " radiographically has have it comparison versus whereas post".split()
)
_STOP = frozenset(", ; ( ) : and or with but is are in at over on from to by for which there".split())
_CLAUSE = frozenset((";", "but", "although", "while", "however", "whereas", "?", "—"))
_REACH = 7  # words between "recommend" and what is recommended
_AIRWAY = (T.ENDOTRACHEAL_TUBE, T.TRACHEOSTOMY_TUBE)
_VENOUS = (T.INTERNAL_JUGULAR_CVC, T.PICC, T.SUBCLAVIAN_CVC_OR_PORT, T.SWAN_GANZ_CATHETER)
FAMILIES: dict[str, tuple[str, ...]] = {
    "catheter": (*_VENOUS, T.CHEST_TUBE, T.MEDIASTINAL_DRAIN, T.INTRA_AORTIC_BALLOON_PUMP),
    "line": _VENOUS,
    "one": tuple(T),
    "tube": (*_AIRWAY, T.NASOGASTRIC_TUBE, T.CHEST_TUBE, T.MEDIASTINAL_DRAIN),
    "drain": (T.CHEST_TUBE, T.MEDIASTINAL_DRAIN),
    "device": (T.INTRA_AORTIC_BALLOON_PUMP, T.SUBCLAVIAN_CVC_OR_PORT, T.TRACHEOSTOMY_TUBE),
}


class Distance(NamedTuple):
    cm: float
    landmark: str
    direction: str | None


class Mention:
    """One device in one sentence.

    type: one of the ten, LOOK_ALIKE, "" for "the catheter", "*" for "lines and tubes". definite: a bare noun or a pronoun
    that speaks of a device named before.
    """

    __slots__ = (
        "advice",
        "definite",
        "denied",
        "distance",
        "family",
        "listed",
        "loose",
        "off",
        "ordinal",
        "planned",
        "plural",
        "present",
        "removed",
        "first",
        "second",
        "side",
        "spots",
        "ports",
        "stated",
        "subtype",
        "tip_said",
        "type",
        "both",
        "unseen",
        "vein",
        "withdrawn",
    )

    def __init__(self, name: Name, side: str = "") -> None:
        self.type = name.type
        self.subtype = name.subtype
        self.family = name.family
        self.vein = name.vein
        self.side = side
        self.loose = name.loose
        self.plural = name.plural
        self.definite = False
        self.second = False
        self.first = False  # "the first", "the original one", named beside a second one
        self.ordinal = 0
        self.denied = False
        self.planned = False
        self.listed = False  # joined to the name before it: another device
        self.removed = name.removed
        self.present = False
        self.spots: list[Spot] = []
        self.ports: list[Spot] = []
        self.off = False
        self.unseen = False
        self.both = False  # "both chest tubes": those already named, or one on each side
        self.withdrawn = False  # "has been withdrawn": out, unless its position is told
        self.tip_said = False
        self.distance: Distance | None = None
        self.stated: list[tuple[StatedPosition, str]] = []
        self.advice = Advice.NONE

    def fits(self, place: str) -> bool:
        if self.type:
            return fits(self.type, place)
        return any(fits(device, place) for device in FAMILIES.get(self.family, tuple(T)))


def _typed(phrase: Phrase) -> Name:
    """The name's type, its vein considered: a "subclavian central line" is no jugular one."""
    name, vein = phrase.name, phrase.vein
    if name.type == T.INTERNAL_JUGULAR_CVC and name.loose:
        if vein == "subclavian":
            subtype = "standard" if name.subtype == "introducer_sheath" else name.subtype
            return name._replace(type=str(T.SUBCLAVIAN_CVC_OR_PORT), subtype=subtype, vein=vein, loose=False)
        if vein == "femoral":
            return name._replace(type=LOOK_ALIKE)
        if vein == "ij":
            return name._replace(vein=vein, loose=False)
        return name
    if not name.type and name.family in ("catheter", "line", "device"):
        if vein == "ij":
            return name._replace(type=str(T.INTERNAL_JUGULAR_CVC), vein=vein)
        if vein == "subclavian":
            return name._replace(type=str(T.SUBCLAVIAN_CVC_OR_PORT), vein=vein)
        if vein == "femoral":
            return name._replace(type=LOOK_ALIKE)
        if vein == "arm":
            return name._replace(type=str(T.PICC))
    return name


class _Walk:
    """The state of one walk along one sentence."""

    def __init__(self, words: list[str], nodes: list[Phrase | Item]) -> None:
        self.words = words
        self.nodes = nodes
        self.mentions: list[Mention] = []
        self.group: list[Mention] = []
        self.focus: list[Mention] | None = None  # the members of the group now spoken of
        self.said = False  # something has been said of the group, so the next name opens a new one
        self.pending: list[tuple[str, Any]] = []  # said before the name it belongs to
        self.shared_pending: list[tuple[str, Any]] = []  # what the whole list takes over from its first name's front
        self.end = 0  # end of the last node
        self.tip = self.plural_tip = self.port = False
        self.past = self.target = self.muted = self.planned = self.skip_from = False
        self.exchange = ""  # "open": the next name after "for" or "with" is the new device
        self.side_said = ""
        self.used: set[int] = set()  # nodes read together with an earlier one
        self.focus_first = False
        self.ordinals = 0  # how many of "one ... another ..." have been met
        self.ordinal_side = ""
        self.respective = int("respectively" in words)  # the number of the device that the next place is for
        self.recent: list[tuple[Mention, list[Spot]]] = []  # spots of this clause, before its last one

    # -- helpers -------------------------------------------------------------------------------------------------------
    def gap(self, start: int) -> list[str]:
        return self.words[self.end : start]

    def before(self, at: int, count: int) -> list[str]:
        return self.words[max(0, at - count) : at]

    def next_phrase(self, index: int, fill: int = 3) -> Phrase | None:
        """The name right after node `index`, at most a few filling words away."""
        if index + 1 >= len(self.nodes):
            return None
        following = self.nodes[index + 1]
        if not isinstance(following, Phrase):
            return None
        between = self.words[self.nodes[index].end : following.start]
        if len(between) > fill or any(word in _STOP and word not in ("in", "to", "for", ":") for word in between):
            return None
        return following

    def targets(self) -> list[Mention]:
        return self.focus if self.focus is not None else self.group

    def anaphor(self, family: str = "") -> None:
        """Open a group for a device that this sentence does not name."""
        if not self.group:
            mention = Mention(Name("", family=family))
            mention.definite = True
            self.mentions.append(mention)
            self.group = [mention]
            self.said = False

    def follows_open(self, index: int) -> bool:
        """Whether a verdict stands by itself: not "stable cardiomegaly", "low lung volumes"."""
        end = self.nodes[index].end
        if end >= len(self.words):
            return True
        following = self.nodes[index + 1] if index + 1 < len(self.nodes) else None
        if following is not None and following.start == end:
            if isinstance(following, Phrase):
                return True
            return following.kind not in ("finding", "vein", "side", "mod", "place") or (
                following.kind == "place" and self.words[end - 1] in ("position", "location", "in")
            )
        return self.words[end] in _OPEN

    # -- nodes ---------------------------------------------------------------------------------------------------------
    def run(self) -> list[Mention]:
        for index, node in enumerate(self.nodes):
            if index in self.used:
                self.end = max(self.end, node.end)
                continue
            for word in self.gap(node.start):
                if word in _CLAUSE:
                    self.target = self.past = self.planned = self.skip_from = False
                    if word == ";":
                        self.pending = []
                        self.exchange = ""
                elif word == ",":
                    self.past = self.skip_from = False
                    self.recent = []
            if isinstance(node, Phrase):
                self.phrase(index, node)
            else:
                getattr(self, "on_" + node.kind, self.on_other)(index, node)
            self.end = node.end
        return self.mentions

    def on_other(self, index: int, item: Item) -> None:
        pass

    def phrase(self, index: int, node: Phrase) -> None:
        name = _typed(node)
        gap = self.gap(node.start)
        self.muted = self.target = self.skip_from = False
        if not name.type and name.family == "device" and name.plural and not self.mentions:
            self.on_group(index, Item(node.start, node.end, "group", None))
            return
        if name.removed and any(m.type == name.type for m in self.group):
            self._apply("removal", None, [m for m in self.group if m.type == name.type])
            self.said = True
            return
        if not name.type and self._refers(node, name):
            return
        if gap == ["("] and self.group and self.group[-1].type == name.type and not node.side and not node.second:
            return  # "nasogastric tube (NGT)"
        new = self._make(node, name)
        denied = self._denied(node.start, gap)
        joined = bool(self.group) and not self.said and self._joins(index, node, gap)
        planned = (self.planned and self._is_planned(index, node)) or self._is_asked_for(index, node)
        for mention in new:
            mention.denied = denied
            mention.planned = planned
            mention.listed = joined
            mention.definite = not mention.type
        if self.exchange == "open" and self.group and not joined and not _EXCHANGED.isdisjoint(gap):
            for mention in self.targets():
                mention.removed = True
                if not new[0].side and (new[0].type == mention.type or {new[0].type, mention.type} <= _VENOUS_SET):
                    new[0].side = mention.side
            self.exchange = ""
        if self.exchange == "active" and not joined:
            for mention in new:
                mention.removed = True
            self.exchange = ""
        before_all = self.group[0] if self.group and self.group[0].type == "*" else None
        if joined and before_all is None:
            self.group = [*self.group, *new]
            pending = self.pending or self.shared_pending
        else:
            self.group = new
            self.said = False
            pending = self.pending
            if before_all is not None and not {":", "(", "including", "include", "includes", "are", "as"}.isdisjoint(gap):
                pending = [*pending, *(("stated", value) for value in before_all.stated)]
            self.shared_pending = [op for op in pending if op[0] in ("removal", "placed", "stated", "tip")]
            self.tip = self.port = self.past = False
        self.focus = None
        if self.focus_first:
            self.focus, self.focus_first, self.ordinals = new[:1], False, 1
            for kind, value in pending:
                self._apply(kind, value, new[:1])
        else:
            for kind, value in pending:
                self._apply(kind, value, new)
        self.pending = []
        if node.past or self.past:
            self.past = False
        if node.place and new:
            for mention in new:
                mention.spots.append(Spot(node.place, mention.side))
        after = tuple(self.words[node.end : node.end + 2])
        if after in _NONE or after[:1] in _NONE:
            for mention in new:
                mention.denied = True
        for out in _OUT:
            end = node.end + len(out)
            if after[: len(out)] == out and (end >= len(self.words) or self.words[end] in _OPEN):
                self._apply("removal", None, new)
                self.said = True
        if "its" in gap and len(new) == 1 and new[0].subtype == "introducer_sheath":
            for mention in self.mentions:
                if mention.type == T.SWAN_GANZ_CATHETER:
                    new[0].side = mention.side = new[0].side or mention.side
        if self.side_said and len(new) == 1 and not new[0].side:
            new[0].side = self.side_said
        self.side_said = ""
        self.mentions += new

    def _make(self, node: Phrase, name: Name) -> list[Mention]:
        count, both = node.count, False
        before = self.words[node.start - 1] if node.start else ""
        if name.plural:
            both = before == "both" or "both" in self.words[node.start : node.end]
            count = max(count, COUNT_WORDS.get(before, 1))
        after = self.words[node.end] if node.end < len(self.words) else ""
        if after in ("x2", "x3", "x4") or (after == "x" and self.words[node.end + 1 : node.end + 2] in (["2"], ["3"], ["4"])):
            count = int((after + "".join(self.words[node.end + 1 : node.end + 2]))[1])
            both = False
        paired = node.side == "both" or (both and not node.side and name.type in _PAIRED)
        order = ["right", "left"] if "right" in self.words[node.start : node.start + 1] else ["left", "right"]
        sides = order if paired else [node.side] * (min(count, 4) if name.plural or count > 1 and after[:1] == "x" else 1)
        made = []
        for number, side in enumerate(sides):
            mention = Mention(name, side)
            if not side and "midline" in [before, *self.words[node.start : node.end]]:
                mention.side = "midline"
            mention.second = node.second
            mention.first = not _FIRST.isdisjoint(self.words[node.start : node.end])
            mention.ordinal = number + 1 if len(sides) > 1 else 0
            mention.both = both
            made.append(mention)
        if len(made) > 1 and not paired and "one" in [*self.before(node.start, 3), *self.words[node.start : node.start + 1]]:
            self.focus_first = True  # "one of the two left chest tubes has been removed"
        return made

    def _refers(self, node: Phrase, name: Name) -> bool:
        """Whether a bare noun speaks of a device of this sentence; turns to it if so."""
        named = [m for m in self.mentions if m.type in FAMILIES[name.family] and not m.denied]
        spoken = self.words[node.start : node.end]
        if "remaining" in spoken or "other" in spoken:
            named = [m for m in named if not m.removed and (self.focus is None or m not in self.focus)]
        elif node.second:
            return False
        if not named:
            return False
        chosen = [m for m in named if not node.side or m.side in (node.side, "")]
        if not chosen:
            return False
        if not name.plural:
            sided = [m for m in chosen if m.side == node.side]
            in_group = [m for m in chosen if m in self.group]
            chosen = (sided if node.side and sided else in_group or chosen)[-1:]
        self.group, self.focus, self.said = chosen, None, False
        self.tip = self.port = False
        for kind, value in self.pending:
            self._apply(kind, value, chosen)
        self.pending = []
        return True

    def _denied(self, start: int, gap: list[str]) -> bool:
        at = start - 1
        if self.words[start] in ("intubated", "reintubated") and "not" in self.before(start, 3):
            return True
        while at >= 0 and self.words[at] in _NEGATION_FILL:
            at -= 1
        if at >= 0 and self.words[at] in _NEGATIONS:
            return True
        return bool(self.group) and self.group[-1].denied and not self.said and set(gap) <= {"or", "and", ",", "nor", "slash"}

    def _joins(self, index: int, node: Phrase, gap: list[str]) -> bool:
        if not set(gap) <= _JOIN or self.pending:
            return False
        following = self.words[node.end] if node.end < len(self.words) else ""
        if self.shared_pending and gap == [","] and following in _VERBS:
            return not any(op[0] == "removal" for op in self.shared_pending)
        return True

    def _is_planned(self, index: int, node: Phrase) -> bool:
        following = self.nodes[index + 1] if index + 1 < len(self.nodes) else None
        after = following is not None and isinstance(following, Item) and following.kind in ("placed", "removal", "exchange")
        return after or any(op[0] in ("placed", "removal", "planned") for op in self.pending)

    def _is_asked_for(self, index: int, node: Phrase) -> bool:
        """ "Recommend a nasogastric tube", "a chest tube is recommended": it is not there yet."""
        before = self.words[node.start - 1] if node.start else ""
        if before in _ASK and not self.pending:
            return True
        after = self.words[node.end : node.end + 3]
        asked = len(after) > 1 and after[0] in ("is", "was", "should", "may", "could", "would", "will", "to")
        return asked and (after[1] in _ASKED or after[1:3] in (["be", "placed"], ["be", "inserted"], ["be", "considered"]))

    def _apply(self, kind: str, value: Any, mentions: list[Mention]) -> None:
        for mention in mentions:
            if kind == "stated":
                mention.stated.append(value)
            elif kind == "removal":
                mention.removed = True
            elif kind == "placed":
                mention.present = True
            elif kind == "advice" and value is not Advice.NONE:
                mention.advice = value
            elif kind == "planned":
                mention.planned = True
        if kind == "tip":
            self.tip, self.plural_tip = True, value
        elif kind == "port":
            self.port = True
        elif kind == "advice":
            self.target = True

    def on_group(self, index: int, item: Item) -> None:
        mention = Mention(Name("*", plural=True))
        mention.denied = self._denied(item.start, [])
        self.group, self.said, self.focus = [mention], False, None
        for kind, value in self.pending:
            self._apply(kind, value, self.group)
        self.pending = []
        self.mentions.append(mention)
        self.muted = self.tip = self.port = self.target = False

    def on_stated(self, index: int, item: Item) -> None:
        position, strength = item.value
        words = self.words
        if self.past or self.muted or (self.target and position is StatedPosition.SATISFACTORY):
            return
        if position is not StatedPosition.SATISFACTORY or strength != WEAK:
            prior = self.before(item.start, 4)
            if position is not StatedPosition.SATISFACTORY and (
                not _NEGATIONS.isdisjoint(prior[-3:]) or "not" in prior[-2:]
            ):
                return
        following = self.nodes[index + 1] if index + 1 < len(self.nodes) else None
        if (
            position is StatedPosition.SATISFACTORY
            and words[item.end - 1] in ("position", "location")
            and isinstance(following, Item)
            and following.kind in ("place", "side")
            and following.start == item.end
            and words[item.start] in ("expected", "usual", "anatomic", "normal", "anatomical")
        ):
            return  # "in the expected location of the right atrium" only names the place
        blamed = position not in (StatedPosition.SATISFACTORY, StatedPosition.TOO_HIGH, StatedPosition.TOO_LOW)
        if not self.follows_open(index) and not (
            blamed and not (isinstance(following, Item) and following.kind == "finding" and following.start - item.end <= 1)
        ):
            return
        if self.focus is not None and words[item.start - 1] in ("are", "remain", "were") and "both" not in words:
            self.focus = None
        phrase = self.next_phrase(index)
        after_copula = item.start > 0 and words[item.start - 1] in _COPULA
        value = (position, strength)
        between = words[item.end : phrase.start] if phrase else []
        adjective = phrase is not None and (
            not between or all(word in ("position", "appearance", "location", "positioning", "in", "course") for word in between)
        )
        if self._is_group_next(index) and not (self.group and after_copula):
            self.pending.append(("stated", value))
        elif adjective and not (self.group and after_copula):
            self.pending.append(("stated", value))
        elif self.group:
            self._apply("stated", value, self.targets())
            self.said = True
        elif phrase is not None or any(isinstance(n, Phrase) or n.kind == "group" for n in self.nodes[index + 1 :]):
            self.pending.append(("stated", value))
        elif item.start <= 1:  # "Unchanged in position." speaks of the device before; "dilated loops of bowel" does not
            self.anaphor()
            self._apply("stated", value, self.group)

    def _is_group_next(self, index: int) -> bool:
        if index + 1 >= len(self.nodes):
            return False
        following = self.nodes[index + 1]
        return isinstance(following, Item) and following.kind == "group" and following.start - self.nodes[index].end <= 3

    def on_removal(self, index: int, item: Item) -> None:
        prior = self.before(item.start, 4)
        future = self.planned or not _FUTURE.isdisjoint(prior)
        op = "planned" if future else "removal"
        if self._is_group_next(index) or self.next_phrase(index, 4) is not None:
            self.pending = [(op, None)]
            self.said = True
        elif self.group and not future:
            self._apply(op, None, self.targets())
            self.said = True

    def on_absent(self, index: int, item: Item) -> None:
        """ "Removed", "no longer seen"."""
        prior = self.before(item.start, 5)
        words = self.words[item.start : item.end]
        if not _BE.isdisjoint(prior[-2:]) and not _MODAL.isdisjoint(prior):
            if "should" in prior or "recommend" in prior:
                self._advise(Advice.WITHDRAW)
            return
        if "not" in prior[-3:] or self.muted and "removed" not in words:
            return
        if self.tip and words[0] == "no" and self.group:
            return
        if self.group and not (self.said and self.next_phrase(index) is not None and not _BEEN & set(prior[-2:])):
            self._apply("removal", None, self.targets())
            self.said = True
        elif self.next_phrase(index) is not None:
            self.pending = [("removal", None)]
        elif not self.group:
            self.anaphor()
            self._apply("removal", None, self.group)

    def on_exchange(self, index: int, item: Item) -> None:
        prior = self.before(item.start, 3)
        if not _FUTURE.isdisjoint(self.before(item.start, 5)):
            self._advise(Advice.REPOSITION)
            return
        if self.words[item.start] == "change" or self.words[item.start] == "interval" and self.words[item.end - 1] == "change":
            return
        phrase = self.next_phrase(index)
        active = item.value == "past" and _BEEN.isdisjoint(prior) and self.words[item.end - 1] not in ("to", "for")
        if item.value == "past" and active and phrase is not None and self.group:
            self.exchange = "active"
        else:
            self.exchange = "open"
        self.said = True

    def on_placed(self, index: int, item: Item) -> None:
        if self.muted and self.next_phrase(index) is None:
            return
        prior = self.before(item.start, _REACH)
        future = self.planned or not _FUTURE.isdisjoint(prior) or item.value == "base"
        phrase = self.next_phrase(index)
        if phrase is not None and (item.value in ("noun", "base") or not self.group):
            self.pending = [("planned" if future else "placed", None)]
            self.said = True
        elif self.group and item.value != "base":
            for mention in self.targets():
                if future and not mention.stated and not mention.spots:
                    mention.planned = True
                elif not future:
                    mention.present = True
            self.said = True

    def on_remain(self, index: int, item: Item) -> None:
        for mention in self.targets():
            mention.present = True
        if self.group:
            self.said = True

    def on_tip(self, index: int, item: Item) -> None:
        plural = "tips" in self.words[item.start : item.end] or self.words[item.start : item.end] in (["end"], ["terminate"])
        gap = self.gap(item.start)
        if self.target and not _SO.isdisjoint(gap):
            return
        together = self.port and gap in (["and"], ["slash"])
        self.past = self.target = self.skip_from = False
        phrase = self.next_phrase(index, 1)
        if phrase is not None:
            self.pending.append(("tip", plural))
            return
        self.muted = False
        self.tip, self.plural_tip, self.port = True, plural, together
        if not self.group:
            self.anaphor()
            for kind, value in self.pending:
                self._apply(kind, value, self.group)
            self.pending = []

    def on_side_port(self, index: int, item: Item) -> None:
        gap = self.gap(item.start)
        if self.target and not _SO.isdisjoint(gap):
            return  # "advance so that the side port lies in the stomach"
        self.target = self.past = self.muted = False
        if self.next_phrase(index, 1) is not None:
            self.pending.append(("port", None))
            return
        self.port, self.tip = True, self.tip and gap in (["and"], ["slash"], ["and", "last"])
        self.anaphor()

    def on_pronoun(self, index: int, item: Item) -> None:
        self.muted = False
        if not self.group and item.start <= 1:
            self.anaphor()
        if self.group:
            self.target = False

    def on_both(self, index: int, item: Item) -> None:
        self.muted = False
        if self.words[item.start] == "respectively" or not self.mentions:
            return
        if index + 1 < len(self.nodes) and isinstance(self.nodes[index + 1], Phrase):
            return
        if self.words[item.start] in ("both", "all"):
            self.group, self.focus, self.said = list(self.mentions), None, True

    def on_ordinal(self, index: int, item: Item) -> None:
        """ "Two right chest tubes, one at the apex and the other at the base"."""
        if self.words[item.start] in NUMBER_WORDS and self._is_unit(index + 1):
            return
        if self.exchange == "open" and self.group and not _EXCHANGED.isdisjoint(self.before(item.start, 3)):
            old = self.targets()[-1]  # "exchanged for a tunneled one"
            self._replace_with_clone(old)
            return
        members = [m for m in self.mentions if m.ordinal]
        if not members and self.group and self.group[-1].plural and self.group[-1].type and not self.group[-1].side:
            first = self.group[-1]
            first.ordinal = 1
            members = [first]
        if not members:
            return
        if self.ordinals >= len(members) and len(members) < 4 and members[-1].plural and not members[-1].both:
            extra = self._clone(members[-1])
            extra.ordinal = len(members) + 1
            self.mentions.append(extra)
            members.append(extra)
        at = min(self.ordinals, len(members) - 1)
        self.ordinals += 1
        self.group = members
        self.focus = [members[at]]
        if self.ordinal_side and not members[at].side:
            members[at].side = self.ordinal_side
        self.said = True
        self.muted = self.tip = self.port = self.target = False

    @staticmethod
    def _clone(mention: Mention) -> Mention:
        name = Name(mention.type, mention.subtype, mention.plural, mention.vein, loose=mention.loose, family=mention.family)
        return Mention(name)

    def _replace_with_clone(self, old: Mention) -> None:
        new = self._clone(old)
        new.side, new.listed = old.side, True
        old.removed = True
        self.mentions.append(new)
        self.group, self.focus, self.said, self.exchange = [new], None, False, ""

    def _is_unit(self, index: int) -> bool:
        node = self.nodes[index] if index < len(self.nodes) else None
        return isinstance(node, Item) and node.kind == "unit"

    def on_side(self, index: int, item: Item) -> None:
        following = self.nodes[index + 1] if index + 1 < len(self.nodes) else None
        if isinstance(following, Item) and following.start == item.end and following.kind in ("place", "finding"):
            return
        before = self.words[item.start - 1] if item.start else ""
        side = item.value
        if before == "on" and item.start > 1 and words_that(self.words, item.start) and self.group and side in ("left", "right"):
            old = self.group[-1]
            if old.side and old.side != side:  # "that on the left": another of the same kind
                new = self._clone(old)
                new.side, new.listed = side, True
                self.mentions.append(new)
                self.group, self.focus, self.said = [new], None, False
                self.muted = self.tip = self.port = False
                return
        later = any(isinstance(n, Item) and n.kind == "ordinal" for n in self.nodes[index + 1 :])
        if before == "on" and any(m.ordinal and not m.side for m in self.group) and side != "both" and (later or self.focus):
            if self.focus is not None and not self.focus[0].side:
                self.focus[0].side = side
            else:
                self.ordinal_side = side
            return
        many = len({m.side for m in self.group if m.type == self.group[-1].type}) > 1 if self.group else False
        if many and side in ("left", "right"):
            self.focus = [m for m in self.group if m.side == side] or None
            self.said = True
            self.muted = self.tip = self.port = False
            return
        vein = following if isinstance(following, Item) and following.start == item.end and following.kind == "vein" else None
        if vein is not None and self.words[vein.start] == "neck" and before in _INTO and self.tip:
            self.used.add(index + 1)
            self.on_place(index + 1, Item(item.start, vein.end, "place", ("neck", side)))
            return
        if vein is not None:
            self.used.add(index + 1)
            self._enter(side, str(vein.value), before)
            return
        if before in _ON:
            if self.group and not self.muted:
                self._enter(side, "", before)
            elif not self.group:
                self.side_said = side if side != "both" else ""

    def on_vein(self, index: int, item: Item) -> None:
        before = self.words[item.start - 1] if item.start else ""
        if self.words[item.start] == "neck" and before in _INTO and self.tip:
            self.on_place(index, Item(item.start, item.end, "place", "neck"))
        elif isinstance(item.value, str):
            self._enter("", item.value, before)

    def _enter(self, side: str, vein: str, before: str) -> None:
        """A side or vein of insertion said after the name; for a chest tube the side it lies on."""
        if self.muted:
            return
        for mention in self.targets():
            lateral = mention.type in (T.CHEST_TUBE, T.MEDIASTINAL_DRAIN) or (not mention.type and mention.family in ("drain", "tube"))
            venous = mention.type in _VENOUS or not mention.type
            if lateral or (venous and (before in _ON or before in _VIA or vein == "arm" or mention.subtype == "port")):
                self._set_side(mention, side)
            elif venous and vein == "chest" and not self.tip:
                self._set_side(mention, side)
            if vein == "arm" and mention.type == T.PICC and before not in _VIA and before not in _ON:
                mention.spots.append(Spot("arm", side, "tip" if self.tip else "path"))
            elif vein == "chest" and mention.type in (T.NASOGASTRIC_TUBE, *_AIRWAY):
                pass
        if self.tip and vein == "chest":
            for mention in self.targets():
                mention.tip_said = True

    def _set_side(self, mention: Mention, side: str) -> None:
        if side == "both" and not mention.side and mention.type == T.CHEST_TUBE and mention.plural:
            other = self._clone(mention)
            mention.side, other.side = "left", "right"
            other.stated, other.removed, other.present = list(mention.stated), mention.removed, mention.present
            mention.ordinal, other.ordinal = 1, 2
            self.mentions.append(other)
            self.group = [*self.group, other]
            return
        if side == "both" or not side or mention.side:
            return
        mention.side = side

    def on_entry(self, index: int, item: Item) -> None:
        side, vein = item.value
        for mention in self.targets() or []:
            self._set_side(mention, side)
            if mention.type == T.INTERNAL_JUGULAR_CVC and mention.loose and vein:
                self._retype(mention, vein)
            elif not mention.type:
                self._retype(mention, vein)
        if not self.group:
            self.side_said = side

    @staticmethod
    def _retype(mention: Mention, vein: str) -> None:
        if vein == "subclavian":
            mention.type = str(T.SUBCLAVIAN_CVC_OR_PORT)
            mention.subtype = "standard" if mention.subtype == "introducer_sheath" else mention.subtype
        elif vein == "ij":
            mention.type = str(T.INTERNAL_JUGULAR_CVC)
        elif vein == "femoral":
            mention.type = LOOK_ALIKE
        mention.vein, mention.loose, mention.definite = vein, False, False

    def on_for_dialysis(self, index: int, item: Item) -> None:
        for mention in self.targets():
            if mention.type in (T.INTERNAL_JUGULAR_CVC, T.SUBCLAVIAN_CVC_OR_PORT) and mention.subtype == "standard":
                mention.subtype = "dialysis"

    def on_finding(self, index: int, item: Item) -> None:
        self.muted = True
        self.pending = []
        self.tip = self.port = False

    def on_past_time(self, index: int, item: Item) -> None:
        word = self.words[item.start]
        if word == "prior" and item.start and self.words[item.start - 1] in ("to", "from", "since", "with", "than"):
            return
        if item.start and self.words[item.start - 1] in ("since", "than", "from", "compared", "as", "to", "with"):
            return
        if item.start and self.words[item.start - 1] in ("on", "in", "at") or item.end == len(self.words):
            # "which lay in the right main bronchus on the earlier film": what was just said is no longer so
            for mention, spots in self.recent:
                mention.spots = spots
            self.recent = []
            if item.end < len(self.words):
                return
        self.past = True

    def on_now(self, index: int, item: Item) -> None:
        self.past = self.target = self.skip_from = False

    def on_planned(self, index: int, item: Item) -> None:
        self.planned = True

    def on_off(self, index: int, item: Item) -> None:
        if self.muted:
            return
        if not self.group:
            self.anaphor()
        for mention in self.targets():
            mention.off = mention.tip_said = True
        self.said = True

    def on_unseen(self, index: int, item: Item) -> None:
        if self.muted:
            return
        if self.tip or self.port:
            for mention in self.targets():
                if self.tip:
                    mention.unseen = mention.tip_said = True
            self.said = True
        elif self.group and not self.said and self.words[item.start] in ("not", "cannot", "no"):
            for mention in self.targets():
                mention.denied = True
            self.said = True

    def on_advice(self, index: int, item: Item) -> None:
        advice, form = item.value
        words = self.words
        prior = self.before(item.start, _REACH)
        following = words[item.end : item.end + _REACH]
        if following[:1] and following[0] in ("diet", "care", "directive"):
            return
        phrase = self.next_phrase(index, 2)
        if self._wanted(form, prior, following):
            if phrase is not None and not (self.group and form == "past"):
                self.pending.append(("advice", advice))
                self.target = True
                return
            if not self.group:
                self.anaphor()
            self._advise(advice)
            return
        self.skip_from = True
        after = words[item.end] if item.end < len(words) else ","
        if form == "past" and words[item.end - 1] in ("withdrawn", "pulled") and (after in (",", ";", "and") or after in _OPEN):
            if after not in ("from", "by", "to", "slightly", "into", "with", "relative", "compared") and not self.muted:
                for mention in self.targets():
                    mention.withdrawn = True
                self.said = True

    @staticmethod
    def _wanted(form: str, prior: list[str], following: list[str]) -> bool:
        """Whether the words ask for it; "has been advanced" and "interval withdrawal" tell what was done."""
        near = prior[-3:]
        for stop in (";", ".", "but"):
            if stop in prior:
                prior = prior[len(prior) - prior[::-1].index(stop) :]
        if "not" in prior[-2:] or "unable" in near or "failed" in near or "without" in near or "no" in near:
            return False
        if form == "past":
            if not _BE.isdisjoint(near) and not _MODAL.isdisjoint(prior):
                return True
            return "be" in near or ("if" in prior and _BEEN.isdisjoint(near))
        if not _DONE.isdisjoint(near[-2:]):
            return False
        if form == "base":
            return True
        return not _MODAL.isdisjoint(prior) or not _MODAL.isdisjoint(following)

    def _advise(self, advice: Advice) -> None:
        for mention in self.targets():
            if mention.advice in (Advice.NONE, Advice.REPOSITION):
                mention.advice = advice
        self.target = True
        self.tip = self.port = False
        self.said = True

    def on_direction(self, index: int, item: Item) -> None:
        """ "ETT 3.2 above carina": in a chest, a bare number means centimetres."""
        number = _value(self.words[item.start - 1]) if item.start and item.value != "from" else None
        if number is None or not self.words[item.start - 1][0].isdigit() or not 0.3 <= number <= 15:
            return
        if self.target or self.muted or self.past or index + 1 >= len(self.nodes):
            return
        following = self.nodes[index + 1]
        if isinstance(following, Item) and following.kind == "place" and following.value in ("carina", "caj", "gej", "arch"):
            self.used.add(index + 1)
            self._measure(number, following.value, item.value)

    def on_unit(self, index: int, item: Item) -> None:
        span = self._number(item.start)
        if span is None:
            return
        number, first = span
        cm = number / 10 if item.value == "mm" else number
        if self.target or self.muted or cm > 40 or self.past or "compared" in self.before(first, 3):
            return
        direction, place, last = self._landmark(index)
        if place is None:
            place, direction_before = self._landmark_before(index, first)
            direction = direction or direction_before
        if place is None:
            if direction == "above" and any(m.type in _AIRWAY or not m.type for m in self.targets()):
                self._measure(cm, "", direction)
            return
        for used in range(index + 1, last + 1):
            self.used.add(used)
        self._measure(cm, place, direction)

    def _number(self, end: int) -> tuple[float, int] | None:
        """The number or the middle of the range before the unit, and where it starts."""
        words = self.words
        if end == 0:
            return None
        last = _value(words[end - 1])
        if last is None:
            return None
        at = end - 2
        if at >= 0 and words[at] in ("to", "and", "or", "slash", "-", "–", "—"):
            at -= 1
        other = _value(words[at]) if at >= 0 else None
        if other is not None and 0 < last - other < 10 and words[at] not in ("one",):
            return (last + other) / 2, at
        return last, end - 1

    def _landmark(self, index: int) -> tuple[str | None, str | None, int]:
        """Direction and landmark said after a distance, and the last node they take."""
        direction: str | None = None
        at = index + 1
        end = self.nodes[index].end
        while at < len(self.nodes) and at <= index + 4:
            node = self.nodes[at]
            between = self.words[end : node.start]
            if len(between) > 4 or not {",", ";", "and", "with", "but"}.isdisjoint(between) or isinstance(node, Phrase):
                break
            if node.kind == "direction":
                direction = direction or (node.value if node.value != "from" else None)
            elif node.kind == "place":
                place = node.value if isinstance(node.value, str) else node.value[0]
                if place in LANDMARKS:
                    if place == "abdomen" or place == "prox_desc_aorta":
                        direction = "below"
                    return direction, place, at
                break
            elif node.kind not in ("side", "rib_cage", "vein", "mod", "path", "tip"):
                break
            end = node.end
            at += 1
        return direction, None, index

    def _landmark_before(self, index: int, first: int) -> tuple[str | None, str | None]:
        """ "Above the carina by 4 cm", "distance to carina 4 cm", "carina: 4 cm"."""
        if index == 0:
            return None, None
        node = self.nodes[index - 1]
        if isinstance(node, Phrase) or node.kind != "place":
            if isinstance(node, Item) and node.kind == "direction" and index >= 2:
                earlier = self.nodes[index - 2]
                if isinstance(earlier, Item) and earlier.kind == "place" and node.end >= first - 1:
                    node = earlier
                else:
                    return None, None
            else:
                return None, None
        place = node.value if isinstance(node.value, str) else node.value[0]
        between = self.words[node.end : first]
        if place not in LANDMARKS or len(between) > 2 or "with" in between or "and" in between:
            return None, None
        for mention in self.targets():
            mention.spots = [spot for spot in mention.spots if spot.place != place]
        return place, self._direction(index - 1, node)[0] or None

    def _measure(self, cm: float, place: str, direction: str | None) -> None:
        self.said = True
        spot = Spot(place, "", "tip", direction or "from")
        for mention in self._of_tip(place or "carina"):
            if self.port:
                mention.ports.append(spot)
                continue
            mention.tip_said = True
            landmark = LANDMARKS[place] if place else "carina"
            known = mention.distance
            if known is None or (landmark == "carina" and known.landmark != "carina"):
                mention.distance = Distance(round(cm, 3), landmark, direction)

    def _of_tip(self, place: str) -> list[Mention]:
        """The devices whose tip may lie at, or be measured from, a place."""
        members = [m for m in self.targets() if not m.removed or len(self.targets()) == 1]
        able = [m for m in members if not m.type or measured_from(m.type, LANDMARKS[place])] or members
        if len(able) > 1 and not self.plural_tip and self.tip:
            return able[-1:]
        return able

    def on_place(self, index: int, item: Item) -> None:
        place, side = item.value if isinstance(item.value, tuple) else (item.value, "")
        if not side and index:
            prior = self.nodes[index - 1]
            if isinstance(prior, Item) and prior.kind == "side" and prior.end == item.start:
                side = prior.value
        words = self.words
        if self.target or self.past or self._of_finding(index, item):
            return
        near_before = self.before(item.start, 4)
        if not _OPPOSITE.isdisjoint(self.before(item.start, 2)) or self.words[item.end : item.end + 3] == ["on", "opposite", "side"]:
            side = "opposite"
        if near_before[-1:] == ["by"] and not self.tip or near_before[-2:] in (["hidden", "by"], ["obscured", "by"]):
            return
        if (not _MAYBE.isdisjoint(near_before) or near_before[-2:] in (["close", "to"], ["adjacent", "to"], ["next", "to"])) and any(
            m.spots or m.distance for m in self.targets()
        ):
            return  # a second place, less sure: "but may be at the junction"
        if self.skip_from and "from" in near_before and not self.tip:
            return
        if "not" in near_before[-2:] or ("no" in near_before[-3:] and "longer" in near_before):
            return
        if index and isinstance(self.nodes[index - 1], Item) and not self.tip:
            said = self.nodes[index - 1]
            if said.kind == "stated" and said.value[0] in _AT_A_BEND and item.start - said.end <= 3:  # type: ignore[union-attr]
                return  # "kinked at the skin"
        if not self.group:
            if side in ("left", "right") and item.start and words[item.start - 2 if item.start > 1 else 0] in _ON:
                self.side_said = side
            return
        if self.muted:
            return
        direction, near = self._direction(index, item)
        before = words[item.start - 1] if item.start else ""
        how = "tip" if self.tip else "plain"
        if before in _VIA or (side and item.start >= 2 and words[item.start - 2] in _VIA):
            how = "path"
        elif not self.tip and index and isinstance(self.nodes[index - 1], Item) and self.nodes[index - 1].kind == "path":  # type: ignore[union-attr]
            how = "path" if words[self.nodes[index - 1].start].startswith(("cours", "cross", "travers", "pass", "enter", "desc")) else how
        spot = Spot(place, side, how, direction, near)
        able = [m for m in self.targets() if m.fits(place) and self._same_side(m, side)]
        if self.respective and len(able) > 1:
            able = [able[min(self.respective - 1, len(able) - 1)]]
            self.respective += 1
        elif self.tip and not self.plural_tip and len(able) > 1:
            able = able[-1:]
        for mention in self.targets():
            if place == "midline" and mention.type in _AIRWAY and not mention.side:
                mention.side = "midline"
        for mention in able:
            if self.port:
                mention.ports.append(spot)
            self.recent.append((mention, list(mention.spots)))
            if self.tip or not self.port:
                mention.spots.append(spot)
                mention.tip_said = mention.tip_said or self.tip
            if mention.type == T.CHEST_TUBE or (not mention.type and mention.family in ("drain", "tube")):
                self._set_side(mention, side)
        if not able:
            for mention in self.targets():
                if mention.type == T.CHEST_TUBE and place in ("pleural_space", "lung_mid"):
                    self._set_side(mention, side)
                elif self.tip:
                    mention.tip_said = True
                    if place not in ("pleural_space", "midline"):
                        mention.unseen = True
        if able or self.tip:
            self.said = True

    @staticmethod
    def _same_side(mention: Mention, side: str) -> bool:
        lateral = mention.type == T.CHEST_TUBE
        return not lateral or not side or side == "both" or not mention.side or mention.side == side

    def _direction(self, index: int, item: Item) -> tuple[str, bool]:
        if index == 0:
            return "", False
        at = index - 1
        node = self.nodes[at]
        if isinstance(node, Item) and node.kind == "side" and at:
            at -= 1
            node = self.nodes[at]
        if not isinstance(node, Item) or node.kind != "direction" or item.start - node.end > 2:
            return "", False
        near = bool({"just", "immediately", "slightly", "barely"} & set(self.before(node.start, 2)))
        word = self.words[node.start]
        if node.value == "from" or word in ("through", "into", "across", "within") and item.value != "gej":
            return "", False
        return node.value, near

    def _of_finding(self, index: int, item: Item) -> bool:
        """Whether the place only says where a finding is: "apical pneumothorax"."""
        for later in self.nodes[index + 1 : index + 3]:
            if not isinstance(later, Item):
                return False
            between = self.words[item.end : later.start]
            if len(between) > 3 or any(word in _STOP for word in between):
                return False
            if later.kind == "finding":
                return True
            if later.kind not in ("place", "mod", "side", "vein"):
                return False
        return False


_EXCHANGED = frozenset(("for", "with", "by", "to"))
_AT_A_BEND = (StatedPosition.KINKED, StatedPosition.FRACTURED)
_SO = frozenset(("so", "until", "such", "that", "till", "place"))
_OPPOSITE = frozenset(("contralateral", "opposite"))
_MAYBE = frozenset(("may", "might", "versus", "vs", "possibly", "alternatively"))
_INTO = frozenset("in into within up over at overlying toward towards inside".split())
_VENOUS_SET = frozenset((T.INTERNAL_JUGULAR_CVC, T.PICC, T.SUBCLAVIAN_CVC_OR_PORT, T.SWAN_GANZ_CATHETER))
_PAIRED = frozenset((T.CHEST_TUBE, T.PICC))
_FIRST = frozenset(("first", "original", "existing", "preexisting", "older"))
_ASK = frozenset("recommend suggest consider advise needs require requires considering".split())
_ASKED = frozenset("recommended advised suggested planned needed required indicated".split())
_FUTURE = frozenset(
    "recommend recommended recommends suggest suggested consider should could would may might can need needs require requires"
    " planned pending awaiting before pre if plan for benefit prior will preparing attempted".split()
) - {"for", "prior"}
_MODAL = frozenset(
    "should could recommend recommended recommendation recommends recommending suggest suggested suggestion suggests consider"
    " considered consideration advise advised may might need needed needs require required requires must please would benefit"
    " can warrant warranted warrants indicated desired necessary ideally propose proposed prudent preferred advisable helpful"
    " requiring request requested ought if to".split()
) - {"to"}
_BE = frozenset(("be", "being"))
_BEEN = frozenset("been was were is are being have has had having".split())
_DONE = frozenset("interval after following since post has have been was were s/p subsequent recent status".split())


def words_that(words: list[str], at: int) -> bool:
    return words[at - 2] in ("that", "those")


def _value(word: str) -> float | None:
    if word[0].isdigit():
        try:
            return float(word)
        except ValueError:
            return None
    return NUMBER_WORDS.get(word)


@lru_cache(maxsize=20_000)
def read_sentence(text: str, follows: bool) -> tuple[Mention, ...]:
    """Read one sentence; the mentions are shared between calls and must not be changed.

    Args:
        text: the sentence.
        follows: a device was named before, so that "its tip" can mean something.
    """
    words = split_words(text)
    if HEADS.isdisjoint(words) and not (follows and not ANAPHORS.isdisjoint(words)):
        return ()
    words, nodes = read_nodes(words)
    return tuple(_Walk(words, nodes).run())
