"""Reads one sentence from left to right into statements about findings.

A sentence is a row of phrases (`labeling.rules.lexer`). Modifiers (side, severity, comparison) wait for the noun they
stand before, or go to the noun they stand after; cues open scopes that end at a clause's end, or at a comma or "and"
that begins something new. "Small left and moderate right effusions": each group of modifiers is a statement of its own.
"""

from __future__ import annotations

from collections.abc import Callable

from labeling.rules.assertion import HARD_ENDS, REACH_TO_LIST_END, REACH_TO_NEXT_NOUN, Kind
from labeling.rules.finding_clause import MODIFIERS, NEGATIVE, POSITIVE, SHADOWS, UNCERTAIN, Group, Statement
from labeling.rules.finding_fracture import BONES
from labeling.rules.finding_measure import VOLUMES, SizeReader
from labeling.rules.finding_pairs import NORMAL
from labeling.vocabulary import NO_FINDING_LABEL

_CLAUSE_MARKS = frozenset({",", ";", ":", ".", "-", "–", "—", "("})
_MODALS = frozenset({"may", "might", "could"})
_BEGINS_ANEW = frozenset({"mild", "minimal", "moderate", "unchanged", "worse", "improved"})
_HARD_TO_TELL = frozenset({"difficult", "hard", "impossible"})
_OPEN_QUESTION = frozenset("unclear uncertain undetermined indeterminate unknown equivocal determined".split())
_HEDGES = frozenset({Kind.HEDGE, Kind.WEAK_HEDGE, Kind.POSSIBLE})
_NORMAL_LUNG = (("lung_opacity",), NEGATIVE)
_NORMAL = ((NO_FINDING_LABEL,), POSITIVE)


