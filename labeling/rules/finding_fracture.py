"""Tells of which bones a fracture is said: ribs have a label of their own."""

from __future__ import annotations

from labeling.rules.assertion import Kind
from labeling.rules.finding_anatomy import AnatomyReader

_RIBS = frozenset({"rib"})
_OTHER_BONES = frozenset({"spine", "single_bone"})
_BEFORE_A_NUMBER = frozenset({"and", "left", "right", "lateral", "posterior", "anterior"})
_ORDINALS = frozenset("first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth".split())
BONES = frozenset({"bone", *_OTHER_BONES})


class FractureReader(AnatomyReader):
    """Reads fractures."""

    def broken(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        """Which bones a fracture is said of: a rib fracture is no fracture of other bones."""
        phrase = self.phrases[self.at]
        if labels == ("rib_fracture",):  # "clavicle and rib fractures"
            joined = self.at > 0 and self.phrases[self.at - 1].value.kind in (Kind.AND, Kind.OR, Kind.COMMA)
            both = joined and any(name in _OTHER_BONES for name, _ in self.anatomies)
            return ("fracture", "rib_fracture") if both else labels
        if phrase.end - phrase.start > 1:  # "compression fracture"
            return labels
        if self.is_said_of(_RIBS):
            return ("fracture", "rib_fracture") if self.is_said_of(_OTHER_BONES) else ("rib_fracture",)
        if self.scope is not Kind.NEGATION and any("rib_fracture" in before.labels for before in self.statements):
            return labels if self.is_said_of(BONES) else ("rib_fracture",)  # "rib deformity, old fracture"
        return labels

    def is_said_of(self, anatomies: frozenset[str]) -> bool:
        """Whether the finding is said of one of these: "fracture of the left 9th rib"."""
        if any(name in anatomies for name, _ in self.anatomies):
            return True
        for phrase in self.phrases[self.at + 1 : self.at + 9]:
            kind = phrase.value.kind
            if kind is Kind.ANATOMY and phrase.value.value in anatomies:
                return True
            if kind in (Kind.FINDING, Kind.BREAK, Kind.THERE, Kind.NEGATION):
                return False
            if kind is Kind.COMMA and not self._number_follows(phrase.end):  # "the 3rd, 4th and 5th ribs"
                return False
        return False

    def _number_follows(self, start: int) -> bool:
        following = (word for word in self.words[start : start + 3] if word not in _BEFORE_A_NUMBER)
        word = next(following, "")
        return word[:1].isdigit() or word in _ORDINALS
