"""Joins anatomies and qualities of a sentence: "the heart is enlarged", "enlarged heart", "heart, lungs normal"."""

from __future__ import annotations

from labeling.rules.assertion import Kind
from labeling.rules.finding_clause import (
    MODIFIERS,
    NEGATIVE,
    POSITIVE,
    UNCERTAIN,
    Anatomy,
    Clause,
    Group,
    Sides,
    Statement,
)
from labeling.rules.finding_pairs import DENIED, FITS, NORMAL, STATED
from labeling.vocabulary import NO_FINDING_LABEL

_SIDED_NORMAL = frozenset({"lung", "diaphragm", "costophrenic_angle", "pleura", "hilum"})
_HEART = frozenset({"heart", "cardiomediastinum"})
_HEADING_MARKS = frozenset({":", "-", "–", "—"})
_SAYS_NOTHING_NORMAL = frozenset({Kind.NOT, Kind.HISTORY, Kind.FOR, Kind.HEDGE, Kind.POSSIBLE})


def _fitting(quality: str, anatomies: list[Anatomy]) -> list[Anatomy]:
    """The anatomies of which this quality says something."""
    if quality in NORMAL:
        fits = FITS.get(quality)
        return [anatomy for anatomy in anatomies if fits is None or anatomy[0] in fits]
    stated = STATED.get(quality, {})
    return [anatomy for anatomy in anatomies if anatomy[0] in stated]


class AnatomyReader(Clause):
    """Reads anatomies and qualities."""

    def read_anatomy(self) -> None:
        self.take_anatomy(self.phrases[self.at].value.value)

    def take_anatomy(self, name: str) -> None:
        """Take an anatomy: for the qualities that wait, or to wait itself. Behind a finding it is only its place."""
        if self.qualities:
            for quality in self.qualities:
                self.pair(quality, [(name, self.groups[-1].sides)])
        elif not self.after or self._is_subject():
            self.anatomies.append((name, self.groups[-1].sides))

    def _is_subject(self) -> bool:
        """Whether a verb and a quality follow: "other than atelectasis the lungs are clear"."""
        kinds = [phrase.value.kind for phrase in self.phrases[self.at + 1 : self.at + 3]]
        return kinds == [Kind.VERB, Kind.QUALITY]

    def read_quality(self) -> None:
        _, name, also = self.phrases[self.at].value
        self.take_quality(name, also)

    def take_quality(self, name: str, also: str = "") -> None:
        following = self.anatomy_follows(self.at)
        if following and self._stands_behind_a_heading():
            self.anatomies.clear()
        fitting = _fitting(name, self.anatomies)
        if fitting and not (following and self.joint is Kind.COMMA and name not in NORMAL):
            self.anatomies, self.subject = [], fitting
            self.pair(name, fitting)
            self.qualities.clear()
            return
        if name == "normal" and not following and not self.anatomies and self.list and self.verb:
            self.say(NEGATIVE)  # "engorgement is within normal limits"
            return
        if not following and not also and not self.anatomies and not self.finding_follows(self.at):
            subject = _fitting(name, self.subject)
            if subject:  # "the aorta is tortuous and calcified"
                self.pair(name, subject)
                return
        if also and self.words[self.phrases[self.at].start] == "enlargement":
            if self.is_growth(self.at):
                self._grow()
                return
            also = ""
        if also:
            self.modify_also(also)
        if following or not also:
            if self.joint is not Kind.AND:
                self.qualities.clear()
            self.qualities.append(name)

    def is_growth(self, at: int) -> bool:
        """Whether this "enlargement" is that of a finding: "of the effusion", "effusion without enlargement"."""
        before = self.phrases[at - 1].value.kind if at else None
        for phrase in self.phrases[at + 1 : at + 4]:
            if phrase.value.kind is Kind.FINDING:
                return not self.anatomies
            if phrase.value.kind not in MODIFIERS or phrase.value.also:
                break
        return bool(self.list or self.done) and before in (Kind.NEGATION, Kind.NOT) and not self.anatomy_follows(at)

    def _grow(self) -> None:
        """Take a growth for the finding it is said of: "no" before it denies the growth, not the finding."""
        if self.scope is Kind.NEGATION and not self.since_cue and self.finding_follows(self.at):
            self.scope = None
            self.groups[-1].comparison = "unchanged"
        else:
            self.modify_also("worse")

    def _stands_behind_a_heading(self) -> bool:
        """Whether a mark parts the quality from the anatomy before: "Chest: normal heart size".

        Not if the anatomy behind is a heading too: "heart: normal lungs: clear".
        """
        words, start = self.words, self.phrases[self.at].start
        if start == 0 or words[start - 1] not in _HEADING_MARKS:
            return False
        behind = (phrase.end for phrase in self.phrases[self.at + 1 :] if phrase.value.kind is Kind.ANATOMY)
        after = next(behind, len(words))
        return after == len(words) or words[after] not in _HEADING_MARKS

    def anatomy_follows(self, at: int) -> bool:
        """Whether an anatomy follows this phrase with nothing but modifiers and qualities between."""
        for phrase in self.phrases[at + 1 : at + 5]:
            kind, value, also = phrase.value
            if kind is Kind.ANATOMY or (kind is Kind.SIDE and also):
                return True
            if kind not in MODIFIERS and kind not in (Kind.QUALITY, Kind.AND) and value != "tortuous_aorta":
                return False
        return False

    def pair(self, quality: str, anatomies: list[Anatomy]) -> None:
        """State what the quality says of the anatomies, if anything."""
        if quality in NORMAL:
            self._pair_normal(quality, anatomies)
            return
        stated = STATED.get(quality, {})
        labels = tuple(dict.fromkeys(label for name, _ in anatomies for label in stated.get(name, ())))
        if not labels:
            return
        assertion = self.assertion()
        if quality == "not_increased" and assertion is not None:
            assertion = NEGATIVE
        if assertion == POSITIVE and (
            quality == "borderline" or (quality == "prominent" and anatomies[0][0] in _HEART)
        ):
            assertion = UNCERTAIN
        group = self.groups[-1]
        if quality == "increased" and group.comparison == "worse":
            group.comparison = ""  # the word is the quality, not a change
        if quality == "borderline_enlarged":
            group.severity = group.severity or "minimal"
        self.groups = [group]
        self.verb = True  # a predicate is a statement of its own
        made = self.state(labels, assertion, next((own for _, own in anatomies if own), ()))
        if labels == ("rib_fracture",):
            self.deformed_ribs = made
        self.after = True

    def _pair_normal(self, quality: str, anatomies: list[Anatomy]) -> None:
        if self.scope in _SAYS_NOTHING_NORMAL:
            return
        sides: Sides = ()
        for name, own in anatomies:
            said = own or self.groups[-1].sides
            if name in _SIDED_NORMAL and len(said) == 1:
                sides = said
        made = [Statement((NO_FINDING_LABEL,), POSITIVE)]
        for name, _ in anatomies:
            denied = ("low_lung_volume",) if quality == "expanded" else DENIED[name]
            made.extend(Statement((label,), NEGATIVE) for label in denied)
        for statement in made:
            statement.sides = sides
        self.statements.extend(made)
        self.groups = [Group()]
        self.end_list()
        self.verb = False
