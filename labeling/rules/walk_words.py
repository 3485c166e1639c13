"""Small words that decide what belongs to what: joins, negations, what asks and what tells."""

from __future__ import annotations

from labeling.rules.device_context import NUMBER_WORDS
from labeling.vocabulary import LineTubeType as T
from labeling.vocabulary import StatedPosition

JOIN = frozenset(
    "and or slash & + , with plus also as well along together both nor ( ) : in addition to additional associated x"
    " there is are x2 x1 x3 2 its".split()
)
COPULA = frozenset(
    "is are was were remain remains appear appears been be being has have lie lies seem seems otherwise"
    " still essentially"
    " grossly overall relatively largely also again which tip tips position positions".split()
)
VERBS = frozenset(
    "is are was were remain remains appear appears has have in terminate terminates terminating end ends"
    " project projects"
    " projecting overlies at lies extend extends course courses tip unchanged stable pass passes seen noted traverse"
    " traverses over overlying again stays coiled removed".split()
)
ON = frozenset("on from to via ( : both = x1 x2 x3".split())
VIA = frozenset("via through from using by".split())
NEGATIONS = frozenset(("no", "without", "nor", "neither", "absence", "not", "never"))
NONE = ((":", "none"), ("none",), (":", "no"), (":", "absent"), (":", "nil"), ("nil",))
OUT = (("out",), ("is", "out"), ("now", "out"), ("are", "out"), (":", "out"), ("d", "c"), ("dcd",))
NEGATION_FILL = frozenset(
    "evidence definite visible radiopaque other obvious discrete new additional any radiographic is".split()
)
OPEN = frozenset(
    ", ; and or but in at since compared from with when as over overlying projecting is are again although"
    " respective while by for to on"
    " which that however without no upon within position positions positioning location locations appearance course"
    " configuration placement after following relative ( ) slash given than there during despite except noted seen"
    " terminating ending : — - -- – extending coursing alignment side nor if where allowing near compatible ? standing"
    " radiographically has have it comparison versus whereas post".split()
)
STOP = frozenset(", ; ( ) : and or with but is are in at over on from to by for which there".split())
CLAUSE = frozenset((";", "but", "although", "while", "however", "whereas", "?", "—"))
REACH = 7  # words between "recommend" and what is recommended
AIRWAY = (T.ENDOTRACHEAL_TUBE, T.TRACHEOSTOMY_TUBE)
VENOUS = (T.INTERNAL_JUGULAR_CVC, T.PICC, T.SUBCLAVIAN_CVC_OR_PORT, T.SWAN_GANZ_CATHETER)
EXCHANGED = frozenset(("for", "with", "by", "to"))
AT_A_BEND = (StatedPosition.KINKED, StatedPosition.FRACTURED)
SO = frozenset(("so", "until", "such", "that", "till", "place"))
ENTERIC = frozenset(("stomach", "duodenum", "jejunum", "post_pyloric", "luq"))
EXCEPT = (
    ["except"],
    ["except", "for"],
    ["other", "than"],
    ["apart", "from"],
    ["aside", "from"],
    ["exception"],
    ["but", "for"],
)
ORDINALS = {"one": 1, "first": 1, "former": 1, "second": 2, "other": 2, "another": 2, "latter": 2, "third": 3}
OPPOSITE = frozenset(("contralateral", "opposite"))
MAYBE = frozenset(("may", "might", "versus", "vs", "possibly", "alternatively"))
INTO = frozenset("in into within up over at overlying toward towards inside".split())
VENOUS_SET = frozenset((T.INTERNAL_JUGULAR_CVC, T.PICC, T.SUBCLAVIAN_CVC_OR_PORT, T.SWAN_GANZ_CATHETER))
PAIRED = frozenset((T.CHEST_TUBE, T.PICC))
FIRST = frozenset(("first", "original", "existing", "preexisting", "older"))
ABSENT = frozenset(
    (
        ("not", "seen"),
        ("not", "visualized"),
        ("not", "identified"),
        ("not", "visible"),
        ("not", "evident"),
        ("not", "demonstrated"),
        ("not", "apparent"),
    )
)
ASK = frozenset("recommend suggest consider advise needs require requires considering".split())
ASKED = frozenset("recommended advised suggested planned needed required indicated".split())
AWAITED = frozenset("pending scheduled anticipated awaited".split())
AWAITING = AWAITED | {"awaiting", "awaits", "planned"}
CHANGES = frozenset("removal exchange withdrawal replacement repositioning advancement retraction extubation".split())
IS_ASKED = frozenset("is are was were should may could would will to".split())
OTHERS = frozenset("other others remaining remainder rest otherwise".split())
PORT_KINDS = frozenset(
    "chest wall infusion access venous vascular central power chemo chemotherapy implanted implantable left right"
    " portacath catheter catheters cath tunneled accessed double single dual reservoir".split()
)  # words that make a port one of a vein
ONE_IS = frozenset(
    "is was has remains terminates ends projects tip lies overlies appears should could".split()
)  # of one device
PASSING = ("cours", "cross", "travers", "pass", "enter", "desc")  # verbs of a way, not of an end
MOVED_BY = frozenset("from by to into with relative compared".split())  # after "withdrawn": moved, not taken out
FUTURE = frozenset(
    "recommend recommended recommends suggest suggested consider should could would may might can need"
    " needs require requires"
    " planned pending awaiting before pre if plan for benefit prior will preparing attempted".split()
) - {"for", "prior"}
MODAL = frozenset(
    "should could recommend recommended recommendation recommends recommending suggest suggested suggestion"
    " suggests consider"
    " considered consideration advise advised may might need needed needs require required requires must"
    " please would benefit"
    " can warrant warranted warrants indicated desired necessary ideally propose proposed prudent preferred"
    " advisable helpful"
    " requiring request requested ought if to".split()
) - {"to"}
BE = frozenset(("be", "being"))
BEEN = frozenset("been was were is are being have has had having".split())
DONE = frozenset("interval after following since post has have been was were s/p subsequent recent status".split())


def after_that(words: list[str], at: int) -> bool:
    return words[at - 2] in ("that", "those")


def number_in(word: str) -> float | None:
    if word[0].isdigit():
        try:
            return float(word)
        except ValueError:
            return None
    return NUMBER_WORDS.get(word)
