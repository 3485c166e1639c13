"""What a place means as the tip of one type of device.

A report may name several places for one tip: the way it takes, the landmark it passes, where it ends. The place said
after "tip" or "terminates" wins, then the last one; a way only counts when nothing better is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from labeling.rules.tip_tables import DIRECTED_TIPS, LANDMARKS, TIPS
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
    table = TIPS.get(device_type)
    return table is not None and (place in table or (device_type, place, "above") in DIRECTED_TIPS)


def tip_of(device_type: str, spot: Spot, insertion_side: str) -> str | None:
    """The tip that a place means for one type; None when the place says nothing of it."""
    if spot.direction:
        key = spot.direction + ("~" if spot.near else "")
        directed = DIRECTED_TIPS.get((device_type, spot.place, key)) or DIRECTED_TIPS.get(
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
    return TIPS[device_type].get(spot.place)


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
    if subtype == "double_lumen" and tip in ("left_main_bronchus", "right_main_bronchus"):
        return False
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
