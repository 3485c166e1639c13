"""Devices put in, taken out and exchanged."""

from __future__ import annotations

from labeling.rules.device_nodes import Item
from labeling.rules.walk_verdicts import WalkVerdicts
from labeling.rules.walk_words import ASKED, AWAITED, BE, BEEN, EXCHANGED, FUTURE, MODAL, REACH
from labeling.vocabulary import Advice

_URGED = frozenset("should must recommend recommended need needs requires ought please".split())


class WalkChanges(WalkVerdicts):
    """Reads what changed."""

    def on_removal(self, index: int, item: Item) -> None:
        prior = self.before_in_clause(item.start, 4)
        future = self.planned or not FUTURE.isdisjoint(prior)
        op = "planned" if future else "removal"
        if not ASKED.isdisjoint(self.words[item.end : item.end + 5]):
            if self.next_phrase(index, 4) is not None:
                self.pending = [("advice", Advice.WITHDRAW)]
            elif self.group:
                self._advise(Advice.WITHDRAW)
            return
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
        if not BE.isdisjoint(prior[-2:]) and not MODAL.isdisjoint(prior):
            if not _URGED.isdisjoint(prior):
                self._advise(Advice.WITHDRAW)
            return
        if prior[-2:] == ["to", "be"]:
            return  # it is still there
        if "not" in prior[-3:] or (self.muted and "removed" not in words):
            return
        if self.tip and words[0] == "no" and self.group:
            return
        if self.group and not (self.said and self.next_phrase(index) is not None and not BEEN & set(prior[-2:])):
            self._apply("removal", None, self.targets())
            self.said = True
        elif self.next_phrase(index) is not None:
            self.pending = [("removal", None)]
        elif not self.group:
            self.anaphor()
            self._apply("removal", None, self.group)

    def on_exchange(self, index: int, item: Item) -> None:
        prior = self.before(item.start, 3)
        if not FUTURE.isdisjoint(self.before(item.start, 5)):
            self._advise(Advice.REPOSITION)
            return
        if self.words[item.start] == "change" or (
            self.words[item.start] == "interval" and self.words[item.end - 1] == "change"
        ):
            return
        phrase = self.next_phrase(index)
        active = (
            item.value == "past"
            and {"been", "was", "were", "is", "are", "being", "be"}.isdisjoint(prior)
            and self.words[item.end - 1] not in ("to", "for")
        )
        after = self.words[item.end] if item.end < len(self.words) else ""
        if active and after not in EXCHANGED and phrase is not None and self.group:
            self.exchange = "active"
        else:
            self.exchange = "open"
        self.said = True

    def on_placed(self, index: int, item: Item) -> None:
        if self.muted and self.next_phrase(index) is None:
            return
        prior = self.before_in_clause(item.start, REACH)
        asked = (
            not (ASKED | AWAITED | {"considered"}).isdisjoint(self.words[item.end : item.end + 4])
            and "placed" not in self.words[item.end : item.end + 4]
        )
        future = (
            self.planned
            or prior[-2:] == ["to", "be"]
            or not FUTURE.isdisjoint(prior)
            or item.value == "base"
            or (item.value == "noun" and asked)
        )
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