class SentenceReader(SizeReader):
    """Reads the phrases of one sentence."""

    def read(self) -> list[Statement]:
        """Give the statements in the order in which they are said."""
        phrases = self.phrases
        for at, phrase in enumerate(phrases):
            self.at = at
            _HANDLERS[phrase.value.kind](self)
        self.leave_modifiers()
        if phrases and phrases[-1].value.kind is Kind.NEGATION and phrases[-1].end == len(self.words):  # "PTX: no"
            self.say(NEGATIVE)
        return self.statements

    # Nouns

    def read_finding(self) -> None:
        phrase = self.phrases[self.at]
        labels = tuple(phrase.value.value.split("+"))
        if "fracture" in labels[0]:
            labels = self.broken(labels)
        elif labels == ("collapse",) and self.is_said_of(BONES):
            labels = ("fracture",)
        elif self.is_size_of_what_follows(labels):
            self.modify(VOLUMES[self.words[phrase.start]], Kind.SEVERITY)
            return
        elif labels == ("cm",):
            if not self._is_no_centimetre():
                self.measure_air()
                return
            labels = ("cardiomegaly",)
        if labels == ("cardiomegaly",) and "borderline" in self.qualities:
            self.groups[-1].severity = "minimal"
        qualities, self.qualities, self.anatomies = self.qualities, [], []
        assertion = self.assertion()
        if labels == ("rib_fracture",) and assertion == UNCERTAIN:
            for statement in self.deformed_ribs:  # "rib irregularity, possible fracture"
                statement.assertion = UNCERTAIN
        self.state(labels, assertion)
        self.after = True
        if labels == (
            "tortuous_aorta",
        ):  # the aorta may be called more: "tortuous and calcified", "calcified tortuous"
            self.subject = [("aorta", ())]
            self.qualities = qualities
            if "calcified" in qualities:
                self.pair("calcified", self.subject)

    def _is_no_centimetre(self) -> bool:
        """Whether "cm" is cardiomegaly: "mild CM", "CM with edema", but neither "3 cm" nor "CM stable"."""
        start = self.phrases[self.at].start
        if start == 0:
            return self.words[1:2] == ["with"]
        return bool(self.groups[-1].severity) and not self.words[start - 1][0].isdigit()

    def read_abnormality(self) -> None:
        following = self.phrases[self.at + 1].value.kind if self.at + 1 < len(self.phrases) else None
        if self.scope is Kind.NEGATION and following not in (
            Kind.WEAK_HEDGE,
            Kind.HEDGE,
            Kind.SO,
        ):  # "findings to suggest"
            self.statements.append(Statement((NO_FINDING_LABEL,), POSITIVE))
            self.since_cue += 1
        self._pass_over()

    def read_aside(self) -> None:
        if self.scope in REACH_TO_NEXT_NOUN and (self.scope is not Kind.HISTORY or self.after_procedure):
            self.scope = None
        self.aside_end = self.phrases[self.at].end
        self._pass_over()

    def _pass_over(self) -> None:
        """A noun that is no finding takes the modifiers before it."""
        self.groups = [Group()]
        self.qualities.clear()
        self.anatomies.clear()
        self.after = False

    def read_modifier(self) -> None:
        kind, value, also = self.phrases[self.at].value
        if kind is Kind.SIDE and also and not self.after:  # "bases": a side, and an anatomy
            self.modify(value, kind)
            self.take_anatomy(also)
        elif kind is not Kind.SEVERITY:
            self.modify(value, kind)
        elif not self.says_how_much_it_changed():
            if value.startswith("from ") and not self.tells_a_change():
                self.explains()  # "opacity from a small effusion"
            self.modify(self.timed(value), kind)

    # Cues before

    def opens_scope(self) -> None:
        phrase = self.phrases[self.at]
        kind = phrase.value.kind
        if self._is_in_a_condition() or (self.words[phrase.start] == "should" and not self._begins_a_clause()):
            return
        if self.words[phrase.start] == "whether" and not _OPEN_QUESTION.isdisjoint(self.words[phrase.end :]):
            kind = Kind.HEDGE  # "whether there is a pneumothorax is unclear"
        if kind in _HEDGES:
            if self._is_swallowed(kind):
                return
            if self._hedges_what_stands_before():
                self.hedged()
                return
            if self.list:
                self.inherit = self.list[-1].sides
        self._open(kind)

    def _open(self, kind: Kind) -> None:
        phrase = self.phrases[self.at]
        if kind is not Kind.NOT:
            if kind is not Kind.POSSIBLE and (self.list or self.done):
                self.leave_modifiers()
            self.end_list()
            self.joint = None
        self.scope = kind
        self.after_procedure = phrase.value.value == "procedure"
        self.condition = phrase.value.value == "condition"
        self.since_cue = 0
        self.verb = False
        self.after = False

    def _is_in_a_condition(self) -> bool:
        """Whether cues are without weight here: "if there is no resolution of the opacity"."""
        return self.scope is Kind.HISTORY and self.condition

    def _begins_a_clause(self) -> bool:
        """Whether nothing stands before: "should pneumonia be suspected", but not "the tube should be withdrawn"."""
        start = self.phrases[self.at].start
        return start == 0 or self.words[start - 1] in _CLAUSE_MARKS

    def _is_swallowed(self, kind: Kind) -> bool:
        """Whether the scope that is open says more than this hedge: "no opacity suspicious for ..."."""
        if kind is Kind.WEAK_HEDGE:
            return self.scope is Kind.NEGATION and not self.verb
        return self.scope is Kind.HISTORY or (kind is Kind.POSSIBLE and self.scope is Kind.NEGATION)

    def _hedges_what_stands_before(self) -> bool:
        """ "Small effusion suspected", "pneumonia could have a similar appearance"; not "opacity may represent ..."."""
        phrase = self.phrases[self.at]
        if not self.list:
            return False
        if phrase.value.kind is Kind.POSSIBLE:
            return phrase.value.value == "either side" and not self.finding_follows(self.at)
        if self.words[phrase.start] not in _MODALS or not SHADOWS.isdisjoint(self.list[-1].labels):
            return False
        for following in self.phrases[self.at + 1 :]:
            kind = following.value.kind
            if kind in (Kind.FINDING, Kind.ASIDE, Kind.ABNORMALITY, Kind.QUALITY, Kind.SO):
                return False  # "may represent ...", "may be due to ..."
            if kind in HARD_ENDS:
                break
        return True

    def history_for(self) -> None:
        if self.phrases[self.at].start == self.aside_end:
            self.scope, self.since_cue = Kind.FOR, 0

    # Cues behind

    def denied(self) -> None:
        if not self._is_in_a_condition():
            self.say(NEGATIVE)
            self.verb = True

    def hedged(self) -> None:
        phrase = self.phrases[self.at]
        if self._is_in_a_condition():
            return
        if self.finding_follows(self.at) and not _HARD_TO_TELL.isdisjoint(self.words[phrase.start : phrase.end]):
            self._open(Kind.HEDGE)  # "difficult to exclude a small effusion"
            return
        self.say(UNCERTAIN)
        self.verb = True

    def resolved(self) -> None:
        if self.is_followed_by("from"):  # "has gone from small to large"
            return
        of_something = self.words[self.phrases[self.at].end - 1] == "of"
        if self.list and not of_something and self.scope is not Kind.NEGATION and not self.finding_follows(self.at):
            self.say(NEGATIVE, "resolved")
            self.verb = True
        else:
            self.opens_scope()

    def none(self) -> None:
        if self.list:
            self.say(NEGATIVE)
        elif self.anatomies or self.anatomy_follows(self.at):  # "negative chest"
            self.take_quality("normal")
        else:
            self.scope, self.since_cue, self.verb = Kind.NEGATION, 0, False

    # Ends

    def breaks(self) -> None:
        if self.list or self.done or self.phrases[self.at].value.kind is not Kind.THERE:  # else "on the left there is"
            self.leave_modifiers()
        self._close()
        self.anatomies.clear()

    def _close(self) -> None:
        self.end_list()
        self.scope = None
        self.joint = None
        self.verb = False
        self.after = False
        self.subject = []
        self.qualities.clear()

    def excepts(self) -> None:
        self.excepted = True
        # "clear except for ..." is not normal, even if nothing known follows
        statements = self.statements
        at = len(statements)
        while at and (statements[at - 1].labels, statements[at - 1].assertion) in (_NORMAL, _NORMAL_LUNG):
            at -= 1
        statements[at:] = [s for s in statements[at:] if s.assertion == NEGATIVE]
        self.breaks()

    def accompanies(self) -> None:
        if self.list:
            self.leave_modifiers()  # "opacity, increased, with small effusion"
        self.inherit = self.list[-1].sides if self.list else ()
        subject = [anatomy for anatomy in self.subject if anatomy[0] == "aorta"]
        self._close()
        self.subject = subject  # "tortuous aorta with calcifications"

    def explains(self) -> None:
        if self.list:
            if not self.anatomies and any(group.comparison for group in self.groups):
                self.leave_modifiers()  # "mass, increased in size, most compatible with neoplasm"
            self.inherit = self.list[-1].sides
            if self.scope is None:
                self.end_list()
        self.after = False

    def read_verb(self) -> None:
        if self.since_cue or self.list:
            self.verb = True
        if self.after:
            self.qualities.clear()
        if self.scope is Kind.POSSIBLE and self.since_cue:
            self.scope = None

    def joins(self) -> None:
        kind = self.phrases[self.at].value.kind
        self.after = False
        if self.joint is not Kind.OR and not (kind is Kind.COMMA and self.joint is not None):
            self.joint = kind
        if self.groups[-1].sides:
            self.groups.append(Group())
        if kind is Kind.OR and self._denies_a_new_one():
            self.end_list()
            self.scope, self.since_cue, self.joint = Kind.NEGATION, 0, None
        elif kind is Kind.VERSUS and self.list and self.scope is None and not self.finding_follows(self.at):
            if self.list[-1].assertion == POSITIVE:  # "edema versus ARDS"
                self.list[-1].assertion = UNCERTAIN
        elif kind in (Kind.COMMA, Kind.AND) and self.scope is not None and self._scope_ends(kind):
            if not self.since_cue and self.phrases[self.at - 1].value.kind is Kind.NEGATION:  # "PTX: no, ..."
                self.say(NEGATIVE)
            self.end_list()
            self.scope = None
            self.verb = False
            self.joint = None
        if self.qualities and (
            (kind is not Kind.OR and self._next_has_predicate())
            or (kind is Kind.COMMA and not self.anatomy_follows(self.at))
        ):
            self.qualities.clear()

    def _denies_a_new_one(self) -> bool:
        """Whether the "no" of a change reaches on: "no increase in the effusion or new pneumothorax"."""
        if self.scope is not None or not self.list or self.list[-1].comparison != "unchanged":
            return False
        following = self.phrases[self.at + 1].value if self.at + 1 < len(self.phrases) else None
        return following is not None and following.kind is Kind.COMPARISON and following.value == "new"

    def _next_has_predicate(self) -> bool:
        """Whether the anatomy behind this comma has a quality of its own: "normal heart, lungs clear"."""
        seen = False
        for phrase in self.phrases[self.at + 1 : self.at + 8]:
            kind = phrase.value.kind
            if kind is Kind.ANATOMY:
                seen = True
            elif kind is Kind.QUALITY:
                return seen
            elif kind is Kind.VERB:
                if seen:
                    return True
            elif kind not in MODIFIERS:
                return False
        return False

    def _scope_ends(self, joint: Kind) -> bool:
        """Whether this comma or "and" ends the scope that is open."""
        if (
            self._is_in_a_condition()
            and (joint is Kind.AND or self._or_later(self.at))
            and self.finding_follows(self.at)
        ):
            return False
        if self.scope in REACH_TO_NEXT_NOUN:
            return bool(self.since_cue) or (
                joint is Kind.COMMA and (self.scope is Kind.HISTORY or not self.finding_follows(self.at))
            )
        if not self.since_cue and self.scope in REACH_TO_LIST_END:
            # "PTX: no, ..." but not "no small, loculated effusion"
            return self.scope is Kind.NEGATION and joint is Kind.COMMA and not self.finding_follows(self.at)
        phrases = self.phrases
        then = self.at + 1
        while then < len(phrases) and phrases[then].value.kind in (Kind.AND, Kind.COMMA):
            then += 1
        if then == len(phrases):
            return False
        kind, value, also = phrases[then].value
        if kind is Kind.OR:
            return False
        if joint is Kind.AND and self.scope is not Kind.NEGATION:
            return self.verb
        if kind in (Kind.SEVERITY, Kind.COMPARISON) and value.rpartition(" ")[2] in _BEGINS_ANEW:
            return True
        if kind is Kind.QUALITY and (value in NORMAL or also in _BEGINS_ANEW):
            return True
        if not self.verb and kind not in (Kind.SIDE, Kind.ANATOMY, Kind.QUALITY):
            return False
        if not self.verb and kind is not Kind.SIDE and self.finding_follows(then):
            return False
        return not self._or_later(then)

    def _or_later(self, at: int) -> bool:
        """Whether the list goes on to an "or": "no A, left B, or C"."""
        for phrase in self.phrases[at:]:
            kind = phrase.value.kind
            if kind is Kind.OR:
                return True
            if kind in HARD_ENDS:
                return False
        return False


