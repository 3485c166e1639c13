"""What a place means as the tip of one type of device.

A report may name several places for one tip: the way it takes, the landmark it passes, where it ends. The place said
after "tip" or "terminates" wins, then the last one; a way only counts when nothing better is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from labeling.vocabulary import NOT_AVAILABLE, UNCLEAR_TIP
from labeling.vocabulary import LineTubeType as T


class Spot(NamedTuple):
    """A place said of a device.

    side: of the place. how: "tip" (said of the tip), "plain", or "path" (a way: "via", "courses through"). direction:
    "above", "below", "beyond" the place, or "" at it; near: only just so ("just above the carina").
    """

    place: str
    side: str = ""
    how: str = "plain"
    direction: str = ""
    near: bool = False


# place -> landmark of `labeling.vocabulary.Landmark`, from which a distance may be measured
LANDMARKS = {
    "carina": "carina",
    "inlet": "thoracic_inlet",
    "clavicles": "clavicles",
    "arch": "aortic_arch",
    "prox_desc_aorta": "aortic_arch",
    "subclav_a": "left_subclavian_artery",
    "caj": "cavoatrial_junction",
    "gej": "ge_junction",
    "hilum": "hilum",
    "midline": "midline",
    "spine": "midline",
    "diaphragm": "diaphragm",
    "abdomen": "diaphragm",
    "rib_cage": "chest_wall",
    "chest_wall": "chest_wall",
}

_VENOUS = {
    "svc": "svc",
    "upper_svc": "upper_svc",
    "mid_svc": "mid_svc",
    "lower_svc": "lower_svc",
    "caj": "cavoatrial_junction",
    "high_ra": "high_right_atrium",
    "ra": "right_atrium",
    "heart": "right_atrium",
    "rv": "right_ventricle",
    "ivc": "inferior_vena_cava",
    "brachio": "brachiocephalic_vein",
    "subclavian_vein": "subclavian_vein",
    "axillary": "axillary_vein",
    "ij": "internal_jugular_vein",
    "neck": "internal_jugular_vein",
    "azygos": "azygos_vein",
    "artery": "arterial",
    "subclav_a": "arterial",
    "aorta": "arterial",
    "asc_aorta": "arterial",
    "desc_aorta": "arterial",
    "extravascular": "extravascular",
    "pa": "right_ventricle",
    "soft_tissue": "extravascular",
    "chest_wall": "extravascular",
    "pleural_cavity": "extravascular",
}
_PLEURAL = {
    "lung_upper": "upper",
    "clavicles": "upper",
    "lung_mid": "middle",
    "lung_lower": "lower",
    "above_diaphragm": "lower",
    "abdomen": "below_diaphragm",
    "ruq": "below_diaphragm",
    "luq": "below_diaphragm",
    "stomach": "below_diaphragm",
    "chest_wall": "outside_chest",
    "soft_tissue": "outside_chest",
    "axillary": "outside_chest",
    "mediastinum": "adjacent_to_mediastinum",
    "mediastinal_border": "adjacent_to_mediastinum",
    "ant_mediastinum": "adjacent_to_mediastinum",
    "post_mediastinum": "adjacent_to_mediastinum",
    "heart": "adjacent_to_mediastinum",
    "aorta": "adjacent_to_mediastinum",
    "desc_aorta": "adjacent_to_mediastinum",
    "arch": "adjacent_to_mediastinum",
    "esophagus": "adjacent_to_mediastinum",
    "spine": "adjacent_to_mediastinum",
    "midline": "adjacent_to_mediastinum",
    "trachea": "adjacent_to_mediastinum",
    "fissure": UNCLEAR_TIP,
    "hilum": UNCLEAR_TIP,
}
_TABLES: dict[str, dict[str, str]] = {
    T.ENDOTRACHEAL_TUBE: {
        "inlet": "thoracic_inlet",
        "clavicles": "thoracic_inlet",
        "vertebra_1": "thoracic_inlet",
        "neck": "thoracic_inlet",
        "upper_trachea": "upper_trachea",
        "trachea": "mid_trachea",
        "mid_trachea": "mid_trachea",
        "arch": "mid_trachea",
        "vertebra_3": "mid_trachea",
        "lower_trachea": "lower_trachea",
        "vertebra_5": "lower_trachea",
        "carina": "carina",
        "rmb": "right_main_bronchus",
        "lmb": "left_main_bronchus",
        "esophagus": "esophagus",
        "stomach": "esophagus",
        "pharynx": "pharynx",
    },
    T.TRACHEOSTOMY_TUBE: {
        "inlet": "upper_trachea",
        "clavicles": "upper_trachea",
        "vertebra_1": "upper_trachea",
        "upper_trachea": "upper_trachea",
        "trachea": "mid_trachea",
        "midline": "mid_trachea",
        "mid_trachea": "mid_trachea",
        "arch": "mid_trachea",
        "vertebra_3": "mid_trachea",
        "lower_trachea": "lower_trachea",
        "vertebra_5": "lower_trachea",
        "carina": "carina",
        "rmb": "right_main_bronchus",
        "lmb": "left_main_bronchus",
        "soft_tissue": "outside_trachea",
        "neck": "outside_trachea",
        "ant_mediastinum": "outside_trachea",
        "mediastinum": "outside_trachea",
        "esophagus": "outside_trachea",
    },
    T.NASOGASTRIC_TUBE: {
        "stomach": "stomach",
        "luq": "stomach",
        "duodenum": "duodenum",
        "jejunum": "jejunum",
        "post_pyloric": "post_pyloric",
        "abdomen": "below_diaphragm",
        "ruq": "duodenum",
        "gej": "ge_junction",
        "esophagus": "esophagus",
        "above_diaphragm": "esophagus",
        "mediastinum": "esophagus",
        "post_mediastinum": "esophagus",
        "inlet": "esophagus",
        "clavicles": "esophagus",
        "carina": "esophagus",
        "arch": "esophagus",
        "heart": "esophagus",
        "pharynx": "pharynx",
        "neck": "pharynx",
        "trachea": "airway_or_lung",
        "upper_trachea": "airway_or_lung",
        "mid_trachea": "airway_or_lung",
        "lower_trachea": "airway_or_lung",
        "rmb": "airway_or_lung",
        "lmb": "airway_or_lung",
        "bronchus": "airway_or_lung",
        "lung_lower": "airway_or_lung",
        "lung_mid": "airway_or_lung",
        "lung_upper": "airway_or_lung",
        "pleural_space": "airway_or_lung",
        "hernia": "hiatal_hernia",
    },
    T.INTERNAL_JUGULAR_CVC: _VENOUS,
    T.PICC: {**_VENOUS, "arm": "arm_vein"},
    T.SUBCLAVIAN_CVC_OR_PORT: _VENOUS,
    T.SWAN_GANZ_CATHETER: {
        "pa": "pulmonary_artery",
        "main_pa": "main_pulmonary_artery",
        "rpa": "right_pulmonary_artery",
        "lpa": "left_pulmonary_artery",
        "interlobar": "interlobar_artery",
        "distal_pa": "distal_pulmonary_artery",
        "lung_lower": "distal_pulmonary_artery",
        "lung_mid": "distal_pulmonary_artery",
        "lung_upper": "distal_pulmonary_artery",
        "rvot": "pulmonary_outflow_tract",
        "rv": "right_ventricle",
        "ra": "right_atrium",
        "high_ra": "right_atrium",
        "caj": "right_atrium",
        "svc": "svc",
        "upper_svc": "svc",
        "mid_svc": "svc",
        "lower_svc": "svc",
        "ivc": "inferior_vena_cava",
        "hilum": "pulmonary_artery",
        "mediastinum": UNCLEAR_TIP,
    },
    T.CHEST_TUBE: _PLEURAL,
    T.MEDIASTINAL_DRAIN: {
        "ant_mediastinum": "anterior_mediastinum",
        "post_mediastinum": "posterior_mediastinum",
        "mediastinum": "mediastinum",
        "midline": "mediastinum",
        "mediastinal_border": "mediastinum",
        "pericardium": "pericardium",
        "heart": "pericardium",
        "chest_wall": "outside_mediastinum",
        "outside_mediastinum": "outside_mediastinum",
        "soft_tissue": "outside_mediastinum",
        "abdomen": "outside_mediastinum",
        "luq": "outside_mediastinum",
        "ruq": "outside_mediastinum",
        "pleural_space": "outside_mediastinum",
        "lung_lower": "outside_mediastinum",
        "lung_upper": "mediastinum",
    },
    T.INTRA_AORTIC_BALLOON_PUMP: {
        "prox_desc_aorta": "proximal_descending_aorta",
        "ap_window": "aortopulmonary_window",
        "arch": "aortic_arch",
        "asc_aorta": "ascending_aorta",
        "subclav_a": "subclavian_artery",
        "subclavian_vein": "subclavian_artery",
        "desc_aorta": "descending_aorta",
        "aorta": "descending_aorta",
        "mid_desc_aorta": "mid_descending_aorta",
        "vertebra_5": "mid_descending_aorta",
        "vertebra_6": "mid_descending_aorta",
        "abd_aorta": "abdominal_aorta",
        "abdomen": "abdominal_aorta",
        "carina": UNCLEAR_TIP,
    },
}
# "above the carina": (type, place, direction) -> tip; "near" is direction + "~"
_DIRECTED: dict[tuple[str, str, str], str] = {
    (T.ENDOTRACHEAL_TUBE, "carina", "above"): "above_carina",
    (T.ENDOTRACHEAL_TUBE, "carina", "above~"): "lower_trachea",
    (T.ENDOTRACHEAL_TUBE, "carina", "below"): "right_main_bronchus",
    (T.ENDOTRACHEAL_TUBE, "carina", "beyond"): "right_main_bronchus",
    (T.ENDOTRACHEAL_TUBE, "clavicles", "below"): "upper_trachea",
    (T.ENDOTRACHEAL_TUBE, "inlet", "below"): "upper_trachea",
    (T.ENDOTRACHEAL_TUBE, "arch", "above"): "upper_trachea",
    (T.ENDOTRACHEAL_TUBE, "arch", "below"): "lower_trachea",
    (T.TRACHEOSTOMY_TUBE, "carina", "above"): "above_carina",
    (T.TRACHEOSTOMY_TUBE, "carina", "above~"): "lower_trachea",
    (T.TRACHEOSTOMY_TUBE, "carina", "below"): "right_main_bronchus",
    (T.TRACHEOSTOMY_TUBE, "carina", "beyond"): "right_main_bronchus",
    (T.NASOGASTRIC_TUBE, "gej", "above"): "esophagus",
    (T.NASOGASTRIC_TUBE, "gej", "below"): "stomach",
    (T.NASOGASTRIC_TUBE, "gej", "beyond"): "stomach",
    (T.NASOGASTRIC_TUBE, "diaphragm", "above"): "esophagus",
    (T.NASOGASTRIC_TUBE, "diaphragm", "below"): "below_diaphragm",
    (T.NASOGASTRIC_TUBE, "diaphragm", "beyond"): "below_diaphragm",
    (T.NASOGASTRIC_TUBE, "gej", "beyond~"): "stomach",
    (T.NASOGASTRIC_TUBE, "stomach", "beyond"): "post_pyloric",
    (T.SWAN_GANZ_CATHETER, "hilum", "beyond"): "distal_pulmonary_artery",
    (T.INTRA_AORTIC_BALLOON_PUMP, "arch", "below"): "descending_aorta",
    (T.INTRA_AORTIC_BALLOON_PUMP, "arch", "below~"): "proximal_descending_aorta",
    (T.INTRA_AORTIC_BALLOON_PUMP, "arch", "beyond"): "descending_aorta",
    (T.INTRA_AORTIC_BALLOON_PUMP, "arch", "beyond~"): "proximal_descending_aorta",
    (T.INTRA_AORTIC_BALLOON_PUMP, "subclav_a", "below"): "proximal_descending_aorta",
    (T.INTRA_AORTIC_BALLOON_PUMP, "subclav_a", "beyond"): "proximal_descending_aorta",
    (T.CHEST_TUBE, "diaphragm", "below"): "below_diaphragm",
    (T.CHEST_TUBE, "diaphragm", "above"): "lower",
}
for _venous in (T.INTERNAL_JUGULAR_CVC, T.PICC, T.SUBCLAVIAN_CVC_OR_PORT):
    _DIRECTED[_venous, "caj", "above"] = "lower_svc"
    _DIRECTED[_venous, "caj", "below"] = "right_atrium"
    _DIRECTED[_venous, "caj", "below~"] = "high_right_atrium"
    _DIRECTED[_venous, "caj", "beyond"] = "right_atrium"
    _DIRECTED[_venous, "caj", "beyond~"] = "high_right_atrium"
_CROSSING = frozenset(("brachio", "subclavian_vein", "axillary", "ij"))
_VENOUS_TYPES = frozenset((T.INTERNAL_JUGULAR_CVC, T.PICC, T.SUBCLAVIAN_CVC_OR_PORT))
# Tips that say less than another of the same kind; they never replace it.
_VAGUE = frozenset(
    (
        "svc",
        "below_diaphragm",
        "above_carina",
        "pulmonary_artery",
        "descending_aorta",
        "mediastinum",
        "side_port_beyond_ge_junction",
        UNCLEAR_TIP,
        NOT_AVAILABLE,
    )
)
_BAD = frozenset(
    "right_main_bronchus left_main_bronchus esophagus pharynx carina outside_trachea ge_junction airway_or_lung"
    " side_port_at_or_above_ge_junction right_ventricle inferior_vena_cava subclavian_vein axillary_vein"
    " internal_jugular_vein azygos_vein contralateral_vein arterial extravascular arm_vein distal_pulmonary_artery"
    " pulmonary_outflow_tract side_port_outside_rib_cage outside_chest below_diaphragm_tube adjacent_to_mediastinum"
    " outside_mediastinum aortic_arch ascending_aorta subclavian_artery abdominal_aorta mid_descending_aorta".split()
)


def fits(device_type: str, place: str) -> bool:
    """Whether the place can be where this type's tip lies."""
    table = _TABLES.get(device_type)
    return table is not None and (place in table or (device_type, place, "above") in _DIRECTED)


