"""Names met on the walk: which devices they open, join or mean again."""

from __future__ import annotations

from labeling.rules.device_context import COUNT_WORDS, NUMBER_WORDS
from labeling.rules.device_mention import FAMILIES, Mention, typed_name
from labeling.rules.device_nodes import Item, Phrase
from labeling.rules.device_words import LOOK_ALIKE, PORTED, Name
from labeling.rules.tips import Spot
from labeling.rules.walk_changes import WalkChanges
from labeling.rules.walk_words import (
    ASK,
    ASKED,
    AWAITED,
    AWAITING,
    CHANGES,
    EXCEPT,
    EXCHANGED,
    FIRST,
    IS_ASKED,
    JOIN,
    NONE,
    ONE_IS,
    OPEN,
    ORDINALS,
    OTHERS,
    OUT,
    PAIRED,
    PORT_KINDS,
    VENOUS_SET,
    VERBS,
)
from labeling.vocabulary import LineTubeType as T
from labeling.vocabulary import StatedPosition

_SECOND_OF_TWO = (["second", ","], ["another", ","], ["third", ","])
_NAMING = frozenset(("including", "include", "includes"))  # after it the members of a collective are named


class WalkNames(WalkChanges):
    """Reads names and what stands for them."""

    def phrase(self, index: int, node: Phrase) -> None:
        name = typed_name(node)
        gap = self.gap(node.start)
        self.muted = self.target = self.skip_from = False
        if self._is_collective(node, name):
            if not self.group:
                self.on_group(index, Item(node.start, node.end, "group", None))
            return
        if name.removed and any(m.type == name.type for m in self.group):
            self._apply("removal", None, [m for m in self.group if m.type == name.type])
            self.said = True
            return
        if name.family == "one" and self.exchange == "active" and self.group:
            name = Name(self.group[-1].type, loose=True, vein=self.group[-1].vein)  # "has replaced the left one"
        if not name.type and self._refers(node, name):
            return
        if self._is_heading(index, node, name):
            return
        if name.subtype == "port" and PORT_KINDS.isdisjoint(self.words[node.start : node.end]):
            own = any(m.type == LOOK_ALIKE and m.subtype == PORTED for m in self.mentions)
            name = Name(LOOK_ALIKE) if own else name._replace(family=PORTED)  # "expanders with ports"
        if gap == ["("] and self.group and self.group[-1].type == name.type and not node.side and not node.second:
            return  # "nasogastric tube (NGT)"
        if self._in_apposition(index, node, name, gap):
            return
        new = self._make(node, name)
        denied = self._denied(node.start, gap)
        if gap[-2:] in EXCEPT or gap[-1:] in EXCEPT or self.words[max(0, node.start - 2) : node.start] in EXCEPT:
            self.kept += new
            denied = False
        joined = bool(self.group) and not self.said and self._joins(node, gap)
        asked = self._is_asked_for(index, node)
        planned = asked or (self.planned and self._is_planned(index, node))
        if asked and joined:
            for mention in self.group:
                mention.planned = mention.planned or not (mention.stated or mention.spots)
        for mention in new:
            mention.denied = denied
            mention.planned = planned
            mention.listed = joined
            mention.definite = not mention.type
        if (
            self.exchange == "open"
            and self.group
            and not joined
            and not EXCHANGED.isdisjoint(self.words[self.end - 1 : node.start])
        ):
            for mention in self.targets():
                mention.removed = True
                if not new[0].side and (new[0].type == mention.type or {new[0].type, mention.type} <= VENOUS_SET):
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
            for mention in new:
                mention.shared_removal = not self.pending and any(kind == "removal" for kind, _ in pending)
        else:
            self.group = new
            self.said = self.referred = False
            pending = self.pending
            if before_all is not None and not gap and self.words[node.start - 1] == "removed":
                pending = [*pending, ("removal", None)]  # "support devices: removed ETT"
            if before_all is not None and not {":", "(", "including", "include", "includes", "are", "as"}.isdisjoint(
                gap
            ):
                pending = [*pending, *(("stated", value) for value in before_all.stated)]
                if before_all.removed:
                    pending.append(("removal", None))  # "all lines have been removed, including the ETT"
            self.shared_pending = [op for op in pending if op[0] in ("removal", "placed", "stated", "tip")]
            self.tip = self.port = self.past = False
        self.focus = None
        if joined and gap == ["with"] and self.words[node.end : node.end + 1] == ["removed"]:
            self.focus = new  # "sheath with the Swan removed"
        if self.focus_first:
            self.focus, self.focus_first, self.ordinals = new[:1], False, 1
            for kind, value in pending:
                self._apply(kind, value, new[:1])
        else:
            for kind, value in pending:
                self._apply(kind, value, new)
        if any(
            kind == "advice" or (kind == "stated" and value[0] is not StatedPosition.SATISFACTORY)
            for kind, value in pending
        ):
            self.said = True  # "kinked chest tube and ..." blames one device
        self.pending = []
        if node.past or self.past:
            self.past = False
        place = node.place or self._place_in_front(index, node)
        if place:
            for mention in new:
                mention.spots.append(Spot(place, mention.side))
        after = tuple(self.words[node.end : node.end + 2])
        if after in NONE or after[:1] in NONE:
            for mention in new:
                mention.denied = True
        for out in OUT:
            end = node.end + len(out)
            if after[: len(out)] == out and (end >= len(self.words) or self.words[end] in OPEN):
                self._apply("removal", None, self.group if joined else new)
                self.said = True
        if "its" in gap and len(new) == 1 and new[0].subtype == "introducer_sheath":
            for mention in self.mentions:
                if mention.type == T.SWAN_GANZ_CATHETER:
                    new[0].side = mention.side = new[0].side or mention.side
        if self.side_said and (len(new) == 1 or name.type == T.CHEST_TUBE) and not any(m.side for m in new):
            for mention in new:
                mention.side = self.side_said
        self.side_said = ""
        self.mentions += new

    def _place_in_front(self, index: int, node: Phrase) -> str:
        """ "Post-pyloric feeding tube"."""
        before = self.nodes[index - 1] if index else None
        adjective = isinstance(before, Item) and before.kind == "place" and before.end == node.start
        return "post_pyloric" if adjective and before.value == "post_pyloric" else ""  # type: ignore[union-attr]

    def _is_heading(self, index: int, node: Phrase, name: Name) -> bool:
        """ "CENTRAL LINES: right IJ catheter in the SVC" names one line, not two."""
        if (
            (not name.loose and not name.plural)
            or self.words[node.end : node.end + 1] != [":"]
            or index + 1 >= len(self.nodes)
        ):
            return False
        following = self.nodes[index + 1]
        return isinstance(following, Phrase) and following.start == node.end + 1

    def _in_apposition(self, index: int, node: Phrase, name: Name, gap: list[str]) -> bool:
        """ "A second right-sided line, a PICC, ends ...": the second name only says what the first line is."""
        if gap != [","] or self.said or len(self.group) != 1 or name.type not in VENOUS_SET or name.plural or node.side:
            return False
        line = self.group[0]
        line_like = line.type == T.INTERNAL_JUGULAR_CVC and line.loose and not line.vein
        if not (line_like or (not line.type and line.family in ("line", "catheter", "device"))) or line.plural:
            return False
        following = self.nodes[index + 1] if index + 1 < len(self.nodes) else None
        if self.words[node.end : node.end + 1] != [","] or self.words[node.end + 1 : node.end + 2] in (["and"], ["or"]):
            return False
        if isinstance(following, Phrase) and following.start == node.end + 1:
            return False
        line.type, line.subtype, line.vein, line.loose = name.type, name.subtype, name.vein, name.loose
        line.definite = False
        return True

    def _is_collective(self, node: Phrase, name: Name) -> bool:
        """ "Devices", "all lines", "lines removed: ETT ..." mean whatever is named."""
        if name.type or not name.plural or node.side:
            return False
        if self.group:
            return self.mentions[0].type == "*" and self.mentions == self.group
        return name.family == "device" or not _NAMING.isdisjoint(self.words[node.end :])

    def _make(self, node: Phrase, name: Name) -> list[Mention]:
        count, both = node.number, False
        before = self.words[node.start - 1] if node.start else ""
        if name.plural:
            both = before == "both" or "both" in self.words[node.start : node.end]
            count = max(count, COUNT_WORDS.get(before, 1))
            if count == 1 and not both and "one" in [before, self.words[node.start]]:
                count = 2  # "one of the right chest tubes"
        after = self.words[node.end] if node.end < len(self.words) else ""
        if after in ("x2", "x3", "x4") or (
            after == "x" and self.words[node.end + 1 : node.end + 2] in (["2"], ["3"], ["4"])
        ):
            count = int((after + "".join(self.words[node.end + 1 : node.end + 2]))[1])
            both = False
        paired = node.side == "both" or (both and not node.side and name.type in PAIRED)
        order = ["right", "left"] if "right" in self.words[node.start : node.start + 1] else ["left", "right"]
        sides = (
            order if paired else [node.side] * (min(count, 4) if name.plural or (count > 1 and after[:1] == "x") else 1)
        )
        made = []
        spoken = [*self.before(node.start, 2), *self.words[node.start : node.end]]
        for number, side in enumerate(sides):
            mention = Mention(name, side)
            if not side and "midline" in [before, *self.words[node.start : node.end]]:
                mention.side = "midline"
            mention.second = node.second or self.words[max(0, node.start - 2) : node.start] in _SECOND_OF_TWO
            mention.nth = next((word for word in spoken if word in ("second", "third")), "")
            mention.others = not OTHERS.isdisjoint(spoken)
            mention.first = not FIRST.isdisjoint(self.words[node.start : node.end])
            mention.ordinal = number + 1 if len(sides) > 1 else 0
            mention.both = both
            made.append(mention)
        above = not {"superior", "inferior", "uppermost", "lowermost"}.isdisjoint(
            [*self.before(node.start, 2), *self.words[node.start : node.start + 2]]
        )
        if len(made) > 1 and not paired and above:
            self.focus_first = True
        if (
            len(made) > 1
            and not paired
            and "one" in [*self.before(node.start, 3), *self.words[node.start : node.start + 1]]
        ):
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
        self.group, self.focus, self.said, self.referred = chosen, None, False, True
        self.tip = self.port = False
        for kind, value in self.pending:
            self._apply(kind, value, chosen)
        self.pending = []
        return True

    def _joins(self, node: Phrase, gap: list[str]) -> bool:
        """Whether a name goes on with the list before it."""
        if not set(gap) <= JOIN or self.pending:
            return False
        following = self.words[node.end] if node.end < len(self.words) else ""
        removed = any(kind == "removal" for kind, _ in self.shared_pending)
        # "removal of the ETT, NGT remains", "removal of the ETT and the NGT is coiled": the second is not removed
        apart = bool(self.shared_pending) and following in ONE_IS
        return not (apart or (removed and gap == [","] and following in VERBS))

    def _is_planned(self, index: int, _node: Phrase) -> bool:
        following = self.nodes[index + 1] if index + 1 < len(self.nodes) else None
        after = (
            following is not None
            and isinstance(following, Item)
            and following.kind in ("placed", "removal", "exchange")
        )
        return after or any(op[0] in ("placed", "removal", "planned") for op in self.pending)

    def _is_asked_for(self, _index: int, node: Phrase) -> bool:
        """ "Recommend a nasogastric tube", "a chest tube is recommended": it is not there yet."""
        before = self.words[node.start - 1] if node.start else ""
        if before in ASK and not self.pending:
            return True
        if before == "for" and self.words[max(0, node.start - 2)] in AWAITED | {"planned"}:
            return True  # "ETT in place, planned for tracheostomy"
        if before in AWAITING and CHANGES.isdisjoint(self.words[node.end : node.end + 2]):
            return True  # "awaiting tracheostomy"
        if self.words[node.start].endswith("intubated") and self.before(node.start, 2) == ["to", "be"]:
            return True
        if any(kind == "advice" for kind, _ in self.pending):
            return False  # "removal of the tube is recommended"
        after = self.words[node.end : node.end + 3]
        if not CHANGES.isdisjoint(self.words[node.end + 2 : node.end + 6]):
            return False  # "is planned for removal"
        asked = len(after) > 1 and after[0] in IS_ASKED
        return asked and (
            after[1] in ASKED | AWAITED or after[1:3] in (["be", "placed"], ["be", "inserted"], ["be", "considered"])
        )

    def on_both(self, index: int, item: Item) -> None:
        self.muted = False
        if not self.mentions and item.start == 0 and self.words[0] in ("all", "both"):
            self.on_group(index, item)  # "All in satisfactory position."
            return
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
        if self.exchange == "open" and self.group and not EXCHANGED.isdisjoint(self.before(item.start, 3)):
            old = self.targets()[-1]  # "exchanged for a tunneled one"
            self._replace_with_clone(old)
            return
        following = self.words[item.end] if item.end < len(self.words) else ""
        if not self.group and item.start == 0 and self.words[0] in ORDINALS and following in VERBS:
            self.anaphor("one")
            self.group[0].first, self.group[0].ordinal = self.words[0] == "first", ORDINALS[self.words[0]]
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

    def _replace_with_clone(self, old: Mention) -> None:
        new = self._clone(old)
        new.side, new.listed = old.side, True
        old.removed = True
        self.mentions.append(new)
        self.group, self.focus, self.said, self.exchange = [new], None, False, ""

    def on_pronoun(self, _index: int, item: Item) -> None:
        self.muted = False
        if self.target and item.start == self.end and self.words[item.start - 1].endswith(("ing", "ance")):
            return  # "consider advancing it past the pylorus"
        if not self.group and item.start <= 1:
            self.anaphor()
        if self.group:
            self.target = False
