"""One line or tube as one sentence speaks of it."""

from __future__ import annotations

from typing import NamedTuple

from labeling.rules.device_nodes import Phrase
from labeling.rules.device_words import LOOK_ALIKE, Name
from labeling.rules.tips import Spot, fits
from labeling.rules.walk_words import AIRWAY, VENOUS
from labeling.vocabulary import Advice, StatedPosition
from labeling.vocabulary import LineTubeType as T

FAMILIES: dict[str, tuple[str, ...]] = {
    "catheter": (*VENOUS, T.CHEST_TUBE, T.MEDIASTINAL_DRAIN, T.INTRA_AORTIC_BALLOON_PUMP),
    "line": VENOUS,
    "one": tuple(T),
    "tube": (*AIRWAY, T.NASOGASTRIC_TUBE, T.CHEST_TUBE, T.MEDIASTINAL_DRAIN),
    "drain": (T.CHEST_TUBE, T.MEDIASTINAL_DRAIN),
    "device": (T.INTRA_AORTIC_BALLOON_PUMP, T.SUBCLAVIAN_CVC_OR_PORT, T.TRACHEOSTOMY_TUBE),
}


class Distance(NamedTuple):
    cm: float
    landmark: str
    direction: str | None


class Mention:
    """One device in one sentence.

    type: one of the ten, LOOK_ALIKE, "" for "the catheter", "*" for "lines and tubes".
    definite: a bare noun or a pronoun that speaks of a device named before.
    """

    __slots__ = (
        "advice",
        "both",
        "definite",
        "denied",
        "distance",
        "family",
        "first",
        "listed",
        "loose",
        "nth",
        "off",
        "ordinal",
        "others",
        "planned",
        "plural",
        "ports",
        "present",
        "removed",
        "second",
        "shared_removal",
        "side",
        "spots",
        "stated",
        "subtype",
        "tip_said",
        "type",
        "unseen",
        "vein",
        "withdrawn",
    )

    def __init__(self, name: Name, side: str = "") -> None:
        self.type = name.type
        self.subtype = name.subtype
        self.family = name.family
        self.vein = name.vein
        self.side = side
        self.loose = name.loose
        self.plural = name.plural
        self.definite = False
        self.second = False
        self.first = False  # "the first", "the original one", named beside a second one
        self.ordinal = 0
        self.nth = ""  # "second", "third" as written
        self.others = False  # "the other devices", "lines and tubes otherwise": not what is wrong
        self.denied = False
        self.planned = False
        self.listed = False  # joined to the name before it: another device
        self.removed = name.removed
        self.present = False
        self.shared_removal = False  # removed only because the name before it in the list is
        self.spots: list[Spot] = []
        self.ports: list[Spot] = []
        self.off = False
        self.unseen = False
        self.both = False  # "both chest tubes": those already named, or one on each side
        self.withdrawn = False  # "has been withdrawn": out, unless its position is told
        self.tip_said = False
        self.distance: Distance | None = None
        self.stated: list[tuple[StatedPosition, str]] = []
        self.advice = Advice.NONE

    def fits(self, place: str) -> bool:
        if self.type:
            drain = self.loose and self.type == T.CHEST_TUBE  # a pigtail may prove to be a mediastinal one
            return fits(self.type, place) or (drain and place == "pericardium")
        return any(fits(device, place) for device in FAMILIES.get(self.family, tuple(T)))


def typed_name(phrase: Phrase) -> Name:
    """The name's type, its vein considered: a "subclavian central line" is no jugular one."""
    name, vein = phrase.name, phrase.vein
    if name.type == T.INTERNAL_JUGULAR_CVC and name.loose:
        if vein == "subclavian":
            subtype = "standard" if name.subtype == "introducer_sheath" else name.subtype
            return name._replace(type=str(T.SUBCLAVIAN_CVC_OR_PORT), subtype=subtype, vein=vein, loose=False)
        if vein == "femoral":
            return name._replace(type=LOOK_ALIKE)
        if vein == "ij":
            return name._replace(vein=vein, loose=False)
        return name
    if not name.type and name.family in ("catheter", "line", "device"):
        if vein == "ij":
            return name._replace(type=str(T.INTERNAL_JUGULAR_CVC), vein=vein)
        if vein == "subclavian":
            return name._replace(type=str(T.SUBCLAVIAN_CVC_OR_PORT), vein=vein)
        if vein == "femoral":
            return name._replace(type=LOOK_ALIKE)
        if vein == "arm":
            return name._replace(type=str(T.PICC))
    return name
