"""A label row as the 14 classes of CheXpert, in CheXbert's words and order.

The classes and what belongs to them follow the CheXpert labeler (Irvin et al., AAAI 2019; the mention lists and the
aggregation of github.com/stanfordmlgroup/chexpert-labeler). What differs from it, and why:

- A denial counts for a class only where it denies all of the class: "no scarring" leaves Lung Opacity blank, where
  CheXpert makes it negative. "Lungs are clear" denies Lung Opacity here and says nothing there.
- Pulmonary fibrosis is a Lung Opacity, as interstitial disease is; CheXpert's list puts the word "fibrosis" under
  Pleural Other. Of scars, CheXpert parts pleural from pulmonary ones; the label `scarring` does not, so all are Lung
  Opacity.
- "No new X" denies X, as rows read it; CheXpert makes it uncertain.
- No Finding needs that something was said: a text that says nothing is blank, CheXpert calls it No Finding.

Support Devices is a lower bound. A row knows ten types of lines and tubes, and prosthetic valves. CheXpert's list also
holds pacemakers and defibrillators, hardware, plates, screws, coils and markers, joint replacements, cannulas, and any
"device", "tube", "catheter", "drain" or "line" that is none of the ten; sternotomy wires and clips stand on no list,
but a labeler that learned from readers may count them. A report with nothing but those is blank here. For No Finding,
CheXpert also lists abnormal words that no label stands for (aspiration, contusion, asthma, hemorrhage, bullets): such
a report may be No Finding here.
"""

from __future__ import annotations

from enum import Enum

from labeling.schema import LabelRow
from labeling.vocabulary import Assertion, Mention, Status

CHEXPERT_14 = (
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
    "No Finding",
)
_SUPPORT_DEVICES, _NO_FINDING = "Support Devices", "No Finding"
_BLANK, _POSITIVE, _NEGATIVE, _UNCERTAIN = "blank", "positive", "negative", "uncertain"
_STRONGEST_FIRST = (_POSITIVE, _UNCERTAIN, _NEGATIVE)


class _As(Enum):
    """What an entry of a label says of a class. WHOLE: what it says itself. KIND: the same, but it is one kind or sign
    of the class, so that denying it leaves the class open. HINT: stated or hedged, it makes the class uncertain."""

    WHOLE = "whole"
    KIND = "kind"
    HINT = "hint"


# class -> label -> how it counts; "list" is CheXpert's list of mentions of that class. A label that stands nowhere is
# of no class: an abnormality (hernia, hyperinflation, granuloma, tortuous aorta, ...) takes No Finding away all the
# same. Blunted costophrenic angles are such: CheXpert lists "blunt" under No Finding, not under Pleural Effusion.
LABELS_OF_CLASS: dict[str, dict[str, _As]] = {
    "Enlarged Cardiomediastinum": {
        "enlarged_cardiomediastinum": _As.WHOLE,  # list: mediastinum, cardiomediastinum, contours
    },
    "Cardiomegaly": {
        "cardiomegaly": _As.WHOLE,  # list: cardiomegaly, heart size, cardiac silhouette
        "heart_failure": _As.HINT,  # aggregation: stated or hedged heart failure adds an uncertain Cardiomegaly
    },
    "Lung Opacity": {
        "lung_opacity": _As.WHOLE,  # list: opacities, airspace disease, increased density
        "infiltrate": _As.WHOLE,  # list: infiltrate; its denial denies opacity among the 19 findings as well
        "interstitial_opacity": _As.KIND,  # list: interstitial markings or pattern, reticulation
        "interstitial_lung_disease": _As.KIND,  # list: interstitial lung
        "pulmonary_fibrosis": _As.KIND,  # ours: see the module's words
        "scarring": _As.KIND,  # list: scar, parenchymal scarring
        "bronchial_wall_thickening": _As.KIND,  # list: peribronchial and wall thickening
    },
    "Lung Lesion": {
        "nodule": _As.WHOLE,  # list: nodule, nodular opacity or density
        "mass": _As.WHOLE,  # list: mass, tumor, carcinoma; either denial denies lesions, as one that is there is stated
        "cavity": _As.KIND,  # list: cavitary lesion
    },
    "Edema": {
        "pulmonary_edema": _As.WHOLE,  # list: edema
        "vascular_congestion": _As.KIND,  # list: vascular or pulmonary congestion, vascular prominence, indistinctness
        "pulmonary_venous_hypertension": _As.KIND,  # ours: engorgement, the same finding as congestion among the 19
        "heart_failure": _As.KIND,  # list: heart failure, CHF
    },
    "Consolidation": {
        "consolidation": _As.WHOLE,  # list: consolidation; it is no mention of Lung Opacity
    },
    "Pneumonia": {
        "pneumonia": _As.WHOLE,  # list: pneumonia, infection
    },
    "Atelectasis": {
        "atelectasis": _As.WHOLE,  # list: atelectasis, collapse
    },
    "Pneumothorax": {
        "pneumothorax": _As.WHOLE,  # list: pneumothorax
    },
    "Pleural Effusion": {
        "pleural_effusion": _As.WHOLE,  # list: effusion (not pericardial), pleural fluid
    },
    "Pleural Other": {
        "pleural_thickening": _As.WHOLE,  # list: pleural thickening, fibrothorax
    },
    "Fracture": {
        "fracture": _As.WHOLE,  # list: fracture
        "rib_fracture": _As.KIND,  # list: fracture; without one of a rib another bone may still be broken
    },
    _SUPPORT_DEVICES: {
        "valve_prosthesis": _As.KIND,  # list: valve; lines and tubes are added from the row's own list
    },
}
_BY_LABEL: dict[str, list[tuple[str, _As]]] = {}
for _name, _labels in LABELS_OF_CLASS.items():
    for _label, _how in _labels.items():
        _BY_LABEL.setdefault(_label, []).append((_name, _how))


def chexpert14(row: LabelRow) -> tuple[str, ...]:
    """Give "blank", "positive", "negative" or "uncertain" for each of `CHEXPERT_14`, in that order.

    Over the entries of a row positive beats uncertain beats negative. Support Devices is positive when a device is in
    place, negative when all that are named were removed. No Finding is "positive" or "blank", as CheXbert's head has
    no more: positive when something was said, a device even, and nothing abnormal, stated or hedged.

    Raises:
        ValueError: the row was not asked for the findings and all ten lines and tubes, so that blank could not be told
            from "not asked".
    """
    if row.finding_labels is None or row.line_tube_labels is None or row.line_tube_labels.no_tubes is None:
        raise ValueError(
            f"report {row.report_id!r} was labelled with prompt {row.prompt!r}; the CheXpert classes need the findings "
            "and all lines and tubes: label with prompt 'all'"
        )
    said: dict[str, set[str]] = {name: set() for name in CHEXPERT_14}
    for entry in row.findings:
        for name, how in _BY_LABEL.get(entry.label, ()):
            if how is _As.WHOLE or entry.assertion is not Assertion.NEGATIVE:
                said[name].add(_UNCERTAIN if how is _As.HINT else entry.assertion.value)
    for device in row.lines_and_tubes:
        said[_SUPPORT_DEVICES].add(_POSITIVE if device.status is Status.IN_PLACE else _NEGATIVE)
    abnormal = row.finding_labels.no_finding in (Mention.NEGATIVE, Mention.UNCERTAIN)
    if (row.findings or row.lines_and_tubes) and not abnormal:
        said[_NO_FINDING].add(_POSITIVE)
    return tuple(next((word for word in _STRONGEST_FIRST if word in said[name]), _BLANK) for name in CHEXPERT_14)
