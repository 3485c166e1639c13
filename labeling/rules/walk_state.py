"""What a walk along a sentence remembers: who is spoken of, and what waits for a name."""

from __future__ import annotations

from typing import Any

from labeling.rules.device_mention import Mention
from labeling.rules.device_nodes import Item, Phrase
from labeling.rules.device_words import Name
from labeling.rules.tips import Spot
from labeling.rules.walk_words import NEGATION_FILL, NEGATIONS, OPEN, OTHERS, STOP
from labeling.vocabulary import Advice
from labeling.vocabulary import LineTubeType as T


class WalkState:
    """The state of one walk, and the few ways in which it changes."""

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
        self.kept: list[Mention] = []  # "other than the PICC, all lines have been removed"
        self.used: set[int] = set()  # nodes read together with an earlier one
        self.focus_first = False
        self.referred = False  # the group was named again by a bare noun
        self.ordinals = 0  # how many of "one ... another ..." have been met
        self.ordinal_side = ""
        self.respective = int("respectively" in words)  # the number of the device that the next place is for
        self.recent: list[tuple[Mention, list[Spot]]] = []  # spots of this clause, before its last one

    def gap(self, start: int) -> list[str]:
        return self.words[self.end : start]

    def before(self, at: int, count: int) -> list[str]:
        return self.words[max(0, at - count) : at]

    def before_in_clause(self, at: int, count: int) -> list[str]:
        """The words before, back to the last comma."""
        words = self.before(at, count)
        for stop in (",", ";"):
            if stop in words:
                words = words[len(words) - words[::-1].index(stop) :]
        return words

    def next_phrase(self, index: int, fill: int = 3) -> Phrase | None:
        """The name right after node `index`, at most a few filling words away."""
        if index + 1 >= len(self.nodes):
            return None
        following = self.nodes[index + 1]
        if not isinstance(following, Phrase):
            return None
        between = self.words[self.nodes[index].end : following.start]
        if len(between) > fill or any(word in STOP and word not in ("in", "to", "for", ":") for word in between):
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
        if end >= len(self.words) or self.words[end][0].isdigit():
            return True
        following = self.nodes[index + 1] if index + 1 < len(self.nodes) else None
        if following is not None and following.start == end:
            if isinstance(following, Phrase):
                return True
            return following.kind not in ("finding", "vein", "side", "mod", "place") or (
                following.kind == "place" and self.words[end - 1] in ("position", "location", "in")
            )
        return self.words[end] in OPEN

    def _apply(self, kind: str, value: Any, mentions: list[Mention]) -> None:
        for mention in mentions:
            if kind == "stated":
                mention.stated.append(value)
            elif kind == "removal":
                if mention in self.kept:
                    continue
                mention.removed = True
                mention.denied = mention.denied and not mention.unseen  # "is not seen and has been removed"
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

    @staticmethod
    def _clone(mention: Mention) -> Mention:
        name = Name(
            mention.type, mention.subtype, mention.plural, mention.vein, loose=mention.loose, family=mention.family
        )
        return Mention(name)

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

    def _is_group_next(self, index: int) -> bool:
        if index + 1 >= len(self.nodes):
            return False
        following = self.nodes[index + 1]
        return (
            isinstance(following, Item) and following.kind == "group" and following.start - self.nodes[index].end <= 3
        )

    def _is_unit(self, index: int) -> bool:
        node = self.nodes[index] if index < len(self.nodes) else None
        return isinstance(node, Item) and node.kind == "unit"

    def _advise(self, advice: Advice) -> None:
        for mention in self.targets():
            if mention.advice in (Advice.NONE, Advice.REPOSITION):
                mention.advice = advice
        self.target = True
        self.tip = self.port = False
        self.said = True

    def on_group(self, _index: int, item: Item) -> None:
        mention = Mention(Name("*", plural=True))
        mention.denied = self._denied(item.start, [])
        near = [*self.before(item.start, 2), *self.words[item.start : item.end]]
        mention.others = "otherwise" in self.words or not OTHERS.isdisjoint(near)
        self.group, self.said, self.focus = [mention], False, None
        for kind, value in self.pending:
            self._apply(kind, value, self.group)
        self.pending = []
        self.mentions.append(mention)
        self.muted = self.tip = self.port = self.target = False

    def _denied(self, start: int, gap: list[str]) -> bool:
        at = start - 1
        if self.words[start] in ("intubated", "reintubated") and "not" in self.before(start, 3):
            return True
        while at >= 0 and self.words[at] in NEGATION_FILL:
            at -= 1
        if at >= 0 and self.words[at] in NEGATIONS:
            judged = self.words[at] in ("neither", "nor") and any(
                isinstance(n, Item) and n.kind == "stated" for n in self.nodes
            )
            return not judged  # "neither the ETT nor the NG tube is malpositioned"
        return (
            bool(self.group)
            and self.group[-1].denied
            and not self.said
            and set(gap) <= {"or", "and", ",", "nor", "slash"}
        )
