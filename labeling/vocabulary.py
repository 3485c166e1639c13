"""The words labels are made of: enums, and what each device and finding label may say.

Sources: the 19 findings and 10 line-and-tube types are appendix A.7 of "Data scaling laws for radiology foundation
models"; the nine tip locations of a chest tube are that appendix's; the other tip vocabularies follow the tip lists of
Radiopaedia ("Lines and tubes (radiograph)") and the Open Imaging Data finding models.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

NOT_AVAILABLE = "N/A"  # the paper's word for "the report does not say"


class Side(StrEnum):
    """The patient's side, never the image's. "Bilateral" is two entries, left and right."""

    LEFT = "left"
    RIGHT = "right"
    MIDLINE = "midline"
    UNSPECIFIED = "unspecified"


class Assertion(StrEnum):
    POSITIVE = "positive"
    NEGATIVE = "negative"
    UNCERTAIN = "uncertain"


class Mention(StrEnum):
    """Report-level answer for one finding."""

    POSITIVE = "positive"
    NEGATIVE = "negative"
    UNCERTAIN = "uncertain"
    NOT_MENTIONED = "not_mentioned"


class Severity(StrEnum):
    """minimal: trace, tiny. mild: small, slight. moderate. severe: large, extensive, massive, tension."""

    MINIMAL = "minimal"
    MILD = "mild"
    MODERATE = "moderate"
    SEVERE = "severe"
    UNSPECIFIED = "unspecified"


class Comparison(StrEnum):
    NEW = "new"
    WORSE = "worse"
    IMPROVED = "improved"
    UNCHANGED = "unchanged"
    RESOLVED = "resolved"
    UNSPECIFIED = "unspecified"


class FindingType(StrEnum):
    """FINDING is an observation on the film, DISEASE its interpretation."""

    FINDING = "FINDING"
    DISEASE = "DISEASE"


class Finding(StrEnum):
    """The paper's 19 findings, and No Finding."""

    HYPERINFLATION = "hyperinflation"
    INTERSTITIAL_LUNG_DISEASE = "interstitial_lung_disease"
    ATELECTASIS = "atelectasis"
    COSTOPHRENIC_ANGLE_BLUNTING = "costophrenic_angle_blunting"
    PLEURAL_EFFUSION = "pleural_effusion"
    PNEUMOTHORAX = "pneumothorax"
    ADENOPATHY = "adenopathy"
    ENLARGED_PULMONARY_ARTERY = "enlarged_pulmonary_artery"
    ARTERIAL_CALCIFICATION = "arterial_calcification"
    OSSEOUS_ABNORMALITY = "osseous_abnormality"
    RIB_FRACTURE = "rib_fracture"
    BRONCHIAL_WALL_THICKENING = "bronchial_wall_thickening"
    HERNIA = "hernia"
    SUBCUTANEOUS_EMPHYSEMA = "subcutaneous_emphysema"
    OPACITY = "opacity"
    VASCULAR_CONGESTION = "vascular_congestion"
    CARDIOMEGALY = "cardiomegaly"
    DIAPHRAGM_ELEVATION = "diaphragm_elevation"
    PULMONARY_EDEMA = "pulmonary_edema"
    NO_FINDING = "no_finding"


class LabelInfo(NamedTuple):
    """Where a wider label belongs.

    finding: the one of the 19 it rolls up to, or None.
    denial_counts: whether denying the label also denies the finding. "No pneumonia" does not deny an opacity.
    """

    finding_type: FindingType
    finding: Finding | None
    denial_counts: bool = True


_F, _D = FindingType.FINDING, FindingType.DISEASE