def tip_of(device_type: str, spot: Spot, insertion_side: str) -> str | None:
    """The tip that a place means for one type; None when the place says nothing of it."""
    if spot.direction:
        key = spot.direction + ("~" if spot.near else "")
        directed = _DIRECTED.get((device_type, spot.place, key)) or _DIRECTED.get(
            (device_type, spot.place, spot.direction)
        )
        if directed is not None:
            return directed
        if spot.place in LANDMARKS and device_type in _VENOUS_TYPES:
            return None
    if device_type in _VENOUS_TYPES and spot.side == "opposite":
        return "contralateral_vein"
    if device_type in _VENOUS_TYPES and spot.place in _CROSSING and {spot.side, insertion_side} == {"left", "right"}:
        # a line from the left has to pass the left brachiocephalic vein and joins the right one only at the cava
        return "contralateral_vein"
    if device_type == T.SWAN_GANZ_CATHETER and spot.place == "hilum" and spot.side in ("left", "right"):
        return f"{spot.side}_pulmonary_artery"
    return _TABLES[device_type].get(spot.place)


def best_tip(device_type: str, spots: Iterable[Spot], insertion_side: str) -> str:
    """The tip among the places said of one device; N/A when none is one."""
    chosen: dict[str, str] = {}
    for spot in spots:
        tip = tip_of(device_type, spot, insertion_side)
        if tip is None:
            continue
        before = chosen.get(spot.how)
        if before is None or tip not in _VAGUE or before in _VAGUE:
            chosen[spot.how] = tip
    for how in ("tip", "plain", "path"):
        if how in chosen:
            return chosen[how]
    return NOT_AVAILABLE


