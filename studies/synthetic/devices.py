"""Lines and tubes: where a tip may lie and what that means, and the course that leads there.

Placement follows the project's own tables of appendix A.7 ("Data scaling laws for radiology foundation models") and the
sources given there: an endotracheal tip 3 to 7 cm above the carina is correct, under 2 cm or in a bronchus is not;
venous tips belong in the middle or lower superior vena cava or at the cavoatrial junction; a nasogastric tip in the
stomach; a Swan-Ganz tip in a main pulmonary artery; a balloon pump 1 to 3 cm below the aortic knob.

Shape letters: K control points, 2 (x, y in millimetres).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from studies.synthetic.anatomy import CAVOATRIAL_JUNCTION_MM, KNOB_TOP_MM, SVC_TOP_MM, Anatomy
from studies.synthetic.disease import signed
from studies.synthetic.facts import SIDES, Device, Placement, Side

Course = NDArray[np.float64]
Point = tuple[float, float]


class Tip(NamedTuple):
    """A place of a tip. low, high: the range its position is drawn from: millimetres above the carina (airway), of y
    (veins, oesophagus), below the knob (balloon pump), or a share 0 to 1 of nothing else than looks."""

    tip: str
    placement: Placement
    low: float
    high: float
    landmark: str | None = None  # the report gives the distance from it
    sides: tuple[str, ...] = ()  # of insertion, where only some can lead there


class Kind(NamedTuple):
    """sides: of insertion; width_mm: of the tube; profile: what it adds from edge to edge; tips: where it may end."""

    sides: tuple[str, ...]
    width_mm: float
    profile: tuple[float, ...]
    tips: tuple[Tip, ...]


_MIDLINE, _EITHER = ("unspecified",), ("right", "left")
_VEIN_TIPS = (
    Tip("mid_svc", "correct", -3, 14),
    Tip("lower_svc", "correct", 20, 33),
    Tip("cavoatrial_junction", "correct", CAVOATRIAL_JUNCTION_MM - 2, CAVOATRIAL_JUNCTION_MM + 2),
    Tip("upper_svc", "unclear", SVC_TOP_MM + 6, SVC_TOP_MM + 16),
    Tip("brachiocephalic_vein", "unclear", SVC_TOP_MM - 16, SVC_TOP_MM - 10),
    Tip("right_atrium", "incorrect", 66, 84),
)
_LINE, _TUBE = (1.1, 1.1), (0.35, 0.12, 0.12, 0.95, 0.12, 0.12, 0.35)
KINDS: dict[str, Kind] = {
    "endotracheal_tube": Kind(
        _MIDLINE,
        10.0,
        (0.30, 0.05, 0.0, 0.0, 0.0, 0.9, 0.30),
        (
            Tip("above_carina", "correct", 32, 68, "carina"),
            Tip("above_carina", "unclear", 73, 88, "carina"),
            Tip("above_carina", "unclear", 21, 28, "carina"),
            Tip("above_carina", "incorrect", 5, 17, "carina"),
            Tip("right_main_bronchus", "incorrect", 12, 24),
        ),
    ),
    "tracheostomy_tube": Kind(
        _MIDLINE,
        12.0,
        (0.55, 0.15, 0.05, 0.05, 0.15, 0.55),
        (
            Tip("above_carina", "correct", 32, 58, "carina"),
            Tip("above_carina", "unclear", 9, 17, "carina"),
        ),
    ),
    "nasogastric_tube": Kind(
        _MIDLINE,
        4.5,
        _TUBE,
        (
            Tip("stomach", "correct", 0, 1),
            Tip("below_diaphragm", "unclear", 0, 1),
            Tip("esophagus", "incorrect", 25, 65),
            Tip("ge_junction", "incorrect", 0, 1),
            Tip("airway_or_lung", "incorrect", 0, 1),
        ),
    ),
    "chest_tube": Kind(
        _EITHER,
        8.0,
        (0.30, 0.08, 0.05, 0.05, 0.9, 0.30),
        (
            Tip("upper", "correct", 0, 1),
            Tip("middle", "correct", 0, 1),
            Tip("lower", "correct", 0, 1),
            Tip("adjacent_to_mediastinum", "incorrect", 0, 1),
            Tip("side_port_outside_rib_cage", "incorrect", 0, 1),
        ),
    ),
    "internal_jugular_cvc": Kind(_EITHER, 2.6, _LINE, _VEIN_TIPS),
    "picc": Kind(
        _EITHER,
        1.9,
        _LINE,
        (
            *_VEIN_TIPS,
            Tip("axillary_vein", "incorrect", 0, 1),
            Tip("internal_jugular_vein", "incorrect", -112, -96),
        ),
    ),
    "subclavian_cvc_or_port": Kind(
        _EITHER, 2.6, _LINE, (*_VEIN_TIPS, Tip("internal_jugular_vein", "incorrect", -112, -96))
    ),
    "swan_ganz_catheter": Kind(
        _MIDLINE,
        2.6,
        _LINE,
        (
            Tip("right_pulmonary_artery", "correct", -34, -22),
            Tip("main_pulmonary_artery", "correct", 0, 1),
            Tip("right_ventricle", "incorrect", 0, 1),
            Tip("distal_pulmonary_artery", "incorrect", -88, -70),
        ),
    ),
    "mediastinal_drain": Kind(_MIDLINE, 8.0, (0.3, 0.1, 0.05, 0.05, 0.9, 0.3), (Tip("mediastinum", "unclear", 5, 45),)),
    "intra_aortic_balloon_pump": Kind(
        _MIDLINE,
        1.6,
        (0.25, 0.25),
        (
            Tip("proximal_descending_aorta", "correct", 11, 29, "aortic_arch"),
            Tip("proximal_descending_aorta", "unclear", 33, 47, "aortic_arch"),
            Tip("mid_descending_aorta", "incorrect", 70, 95),
        ),
    ),
}


def draw_device(kind: str, rng: np.random.Generator, *, placement: Placement | None = None) -> Device:
    """A device at random: mostly well placed.

    Args:
        placement: only tips of this placement.

    Raises:
        ValueError: this kind has no such tip, or is none.
    """
    if kind not in KINDS:
        raise ValueError(f"no device {kind!r}; known: {', '.join(KINDS)}")
    entry = KINDS[kind]
    known = tuple(dict.fromkeys(tip.placement for tip in entry.tips))
    if placement is None:
        share = {"correct": 0.65, "unclear": 0.12, "incorrect": 0.23}
        weights = np.array([share[name] for name in known])
        placement = known[int(rng.choice(len(known), p=weights / weights.sum()))]
    tips = [tip for tip in entry.tips if tip.placement == placement]
    if not tips:
        raise ValueError(f"{kind} has no {placement} tip; it has {', '.join(known)}")
    tip = tips[int(rng.integers(len(tips)))]
    sides = tip.sides or entry.sides
    position = round(float(rng.uniform(tip.low, tip.high)))  # whole millimetres: the report's distance is the picture's
    return Device(
        kind=kind,
        side=sides[int(rng.integers(len(sides)))],
        tip=tip.tip,
        placement=tip.placement,
        position_mm=position,
        distance_cm=position / 10 if tip.landmark else None,
        landmark=tip.landmark,
    )


def course(device: Device, anatomy: Anatomy, bottom_mm: float) -> Course:
    """The device's course, from where it enters to its tip (the last point).

    Args:
        bottom_mm: y of the film's lower edge, for what leaves it there.
    """
    return _COURSES[device.kind](device, anatomy, bottom_mm)


def _airway(anatomy: Anatomy, top: float, to: float) -> list[Point]:
    y_K = np.linspace(top, to, 7)
    return list(zip(anatomy.trachea_x(y_K.astype(np.float32)).tolist(), y_K.tolist(), strict=True))


def _endotracheal(device: Device, anatomy: Anatomy, _: float) -> Course:
    if device.tip == "right_main_bronchus":
        reach = device.position_mm / 34
        end = (-17 * anatomy.scale * reach - 4, 34 * anatomy.scale * reach)
        return np.array([*_airway(anatomy, -220, -12), end])
    return np.array(_airway(anatomy, -220, -device.position_mm))


def _tracheostomy(device: Device, anatomy: Anatomy, _: float) -> Course:
    return np.array([(5.0, -118.0), (1.0, -108.0), *_airway(anatomy, -98, -device.position_mm)[1:]])


def _nasogastric(device: Device, anatomy: Anatomy, bottom: float) -> Course:
    down = [(3.0, -220.0), (1.0, -120.0), (0.0, -60.0), (4.0, 0.0)]
    dome = anatomy.dome("left")
    gullet = [*down, (7.0, 45.0), (12.0, dome - 14)]
    if device.tip == "esophagus":
        return np.array([*down, (6.0, device.position_mm)])
    if device.tip == "ge_junction":
        return np.array([*gullet, (17.0, dome + 4)])
    if device.tip == "airway_or_lung":
        s = anatomy.scale
        return np.array([*_airway(anatomy, -220, -10), (-16 * s, 26 * s), (-28 * s, 55 * s), (-46 * s, 80 * s)])
    stomach = [*gullet, (22.0, dome + 14), (42.0, dome + 30)]
    if device.tip == "below_diaphragm":
        return np.array([*stomach, (58.0, dome + 60), (60.0, bottom + 8)])
    return np.array([*stomach, (60.0, dome + 42), (66.0, dome + 56 - 8 * device.position_mm)])


def _chest(device: Device, anatomy: Anatomy, _: float) -> Course:
    side = _side(device)
    sign, half = signed(side), anatomy.half_thorax_mm
    skin = [(half + anatomy.fat_mm + 30, 78.0), (half + anatomy.fat_mm - 6, 68.0)]
    if device.tip == "side_port_outside_rib_cage":
        points = [*skin, (half + 2, 56.0), (half - 16, 44.0)]
    else:
        points = [*skin, (half + 2, 58.0)]
        points += {
            "upper": [(half - 22, 30.0), (half - 32, -20.0), (0.52 * half, anatomy.zone_y("upper", side))],
            "middle": [(half - 26, 40.0), (0.52 * half, anatomy.zone_y("middle", side))],
            "lower": [(half - 26, 62.0), (0.50 * half, anatomy.zone_y("lower", side) + 4)],
            "adjacent_to_mediastinum": [(half - 40, 40.0), (0.45 * half, 8.0), (29.0 * anatomy.scale, -8.0)],
        }[device.tip]
    return np.array(points) * (sign, 1)


def _to_vein(side: Side, start: list[Point], device: Device, anatomy: Anatomy) -> Course:
    """From a neck or shoulder vein of one side through the brachiocephalic vein to the tip."""
    sign, s, tip = signed(side), anatomy.scale, device.position_mm
    x = -21.0 * s  # the superior vena cava's middle
    points = [(sign * px * s, py) for px, py in start]
    if device.tip == "internal_jugular_vein":
        return np.array([*points, (sign * 36.0 * s, -70.0), (sign * 37.0 * s, -84.0), (sign * 38.0 * s, tip)])
    if device.tip == "axillary_vein":
        return np.array(points[:-2])
    if side == "right":
        points += [(-27 * s, -56.0)]
        if device.tip != "brachiocephalic_vein":
            points += [(-23 * s, SVC_TOP_MM - 6)]
    else:
        points += [(30 * s, -58.0)]
        if device.tip == "brachiocephalic_vein":
            return np.array([*points, (14.0 * s - 6, -50.0 + (tip - SVC_TOP_MM + 10) / 2)])
        points += [(4.0 * s, -44.0), (x + 2, SVC_TOP_MM - 3)]
    return np.array([*points, *(((x, tip / 2 + SVC_TOP_MM / 2),) if tip > SVC_TOP_MM + 12 else ()), (x - 1, tip)])


def _jugular(device: Device, anatomy: Anatomy, _: float) -> Course:
    return _to_vein(_side(device), [(46.0, -210.0), (42.0, -150.0), (36.0, -105.0), (31.0, -78.0)], device, anatomy)


def _picc(device: Device, anatomy: Anatomy, _: float) -> Course:
    arm = [(236.0, 90.0), (205.0, 10.0), (176.0, -34.0), (150.0, -56.0), (105.0, -70.0), (60.0, -70.0)]
    return _to_vein(_side(device), arm, device, anatomy)


def _subclavian(device: Device, anatomy: Anatomy, _: float) -> Course:
    return _to_vein(_side(device), [(112.0, -32.0), (104.0, -50.0), (82.0, -68.0), (56.0, -70.0)], device, anatomy)


def _swan_ganz(device: Device, anatomy: Anatomy, _: float) -> Course:
    s = anatomy.scale
    x = -21.0 * s
    points = [(-46 * s, -210.0), (-36 * s, -105.0), (-27 * s, -56.0), (x, -25.0), (x, 20.0), (-20 * s, 62.0)]
    points += [(-6 * s, 84.0), (16 * s, 88.0)]
    if device.tip == "right_ventricle":
        return np.array([*points, (36 * s, 82.0 - 4 * device.position_mm)])
    points += [(36 * s, 70.0), (36 * s, 45.0)]
    if device.tip == "main_pulmonary_artery":
        return np.array([*points, (27 * s, 22.0 - 4 * device.position_mm)])
    points += [(22 * s, 18.0), (4 * s, 10.0), (-16 * s, 15.0)]
    if device.tip == "right_pulmonary_artery":
        return np.array([*points, (device.position_mm * s, 20.0)])
    return np.array([*points, (-42 * s, 30.0), (device.position_mm * s, 52.0)])


def _drain(device: Device, anatomy: Anatomy, bottom: float) -> Course:
    s = anatomy.scale
    return np.array([(14 * s, bottom + 8), (10 * s, 130.0), (4 * s, 80.0), (6 * s, device.position_mm)])


def _balloon_pump(device: Device, anatomy: Anatomy, bottom: float) -> Course:
    s = anatomy.scale
    return np.array([(12 * s, bottom + 8), (16 * s, 120.0), (19 * s, 70.0), (21 * s, KNOB_TOP_MM + device.position_mm)])


def _side(device: Device) -> Side:
    for side in SIDES:
        if device.side == side:
            return side
    raise ValueError(f"{device.kind}: side {device.side!r} is not one of {', '.join(SIDES)}")


_COURSES = {
    "endotracheal_tube": _endotracheal,
    "tracheostomy_tube": _tracheostomy,
    "nasogastric_tube": _nasogastric,
    "chest_tube": _chest,
    "internal_jugular_cvc": _jugular,
    "picc": _picc,
    "subclavian_cvc_or_port": _subclavian,
    "swan_ganz_catheter": _swan_ganz,
    "mediastinal_drain": _drain,
    "intra_aortic_balloon_pump": _balloon_pump,
}
