"""Facts -> placement, and which rule decided."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from labeling.placement.tables import Distance, PlacementTable
from labeling.vocabulary import (
    NOT_AVAILABLE,
    Advice,
    Direction,
    Landmark,
    Placement,
    PlacementBand,
    Pleural,
    StatedPosition,
    Status,
)


class PositionFacts(Protocol):
    """What a decision needs to know: wire facts and stored rows both have it."""

    @property
    def status(self) -> Status: ...
    @property
    def subtype(self) -> str: ...
    @property
    def stated(self) -> StatedPosition: ...
    @property
    def advice(self) -> Advice: ...
    @property
    def pleural(self) -> Pleural: ...
    @property
    def tip(self) -> str: ...
    @property
    def tip_distance_cm(self) -> float | None: ...
    @property
    def tip_landmark(self) -> Landmark | None: ...
    @property
    def tip_direction(self) -> Direction | None: ...


class Decision(NamedTuple):
    placement: Placement
    band: PlacementBand | None
    rule: str


def decide(facts: PositionFacts, table: PlacementTable) -> Decision:
    """Decide one device's placement; the first rule that applies wins.

    The order is appendix A.7's, read literally: removed; stated malposition; advice; (chest tube) pleural; outside;
    stated good position; distance or tip map; named but unmappable; nothing said. A tip that is bad beats a distance
    that is not, since a distance may be measured from another landmark than the one that matters.
    """
    if facts.status is Status.REMOVED:
        return Decision(Placement.NOT_AVAILABLE, None, "removed")
    if facts.stated not in (StatedPosition.NOT_STATED, StatedPosition.SATISFACTORY):
        for wording in table.wording:
            if facts.stated in wording.stated and facts.tip in wording.tips and facts.advice is Advice.NONE:
                return _banded(wording.band, table, "stated_malposition")
        return Decision(Placement.INCORRECT, PlacementBand.BAD, "stated_malposition")
    if facts.advice is not Advice.NONE:
        return Decision(Placement.INCORRECT, PlacementBand.BAD, "advice")
    if facts.pleural is not Pleural.NONE:
        return Decision(Placement.INCORRECT, PlacementBand.BAD, "pleural")
    if any(facts.tip in row.tips and (not row.subtypes or facts.subtype in row.subtypes) for row in table.outside):
        return Decision(Placement.INCORRECT, PlacementBand.BAD, "outside")
    if facts.stated is StatedPosition.SATISFACTORY:
        return Decision(Placement.CORRECT, PlacementBand.OK, "stated_position")
    tip_band = mapped_band(facts, table)
    distance = _distance_row(facts, table)
    if distance is not None and tip_band is not PlacementBand.BAD:
        return _banded(distance.band, table, "distance_map")
    if tip_band is not None:
        return _banded(tip_band, table, "tip_map")
    if facts.tip != NOT_AVAILABLE or facts.tip_distance_cm is not None:
        return Decision(Placement.UNCLEAR, None, "unmapped_tip")
    return Decision(Placement.NOT_AVAILABLE, None, "not_described")


def mapped_band(facts: PositionFacts, table: PlacementTable) -> PlacementBand | None:
    """The tip map's band, whatever the report's own words say; None when the map has no row for this tip."""
    for row in table.place:
        if facts.tip in row.tips and (not row.subtypes or facts.subtype in row.subtypes):
            return row.band
    return None


def _distance_row(facts: PositionFacts, table: PlacementTable) -> Distance | None:
    if facts.tip_distance_cm is None or facts.tip_landmark is None:
        return None
    direction = facts.tip_direction or table.default_direction.get(facts.tip_landmark)
    for row in table.distance:
        if (
            row.landmark is facts.tip_landmark
            and row.direction is direction
            and (not row.subtypes or facts.subtype in row.subtypes)
            and row.holds(facts.tip_distance_cm)
        ):
            return row
    return None


def _banded(band: PlacementBand, table: PlacementTable, rule: str) -> Decision:
    outside = {
        PlacementBand.OK: Placement.CORRECT,
        PlacementBand.BORDERLINE: Placement(table.borderline),
        PlacementBand.BAD: Placement.INCORRECT,
    }
    return Decision(outside[band], band, rule)