def later_tip(before: str, after: str) -> str:
    """The tip of two statements about one device, the second made later in the report."""
    if (before, after) == ("below_diaphragm", "side_port_beyond_ge_junction"):
        return after
    if after == NOT_AVAILABLE or (after in _VAGUE and before not in (NOT_AVAILABLE, UNCLEAR_TIP)):
        return before
    return after


def is_bad(tip: str, subtype: str) -> bool:
    """Whether this tip alone makes a placement wrong, so that a mere "unchanged" is no praise."""
    if tip == "right_atrium":
        return subtype != "dialysis"
    if subtype == "introducer_sheath" and tip == "internal_jugular_vein":
        return False
    return tip in _BAD


def side_port_tip(spots: Sequence[Spot]) -> str:
    """What the side port's place says of an enteric tube."""
    tip = NOT_AVAILABLE
    for spot in spots:
        if spot.place in ("gej", "diaphragm", "abdomen"):
            beyond = spot.direction in ("below", "beyond") or spot.place == "abdomen"
            tip = "side_port_beyond_ge_junction" if beyond else "side_port_at_or_above_ge_junction"
        elif spot.place in ("esophagus", "pharynx", "carina", "mediastinum", "hernia", "above_diaphragm"):
            tip = "side_port_at_or_above_ge_junction"
        elif spot.place in ("stomach", "duodenum", "luq", "post_pyloric"):
            tip = "side_port_beyond_ge_junction"
    return tip


