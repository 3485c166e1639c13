"""Mentions of a whole report -> separate lines and tubes.

Findings and impression speak of the same tube twice: a mention joins an earlier device of its type unless its side, its
being removed, or words such as "second" say that it is another one.
"""

from __future__ import annotations

from collections.abc import Sequence

from labeling.rules.device_context import FIRM, WEAK
from labeling.rules.device_mention import FAMILIES, Distance, Mention
from labeling.rules.device_words import LOOK_ALIKE
from labeling.rules.tips import Spot, best_tip, distance_tip, is_bad, later_tip, measured_from, side_port_tip
from labeling.vocabulary import NOT_AVAILABLE, UNCLEAR_TIP, Advice, StatedPosition
from labeling.vocabulary import LineTubeType as T

_PRONOUN_REACH = 2  # sentences back to what "it" or "the tip" may mean
_SINGLE = frozenset((T.ENDOTRACHEAL_TUBE, T.TRACHEOSTOMY_TUBE, T.SWAN_GANZ_CATHETER, T.INTRA_AORTIC_BALLOON_PUMP))
_CENTRAL = (T.INTERNAL_JUGULAR_CVC, T.SUBCLAVIAN_CVC_OR_PORT)
_MEDIASTINAL = frozenset(("mediastinum", "ant_mediastinum", "post_mediastinum", "pericardium"))
# Tracheal levels that a distance from the carina says more exactly.
_MEASURED_BETTER = frozenset(("mid_trachea", "lower_trachea", "carina"))
_ENTERIC = frozenset(("stomach", "duodenum", "jejunum", "post_pyloric", "gej"))
_ABDOMINAL = frozenset(("ruq", "luq", "abdomen", "stomach", "duodenum"))
# The most exact word for what is wrong wins.
_EXACT = (
    StatedPosition.DOUBLED_BACK,
    StatedPosition.KINKED,
    StatedPosition.COILED,
    StatedPosition.LOOPED,
    StatedPosition.FRACTURED,
    StatedPosition.TOO_HIGH,
    StatedPosition.TOO_LOW,
    StatedPosition.MALPOSITIONED,
)
_ADVICE = (Advice.WITHDRAW, Advice.ADVANCE, Advice.REPOSITION)


class Instance:
    """One line or tube of the report, with what each sentence says of it."""

    __slots__ = (
        "listed",
        "loose",
        "mentions",
        "ordinal",
        "removed",
        "sentences",
        "side",
        "subtype",
        "type",
        "verdict_only",
        "withdrawn",
    )

    def __init__(self, mention: Mention, device_type: str) -> None:
        self.type = device_type
        self.subtype = mention.subtype
        self.side = mention.side
        self.loose = mention.loose
        self.ordinal = mention.ordinal
        self.removed = mention.removed
        self.listed = False
        self.withdrawn = False
        self.mentions: list[Mention] = []
        self.sentences: list[int] = []
        self.verdict_only: list[tuple[StatedPosition, str]] = []

    def add(self, mention: Mention, number: int) -> None:
        self.mentions.append(mention)
        if number not in self.sentences:
            self.sentences.append(number)
        if not self.side:
            self.side = mention.side
        if mention.removed:
            self.removed = True
        self.withdrawn = self.withdrawn or mention.withdrawn
        if mention.type == self.type:
            if mention.subtype != "standard":
                self.subtype = mention.subtype
            self.loose = self.loose and mention.loose

    def positioned(self) -> bool:
        return any(says_something(mention) for mention in self.mentions)

    def tip(self) -> str:
        tip = NOT_AVAILABLE
        for mention in self.mentions:
            tip = later_tip(tip, _tip_of(self.type, mention, self.side))
        return tip

    def distance(self) -> Distance | None:
        chosen: Distance | None = None
        for mention in self.mentions:
            found = mention.distance
            if found is not None and measured_from(self.type, found.landmark):
                chosen = found
        return chosen

    def advice(self) -> Advice:
        given = [mention.advice for mention in self.mentions]
        return next((advice for advice in _ADVICE if advice in given), Advice.NONE)

    def stated(self, tip: str, distance: Distance | None) -> StatedPosition:
        said = [verdict for mention in self.mentions for verdict in mention.stated] + self.verdict_only
        words = {position for position, _ in said}
        for position in _EXACT:
            if position in words:
                return position
        strengths = {strength for _, strength in said}
        if FIRM in strengths:
            return StatedPosition.SATISFACTORY
        if WEAK in strengths and not is_bad(tip, self.subtype) and not _bad_distance(self.type, distance):
            return StatedPosition.SATISFACTORY
        return StatedPosition.NOT_STATED


