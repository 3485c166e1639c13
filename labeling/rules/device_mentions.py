"""One sentence -> the lines and tubes it speaks of and what it says of each.

Walking along the sentence, a group of devices that only "and", "with" or a comma joins shares what is said next ("ETT,
NGT and right IJ line are in standard position"); the first name after something has been said opens a new group. What
stands in front of a name ("interval removal of the ...") waits for it.
"""

from __future__ import annotations

from functools import lru_cache

from labeling.rules.device_mention import Mention
from labeling.rules.device_nodes import ANAPHORS, HEADS, Item, Phrase, read_nodes, split_words
from labeling.rules.walk_names import WalkNames
from labeling.rules.walk_words import CLAUSE
from labeling.vocabulary import Advice


class Walk(WalkNames):
    """One walk along one sentence."""

    def run(self) -> list[Mention]:
        for index, node in enumerate(self.nodes):
            if index in self.used:
                self.end = max(self.end, node.end)
                continue
            for word in self.gap(node.start):
                if word in CLAUSE:
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
        for mention in self.mentions:
            if mention.shared_removal and (
                mention.spots
                or mention.distance
                or mention.stated
                or mention.present
                or mention.advice is not Advice.NONE
            ):
                mention.removed = False  # "removal of the NGT and right PICC with tip in the SVC"
        return self.mentions

    def on_other(self, index: int, item: Item) -> None:
        pass


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
    return tuple(Walk(words, nodes).run())