_MEASURED: dict[str, frozenset[str]] = {
    T.ENDOTRACHEAL_TUBE: frozenset(("carina", "thoracic_inlet", "clavicles", "aortic_arch")),
    T.TRACHEOSTOMY_TUBE: frozenset(("carina", "thoracic_inlet", "clavicles", "aortic_arch")),
    T.NASOGASTRIC_TUBE: frozenset(("ge_junction", "diaphragm")),
    T.INTERNAL_JUGULAR_CVC: frozenset(("cavoatrial_junction", "carina")),
    T.PICC: frozenset(("cavoatrial_junction", "carina")),
    T.SUBCLAVIAN_CVC_OR_PORT: frozenset(("cavoatrial_junction", "carina")),
    T.SWAN_GANZ_CATHETER: frozenset(("hilum", "midline")),
    T.INTRA_AORTIC_BALLOON_PUMP: frozenset(("aortic_arch", "left_subclavian_artery", "carina")),
    T.CHEST_TUBE: frozenset(("diaphragm", "chest_wall")),
    T.MEDIASTINAL_DRAIN: frozenset(("diaphragm",)),
}


def measured_from(device_type: str, landmark: str) -> bool:
    """Whether a distance from this landmark can be one of this type's tip."""
    return landmark in _MEASURED.get(device_type, ())


