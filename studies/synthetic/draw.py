"""What a film shows, drawn at random: by setting, from nothing or from what the film before showed."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from studies.synthetic.anatomy import Anatomy
from studies.synthetic.devices import draw_device
from studies.synthetic.facts import (
    EDEMA_DENSITY,
    EFFUSION_MM,
    HEART_RATIO,
    PNEUMOTHORAX_MM,
    SIDES,
    Consolidation,
    Device,
    Effusion,
    Facts,
    Pneumothorax,
    Side,
    View,
    Zone,
)

Setting = Literal["outpatient", "ward", "icu"]
SETTINGS: tuple[Setting, ...] = ("outpatient", "ward", "icu")

# How often a device is there, by setting: this generator's own, to show every kind often enough.
_DEVICE_SHARE: dict[Setting, dict[str, float]] = {
    "outpatient": {"subclavian_cvc_or_port": 0.05, "picc": 0.03},
    "ward": {"picc": 0.20, "subclavian_cvc_or_port": 0.10, "chest_tube": 0.15, "nasogastric_tube": 0.15},
    "icu": {
        "endotracheal_tube": 0.50,
        "tracheostomy_tube": 0.15,
        "nasogastric_tube": 0.55,
        "chest_tube": 0.25,
        "internal_jugular_cvc": 0.40,
        "picc": 0.20,
        "subclavian_cvc_or_port": 0.15,
        "swan_ganz_catheter": 0.12,
        "mediastinal_drain": 0.10,
        "intra_aortic_balloon_pump": 0.10,
    },
}
# Kinds that are not drawn together: both in one trachea, or both in one vein.
_NOT_BOTH = (
    ("endotracheal_tube", "tracheostomy_tube"),
    ("internal_jugular_cvc", "swan_ganz_catheter"),
    ("picc", "subclavian_cvc_or_port"),
)
_SICK_SHARE: dict[Setting, float] = {"outpatient": 0.10, "ward": 0.22, "icu": 0.30}
_VIEW_OF: dict[Setting, View] = {"outpatient": "PA", "ward": "PA", "icu": "AP"}


def draw_setting(rng: np.random.Generator) -> Setting:
    return SETTINGS[int(rng.choice(3, p=[0.35, 0.30, 0.35]))]


def usual_view(setting: Setting) -> View:
    """Outpatients and wards stand for a PA film; in intensive care the film is AP."""
    return _VIEW_OF[setting]


def posed(anatomy: Anatomy, view: View, rng: np.random.Generator) -> Anatomy:
    """The person as this film takes them: an AP film is taken lying, so domes and clavicles stand higher."""
    if view == "AP":
        return replace(anatomy, breath_mm=rng.uniform(10, 20), clavicle_mm=anatomy.clavicle_mm - rng.uniform(6, 12))
    return replace(anatomy, breath_mm=rng.uniform(-3, 5))


def draw_facts(rng: np.random.Generator, setting: Setting, view: View) -> Facts:
    """Everything at random; on a lateral film no devices and no pneumothorax."""
    sick = _SICK_SHARE[setting]
    bands = HEART_RATIO["AP" if view == "AP" else "PA"]
    size = "normal" if rng.random() > sick else ("mild", "moderate", "severe")[int(rng.integers(3))]
    effusions: list[Effusion] = []
    pneumothoraces: list[Pneumothorax] = []
    for side in SIDES:
        drawn = rng.random()
        if drawn < sick * 0.7:
            effusions.append(draw_effusion(rng, side))
        elif drawn > 1 - sick * 0.35 and view != "LATERAL":
            pneumothoraces.append(draw_pneumothorax(rng, side))
    edema = 0.0
    if rng.random() < sick * 0.5:
        edema = _within(rng, EDEMA_DENSITY[("mild", "moderate", "severe")[int(rng.integers(3))]])
    facts = Facts(
        view=view,
        heart_ratio=_within(rng, bands[size]),
        edema_density=edema,
        effusions=tuple(effusions),
        pneumothoraces=tuple(pneumothoraces),
        devices=() if view == "LATERAL" else draw_devices(rng, setting),
        hedged=tuple(e.side for e in effusions if e.size == "small" and rng.random() < 0.12),
    )
    patches: list[Consolidation] = []
    for side in SIDES:
        zone: Zone = ("upper", "middle", "lower")[int(rng.integers(3))]
        if rng.random() < sick * 0.6 and facts.shows(Consolidation(side, zone)):
            patches.append(Consolidation(side, zone))
    facts = replace(facts, consolidations=tuple(patches))
    share = sick * 0.6 if view != "LATERAL" else 0.0
    plates = tuple(side for side in SIDES if rng.random() < share and facts.shows_plates(side))
    return replace(facts, atelectasis=plates)


def draw_effusion(rng: np.random.Generator, side: Side) -> Effusion:
    size = ("small", "moderate", "large")[int(rng.choice(3, p=[0.5, 0.3, 0.2]))]
    return Effusion(side, _within(rng, EFFUSION_MM[size]))


def draw_pneumothorax(rng: np.random.Generator, side: Side) -> Pneumothorax:
    size = ("small", "moderate", "large")[int(rng.choice(3, p=[0.4, 0.35, 0.25]))]
    return Pneumothorax(side, _within(rng, PNEUMOTHORAX_MM[size]))


def draw_devices(rng: np.random.Generator, setting: Setting) -> tuple[Device, ...]:
    kinds = [kind for kind, share in _DEVICE_SHARE[setting].items() if rng.random() < share]
    for first, second in _NOT_BOTH:
        if first in kinds and second in kinds:
            kinds.remove(second)
    return tuple(draw_device(kind, rng) for kind in kinds)


def evolve(before: Facts, rng: np.random.Generator, setting: Setting) -> Facts:
    """What the next film of the same patient shows: collections grow, shrink, come and go; devices are removed."""
    heights = [(e.side, _stepped(e.size, e.height_mm, EFFUSION_MM, rng)) for e in before.effusions]
    effusions = [Effusion(side, height) for side, height in heights if height]
    gaps = [(p.side, _stepped(p.size, p.gap_mm, PNEUMOTHORAX_MM, rng)) for p in before.pneumothoraces]
    air = [Pneumothorax(side, gap) for side, gap in gaps if gap]
    free = [side for side in SIDES if side not in {e.side for e in effusions} | {p.side for p in air}]
    if free and rng.random() < 0.25:
        effusions.append(draw_effusion(rng, free[0]))
    edema = before.edema_density
    if before.edema:
        edema = _stepped(before.edema, edema, EDEMA_DENSITY, rng)
    devices = [device for device in before.devices if rng.random() < 0.7]
    taken = {device.kind for device in before.devices}
    for device in draw_devices(rng, setting):
        barred = {kind for pair in _NOT_BOTH if device.kind in pair for kind in pair} | {device.kind}
        if not barred & taken and rng.random() < 0.4:
            devices.append(device)
            taken.add(device.kind)
    facts = replace(
        before,
        effusions=tuple(effusions),
        pneumothoraces=tuple(air),
        edema_density=edema,
        consolidations=(),
        atelectasis=(),
        devices=tuple(devices),
        hedged=(),
    )
    patches = tuple(p for p in before.consolidations if rng.random() < 0.6 and facts.shows(p))
    facts = replace(facts, consolidations=patches)
    return replace(facts, atelectasis=tuple(side for side in before.atelectasis if facts.shows_plates(side)))


def _stepped(word: str, value: float, bands: dict[str, tuple[float, float]], rng: np.random.Generator) -> float:
    """The same, a size more, a size less (0 below the least)."""
    words = list(bands)
    place = words.index(word) + int(rng.choice([-1, 0, 1], p=[0.35, 0.4, 0.25]))
    if place < 0:
        return 0.0
    if place >= len(words) or words[place] == word:
        return value
    return _within(rng, bands[words[place]])


def _within(rng: np.random.Generator, band: tuple[float, float]) -> float:
    return round(float(rng.uniform(*band)), 3)