# The wider label list and its roll-up to the 19. Names are the wire's and the rows' spelling.
LABELS: dict[str, LabelInfo] = {
    "no_finding": LabelInfo(_F, Finding.NO_FINDING),
    # FINDING
    "hyperinflation": LabelInfo(_F, Finding.HYPERINFLATION),
    "interstitial_opacity": LabelInfo(_F, Finding.INTERSTITIAL_LUNG_DISEASE),
    "atelectasis": LabelInfo(_F, Finding.ATELECTASIS),
    "costophrenic_angle_blunting": LabelInfo(_F, Finding.COSTOPHRENIC_ANGLE_BLUNTING),
    "pleural_effusion": LabelInfo(_F, Finding.PLEURAL_EFFUSION),
    "adenopathy": LabelInfo(_F, Finding.ADENOPATHY),
    "enlarged_pulmonary_artery": LabelInfo(_F, Finding.ENLARGED_PULMONARY_ARTERY),
    "arterial_calcification": LabelInfo(_F, Finding.ARTERIAL_CALCIFICATION),
    "osseous_abnormality": LabelInfo(_F, Finding.OSSEOUS_ABNORMALITY),
    "fracture": LabelInfo(_F, Finding.OSSEOUS_ABNORMALITY, denial_counts=False),
    "rib_fracture": LabelInfo(_F, Finding.RIB_FRACTURE),
    "bronchial_wall_thickening": LabelInfo(_F, Finding.BRONCHIAL_WALL_THICKENING),
    "subcutaneous_emphysema": LabelInfo(_F, Finding.SUBCUTANEOUS_EMPHYSEMA),
    "lung_opacity": LabelInfo(_F, Finding.OPACITY),
    "infiltrate": LabelInfo(_F, Finding.OPACITY),
    "consolidation": LabelInfo(_F, Finding.OPACITY, denial_counts=False),
    "vascular_congestion": LabelInfo(_F, Finding.VASCULAR_CONGESTION),
    "cardiomegaly": LabelInfo(_F, Finding.CARDIOMEGALY),
    "diaphragm_elevation": LabelInfo(_F, Finding.DIAPHRAGM_ELEVATION),
    "enlarged_cardiomediastinum": LabelInfo(_F, None),
    "mediastinal_shift": LabelInfo(_F, None),
    "nodule": LabelInfo(_F, None),
    "mass": LabelInfo(_F, None),
    "cavity": LabelInfo(_F, None),
    "pleural_thickening": LabelInfo(_F, None),
    "scarring": LabelInfo(_F, None),
    "low_lung_volume": LabelInfo(_F, None),
    "tortuous_aorta": LabelInfo(_F, None),
    "valve_prosthesis": LabelInfo(_F, None),
    # DISEASE
    "pneumothorax": LabelInfo(_D, Finding.PNEUMOTHORAX),
    "interstitial_lung_disease": LabelInfo(_D, Finding.INTERSTITIAL_LUNG_DISEASE),
    "pulmonary_fibrosis": LabelInfo(_D, Finding.INTERSTITIAL_LUNG_DISEASE, denial_counts=False),
    "hernia": LabelInfo(_D, Finding.HERNIA),
    "pulmonary_edema": LabelInfo(_D, Finding.PULMONARY_EDEMA),
    "heart_failure": LabelInfo(_D, Finding.PULMONARY_EDEMA, denial_counts=False),
    "pulmonary_venous_hypertension": LabelInfo(_D, Finding.VASCULAR_CONGESTION),
    "pneumonia": LabelInfo(_D, Finding.OPACITY, denial_counts=False),
    "emphysema": LabelInfo(_D, None),
    "copd": LabelInfo(_D, None),
    "bronchiectasis": LabelInfo(_D, None),
    "granulomatous_disease": LabelInfo(_D, None),
    "pneumomediastinum": LabelInfo(_D, None),
    "pneumoperitoneum": LabelInfo(_D, None),
    "pericardial_effusion": LabelInfo(_D, None),
    "aortic_aneurysm": LabelInfo(_D, None),
}
NO_FINDING_LABEL = "no_finding"