def says_something(mention: Mention) -> bool:
    """Whether more is said than that the device is there."""
    return bool(
        mention.spots or mention.ports or mention.off or mention.unseen or mention.distance or mention.stated
        or mention.advice is not Advice.NONE or mention.present or mention.tip_said
    )  # fmt: skip


def _bad_distance(device_type: str, distance: Distance | None) -> bool:
    if distance is None or device_type != T.ENDOTRACHEAL_TUBE or distance.landmark not in ("carina", ""):
        return False
    return distance.direction in ("below", "beyond") or distance.cm < 2


def _tip_of(device_type: str, mention: Mention, side: str) -> str:
    tip = best_tip(device_type, mention.spots, side)
    if device_type == T.CHEST_TUBE and any(
        spot.place in ("chest_wall", "soft_tissue", "axillary") for spot in mention.ports
    ):
        return "side_port_outside_rib_cage"
    if device_type == T.NASOGASTRIC_TUBE:
        port = side_port_tip(mention.ports)
        if port == "side_port_at_or_above_ge_junction" or (
            port != NOT_AVAILABLE and tip in (NOT_AVAILABLE, "below_diaphragm", UNCLEAR_TIP)
        ):
            return port
        if mention.off and tip in (NOT_AVAILABLE, "stomach", "esophagus", "ge_junction"):
            said_of_tip = any(spot.how == "tip" for spot in mention.spots)
            return tip if said_of_tip and tip != NOT_AVAILABLE else "below_diaphragm"
    if mention.distance is not None and (
        tip == NOT_AVAILABLE
        or (device_type == T.ENDOTRACHEAL_TUBE and mention.distance.landmark == "carina" and tip in _MEASURED_BETTER)
    ):
        tip = distance_tip(device_type, *mention.distance)
    if tip == NOT_AVAILABLE and (mention.off or mention.unseen):
        return UNCLEAR_TIP
    return tip


