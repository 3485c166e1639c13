"""Reads one sentence from left to right into statements about findings.

A sentence is a row of phrases (`labeling.rules.lexer`). Modifiers (side, severity, comparison) wait for the noun they
stand before, or go to the noun they stand after; cues open scopes that end at a clause's end, or at a comma or "and"
that begins something new. "Small left and moderate right effusions": each group of modifiers is a statement of its own.
"""

from __future__ import annotations

from typing import NamedTuple

from labeling.rules.assertion import HARD_ENDS, REACH_TO_LIST_END, REACH_TO_NEXT_NOUN, Kind
from labeling.rules.finding_pairs import DENIED, FITS, NORMAL, STATED
from labeling.rules.lexer import Match
from labeling.vocabulary import NO_FINDING_LABEL


class Meaning(NamedTuple):
    """What a phrase stands for: its kind, its value, and for words of two uses ("large", "bases") the other use."""

    kind: Kind
    value: str
    also: str = ""


POSITIVE, NEGATIVE, UNCERTAIN, UNSAID = "positive", "negative", "uncertain", ""

# Labels without a side of their own: "left" near them belongs to something else.
SIDELESS = frozenset(
    "cardiomegaly enlarged_cardiomediastinum heart_failure pericardial_effusion pneumomediastinum pneumoperitoneum "
    "tortuous_aorta aortic_aneurysm valve_prosthesis arterial_calcification low_lung_volume hyperinflation "
    "pulmonary_venous_hypertension vascular_congestion osseous_abnormality emphysema no_finding".split()
)
_SIDED_NORMAL = frozenset({"lung", "diaphragm", "costophrenic_angle", "pleura", "hilum"})
# One linear shadow that readers name by either word: "scar or atelectasis", "scar versus atelectasis" state both.
_SAME_SHADOW = frozenset({"atelectasis", "scarring", "pleural_thickening", "pulmonary_fibrosis"})
_BEGINS_ANEW = frozenset({"mild", "minimal", "moderate", "unchanged", "worse", "improved"})
_MODIFIERS = frozenset({Kind.SIDE, Kind.SEVERITY, Kind.COMPARISON})


class Statement:
    """One finding as said at one place. sides: empty when none is said."""

    __slots__ = ("assertion", "comparison", "joint", "labels", "own_side", "severity", "sides")

    def __init__(self, labels: tuple[str, ...], assertion: str, joint: Kind | None) -> None:
        self.labels = labels
        self.assertion = assertion
        self.sides: tuple[str, ...] = ()
        self.own_side = False
        self.severity = ""
        self.comparison = ""
        self.joint = joint  # what joins it to the statement before: COMMA, AND, OR, VERSUS or None


class _Group:
    __slots__ = ("comparison", "severity", "sides")

    def __init__(self) -> None:
        self.sides: tuple[str, ...] = ()
        self.severity = ""
        self.comparison = ""

    def __bool__(self) -> bool:
        return bool(self.sides or self.severity or self.comparison)


def _both(sides: tuple[str, ...], side: str) -> tuple[str, ...]:
    if side == "both":
        return ("left", "right")
    return sides if side in sides else (*sides, side)


