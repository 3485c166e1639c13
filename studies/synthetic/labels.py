"""The generator's own labels of a report, in the fields and words of a row that `label-reports` writes."""

from __future__ import annotations

from typing import Any

from studies.synthetic.device_words import removed_devices
from studies.synthetic.devices import KINDS
from studies.synthetic.facts import Device, Facts
from studies.synthetic.report import GRADE, WrittenReport

# label -> which of the 19 findings it belongs to, and whether denying it denies that finding ("No consolidation."
# leaves other opacities open).
FINDING_OF = {
    "atelectasis": ("atelectasis", True),
    "cardiomegaly": ("cardiomegaly", True),
    "consolidation": ("opacity", False),
    "lung_opacity": ("opacity", True),
    "pleural_effusion": ("pleural_effusion", True),
    "pneumothorax": ("pneumothorax", True),
    "pulmonary_edema": ("pulmonary_edema", True),
}
FINDINGS = (
    "hyperinflation", "interstitial_lung_disease", "atelectasis", "costophrenic_angle_blunting", "pleural_effusion",
    "pneumothorax", "adenopathy", "enlarged_pulmonary_artery", "arterial_calcification", "osseous_abnormality",
    "rib_fracture", "bronchial_wall_thickening", "hernia", "subcutaneous_emphysema", "opacity", "vascular_congestion",
    "cardiomegaly", "diaphragm_elevation", "pulmonary_edema",
)  # fmt: skip
_STRONGEST_FIRST = ("positive", "uncertain", "negative")
_WORST_FIRST = ("incorrect", "unclear", "correct", "N/A")


def label_row(report_id: str, facts: Facts, written: WrittenReport, prior: Facts | None) -> dict[str, Any]:
    """What is true of the report, whoever labels it."""
    devices = [_device(device, facts, prior) for device in facts.devices]
    devices += [_removed(device) for device in removed_devices(facts, prior)]
    return {
        "report_id": report_id,
        "findings": [
            {
                "label": said.label,
                "finding": FINDING_OF[said.label][0] if said.label in FINDING_OF else said.label,
                "assertion": said.assertion,
                "side_categorical": said.side,
                "severity": said.severity,
                "comparison": said.comparison,
            }
            for said in written.assertions
        ],
        "finding_labels": _finding_labels(written),
        "lines_and_tubes": devices,
        "line_tube_labels": _line_tube_labels(devices),
    }


def _finding_labels(written: WrittenReport) -> dict[str, str]:
    labels = {}
    for finding in FINDINGS:
        heard = {
            said.assertion
            for said in written.assertions
            if said.label in FINDING_OF
            and FINDING_OF[said.label][0] == finding
            and (said.assertion != "negative" or FINDING_OF[said.label][1])
        }
        labels[finding] = next((word for word in _STRONGEST_FIRST if word in heard), "not_mentioned")
    abnormal = {said.assertion for said in written.assertions if said.label != "no_finding"} - {"negative"}
    labels["no_finding"] = "negative" if "positive" in abnormal else "uncertain" if abnormal else "positive"
    return labels


def placement_of(device: Device, facts: Facts, prior: Facts | None) -> str:
    """The tip's placement; a chest tube beside an effusion or pneumothorax that is moderate or larger, new or grown,
    does not drain it and counts as incorrect (appendix A.7)."""
    if device.kind == "chest_tube":
        now = _collections(facts, device.side)
        then = _collections(prior, device.side) if prior is not None else now
        if any(grade > 1 or grade > then.get(label, 0) for label, grade in now.items()):
            return "incorrect"
    return device.placement


def _collections(facts: Facts, side: str) -> dict[str, int]:
    """Grade, 1 to 3, of what lies in one pleural space."""
    found = [("effusion", e.side, e.size) for e in facts.effusions]
    found += [("pneumothorax", p.side, p.size) for p in facts.pneumothoraces]
    return {label: GRADE[size] for label, of_side, size in found if of_side == side}


def _device(device: Device, facts: Facts, prior: Facts | None) -> dict[str, Any]:
    return {
        "type_categorical": device.kind,
        "side_categorical": device.side,
        "tip_location": device.tip,
        "tip_distance_cm": device.distance_cm,
        "tip_landmark": device.landmark,
        "status": "in_place",
        "placement": placement_of(device, facts, prior),
    }


def _removed(device: Device) -> dict[str, Any]:
    return {
        "type_categorical": device.kind,
        "side_categorical": device.side,
        "tip_location": "N/A",
        "tip_distance_cm": None,
        "tip_landmark": None,
        "status": "removed",
        "placement": "N/A",
    }


def _line_tube_labels(devices: list[dict[str, Any]]) -> dict[str, Any]:
    labels: dict[str, Any] = {}
    for kind in KINDS:
        placements = [d["placement"] for d in devices if d["type_categorical"] == kind and d["status"] == "in_place"]
        worst = min(placements, key=_WORST_FIRST.index, default="N/A")
        labels[kind] = {"count": len(placements), "placement": worst}
    labels["no_tubes"] = not any(d["status"] == "in_place" for d in devices)
    return labels