class Assembly:
    """Collects the devices of one report, sentence after sentence."""

    def __init__(self) -> None:
        self.instances: list[Instance] = []
        self._last_look_alike = 0  # the last sentence that spoke of a device of no type
        self._sentence = 0
        self._touched: list[Instance] = []  # by the sentence being read

    def read(self, number: int, mentions: Sequence[Mention]) -> None:
        self._sentence, self._touched = number, []
        for mention in mentions:
            if mention.denied or mention.planned:
                continue
            if mention.type == "*":
                self._verdict_on_all(mention)
            elif mention.type == LOOK_ALIKE:
                self._last_look_alike = number
            elif mention.type:
                self._named(mention)
            else:
                self._unnamed(mention)
        _share_sides(self._touched)

    def _verdict_on_all(self, mention: Mention) -> None:
        good = [verdict for verdict in mention.stated if verdict[0] is StatedPosition.SATISFACTORY]
        if not good:
            return
        for instance in self.instances:
            own = instance.verdict_only or any(m.stated for m in instance.mentions)
            if not own and not instance.removed and instance not in self._touched:
                instance.verdict_only = good
                instance.sentences.append(self._sentence)

    def _unnamed(self, mention: Mention) -> None:
        if not says_something(mention) and not mention.removed:
            return
        reach = self._sentence - _PRONOUN_REACH if not mention.family else 0
        pool = [i for i in self.instances if self._may_mean(mention, i) and i.sentences[-1] >= reach]
        if pool and not mention.family and self._last_look_alike > max(i.sentences[-1] for i in pool):
            return  # "Pacemaker leads unchanged. Their tips ..."
        if pool and mention.first and all(i.mentions[0].second for i in pool):
            other = pool[-1]  # "A second right IJ line is ... The first ends in the lower SVC."
            mention_type, named_in = other.type, other.sentences[0]
            instance = self._open(mention, mention_type)
            instance.side, instance.sentences = other.side, [named_in, self._sentence]
            return
        if pool:
            latest = max(i.sentences[-1] for i in pool)
            near = [i for i in pool if i.sentences[-1] == latest]
            if mention.advice is not Advice.NONE and not mention.family and not any(_troubled(i) for i in near):
                near = [
                    i for i in self.instances if _troubled(i) and not i.removed and i.advice() is Advice.NONE
                ] or near
            gone = [i for i in pool if i.removed]
            counted = [i for i in pool if mention.ordinal and i.ordinal == mention.ordinal]
            if mention.removed and gone:
                chosen = gone[-1:]
            elif counted:
                chosen = counted[-1:]  # "Two chest tubes. The second is kinked."
            elif mention.plural and len(near) > 1:
                chosen = near
            else:
                troubled = [i for i in near if mention.advice is not Advice.NONE and _troubled(i)]
                chosen = (troubled or near)[-1:]
            for instance in chosen:
                instance.add(mention, self._sentence)
                self._touched.append(instance)
            return
        if mention.family == "tube" and mention.distance is not None and mention.distance.landmark == "carina":
            self._open(mention, T.ENDOTRACHEAL_TUBE)
            return
        if mention.family == "tube" and any(spot.place in _ENTERIC for spot in mention.spots):
            self._open(mention, T.NASOGASTRIC_TUBE).loose = True
            return
        venous = any(best_tip(T.PICC, [spot], mention.side) != NOT_AVAILABLE for spot in mention.spots)
        pleural = any(spot.place in ("lung_upper", "lung_lower", "lung_mid", "pleural_space") for spot in mention.spots)
        if mention.family in ("catheter", "line") and (venous or (mention.side and not pleural)):
            self._open(mention, T.INTERNAL_JUGULAR_CVC).loose = True
        elif mention.family == "drain" and any(spot.place in _MEDIASTINAL for spot in mention.spots):
            self._open(mention, T.MEDIASTINAL_DRAIN)
        elif (mention.family == "drain" and (mention.side or pleural)) or (mention.family == "catheter" and pleural):
            self._open(mention, T.CHEST_TUBE).loose = True

    @staticmethod
    def _may_mean(mention: Mention, instance: Instance) -> bool:
        if mention.family and instance.type not in FAMILIES.get(mention.family, ()):
            return False
        if mention.side and instance.side and mention.side != instance.side:
            return False
        if instance.removed and not mention.removed:
            return False
        if mention.distance is not None and not measured_from(instance.type, mention.distance.landmark):
            return False
        spots = mention.spots + mention.ports
        return not spots or any(
            best_tip(instance.type, [spot], instance.side) != NOT_AVAILABLE or _is_port(instance.type, spot)
            for spot in spots
        )

    def _open(self, mention: Mention, device_type: str) -> Instance:
        instance = Instance(mention, device_type)
        instance.listed = mention.listed
        instance.add(mention, self._sentence)
        self.instances.append(instance)
        self._touched.append(instance)
        return instance

    def _named(self, mention: Mention) -> None:
        pool = [i for i in self.instances if self._may_be(mention, i)]
        if mention.plural and not mention.ordinal and not mention.second and len(pool) > 1 and not mention.listed:
            for instance in pool:
                instance.add(mention, self._sentence)
                self._touched.append(instance)
            return
        if not pool and mention.both:
            earlier = [i for i in self.instances if i.type == mention.type and i not in self._touched and not i.removed]
            if len(earlier) > 1:
                pool = earlier[:1]
        if not pool:
            self._open(mention, mention.type)
            return
        best = max(pool, key=lambda i: (self._likeness(mention, i), i.sentences[-1]))
        if best.type != mention.type and mention.vein == "subclavian":
            best.type = mention.type  # a "central line" that turns out to be subclavian
            best.loose = False
        best.add(mention, self._sentence)
        self._touched.append(best)

    def _may_be(self, mention: Mention, instance: Instance) -> bool:
        same_type = instance.type == mention.type
        if not same_type:
            central = instance.type in _CENTRAL and mention.type in _CENTRAL
            if not central or not (instance.loose or mention.loose):
                return False
            if mention.type == T.SUBCLAVIAN_CVC_OR_PORT and (
                mention.subtype == "port" or instance.subtype != "standard"
            ):
                return False
            if mention.subtype != "standard" or instance in self._touched or instance.subtype == "port":
                return False
            if mention.present or (mention.side and not instance.side):
                return False
            tips = {instance.tip(), _tip_of(mention.type, mention, mention.side)} - {NOT_AVAILABLE}
            if len(tips) > 1:
                return False
        if mention.side and instance.side and mention.side != instance.side:
            return False
        if (
            instance in self._touched
            and mention.type in _SINGLE
            and not mention.second
            and mention.removed == instance.removed
        ):
            return True
        if instance in self._touched and (
            mention.listed or mention.second or mention.ordinal or (mention.removed != instance.removed)
        ):
            return False
        if mention.first and len(instance.mentions) and instance.mentions[0].second:
            return False
        if mention.second and instance.ordinal != 2 and instance.type not in _SINGLE:
            return False
        if (
            mention.ordinal
            and instance.ordinal
            and mention.ordinal != instance.ordinal
            and mention.side == instance.side
        ):
            return False
        if mention.subtype != instance.subtype and same_type and not self._same_subtype(mention, instance):
            return False
        if instance.removed and not mention.removed:
            return not says_something(mention)
        return not (mention.removed and not instance.removed and instance.positioned())

    @staticmethod
    def _same_subtype(mention: Mention, instance: Instance) -> bool:
        """A plain name may mean the special kind, two special kinds are two devices."""
        if mention.type in _SINGLE:
            return True
        if mention.type == T.NASOGASTRIC_TUBE:
            return mention.loose or instance.loose
        if mention.type == T.MEDIASTINAL_DRAIN:
            return False
        if "standard" not in (mention.subtype, instance.subtype):
            return False
        return mention.loose or instance.loose or bool(mention.vein)

    @staticmethod
    def _likeness(mention: Mention, instance: Instance) -> int:
        score = 0
        if mention.side == instance.side:
            score += 4 if mention.side else 3
        score += 2 * (mention.subtype == instance.subtype) + 2 * (mention.type == instance.type)
        score += 2 * (mention.removed == instance.removed) + 3 * (mention.ordinal == instance.ordinal)
        return score


