"""What the report says of a position, and what it asks to be done about it."""

from __future__ import annotations

from labeling.rules.device_context import BARE, FIRM, WEAK
from labeling.rules.device_nodes import LUNG, Item, Phrase
from labeling.rules.walk_sides import WalkSides
from labeling.rules.walk_words import AWAITED, BE, BEEN, CHANGES, COPULA, DONE, MODAL, MOVED_BY, NEGATIONS, OPEN, REACH
from labeling.vocabulary import StatedPosition

_BETWEEN_NOT = frozenset(
    "in at within be to lie sit seem appear considered felt thought yet currently entirely fully quite completely truly"
    " ideally positioned situated located placed remain have reached reach".split()
)
# Places that change by themselves.
_CHEST = frozenset((*LUNG, "pleural_space", "heart", "mediastinum", "hilum", "diaphragm", "spine"))


class WalkVerdicts(WalkSides):
    """Reads verdicts and advice."""

    def on_stated(self, index: int, item: Item) -> None:
        position, strength = item.value
        words = self.words
        asked = self.target and self.next_phrase(index) is None  # "for optimal position" says what is wanted
        if self.past or self.muted or (asked and position is StatedPosition.SATISFACTORY):
            return
        if position is not StatedPosition.SATISFACTORY or strength != WEAK:
            prior = self.before(item.start, 4)
            if position is not StatedPosition.SATISFACTORY and (
                not NEGATIONS.isdisjoint(prior[-3:]) or "not" in prior[-2:] or "neither" in words[: item.start]
            ):
                return
        if position is StatedPosition.SATISFACTORY and strength == FIRM and self._is_negated(item.start):
            position = StatedPosition.MALPOSITIONED
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
        if strength == BARE:
            before = words[item.start - 1] if item.start else ""
            named = self.next_phrase(index, 0) is not None
            if not named and (before not in COPULA or before in ("tip", "position")):
                return
        blamed = position not in (StatedPosition.SATISFACTORY, StatedPosition.TOO_HIGH, StatedPosition.TOO_LOW)
        if not self.follows_open(index) and not (
            blamed
            and not (isinstance(following, Item) and following.kind == "finding" and following.start - item.end <= 1)
        ):
            return
        if self.focus is not None and words[item.start - 1] in ("are", "remain", "were") and "both" not in words:
            self.focus = None
        phrase = self.next_phrase(index)
        after_copula = item.start > 0 and words[item.start - 1] in COPULA
        value = (position, strength)
        between = words[item.end : phrase.start] if phrase else []
        adjective = phrase is not None and (
            not between
            or all(word in ("position", "appearance", "location", "positioning", "in", "course") for word in between)
        )
        if (self._is_group_next(index) and not (self.group and after_copula)) or (
            adjective and not (self.group and after_copula)
        ):
            self.pending.append(("stated", value))
        elif self.group:
            self._apply("stated", value, self.targets())
            self.said = True
        elif phrase is not None or any(isinstance(n, Phrase) or n.kind == "group" for n in self.nodes[index + 1 :]):
            self.pending.append(("stated", value))
        elif self._of_the_chest(index, item):
            self.muted = True  # "No change in the lungs."
        elif item.start <= 1:  # "Unchanged in position." speaks of the device before; "dilated loops of bowel" does not
            self.anaphor()
            self._apply("stated", value, self.group)

    def _of_the_chest(self, index: int, item: Item) -> bool:
        """Whether a verdict without a device speaks of lungs or heart: "No change in the lungs", "Lungs stable"."""
        before = self.nodes[index - 1] if index else None
        if isinstance(before, Item) and before.kind in ("place", "finding"):
            return True
        after = self.words[item.end : item.end + 1]
        if after not in (["in"], ["to"], ["within"]) and not (after == ["at"] and "lung" in self.words):
            return False
        for later in self.nodes[index + 1 :]:
            if isinstance(later, Phrase) or later.start - item.end > REACH:
                return False
            if later.kind in ("place", "finding"):
                return later.kind == "finding" or later.value in _CHEST
        return False

    def _is_negated(self, start: int) -> bool:
        """ "Is not considered to be in satisfactory position"."""
        prior = self.before_in_clause(start, REACH)
        if "not" not in prior:
            return False
        return _BETWEEN_NOT.issuperset(prior[len(prior) - prior[::-1].index("not") :])

    def on_advice(self, index: int, item: Item) -> None:
        advice, form = item.value
        words = self.words
        prior = self.before(item.start, REACH)
        following = words[item.end : item.end + REACH]
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
        if not {"slightly", "partially", "minimally", "partly", "somewhat"}.isdisjoint(prior[-2:]):
            return
        after = words[item.end] if item.end < len(words) else ","
        wholly = form == "past" and words[item.end - 1] in ("withdrawn", "pulled", "out") and after in OPEN - MOVED_BY
        if wholly and not self.muted:
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
            if not BE.isdisjoint(near) and not MODAL.isdisjoint(prior):
                return True
            return "be" in near or ("if" in prior and BEEN.isdisjoint(near))
        if not DONE.isdisjoint(near[-2:]):
            return False
        if form == "base":
            return True
        return not MODAL.isdisjoint(prior) or not MODAL.isdisjoint(following)

    def on_past_time(self, _index: int, item: Item) -> None:
        word = self.words[item.start]
        if word == "prior" and item.start and self.words[item.start - 1] in ("to", "from", "since", "with", "than"):
            return
        if item.start and self.words[item.start - 1] in ("since", "than", "from", "compared", "as", "to", "with"):
            return
        if (item.start and self.words[item.start - 1] in ("on", "in", "at")) or item.end == len(self.words):
            # "which lay in the right main bronchus on the earlier film": what was just said is no longer so
            for mention, spots in self.recent:
                mention.spots = spots
            self.recent = []
            if item.end < len(self.words):
                return
        self.past = True

    def on_now(self, _index: int, _item: Item) -> None:
        self.past = self.target = self.skip_from = False

    def on_planned(self, _index: int, item: Item) -> None:
        self.planned = True
        if self.words[item.start] not in AWAITED | {"planned"} or not self.group or self.said:
            return
        follows = item.start == self.end or self.words[item.start - 1] in COPULA
        if follows and CHANGES.isdisjoint(self.words[item.end : item.end + 4]):
            for mention in self.targets():  # "A tracheostomy and a PICC are planned."
                mention.planned = mention.planned or not (mention.stated or mention.spots or mention.distance)

    def on_remain(self, _index: int, _item: Item) -> None:
        for mention in self.targets():
            mention.present = True
        if self.group:
            self.said = True
