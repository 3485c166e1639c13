"""One synthetic study: a film, where everything lies in it, its report and labels, all of the same facts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from studies.synthetic.anatomy import Anatomy, draw_anatomy
from studies.synthetic.draw import SETTINGS, Setting, draw_facts, draw_setting, evolve, posed, usual_view
from studies.synthetic.facts import VIEWS, Facts, View
from studies.synthetic.film import TipPoint, render
from studies.synthetic.grid import Array, Mask
from studies.synthetic.labels import label_row
from studies.synthetic.report import write_report


@dataclass(frozen=True)
class SyntheticStudy:
    """A film and everything that is true of it.

    pixels_HW: float32 in [0, 1], air dark and bone bright; the patient's left is the image's right.
    masks: by name, at the film's size: left_lung and right_lung (the whole field, with fluid or air in it, without the
        heart), heart, effusion_SIDE, pneumothorax_SIDE, consolidation_SIDE_ZONE, atelectasis_SIDE, and every device
        (KIND, or KIND_SIDE); on a lateral film lungs, heart and effusion_SIDE.
    tips: by device; carina_px: row and column, None on a lateral film. spacing_mm: of a pixel, in the patient.
    labels: the row that `label-reports` should write of the report (without its evidence).
    prior: what the film before showed; the report then compares.
    """

    patient_id: str
    study_id: str
    seed: int
    setting: Setting
    facts: Facts
    anatomy: Anatomy
    prior: Facts | None
    pixels_HW: Array
    masks: dict[str, Mask]
    tips: dict[str, TipPoint]
    carina_px: tuple[float, float] | None
    spacing_mm: float
    report: str
    labels: dict[str, Any]

    @property
    def view(self) -> View:
        return self.facts.view


def make_study(
    seed: int,
    *,
    size_px: int = 518,
    view: View | None = None,
    setting: Setting | None = None,
    facts: Facts | None = None,
    noise: float = 0.012,
    patient_seed: int | None = None,
    prior: Facts | None = None,
    patient_id: str | None = None,
    study_id: str | None = None,
) -> SyntheticStudy:
    """Make one study; the same arguments give the same study.

    Args:
        seed: of everything that is drawn.
        size_px: side of the square film; the scene does not depend on it.
        view: None draws it from the setting (lateral films only when asked for).
        setting: outpatient, ward or icu: how much disease and which devices; None draws it.
        facts: what the film shall show, instead of drawing it; its own view counts.
        noise: standard deviation of the grain, of a range of 1.
        patient_seed: another film of the patient of this seed; None is the patient of `seed`.
        prior: what this patient's film before showed: the facts develop from it unless given, and the report compares.
        patient_id, study_id: names; by default made of the seeds.

    Raises:
        ValueError: a view, setting, size or noise that there is not, a negative seed, or facts of another view.
    """
    if seed < 0 or (patient_seed is not None and patient_seed < 0):
        raise ValueError(f"seed {seed if seed < 0 else patient_seed} is negative")
    if view is not None and view not in VIEWS:
        raise ValueError(f"view {view!r} is not one of {', '.join(VIEWS)}")
    if setting is not None and setting not in SETTINGS:
        raise ValueError(f"setting {setting!r} is not one of {', '.join(SETTINGS)}")
    person_seed = seed if patient_seed is None else patient_seed
    chance = [np.random.default_rng([seed, stream]) for stream in range(4)]  # facts, pose, film, words
    drawn_setting = draw_setting(np.random.default_rng([person_seed, 11]))
    setting = setting or drawn_setting
    if facts is None:
        if prior is not None:
            if view not in (None, prior.view):
                raise ValueError(f"view {view} after a film of view {prior.view}: only like films are compared")
            facts = evolve(prior, chance[0], setting)
        else:
            facts = draw_facts(chance[0], setting, view or usual_view(setting))
    if view not in (None, facts.view):
        raise ValueError(f"view {view} was asked for, the facts are of view {facts.view}")
    anatomy = posed(draw_anatomy(np.random.default_rng([person_seed, 12])), facts.view, chance[1])
    film = render(facts, anatomy, size_px=size_px, noise=noise, rng=chance[2])
    written = write_report(facts, chance[3], prior)
    name = study_id or f"SYN-S{seed:06d}"
    return SyntheticStudy(
        patient_id=patient_id or f"SYN-P{person_seed:06d}",
        study_id=name,
        seed=seed,
        setting=setting,
        facts=facts,
        anatomy=anatomy,
        prior=prior,
        pixels_HW=film.pixels_HW,
        masks=film.masks,
        tips=film.tips,
        carina_px=film.carina_px,
        spacing_mm=film.spacing_mm,
        report=written.text,
        labels=label_row(name, facts, written, prior),
    )