class SentenceReader:
    """Reads the phrases of one sentence; `statements` is the result."""

    def __init__(self, phrases: list[Match[Meaning]], count: int) -> None:
        self.phrases = phrases
        self.count = count  # words in the sentence
        self.statements: list[Statement] = []
        self.list: list[Statement] = []  # statements of the noun list being read
        self.done: list[Statement] = []  # the list before it
        self.scope: Kind | None = None
        self.joint: Kind | None = None
        self.verb = False  # a verb stood after the last statement of this clause or scope
        self.after = False  # directly after a noun: modifiers still belong to it
        self.inherit: tuple[str, ...] = ()
        self.groups: list[_Group] = [_Group()]
        self.anatomies: list[tuple[str, tuple[str, ...]]] = []
        self.subject: list[tuple[str, tuple[str, ...]]] = []  # anatomies of the last predicate
        self.qualities: list[str] = []  # qualities that wait for the anatomy behind them
        self.since_cue = 0  # statements since the scope opened
        self.aside = -1  # word after the last device

    def read(self) -> list[Statement]:
        phrases = self.phrases
        for at in range(len(phrases)):
            phrase = phrases[at]
            _HANDLERS[phrase.value.kind](self, at, phrase)
        self._leave_modifiers()
        if self.scope is Kind.NEGATION and not self.since_cue and self.done and not self.list:
            self.list = self.done
        if self.scope is Kind.NEGATION and not self.since_cue:  # "PTX: no"
            self._say(NEGATIVE)
        return self.statements

    # Nouns

    def _assertion(self) -> str | None:
        scope = self.scope
        if scope is None:
            return POSITIVE
        if scope in (Kind.NEGATION, Kind.NOT, Kind.RESOLVED):
            return NEGATIVE
        if scope in (Kind.HISTORY, Kind.FOR):
            return None
        return UNCERTAIN

    def finding(self, at: int, phrase: Match[Meaning]) -> None:
        labels = tuple(phrase.value.value.split("+"))
        if labels == ("fracture",) and self._near(at, "rib"):
            labels = ("fracture", "rib_fracture")
        elif labels == ("collapse",) and self._near(at, "bone"):
            labels = ("fracture",)
        waiting = self.qualities
        self.qualities, self.anatomies = [], []
        self._state(labels, self._assertion())
        self.after = True
        if labels == (
            "tortuous_aorta",
        ):  # it names the aorta, or is said of it: "calcified tortuous aorta", "tortuous and calcified"
            self.subject = [("aorta", ())]
            self.qualities = waiting
            if "calcified" in waiting:
                self._pair("calcified", self.subject)

    def abnormality(self, at: int, phrase: Match[Meaning]) -> None:
        negated = self.scope is Kind.NEGATION
        self.groups = [_Group()]
        self.qualities.clear()
        self.anatomies.clear()
        if negated:
            self.statements.append(Statement((NO_FINDING_LABEL,), POSITIVE, None))
            self.since_cue += 1
        self.after = False

    def beside(self, at: int, phrase: Match[Meaning]) -> None:
        if self.scope in REACH_TO_NEXT_NOUN:
            self.scope = None
        self.groups = [_Group()]
        self.aside = phrase.end
        self.after = False
        self.anatomies.clear()

    def _state(self, labels: tuple[str, ...], assertion: str | None, sides: tuple[str, ...] = ()) -> list[Statement]:
        """Add a statement for each group of modifiers that waits."""
        groups = self.groups
        self.groups = [_Group()]
        joint = self.joint
        if not self.list:
            joint = None
        if self.verb and self.list:
            self.done, self.list, joint = self.list, [], None
        sided = [group for group in groups if group.sides] if len(groups) > 1 else groups
        if len(groups) > 1:
            for before, group in zip(groups, groups[1:], strict=False):
                group.comparison = group.comparison or before.comparison
                group.severity = group.severity or before.severity
            sided = sided or groups[-1:]
            if labels[0] in SIDELESS:
                sided = groups[-1:]
        made = []
        for group in sided:
            if assertion is None:
                break
            statement = Statement(labels, assertion, joint)
            statement.sides = group.sides or sides
            statement.own_side = bool(statement.sides)
            statement.severity = group.severity
            statement.comparison = group.comparison
            if not group and joint in (Kind.AND, Kind.OR, Kind.VERSUS) and self.list[-1].assertion == assertion:
                statement.comparison = self.list[-1].comparison
            if not statement.sides:
                if joint in (Kind.AND, Kind.OR, Kind.VERSUS) and self.list:
                    statement.sides = self.list[-1].sides
                elif self.inherit:
                    statement.sides = self.inherit
            if self.scope is Kind.RESOLVED:
                statement.comparison = "resolved"
            made.append(statement)
        if made and joint in (Kind.OR, Kind.VERSUS) and self.scope is None:
            pair = {*self.list[-1].labels, *labels}
            if not pair <= _SAME_SHADOW:
                for statement in (self.list[-1], *made):
                    if statement.assertion == POSITIVE:
                        statement.assertion = UNCERTAIN
        self.statements.extend(made)
        self.list.extend(made)
        self.since_cue += 1
        self.verb = False
        self.joint = None
        self.inherit = ()
        if self.scope in REACH_TO_NEXT_NOUN and self.scope is Kind.FOR:
            self.scope = None
        return made

    def _near(self, at: int, anatomy: str) -> bool:
        """Whether the finding is said of this anatomy: "fracture of the left 9th rib"."""
        if any(name == anatomy for name, _ in self.anatomies):
            return True
        for phrase in self.phrases[at + 1 : at + 7]:
            kind = phrase.value.kind
            if kind is Kind.ANATOMY and phrase.value.value == anatomy:
                return True
            if kind in (Kind.FINDING, Kind.BREAK, Kind.COMMA, Kind.THERE, Kind.NEGATION):
                return False
        return False

    # Anatomy and quality

    def anatomy(self, at: int, phrase: Match[Meaning]) -> None:
        self._add_anatomy(at, phrase.value.value)

    def _add_anatomy(self, at: int, name: str) -> None:
        if self.qualities:
            self._pair_behind(name)
            return
        if self.after:
            return
        self.anatomies.append((name, self.groups[-1].sides))

    def _pair_behind(self, name: str) -> None:
        """An anatomy after its quality: "enlarged heart", "clear lungs", "blunting of the left angle"."""
        for quality in self.qualities:
            self._pair(quality, [(name, self.groups[-1].sides)])

    def quality(self, at: int, phrase: Match[Meaning]) -> None:
        name, also = phrase.value.value, phrase.value.also
        following = self._anatomy_follows(at)
        fitting = self._fitting(name, self.anatomies)
        if fitting and not (following and self.joint is Kind.COMMA and name not in NORMAL):
            self.anatomies, self.subject = [], fitting
            self._pair(name, fitting)
            self.qualities.clear()
            return
        if name == "normal" and not following and not self.anatomies and self.list and self.verb:
            self._say(NEGATIVE)  # "engorgement is within normal limits"
            return
        subject = [] if self.anatomies else self._fitting(name, self.subject)
        if not following and subject and not also and not self._finding_follows(at):
            self._pair(name, subject)
            return
        if also:
            self._modify(at, also)
        if following or not also:
            if self.joint is not Kind.AND:
                self.qualities.clear()
            self.qualities.append(name)

    def _fitting(self, quality: str, anatomies: list[tuple[str, tuple[str, ...]]]) -> list[tuple[str, tuple[str, ...]]]:
        if quality in NORMAL:
            fits = FITS.get(quality)
            return [item for item in anatomies if fits is None or item[0] in fits]
        stated = STATED.get(quality, {})
        return [item for item in anatomies if item[0] in stated]

    def _anatomy_follows(self, at: int) -> bool:
        for phrase in self.phrases[at + 1 : at + 5]:
            kind, value, also = phrase.value
            if kind is Kind.ANATOMY or (kind is Kind.SIDE and also):
                return True
            if kind not in _MODIFIERS and kind not in (Kind.QUALITY, Kind.AND) and value != "tortuous_aorta":
                return False
        return False

    def _pair(self, quality: str, anatomies: list[tuple[str, tuple[str, ...]]]) -> None:
        if quality in NORMAL:
            self._pair_normal(anatomies)
            return
        stated = STATED.get(quality)
        if stated is None:
            return
        assertion = self._assertion()
        if assertion == POSITIVE and (
            quality == "borderline" or (quality == "prominent" and anatomies[0][0] in ("heart", "cardiomediastinum"))
        ):
            assertion = UNCERTAIN
        labels: list[str] = []
        sides: tuple[str, ...] = ()
        for name, own in anatomies:
            labels.extend(label for label in stated.get(name, ()) if label not in labels)
            sides = sides or own
        if not labels:
            return
        group = self.groups[-1]
        if quality == "increased" and group.comparison == "worse":
            group.comparison = ""
        if quality == "borderline_enlarged" and not group.severity:
            group.severity = "minimal"
        self.groups = [group]
        self.verb = True  # a predicate is a statement of its own
        made = self._state(tuple(labels), assertion, sides)
        self.list = made or self.list
        self.verb = False
        self.after = True

    def _pair_normal(self, anatomies: list[tuple[str, tuple[str, ...]]]) -> None:
        if self.scope in (Kind.NOT, Kind.HISTORY, Kind.FOR, Kind.HEDGE, Kind.POSSIBLE):
            return
        sides: tuple[str, ...] = ()
        for name, own in anatomies:
            own = own or self.groups[-1].sides
            if name in _SIDED_NORMAL and len(own) == 1:
                sides = own
        normal = Statement((NO_FINDING_LABEL,), POSITIVE, None)
        normal.sides = sides
        self.statements.append(normal)
        for name, _ in anatomies:
            for label in DENIED[name]:
                denial = Statement((label,), NEGATIVE, None)
                denial.sides = sides
                self.statements.append(denial)
        self.groups = [_Group()]
        self.done, self.list = self.list, []
        self.verb = False

    # Modifiers

    def modifier(self, at: int, phrase: Match[Meaning]) -> None:
        if phrase.value.kind is Kind.SIDE and phrase.value.also and not self.after:
            self._modify(at, phrase.value.value, Kind.SIDE)
            self._add_anatomy(at, phrase.value.also)
            return
        self._modify(at, phrase.value.value, phrase.value.kind)

    def _modify(self, at: int, value: str, kind: Kind | None = None) -> None:
        if kind is None:
            kind = Kind.COMPARISON if value in ("worse", "improved", "unchanged", "new") else Kind.SEVERITY
        if self.after and self.list and not self._finding_follows(at):
            self._modify_before(kind, value)
            return
        group = self.groups[-1]
        if kind is Kind.SIDE:
            group.sides = _both(group.sides, value)
        elif kind is Kind.SEVERITY:
            group.severity = value
        else:
            group.comparison = value

    def _finding_follows(self, at: int) -> bool:
        """Whether a noun follows with nothing but modifiers and anatomy between."""
        for phrase in self.phrases[at + 1 : at + 6]:
            kind = phrase.value.kind
            if kind is Kind.FINDING:
                return True
            if kind not in _MODIFIERS and kind is not Kind.ANATOMY and kind is not Kind.QUALITY:
                return False
        return False

    def _joined(self) -> list[Statement]:
        """The statements of the last noun list: joined by "and", "or", or by commas before one of these."""
        chosen: list[Statement] = []
        linked = True
        conjunction = False
        for statement in reversed(self.list or self.done):
            if not linked:
                break
            chosen.append(statement)
            conjunction = conjunction or statement.joint in (Kind.AND, Kind.OR, Kind.VERSUS)
            linked = statement.joint is not None and (statement.joint is not Kind.COMMA or conjunction)
        return chosen

    def _modify_before(self, kind: Kind, value: str) -> None:
        for statement in self._joined():
            if kind is Kind.SIDE:
                if not statement.own_side:
                    statement.sides = _both(statement.sides, value)
            elif kind is Kind.SEVERITY:
                statement.severity = statement.severity or value
            elif not statement.comparison or statement.comparison == "unchanged":
                statement.comparison = value

    def _leave_modifiers(self) -> None:
        """Give modifiers that found no noun to the noun before them: "effusion, small, left"."""
        groups, self.groups = self.groups, [_Group()]
        if not (self.list or self.done):
            return
        for group in groups:
            for side in group.sides:
                self._modify_before(Kind.SIDE, side)
            if group.severity:
                self._modify_before(Kind.SEVERITY, group.severity)
            if group.comparison:
                self._modify_before(Kind.COMPARISON, group.comparison)

    # Cues

    def _say(self, assertion: str, comparison: str = "") -> None:
        for statement in self._joined():
            if statement.labels == (NO_FINDING_LABEL,):
                continue
            statement.assertion = assertion
            if comparison:
                statement.comparison = comparison

    def opens(self, at: int, phrase: Match[Meaning]) -> None:
        kind = phrase.value.kind
        if kind is Kind.WEAK_HEDGE and self.scope is Kind.NEGATION and not self.verb:
            return
        if kind is Kind.POSSIBLE and self.scope in (Kind.NEGATION, Kind.HISTORY):
            return
        if (
            phrase.value.value == "either side" and self.list and not self._finding_follows(at)
        ):  # "small effusion suspected"
            self.hedged(at, phrase)
            return
        if kind is Kind.HEDGE and self.scope is Kind.HISTORY:
            return
        if kind in (Kind.HEDGE, Kind.WEAK_HEDGE, Kind.POSSIBLE) and self.list:
            self.inherit = self.list[-1].sides
        if kind is not Kind.NOT and kind is not Kind.POSSIBLE and not self._opens_with_waiting(at):
            self._leave_modifiers()
        if self.list and kind is not Kind.NOT:
            self.done, self.list = self.list, []
        self.scope = kind
        self.since_cue = 0
        self.verb = False
        self.after = False
        if kind is not Kind.NOT:
            self.joint = None

    def _opens_with_waiting(self, at: int) -> bool:
        return not (self.list or self.done)

    def denied(self, at: int, phrase: Match[Meaning]) -> None:
        self._say(NEGATIVE)
        self.verb = True

    def hedged(self, at: int, phrase: Match[Meaning]) -> None:
        if self.list or self.done:
            self._say(UNCERTAIN)
            self.verb = True

    def resolved(self, at: int, phrase: Match[Meaning]) -> None:
        if self.list and self.scope not in (Kind.NEGATION,) and not self._finding_follows(at):
            self._say(NEGATIVE, "resolved")
            self.verb = True
        else:
            self.opens(at, phrase)

    def none(self, at: int, phrase: Match[Meaning]) -> None:
        if self.list:
            self._say(NEGATIVE)
        elif self.anatomies or self._anatomy_follows(at):
            self.quality(at, Match(phrase.start, phrase.end, Meaning(Kind.QUALITY, "normal")))
        else:
            self.scope, self.since_cue, self.verb = Kind.NEGATION, 0, False

    def history_for(self, at: int, phrase: Match[Meaning]) -> None:
        if phrase.start == self.aside:
            self.scope, self.since_cue = Kind.FOR, 0

    def breaks(self, at: int, phrase: Match[Meaning]) -> None:
        self._leave_modifiers()
        self._close()
        self.anatomies.clear()
        self.subject = []

    def _close(self) -> None:
        self.done, self.list = self.list or self.done, []
        self.scope = None
        self.joint = None
        self.verb = False
        self.after = False
        self.qualities.clear()

    def excepts(self, at: int, phrase: Match[Meaning]) -> None:
        # "clear except for ..." is not normal
        while self.statements and self.statements[-1].labels in ((NO_FINDING_LABEL,), ("lung_opacity",)):
            if self.statements[-1].labels == ("lung_opacity",) and self.statements[-1].assertion != NEGATIVE:
                break
            self.statements.pop()
        self.breaks(at, phrase)

    def with_(self, at: int, phrase: Match[Meaning]) -> None:
        sides = self.list[-1].sides if self.list else ()
        waiting = self.groups
        self._close()
        self.groups = waiting
        self.inherit = sides
        self.subject = []

    def so(self, at: int, phrase: Match[Meaning]) -> None:
        if self.list:
            self.inherit = self.list[-1].sides
            if self.scope is None:
                self.done, self.list = self.list, []
        self.after = False

    def verb_(self, at: int, phrase: Match[Meaning]) -> None:
        if self.since_cue or self.list:
            self.verb = True
        if self.after:
            self.qualities.clear()
        if self.scope is Kind.POSSIBLE and self.since_cue:
            self.scope = None

    def joins(self, at: int, phrase: Match[Meaning]) -> None:
        kind = phrase.value.kind
        self.after = False
        if kind is Kind.COMMA or self.joint is None or kind in (Kind.OR, Kind.VERSUS):
            self.joint = kind if self.joint is not Kind.OR else Kind.OR
        if self.joint is Kind.COMMA and kind is Kind.AND:
            self.joint = Kind.AND
        if self.groups[-1].sides:
            self.groups.append(_Group())
        if self.scope is not None and kind not in (Kind.OR, Kind.VERSUS) and self._scope_ends(at, kind):
            if self.scope is Kind.NEGATION and not self.since_cue:  # "PTX: no, ..."
                self._say(NEGATIVE)
            self.done, self.list = self.list or self.done, []
            self.scope = None
            self.verb = False
            self.joint = None
        if self.qualities and kind is not Kind.OR and self._next_has_predicate(at):
            self.qualities.clear()
        elif self.qualities and kind is Kind.COMMA and not self._anatomy_follows(at):
            self.qualities.clear()

    def _next_has_predicate(self, at: int) -> bool:
        """Whether the anatomy behind this comma has a quality of its own behind it: "normal heart, lungs clear"."""
        seen = False
        for phrase in self.phrases[at + 1 : at + 8]:
            kind = phrase.value.kind
            if kind is Kind.ANATOMY:
                seen = True
            elif kind is Kind.QUALITY:
                return seen
            elif kind is Kind.VERB and seen:
                return True
            elif kind not in _MODIFIERS and kind is not Kind.VERB:
                return False
        return False

    def _scope_ends(self, at: int, kind: Kind) -> bool:
        if self.scope in REACH_TO_NEXT_NOUN:
            return bool(self.since_cue) or kind is Kind.COMMA
        if not self.since_cue and self.scope in REACH_TO_LIST_END:
            # "no, ..." or "no small, loculated effusion"
            return self.scope is Kind.NEGATION and kind is Kind.COMMA and not self._finding_follows(at)
        phrases = self.phrases
        then = at + 1
        while then < len(phrases) and phrases[then].value.kind in (Kind.AND, Kind.COMMA):
            then += 1
        if then == len(phrases):
            return False
        meaning = phrases[then].value
        if meaning.kind is Kind.OR:
            return False
        if kind is Kind.AND and self.scope is not Kind.NEGATION:
            return self.verb
        if (meaning.kind is Kind.SEVERITY or meaning.kind is Kind.COMPARISON) and meaning.value in _BEGINS_ANEW:
            return True
        if meaning.kind is Kind.QUALITY and (meaning.value in NORMAL or meaning.also in _BEGINS_ANEW):
            return True
        more = self._or_later(then)
        if self.verb:
            return not more
        if meaning.kind is Kind.SIDE:
            return not more
        if meaning.kind in (Kind.ANATOMY, Kind.QUALITY):
            return not more and not self._finding_follows(then)
        return False

    def _or_later(self, at: int) -> bool:
        for phrase in self.phrases[at:]:
            kind = phrase.value.kind
            if kind is Kind.OR:
                return True
            if kind in HARD_ENDS:
                return False
        return False