def distance_tip(device_type: str, cm: float, landmark: str, direction: str | None) -> str:
    """The place that a distance alone gives: "4 cm above the carina" is in the trachea, above the carina."""
    if not measured_from(device_type, landmark):
        return NOT_AVAILABLE
    below = direction in ("below", "beyond")
    if device_type in (T.ENDOTRACHEAL_TUBE, T.TRACHEOSTOMY_TUBE):
        if landmark == "carina":
            return "right_main_bronchus" if below else "above_carina"
        if device_type == T.TRACHEOSTOMY_TUBE:
            return "upper_trachea"
        return "upper_trachea" if direction == "below" else "thoracic_inlet"
    if device_type == T.NASOGASTRIC_TUBE:
        if landmark == "ge_junction":
            return "esophagus" if direction == "above" else "stomach"
        return "esophagus" if direction == "above" else "below_diaphragm"
    if device_type == T.INTRA_AORTIC_BALLOON_PUMP:
        if landmark == "carina":
            return "descending_aorta"
        if direction == "above":
            return "aortic_arch"
        return "proximal_descending_aorta" if cm <= 5 else "mid_descending_aorta"
    if device_type == T.SWAN_GANZ_CATHETER:
        if landmark == "hilum":
            return "distal_pulmonary_artery" if cm > 2 else "pulmonary_artery"
        return "pulmonary_artery"
    return UNCLEAR_TIP