class LineTubeType(StrEnum):
    """The paper's ten types; the spelling is also the name of each type's prompt."""

    CHEST_TUBE = "chest_tube"
    ENDOTRACHEAL_TUBE = "endotracheal_tube"
    TRACHEOSTOMY_TUBE = "tracheostomy_tube"
    NASOGASTRIC_TUBE = "nasogastric_tube"
    INTERNAL_JUGULAR_CVC = "internal_jugular_cvc"
    PICC = "picc"
    SUBCLAVIAN_CVC_OR_PORT = "subclavian_cvc_or_port"
    SWAN_GANZ_CATHETER = "swan_ganz_catheter"
    MEDIASTINAL_DRAIN = "mediastinal_drain"
    INTRA_AORTIC_BALLOON_PUMP = "intra_aortic_balloon_pump"


class Status(StrEnum):
    IN_PLACE = "in_place"
    REMOVED = "removed"


class StatedPosition(StrEnum):
    """What the report itself says of the position. SATISFACTORY: "in standard / good position", "in place",
    "stable position". The others are the wordings that make a placement incorrect."""

    NOT_STATED = "not_stated"
    SATISFACTORY = "satisfactory"
    MALPOSITIONED = "malpositioned"
    KINKED = "kinked"
    COILED = "coiled"
    LOOPED = "looped"
    DOUBLED_BACK = "doubled_back"
    TOO_HIGH = "too_high"
    TOO_LOW = "too_low"
    FRACTURED = "fractured"


class Advice(StrEnum):
    """What the report asks to be done about the position."""

    NONE = "none"
    ADVANCE = "advance"
    WITHDRAW = "withdraw"
    REPOSITION = "reposition"


class Pleural(StrEnum):
    """Effusion or pneumothorax on the chest tube's side, when at least moderate or worse than before."""

    NONE = "none"
    MODERATE_OR_LARGER = "moderate_or_larger"
    WORSE = "worse"


class Landmark(StrEnum):
    CARINA = "carina"
    THORACIC_INLET = "thoracic_inlet"
    CLAVICLES = "clavicles"
    AORTIC_ARCH = "aortic_arch"
    LEFT_SUBCLAVIAN_ARTERY = "left_subclavian_artery"
    CAVOATRIAL_JUNCTION = "cavoatrial_junction"
    GE_JUNCTION = "ge_junction"
    HILUM = "hilum"
    MIDLINE = "midline"
    DIAPHRAGM = "diaphragm"
    CHEST_WALL = "chest_wall"


class Direction(StrEnum):
    """Where the tip lies from the landmark. BEYOND: further along the device's course, or past the midline."""

    ABOVE = "above"
    BELOW = "below"
    BEYOND = "beyond"


class Placement(StrEnum):
    CORRECT = "correct"
    INCORRECT = "incorrect"
    UNCLEAR = "unclear"
    NOT_AVAILABLE = NOT_AVAILABLE


class PlacementBand(StrEnum):
    OK = "ok"
    BORDERLINE = "borderline"
    BAD = "bad"


UNCLEAR_TIP = "unclear"  # the tip is spoken of, but fits no place of the list, or was not seen
_END = (UNCLEAR_TIP, NOT_AVAILABLE)
_ANY_SIDE = (Side.LEFT, Side.RIGHT, Side.MIDLINE, Side.UNSPECIFIED)
_LATERAL = (Side.LEFT, Side.RIGHT, Side.UNSPECIFIED)
_AIRWAY = (Side.MIDLINE, Side.UNSPECIFIED)
_VENOUS_TIPS = (
    "svc",  # the superior vena cava, level not given
    "upper_svc",
    "mid_svc",
    "lower_svc",
    "cavoatrial_junction",
    "high_right_atrium",
    "right_atrium",
    "right_ventricle",
    "inferior_vena_cava",
    "brachiocephalic_vein",
    "subclavian_vein",
    "axillary_vein",
    "internal_jugular_vein",
    "azygos_vein",
    "contralateral_vein",
    "arterial",
    "extravascular",
)


class DeviceVocabulary(NamedTuple):
    """What one type may say. `subtypes` matter to placement; "standard" unless the report says otherwise."""

    sides: tuple[Side, ...]
    tips: tuple[str, ...]
    subtypes: tuple[str, ...] = ("standard",)


