"""One line or tube of a report, with what each of its mentions says of it."""

from __future__ import annotations

from labeling.rules.device_context import FIRM, WEAK
from labeling.rules.device_mention import Distance, Mention
from labeling.rules.tips import best_tip, distance_tip, is_bad, later_tip, measured_from, side_port_tip
from labeling.vocabulary import NOT_AVAILABLE, UNCLEAR_TIP, Advice, StatedPosition
from labeling.vocabulary import LineTubeType as T

# Tracheal levels that a distance from the carina says more exactly.
_MEASURED_BETTER = frozenset(("mid_trachea", "lower_trachea", "carina"))
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
            tip = later_tip(tip, tip_of_mention(self.type, mention, self.side))
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
        if WEAK in strengths and not is_bad(tip, self.subtype) and not bad_distance(self.type, distance):
            return StatedPosition.SATISFACTORY
        return StatedPosition.NOT_STATED


def says_something(mention: Mention) -> bool:
    """Whether more is said than that the device is there."""
    return bool(
        mention.spots or mention.ports or mention.off or mention.unseen or mention.distance or mention.stated
        or mention.advice is not Advice.NONE or mention.present or mention.tip_said
    )  # fmt: skip


def bad_distance(device_type: str, distance: Distance | None) -> bool:
    if distance is None or device_type != T.ENDOTRACHEAL_TUBE or distance.landmark not in ("carina", ""):
        return False
    return distance.direction in ("below", "beyond") or distance.cm < 2


def tip_of_mention(device_type: str, mention: Mention, side: str) -> str:
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


def is_troubled(instance: Instance) -> bool:
    tip, distance = instance.tip(), instance.distance()
    return (
        is_bad(tip, instance.subtype)
        or instance.stated(tip, distance)
        not in (
            StatedPosition.SATISFACTORY,
            StatedPosition.NOT_STATED,
        )
        or bad_distance(instance.type, distance)
    )
