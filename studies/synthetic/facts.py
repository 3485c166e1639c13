"""What a synthetic film shows: the facts from which both its picture and its report are made.

A size is a number first (millimetres in the picture) and a word second: the bands below leave gaps between the words,
so that a picture's size can be told from it. All strings are the labels' own vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Side = Literal["left", "right"]  # the patient's
View = Literal["PA", "AP", "LATERAL"]
Zone = Literal["upper", "middle", "lower"]
Placement = Literal["correct", "unclear", "incorrect"]

SIDES: tuple[Side, Side] = ("right", "left")
VIEWS: tuple[View, ...] = ("PA", "AP", "LATERAL")
ZONES: tuple[Zone, ...] = ("upper", "middle", "lower")

# Word -> the range it is drawn in. The words are the usual three; the numbers are this generator's own, chosen apart.
EFFUSION_MM = {"small": (28.0, 42.0), "moderate": (75.0, 105.0), "large": (145.0, 180.0)}
PNEUMOTHORAX_MM = {"small": (9.0, 15.0), "moderate": (24.0, 36.0), "large": (55.0, 75.0)}
EDEMA_DENSITY = {"mild": (0.22, 0.28), "moderate": (0.40, 0.48), "severe": (0.62, 0.72)}
# Heart width / thorax width. PA: above 0.50 is enlarged (Danzer 1919); an AP film magnifies the heart, so its bands
# lie higher.
HEART_RATIO = {
    "PA": {"normal": (0.39, 0.47), "mild": (0.53, 0.55), "moderate": (0.57, 0.59), "severe": (0.62, 0.66)},
    "AP": {"normal": (0.42, 0.50), "mild": (0.56, 0.58), "moderate": (0.60, 0.62), "severe": (0.65, 0.69)},
}


def word_of(value: float, bands: dict[str, tuple[float, float]]) -> str:
    """The word whose band holds the value.

    Raises:
        ValueError: none does; the message lists the bands.
    """
    for word, (low, high) in bands.items():
        if low <= value <= high:
            return word
    raise ValueError(f"{value} is in none of the bands {bands}")


@dataclass(frozen=True)
class Effusion:
    """height_mm: how far the fluid reaches up the lateral wall, from the costophrenic angle."""

    side: Side
    height_mm: float

    @property
    def size(self) -> str:
        return word_of(self.height_mm, EFFUSION_MM)


@dataclass(frozen=True)
class Pneumothorax:
    """gap_mm: air between the visceral line and the chest wall at the apex."""

    side: Side
    gap_mm: float

    @property
    def size(self) -> str:
        return word_of(self.gap_mm, PNEUMOTHORAX_MM)


@dataclass(frozen=True)
class Consolidation:
    side: Side
    zone: Zone


@dataclass(frozen=True)
class Device:
    """One line or tube.

    kind, tip, landmark: words of the labels; distance_cm: from the landmark (above the carina, below the aortic knob),
    None where the report gives a place only. side: of insertion; "unspecified" for midline tubes.
    position_mm: how far the tip lies along what `studies.synthetic.devices` says of this tip.
    placement: of the tip alone; a chest tube beside a larger collection is judged in `labels.placement_of`.
    """

    kind: str
    side: str
    tip: str
    placement: Placement
    position_mm: float
    distance_cm: float | None = None
    landmark: str | None = None

    @property
    def name(self) -> str:
        """The key of its mask and tip: the kind, with the side where there is one."""
        return self.kind if self.side == "unspecified" else f"{self.kind}_{self.side}"


@dataclass(frozen=True)
class Facts:
    """Everything a report may say of the film. The defaults are a normal PA film.

    heart_ratio: the largest width of the heart over the inner width of the thorax (cardiothoracic ratio).
    edema_density: 0 for none. hedged: sides whose small effusion the report only suspects.
    """

    view: View = "PA"
    heart_ratio: float = 0.44
    edema_density: float = 0.0
    effusions: tuple[Effusion, ...] = ()
    pneumothoraces: tuple[Pneumothorax, ...] = ()
    consolidations: tuple[Consolidation, ...] = ()
    atelectasis: tuple[Side, ...] = ()
    devices: tuple[Device, ...] = ()
    hedged: tuple[Side, ...] = ()

    def __post_init__(self) -> None:
        for name, entries in (("effusion", self.effusions), ("pneumothorax", self.pneumothoraces)):
            sides = [entry.side for entry in entries]
            if len(set(sides)) != len(sides):
                raise ValueError(f"two {name} entries of one side: {sides}")
        both = {e.side for e in self.effusions} & {p.side for p in self.pneumothoraces}
        if both:
            raise ValueError(f"effusion and pneumothorax on the {both.pop()} side: no hydropneumothorax is drawn")
        names = [device.name for device in self.devices]
        if len(set(names)) != len(names):
            raise ValueError(f"a device stands twice in {names}")
        if self.view == "LATERAL" and (self.devices or self.pneumothoraces):
            raise ValueError("a lateral film shows neither devices nor a pneumothorax here; draw the PA film")
        for entry in self.effusions:
            word_of(entry.height_mm, EFFUSION_MM)
        for gap in self.pneumothoraces:
            word_of(gap.gap_mm, PNEUMOTHORAX_MM)
        if self.edema_density:
            word_of(self.edema_density, EDEMA_DENSITY)
        word_of(self.heart_ratio, self._heart_bands)
        hidden = [patch for patch in self.consolidations if not self.shows(patch)]
        if hidden:
            raise ValueError(f"{hidden[0]} cannot be seen beside the edema, fluid, air or heart of these facts")
        plates = [side for side in self.atelectasis if not self.shows_plates(side)]
        if plates:
            raise ValueError(f"atelectasis of the {plates[0]} base cannot be seen with these facts")
        unseen = [side for side in self.hedged if self.effusion(side) is None]
        if unseen:
            raise ValueError(f"hedged effusion on the {unseen[0]} side, where none is")

    @property
    def _heart_bands(self) -> dict[str, tuple[float, float]]:
        return HEART_RATIO["AP" if self.view == "AP" else "PA"]

    @property
    def cardiomegaly(self) -> str | None:
        """mild, moderate, severe; None for a heart of normal size."""
        word = word_of(self.heart_ratio, self._heart_bands)
        return None if word == "normal" else word

    @property
    def edema(self) -> str | None:
        return word_of(self.edema_density, EDEMA_DENSITY) if self.edema_density else None

    def effusion(self, side: Side) -> Effusion | None:
        return next((entry for entry in self.effusions if entry.side == side), None)

    def pneumothorax(self, side: Side) -> Pneumothorax | None:
        return next((entry for entry in self.pneumothoraces if entry.side == side), None)

    def shows(self, patch: Consolidation) -> bool:
        """Whether such a consolidation could be told from what else is there."""
        effusion, air = self.effusion(patch.side), self.pneumothorax(patch.side)
        if self.edema or (air is not None and (air.size == "large" or patch.zone == "upper")):
            return False
        free = {None: 3, "small": 3, "moderate": 2, "large": 1}[effusion.size if effusion else None]
        if patch.side == "left" and self.cardiomegaly:
            free = min(free, 1 if self.cardiomegaly == "severe" else 2)  # a large heart lies over the left base
        return ZONES.index(patch.zone) < free

    def shows_plates(self, side: Side) -> bool:
        """Whether plates of atelectasis above the base could be seen."""
        patch = Consolidation(side, "lower")
        return patch not in self.consolidations and self.shows(patch)

    @property
    def is_normal(self) -> bool:
        """Nothing but, perhaps, devices."""
        return not (
            self.cardiomegaly
            or self.edema
            or self.effusions
            or self.pneumothoraces
            or self.consolidations
            or self.atelectasis
        )