_HANDLERS: dict[Kind, Callable[[SentenceReader], None]] = {
    Kind.FINDING: SentenceReader.read_finding,
    Kind.ABNORMALITY: SentenceReader.read_abnormality,
    Kind.ASIDE: SentenceReader.read_aside,
    Kind.ANATOMY: SentenceReader.read_anatomy,
    Kind.QUALITY: SentenceReader.read_quality,
    **dict.fromkeys((Kind.SIDE, Kind.SEVERITY, Kind.COMPARISON), SentenceReader.read_modifier),
    **dict.fromkeys(
        (Kind.NEGATION, Kind.NOT, Kind.HEDGE, Kind.POSSIBLE, Kind.WEAK_HEDGE, Kind.HISTORY), SentenceReader.opens_scope
    ),
    Kind.FOR: SentenceReader.history_for,
    Kind.DENIED: SentenceReader.denied,
    Kind.HEDGED: SentenceReader.hedged,
    Kind.RESOLVED: SentenceReader.resolved,
    Kind.NONE: SentenceReader.none,
    Kind.BREAK: SentenceReader.breaks,
    Kind.THERE: SentenceReader.breaks,
    Kind.EXCEPT: SentenceReader.excepts,
    Kind.WITH: SentenceReader.accompanies,
    Kind.SO: SentenceReader.explains,
    Kind.VERB: SentenceReader.read_verb,
    **dict.fromkeys((Kind.COMMA, Kind.AND, Kind.OR, Kind.VERSUS), SentenceReader.joins),
}
