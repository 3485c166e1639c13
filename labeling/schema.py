"""The row `label-reports` writes: validated labels of one report, each with the exact place of its proof.

Others read these rows, so names stay as they are; a change of meaning raises SCHEMA_VERSION. The enums are in
`labeling.vocabulary`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from labeling.vocabulary import (
    DEVICES,
    LABELS,
    NOT_AVAILABLE,
    Advice,
    Assertion,
    Comparison,
    Direction,
    Finding,
    FindingType,
    Landmark,
    LineTubeType,
    Mention,
    Placement,
    PlacementBand,
    Pleural,
    Severity,
    Side,
    StatedPosition,
    Status,
)

SCHEMA_VERSION = "1.0"


class _Row(BaseModel):
    # strict: no silent conversion; a misspelt key is an error
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Span(_Row):
    """Characters start to end (exclusive) of the report as given, counted in Unicode code points."""

    start: Annotated[int, Field(ge=0)]
    end: int

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if self.end <= self.start:
            raise ValueError(f"end {self.end} must be greater than start {self.start}")
        return self


Evidence = Annotated[tuple[Span, ...], Field(min_length=1)]


def _require(owner: str, field: str, value: object, allowed: Iterable[object]) -> None:
    if value not in allowed:
        raise ValueError(f"{owner}: {field} {str(value)!r} is not one of {', '.join(str(a) for a in allowed)}")


class LineTube(_Row):
    """One line or tube.

    type: its words in the report, verbatim; type_categorical: one of the ten.
    side_categorical: the patient's side of insertion.
    tip_location: one of the type's places (`labeling.vocabulary.DEVICES`); "unclear" when described but fitting none,
        "N/A" when not described. tip_distance_cm: centimetres from tip_landmark, in tip_direction when said.
    stated_position, advice, pleural, subtype: the other facts placement rests on.
    placement, placement_band, placement_rule: what the placement table decided and by which rule.
    model_placement: the engine's own opinion; review: why a person should look (opinion and table disagree, ...).
    reference_sentence: the text of the evidence spans, joined by one space. pleural_evidence: the same for `pleural`.
    """

    type: str
    type_categorical: LineTubeType
    side_categorical: Side
    subtype: str
    tip_location: str
    tip_distance_cm: float | None
    tip_landmark: Landmark | None
    tip_direction: Direction | None
    status: Status
    stated_position: StatedPosition
    advice: Advice
    pleural: Pleural
    placement: Placement
    placement_band: PlacementBand | None
    placement_rule: str
    model_placement: Placement | None
    review: tuple[str, ...]
    reference_sentence: str
    evidence: Evidence
    pleural_evidence: tuple[Span, ...]

    @model_validator(mode="after")
    def _possible(self) -> Self:
        device, name = DEVICES[self.type_categorical], self.type_categorical.value
        _require(name, "side_categorical", self.side_categorical, device.sides)
        _require(name, "tip_location", self.tip_location, device.tips)
        _require(name, "subtype", self.subtype, device.subtypes)
        if self.tip_distance_cm is not None and self.tip_landmark is None:
            raise ValueError(f"{name}: tip_distance_cm {self.tip_distance_cm} needs a tip_landmark")
        if self.status is Status.REMOVED and self.placement is not Placement.NOT_AVAILABLE:
            raise ValueError(f"{name}: a removed device has placement {NOT_AVAILABLE}, got {self.placement.value}")
        if (self.placement is Placement.NOT_AVAILABLE) and self.placement_band is not None:
            raise ValueError(
                f"{name}: placement {NOT_AVAILABLE} has no placement_band, got {self.placement_band.value}"
            )
        if (self.pleural is Pleural.NONE) == bool(self.pleural_evidence):
            raise ValueError(f"{name}: pleural {self.pleural.value} with {len(self.pleural_evidence)} pleural_evidence")
        if self.pleural is not Pleural.NONE and self.type_categorical is not LineTubeType.CHEST_TUBE:
            raise ValueError(f"{name}: pleural {self.pleural.value} is for chest_tube only")
        return self


class FindingLabel(_Row):
    """One finding as stated, denied or hedged.

    label: one of the wider list (`labeling.vocabulary.LABELS`); finding: which of the 19 it rolls up to, or null.
    reference_phrase: the text of the evidence spans, joined by one space.
    """

    label: str
    finding: Finding | None
    finding_type: FindingType
    assertion: Assertion
    side_categorical: Side
    severity: Severity
    comparison: Comparison
    reference_phrase: str
    evidence: Evidence

    @model_validator(mode="after")
    def _possible(self) -> Self:
        _require("finding", "label", self.label, LABELS)
        info = LABELS[self.label]
        _require(self.label, "finding", self.finding, (info.finding,))
        _require(self.label, "finding_type", self.finding_type, (info.finding_type,))
        return self


class FindingLabels(_Row):
    """Report-level answer for each of the 19 findings, and no_finding."""

    hyperinflation: Mention
    interstitial_lung_disease: Mention
    atelectasis: Mention
    costophrenic_angle_blunting: Mention
    pleural_effusion: Mention
    pneumothorax: Mention
    adenopathy: Mention
    enlarged_pulmonary_artery: Mention
    arterial_calcification: Mention
    osseous_abnormality: Mention
    rib_fracture: Mention
    bronchial_wall_thickening: Mention
    hernia: Mention
    subcutaneous_emphysema: Mention
    opacity: Mention
    vascular_congestion: Mention
    cardiomegaly: Mention
    diaphragm_elevation: Mention
    pulmonary_edema: Mention
    no_finding: Mention


class LineTubeSummary(_Row):
    """How many are in place, and the worst placement among them (incorrect, unclear, correct, N/A)."""

    count: Annotated[int, Field(ge=0)]
    placement: Placement


class LineTubeLabels(_Row):
    """Report-level summary per type; null where the type was not asked about.

    no_tubes: all ten were asked about and none is in place.
    """

    chest_tube: LineTubeSummary | None
    endotracheal_tube: LineTubeSummary | None
    tracheostomy_tube: LineTubeSummary | None
    nasogastric_tube: LineTubeSummary | None
    internal_jugular_cvc: LineTubeSummary | None
    picc: LineTubeSummary | None
    subclavian_cvc_or_port: LineTubeSummary | None
    swan_ganz_catheter: LineTubeSummary | None
    mediastinal_drain: LineTubeSummary | None
    intra_aortic_balloon_pump: LineTubeSummary | None
    no_tubes: bool | None


class LabelRow(_Row):
    """All labels of one report.

    prompt, prompt_sha256: what was asked, as named on the command line, and its hash; with several prompts the hash of
        their hashes in order, and `prompts` names each version. engine, model: who answered.
    findings and finding_labels are empty and null when findings were not asked about; so are lines_and_tubes and its
        labels: null never means "none".
    placement_sha256: hash of the placement tables that decided.
    """

    report_id: str
    prompt: str
    prompt_sha256: str
    prompts: tuple[str, ...]
    engine: str
    model: str
    schema_version: str
    placement_sha256: str
    lines_and_tubes: tuple[LineTube, ...]
    findings: tuple[FindingLabel, ...]
    finding_labels: FindingLabels | None
    line_tube_labels: LineTubeLabels | None


def row_json_schema() -> dict[str, Any]:
    """The JSON Schema of an output row, for readers in other languages (`python -m labeling schema`)."""
    return LabelRow.model_json_schema()