DEVICES: dict[LineTubeType, DeviceVocabulary] = {
    LineTubeType.CHEST_TUBE: DeviceVocabulary(
        _LATERAL,
        (
            "upper",
            "middle",
            "lower",
            "below_diaphragm",
            "side_port_outside_rib_cage",
            "outside_chest",
            "adjacent_to_mediastinum",
            *_END,
        ),
    ),
    LineTubeType.ENDOTRACHEAL_TUBE: DeviceVocabulary(
        _AIRWAY,
        (
            "thoracic_inlet",  # at or above the thoracic inlet or the clavicles, still in the trachea
            "upper_trachea",
            "mid_trachea",
            "lower_trachea",  # "distal trachea", "just above the carina"
            "above_carina",  # above the carina, level not named, with or without a distance
            "carina",
            "right_main_bronchus",
            "left_main_bronchus",
            "esophagus",
            "pharynx",  # pharynx, larynx, at the vocal cords
            *_END,
        ),
        ("standard", "double_lumen"),
    ),
    LineTubeType.TRACHEOSTOMY_TUBE: DeviceVocabulary(
        _AIRWAY,
        (
            "upper_trachea",
            "mid_trachea",  # "in the trachea", "midline"
            "lower_trachea",
            "above_carina",
            "carina",
            "right_main_bronchus",
            "left_main_bronchus",
            "outside_trachea",
            *_END,
        ),
    ),
    LineTubeType.NASOGASTRIC_TUBE: DeviceVocabulary(
        _ANY_SIDE,
        (
            "stomach",
            "duodenum",
            "jejunum",
            "post_pyloric",
            "below_diaphragm",  # crosses the diaphragm, tip off the image or not seen
            "side_port_beyond_ge_junction",
            "side_port_at_or_above_ge_junction",
            "ge_junction",
            "esophagus",
            "pharynx",
            "airway_or_lung",
            "hiatal_hernia",
            *_END,
        ),
        ("standard", "feeding"),
    ),
    LineTubeType.INTERNAL_JUGULAR_CVC: DeviceVocabulary(
        _LATERAL, (*_VENOUS_TIPS, *_END), ("standard", "dialysis", "introducer_sheath")
    ),
    LineTubeType.PICC: DeviceVocabulary(_LATERAL, (*_VENOUS_TIPS, "arm_vein", *_END)),
    LineTubeType.SUBCLAVIAN_CVC_OR_PORT: DeviceVocabulary(
        _LATERAL, (*_VENOUS_TIPS, *_END), ("standard", "port", "dialysis")
    ),
    LineTubeType.SWAN_GANZ_CATHETER: DeviceVocabulary(
        _LATERAL,
        (
            "pulmonary_artery",  # which one is not said
            "main_pulmonary_artery",
            "right_pulmonary_artery",
            "left_pulmonary_artery",
            "interlobar_artery",
            "distal_pulmonary_artery",  # lobar, segmental, peripheral, "too distal"
            "pulmonary_outflow_tract",
            "right_ventricle",
            "right_atrium",
            "svc",
            "inferior_vena_cava",
            *_END,
        ),
    ),
    LineTubeType.MEDIASTINAL_DRAIN: DeviceVocabulary(
        _ANY_SIDE,
        ("anterior_mediastinum", "posterior_mediastinum", "mediastinum", "pericardium", "outside_mediastinum", *_END),
        ("standard", "pericardial"),
    ),
    LineTubeType.INTRA_AORTIC_BALLOON_PUMP: DeviceVocabulary(
        _LATERAL,
        (
            "proximal_descending_aorta",  # just below the knob or arch
            "aortopulmonary_window",
            "aortic_arch",  # at or above the arch or knob
            "ascending_aorta",
            "subclavian_artery",
            "descending_aorta",  # level not given
            "mid_descending_aorta",  # mid or lower thoracic
            "abdominal_aorta",
            *_END,
        ),
    ),
}

ALL_TIPS: tuple[str, ...] = tuple(dict.fromkeys(tip for device in DEVICES.values() for tip in device.tips))
ALL_SUBTYPES: tuple[str, ...] = tuple(dict.fromkeys(s for device in DEVICES.values() for s in device.subtypes))
