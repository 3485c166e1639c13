"""What has been read of a sentence so far: its statements, the modifiers that wait, and the noun list at hand."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from labeling.rules.assertion import Kind
from labeling.rules.lexer import Match
from labeling.vocabulary import NO_FINDING_LABEL


class Meaning(NamedTuple):
    """What a phrase stands for: its kind, its value, and for words of two uses ("large", "bases") the other use."""

    kind: Kind
    value: str
    also: str = ""


POSITIVE, NEGATIVE, UNCERTAIN = "positive", "negative", "uncertain"

# Labels without a side of their own: "left" near them belongs to something else, or (a shift) is a direction.
SIDELESS = frozenset(
    "cardiomegaly enlarged_cardiomediastinum heart_failure pericardial_effusion pneumomediastinum pneumoperitoneum "
    "tortuous_aorta mediastinal_shift aortic_aneurysm valve_prosthesis arterial_calcification low_lung_volume "
    "hyperinflation pulmonary_venous_hypertension vascular_congestion osseous_abnormality emphysema no_finding".split()
)
# Not on the side of the noun before: "left effusion and pulmonary edema".
_LENT_NO_SIDE = frozenset({"pulmonary_edema", "interstitial_opacity", "fracture", "hernia"})
MODIFIERS = frozenset({Kind.SIDE, Kind.SEVERITY, Kind.COMPARISON})
_CHANGES = frozenset({"new", "worse", "improved", "unchanged"})
_MAY_CHANGE = frozenset({"", "unchanged", "recurred"})  # a change told later says more
_TRENDS = frozenset({"worse", "improved"})
_DENIES_A_CHANGE = frozenset({Kind.NEGATION, Kind.NOT})
_CONJUNCTIONS = frozenset({Kind.AND, Kind.OR, Kind.VERSUS})
# One linear shadow that readers name by either word: "scar or atelectasis", "scar versus atelectasis" state both.
_SAME_SHADOW = frozenset({"atelectasis", "scarring", "pleural_thickening", "pulmonary_fibrosis"})

# What "may represent ..." is said of; of a disease, "may" hedges the disease itself.
SHADOWS = frozenset({"lung_opacity", "interstitial_opacity", "nodule", "mass", "infiltrate", "consolidation"})

Sides = tuple[str, ...]
Anatomy = tuple[str, Sides]  # name, and the side said before it


class Statement:
    """One finding as said at one place. sides: empty when none is said."""

    __slots__ = ("assertion", "before", "comparison", "joint", "labels", "lent", "own_side", "severity", "sides")

    def __init__(self, labels: tuple[str, ...], assertion: str, joint: Kind | None = None) -> None:
        self.labels = labels
        self.assertion = assertion
        self.sides: Sides = ()
        self.own_side = False  # the side stands before this noun
        self.lent = False  # the side is that of the noun before
        self.severity = ""
        self.before = ""  # the severity on the film before
        self.comparison = ""
        self.joint = joint  # what joins it to the statement before: COMMA, AND, OR, VERSUS or None

    def is_particular(self) -> bool:
        """Whether it is said for itself: of a shadow or the heart, or with a side, a size or a change."""
        described = bool(self.sides or self.severity or self.comparison)
        return described or "cardiomegaly" in self.labels or not SHADOWS.isdisjoint(self.labels)

    def take_size(self, size: str) -> None:
        """Take a size that stands behind the noun; one said for now outdates the one before the noun."""
        time, _, severity = size.rpartition(" ")
        if time == "before":
            self.before = self.before or severity
        elif time == "now" or (time == "only" and self.comparison == "improved"):
            self.before = self.before or self.severity
            self.severity = severity
        else:
            self.severity = self.severity or severity


class Group:
    """Modifiers that stand together: "small left" and "moderate right" in "small left and moderate right effusions"."""

    __slots__ = ("before", "comparison", "severity", "sides", "time")

    def __init__(self) -> None:
        self.sides: Sides = ()
        self.severity = ""
        self.time = ""  # of the severity: "now", "only" or unsaid
        self.before = ""
        self.comparison = ""

    def __bool__(self) -> bool:
        return bool(self.sides or self.severity or self.comparison)

    def take_size(self, size: str) -> None:
        time, _, severity = size.rpartition(" ")
        if time == "before":
            self.before = severity
        else:
            self.time, self.severity = time, severity


def with_side(sides: Sides, side: str) -> Sides:
    """Sides with one more; "both" is left and right."""
    if side == "both":
        return ("left", "right")
    return sides if side in sides else (*sides, side)


def _all_sides(group: Group, statements: list[Statement]) -> bool:
    """Whether both sides are said of sides told apart before: "small left and large right effusions, both larger"."""
    return len(group.sides) > 1 and all(len(statement.sides) == 1 for statement in statements)


class Clause:
    """The state of reading; `labeling.rules.finding_reader` moves it from phrase to phrase.

    Args:
        words: the folded words of the sentence.
        phrases: what was found among them, in order.
    """

    def __init__(self, words: list[str], phrases: list[Match[Meaning]]) -> None:
        self.words = words
        self.phrases = phrases
        self.at = 0  # the phrase being read
        self.statements: list[Statement] = []
        self.list: list[Statement] = []  # statements of the noun list being read
        self.done: list[Statement] = []  # the list before it
        self.groups: list[Group] = [Group()]
        self.inherit: Sides = ()  # the side of what the next noun explains or accompanies
        self.joint: Kind | None = None
        self.scope: Kind | None = None
        self.since_cue = 0  # statements since the scope opened
        self.after_procedure = False  # the scope is "status post", which ends with the procedure's name
        self.condition = False  # the scope is "if ...": nothing in it is said of this film
        self.verb = False  # a verb stood after the last statement of this clause or scope
        self.after = False  # directly after a noun: modifiers still belong to it
        self.anatomies: list[Anatomy] = []
        self.subject: list[Anatomy] = []  # anatomies of the last predicate
        self.qualities: list[str] = []  # qualities that wait for the anatomy behind them
        self.aside_end = -1  # word after the last device
        self.excepted = False  # the sentence makes an exception: "clear except for ..."
        self.deformed_ribs: list[Statement] = []  # fractures that only a deformity tells of

    def assertion(self) -> str | None:
        """What the open scope makes of a finding; None: nothing is said of this film."""
        scope = self.scope
        if scope is None:
            return POSITIVE
        if scope is Kind.NEGATION or scope is Kind.NOT or scope is Kind.RESOLVED:
            return NEGATIVE
        if scope is Kind.HISTORY or scope is Kind.FOR:
            return None
        return UNCERTAIN

    def finding_follows(self, at: int) -> bool:
        """Whether a finding follows this phrase with nothing but modifiers, anatomy and qualities between."""
        for phrase in self.phrases[at + 1 : at + 6]:
            kind = phrase.value.kind
            if kind is Kind.FINDING:
                return True
            if kind not in MODIFIERS and kind is not Kind.ANATOMY and kind is not Kind.QUALITY:
                return False
        return False

    def joined(self) -> list[Statement]:
        """The last noun list, last noun first: joined by "and" or "or", or by commas before one of these."""
        chosen: list[Statement] = []
        linked = True
        conjunction = False
        for statement in reversed(self.list or self.done):
            if not linked:
                break
            chosen.append(statement)
            conjunction = conjunction or statement.joint in _CONJUNCTIONS
            linked = statement.joint is not None and (statement.joint is not Kind.COMMA or conjunction)
        return chosen

    def end_list(self) -> None:
        self.done, self.list = self.list or self.done, []

    def say(self, assertion: str, comparison: str = "") -> None:
        """Turn the last noun list: "... is not seen", "... cannot be excluded", "... has resolved"."""
        for statement in self.joined():
            if statement.labels != (NO_FINDING_LABEL,):
                statement.assertion = assertion
                statement.comparison = comparison or statement.comparison

    def modify(self, value: str, kind: Kind) -> None:
        """Take a modifier: it belongs to the noun just read, or waits for the next."""
        follows = self.finding_follows(self.at)
        if self.scope in _DENIES_A_CHANGE and value in _TRENDS and not self.since_cue and not follows:
            self._modify_before(Kind.COMPARISON, "unchanged")  # "persists, not larger", "without increase"
            return
        if self.after and self.list and not follows:
            self._modify_before(kind, value)
            return
        group = self.groups[-1]
        if kind is Kind.SIDE:
            group.sides = with_side(group.sides, value)
        elif kind is Kind.SEVERITY:
            group.take_size(value)
        elif value != "recurred" or not group.comparison:
            group.comparison = value

    def modify_also(self, value: str) -> None:
        """Take the other use of a quality: "increased", "large"."""
        self.modify(value, Kind.COMPARISON if value in _CHANGES else Kind.SEVERITY)

    def _modify_before(self, kind: Kind, value: str) -> None:
        for statement in self.joined():
            if kind is Kind.SIDE:
                if not statement.own_side:
                    statement.sides = with_side(() if statement.lent else statement.sides, value)
                    statement.lent = False
            elif kind is Kind.SEVERITY:
                statement.take_size(value)
            elif statement.comparison in _MAY_CHANGE:
                statement.comparison = value

    def leave_modifiers(self) -> None:
        """Give modifiers that found no noun to the noun before them: "effusion, small, left"."""
        groups, self.groups = self.groups, [Group()]
        joined = self.joined()
        if not joined or (self.scope is Kind.NEGATION and not self.since_cue):  # "pneumothorax without tension"
            return
        for group in groups:
            described = bool(group.severity or group.comparison)
            if described and group.sides and joined[0].sides and not self.anatomies and not _all_sides(group, joined):
                self._say_of_side(group, joined)
                continue
            for side in group.sides:
                self._modify_before(Kind.SIDE, side)
            if group.comparison:
                self._modify_before(Kind.COMPARISON, group.comparison)
            if group.before:
                self._modify_before(Kind.SEVERITY, f"before {group.before}")
            if group.severity:
                self._modify_before(Kind.SEVERITY, f"{group.time} {group.severity}".strip())

    def _say_of_side(self, group: Group, statements: list[Statement]) -> None:
        """Modifiers of one side only: "... effusions, increased on the left", "... while the left has increased"."""
        for statement in statements:
            apart = Statement(statement.labels, statement.assertion, statement.joint)
            apart.sides, apart.own_side = group.sides, True
            apart.severity, apart.comparison, apart.before = group.severity, group.comparison, group.before
            if group.sides[0] in statement.sides:
                apart.severity = group.severity or statement.severity
                left_over = tuple(side for side in statement.sides if side not in group.sides)
                if not left_over:
                    statement.severity = apart.severity
                    statement.comparison = statement.comparison or apart.comparison
                    continue
                statement.sides = left_over
            self.statements.append(apart)

    def state(self, labels: tuple[str, ...], assertion: str | None, sides: Sides = ()) -> list[Statement]:
        """Add a statement for each group of modifiers that waits.

        Args:
            sides: used when the modifiers give none.
        """
        joint = self.joint if self.list else None
        if self.verb and self.list:
            self.end_list()
            joint = None
        before = self.list[-1] if joint in _CONJUNCTIONS else None
        made: list[Statement] = []
        for group in self._groups_of(labels) if assertion is not None else ():
            statement = Statement(labels, assertion or POSITIVE, Kind.AND if made else joint)
            statement.sides = group.sides or sides
            statement.own_side = bool(statement.sides)
            statement.severity = group.severity
            statement.before = group.before
            statement.comparison = group.comparison
            if before and joint is Kind.AND and not group and before.assertion == assertion:
                statement.comparison = before.comparison
            if not statement.sides and labels[0] not in _LENT_NO_SIDE:
                statement.sides = before.sides if before else self.inherit
                statement.lent = True
            if self.scope is Kind.RESOLVED:
                statement.comparison = "resolved"
            made.append(statement)
        if made and self.scope is None:
            self._hedge_alternatives(made, before)
        self.statements.extend(made)
        self.list.extend(made)
        self.groups = [Group()]
        self.since_cue += 1
        self.verb = False
        self.joint = None
        self.inherit = ()
        if self.scope is Kind.FOR:
            self.scope = None
        return made

    def _groups_of(self, labels: tuple[str, ...]) -> list[Group]:
        groups = self.groups
        if len(groups) == 1:
            return groups
        for before, group in pairwise(groups):  # "stable small left and right effusions"
            group.comparison = group.comparison or before.comparison
            group.severity = group.severity or before.severity
        sided = [group for group in groups if group.sides]
        return sided if sided and labels[0] not in SIDELESS else groups[-1:]

    def _hedge_alternatives(self, made: list[Statement], before: Statement | None) -> None:
        """ "A or B", "A versus B" leave both open, unless both name one shadow."""
        if before is None:
            alternatives = made if self.joint is Kind.VERSUS else []  # "ARDS versus edema"
        elif (
            self.joint is Kind.AND
            or before.labels == made[0].labels
            or _SAME_SHADOW.issuperset((*before.labels, *made[0].labels))
        ):
            alternatives = []
        else:
            alternatives = [before, *made]
            # "pneumothorax, consolidation or effusion" is one list; "small effusion, atelectasis or infiltrate" is not
            for at in range(len(self.list) - 1, 0, -1):
                earlier = self.list[at - 1]
                if self.list[at].joint is not Kind.COMMA or earlier.is_particular():
                    break
                alternatives.append(earlier)
        for statement in alternatives:
            if statement.assertion == POSITIVE:
                statement.assertion = UNCERTAIN
