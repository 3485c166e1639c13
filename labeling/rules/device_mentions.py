"""One sentence -> the lines and tubes it speaks of and what it says of each.

Walking along the sentence, a group of devices that only "and", "with" or a comma joins shares what is said next ("ETT,
NGT and right IJ line are in standard position"); the first name after something has been said opens a new group. What
stands in front of a name ("interval removal of the ...") waits for it.
"""

from __future__ import annotations

from functools import lru_cache

from labeling.rules.device_context import FIRM
from labeling.rules.device_mention import Mention, typed_name
from labeling.rules.device_nodes import ANAPHORS, HEADS, Item, Phrase, read_nodes, split_words, word_places
from labeling.rules.walk_names import WalkNames
from labeling.rules.walk_words import CLAUSE
from labeling.vocabulary import Advice, StatedPosition


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
        self._not_so()
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

    def _not_so(self) -> None:
        """ "The ETT is well positioned, the NG tube is not."."""
        good = any(verdict[0] is StatedPosition.SATISFACTORY for m in self.mentions for verdict in m.stated)
        if self.words[-2:] in (["is", "not"], ["are", "not"]) and good and not self.said and len(self.mentions) > 1:
            self._apply("stated", (StatedPosition.MALPOSITIONED, FIRM), self.targets())

    def on_other(self, index: int, item: Item) -> None:
        pass


@lru_cache(maxsize=20_000)
def _read(text: str) -> tuple[bool, tuple[Mention, ...]]:
    """Whether the sentence holds a noun of a device, and its mentions."""
    words = split_words(text)
    named = not HEADS.isdisjoint(words)
    if not named and ANAPHORS.isdisjoint(words):
        return False, ()
    words, nodes = read_nodes(words)
    return named, tuple(Walk(words, nodes).run())


def read_sentence(text: str, follows: bool) -> tuple[Mention, ...]:
    """Read one sentence; the mentions are shared between calls and must not be changed.

    Args:
        text: the sentence.
        follows: a device was named before, so that "its tip" can mean something.
    """
    named, mentions = _read(text)
    return mentions if named or follows else ()


def read_named(text: str) -> tuple[Mention, ...]:
    """The mentions of a sentence that holds a noun of a device; they are shared and must not be changed."""
    named, mentions = _read(text)
    return mentions if named else ()


def name_span(text: str, device_type: str) -> tuple[int, int] | None:
    """Where the first name of this type stands, as `text[start:end]`."""
    places = word_places(text)
    words, nodes = read_nodes([word for word, _, _ in places])
    if len(words) != len(places):
        return None  # shared nouns were spelt out ("ET and NG tubes"): the words no longer stand where they were
    for node in nodes:
        if isinstance(node, Phrase) and typed_name(node).type == device_type:
            return places[node.start][1], places[node.end - 1][2]
    return None
