"""What a report says of lines and tubes: their names, and the place of each tip in several wordings."""

from __future__ import annotations

import numpy as np

from studies.synthetic.facts import Device, Facts

_NAMES = {
    "endotracheal_tube": ("endotracheal tube", "ET tube"),
    "tracheostomy_tube": ("tracheostomy tube", "tracheostomy cannula"),
    "nasogastric_tube": ("nasogastric tube", "enteric tube"),
    "chest_tube": ("{side} chest tube", "{side} pleural drain", "{side}-sided chest tube"),
    "internal_jugular_cvc": (
        "{side} internal jugular central venous catheter",
        "{side} IJ central line",
        "{side} internal jugular line",
    ),
    "picc": ("{side} PICC", "{side}-sided PICC line", "{side} upper extremity PICC"),
    "subclavian_cvc_or_port": ("{side} subclavian central venous catheter", "{side} subclavian line"),
    "swan_ganz_catheter": ("Swan-Ganz catheter", "pulmonary artery catheter"),
    "mediastinal_drain": ("mediastinal drain",),
    "intra_aortic_balloon_pump": ("intra-aortic balloon pump", "IABP"),
}
_ENDS = ("The tip of the {name} is {place}.", "The {name} tip lies {place}.", "{Name} with its tip {place}.")
_VEINS = {
    "upper_svc": ("in the upper SVC", "in the upper superior vena cava"),
    "mid_svc": ("in the mid SVC", "in the mid superior vena cava"),
    "lower_svc": ("in the lower SVC", "in the distal superior vena cava"),
    "cavoatrial_junction": ("at the cavoatrial junction",),
    "right_atrium": ("in the right atrium",),
    "brachiocephalic_vein": ("in the {side} brachiocephalic vein",),
    "internal_jugular_vein": ("in the {side} internal jugular vein, directed cephalad",),
    "axillary_vein": ("in the {side} axillary vein",),
}
_PLACES: dict[str, dict[str, tuple[str, ...]]] = {
    "endotracheal_tube": {
        "above_carina": ("{cm} cm above the carina",),
        "right_main_bronchus": ("in the right main bronchus", "in the right mainstem bronchus"),
    },
    "tracheostomy_tube": {"above_carina": ("{cm} cm above the carina",)},
    "nasogastric_tube": {
        "stomach": ("in the stomach", "in the gastric body", "within the stomach"),
        "esophagus": ("in the mid esophagus", "in the thoracic esophagus"),
        "ge_junction": ("at the gastroesophageal junction",),
    },
    "chest_tube": {
        "upper": ("at the {side} lung apex", "in the upper {side} hemithorax"),
        "middle": ("in the {side} mid hemithorax", "in the mid {side} hemithorax"),
        "lower": ("at the {side} lung base", "in the lower {side} hemithorax"),
        "adjacent_to_mediastinum": ("adjacent to the mediastinum", "abutting the mediastinum"),
    },
    "internal_jugular_cvc": _VEINS,
    "picc": _VEINS,
    "subclavian_cvc_or_port": _VEINS,
    "swan_ganz_catheter": {
        "right_pulmonary_artery": ("in the right pulmonary artery",),
        "main_pulmonary_artery": ("in the main pulmonary artery",),
        "right_ventricle": ("in the right ventricle",),
        "distal_pulmonary_artery": ("in a right lower lobe segmental pulmonary artery",),
    },
    "mediastinal_drain": {"mediastinum": ("in the mediastinum", "projecting over the mediastinum")},
    "intra_aortic_balloon_pump": {
        "proximal_descending_aorta": ("{cm} cm below the aortic knob",),
        "mid_descending_aorta": ("in the mid descending thoracic aorta",),
    },
}
_WHOLE = {  # sentences of their own
    ("nasogastric_tube", "below_diaphragm"): (
        "The {name} courses below the diaphragm with its tip off the image.",
        "The {name} extends below the diaphragm, tip not included on the film.",
    ),
    ("nasogastric_tube", "airway_or_lung"): (
        "The {name} has entered the right main bronchus with its tip in the right lower lobe.",
    ),
    ("chest_tube", "side_port_outside_rib_cage"): (
        "The side port of the {name} projects outside the rib cage.",
        "The side hole of the {name} lies outside the rib cage.",
    ),
}


class Pick:
    """Chooses among wordings."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def one(self, *wordings: str) -> str:
        return wordings[int(self._rng.integers(len(wordings)))]

    def chance(self, share: float) -> bool:
        return bool(self._rng.random() < share)


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def tell_devices(facts: Facts, prior: Facts | None, pick: Pick) -> list[str]:
    """A sentence for each device of the film, and for each that the film before showed and this one does not."""
    said = []
    for device in facts.devices:
        name = pick.one(*_NAMES[device.kind]).format(side=device.side)
        whole = _WHOLE.get((device.kind, device.tip))
        if whole:
            said.append(pick.one(*whole).format(name=name))
            continue
        cm = "" if device.distance_cm is None else f"{device.distance_cm:.1f}"
        place = pick.one(*_PLACES[device.kind][device.tip]).format(side=device.side, cm=cm)
        said.append(pick.one(*_ENDS).format(name=name, Name=capital(name), place=place))
    for device in removed_devices(facts, prior):
        name = _NAMES[device.kind][0].format(side=device.side)
        said.append(pick.one(f"The {name} has been removed.", f"Interval removal of the {name}."))
    return said


def removed_devices(facts: Facts, prior: Facts | None) -> tuple[Device, ...]:
    """What the film before showed and this one does not."""
    here = {device.name for device in facts.devices}
    return tuple(device for device in (prior.devices if prior else ()) if device.name not in here)