_HANDLERS = {
    Kind.FINDING: SentenceReader.finding,
    Kind.ABNORMALITY: SentenceReader.abnormality,
    Kind.ASIDE: SentenceReader.beside,
    Kind.ANATOMY: SentenceReader.anatomy,
    Kind.QUALITY: SentenceReader.quality,
    Kind.SIDE: SentenceReader.modifier,
    Kind.SEVERITY: SentenceReader.modifier,
    Kind.COMPARISON: SentenceReader.modifier,
    Kind.NEGATION: SentenceReader.opens,
    Kind.NOT: SentenceReader.opens,
    Kind.DENIED: SentenceReader.denied,
    Kind.RESOLVED: SentenceReader.resolved,
    Kind.HEDGE: SentenceReader.opens,
    Kind.POSSIBLE: SentenceReader.opens,
    Kind.WEAK_HEDGE: SentenceReader.opens,
    Kind.HEDGED: SentenceReader.hedged,
    Kind.HISTORY: SentenceReader.opens,
    Kind.FOR: SentenceReader.history_for,
    Kind.BREAK: SentenceReader.breaks,
    Kind.EXCEPT: SentenceReader.excepts,
    Kind.THERE: SentenceReader.breaks,
    Kind.WITH: SentenceReader.with_,
    Kind.COMMA: SentenceReader.joins,
    Kind.AND: SentenceReader.joins,
    Kind.OR: SentenceReader.joins,
    Kind.VERSUS: SentenceReader.joins,
    Kind.VERB: SentenceReader.verb_,
    Kind.SO: SentenceReader.so,
    Kind.NONE: SentenceReader.none,
}