def _troubled(instance: Instance) -> bool:
    tip, distance = instance.tip(), instance.distance()
    return (
        is_bad(tip, instance.subtype)
        or instance.stated(tip, distance)
        not in (
            StatedPosition.SATISFACTORY,
            StatedPosition.NOT_STATED,
        )
        or _bad_distance(instance.type, distance)
    )


def _is_port(device_type: str, spot: Spot) -> bool:
    return device_type == T.NASOGASTRIC_TUBE and side_port_tip([spot]) != NOT_AVAILABLE


def _share_sides(touched: Sequence[Instance]) -> None:
    """A Swan-Ganz catheter runs through the sheath named beside it: one side for both."""
    swans = [i for i in touched if i.type == T.SWAN_GANZ_CATHETER]
    sheaths = [i for i in touched if i.subtype == "introducer_sheath"]
    if len(swans) == 1 and len(sheaths) == 1:
        side = swans[0].side or sheaths[0].side
        if not swans[0].removed:
            swans[0].side = swans[0].side or side
        sheaths[0].side = sheaths[0].side or side


def settle(instance: Instance) -> bool:
    """Correct a loose type by its place; False when the device is none of the ten types after all."""
    if instance.withdrawn and not any(m.spots or m.ports or m.distance or m.stated or m.off for m in instance.mentions):
        instance.removed = True
    if instance.type == T.CHEST_TUBE and instance.loose:
        places = {spot.place for mention in instance.mentions for spot in mention.spots}
        if "pericardium" in places:
            instance.type, instance.subtype = str(T.MEDIASTINAL_DRAIN), "pericardial"
        elif places & {"ant_mediastinum", "mediastinum", "post_mediastinum"} and not instance.side:
            instance.type = str(T.MEDIASTINAL_DRAIN)
        elif places and places <= _ABDOMINAL:
            return False
    return True
