"""Synthetic studies as rows for report generation: films, what was asked, the study before, the findings to write."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from studies.records import GenerationStudy
from studies.synthetic.draw import Setting
from studies.synthetic.facts import Facts
from studies.synthetic.film import render
from studies.synthetic.study import SyntheticStudy

# Reasons to take a film, by setting, drawn without a look at what it shows: none gives a finding away.
_INDICATIONS: dict[Setting, tuple[str, ...]] = {
    "outpatient": ("Cough.", "Preoperative film.", "Routine follow-up.", "Weight loss.", "Chest pain on exertion."),
    "ward": ("Shortness of breath.", "Fever.", "Chest pain.", "Follow-up.", "New oxygen requirement."),
    "icu": ("Daily film.", "Desaturation.", "Lines and tubes.", "Interval change.", "Fever, ventilated."),
}
_TECHNIQUES = {
    ("PA", False): "PA view of the chest.",
    ("PA", True): "PA and lateral views of the chest.",
    ("AP", False): "Portable AP view of the chest.",
    ("LATERAL", False): "Lateral view of the chest.",
}
_INDICATION_STREAM, _LATERAL_STREAM = 4, 5  # of a study's seed; `make_study` draws from 0 to 3


def generation_row(
    study: SyntheticStudy, image: str, lateral: str | None, before: tuple[GenerationStudy, str] | None
) -> GenerationStudy:
    """The row of one study.

    Args:
        image: path of its film; lateral: of a second film, where there is one.
        before: the row and the report of the patient's study before, which this one's report compares with.
    """
    _, _, body = study.report.partition("FINDINGS: ")
    findings, _, _ = body.partition("\n\nIMPRESSION: ")
    rng = np.random.default_rng([study.seed, _INDICATION_STREAM])
    reasons = _INDICATIONS[study.setting]
    frontal = study.view != "LATERAL"
    row_before, report_before = before or (None, None)
    return GenerationStudy(
        study_id=study.study_id,
        patient_id=study.patient_id,
        frontal=image if frontal else None,
        lateral=lateral if frontal else image,
        prior_frontal=row_before.frontal if row_before else None,
        frontal_view=study.view if frontal else None,
        indication=reasons[int(rng.integers(len(reasons)))],
        technique=_TECHNIQUES[study.view, lateral is not None],
        comparison="Prior radiograph." if row_before else None,
        prior_report=report_before,
        findings=findings,
    )


def lateral_facts(facts: Facts) -> Facts | None:
    """The same facts for a lateral film of a standing patient; None where that film would not show all of them.

    It shows no devices, no pneumothorax and no plates of atelectasis here (`studies.synthetic.lateral`), and a patient
    who cannot stand has none.
    """
    if facts.view != "PA" or facts.devices or facts.pneumothoraces or facts.atelectasis:
        return None
    return replace(facts, view="LATERAL")


def lateral_film(study: SyntheticStudy, share: float, *, noise: float) -> SyntheticStudy | None:
    """The second film of a study, of the same person and facts, or None.

    Args:
        share: of the studies that can have one; drawn from the study's seed, and nothing else of the study changes.
    """
    facts = lateral_facts(study.facts)
    rng = np.random.default_rng([study.seed, _LATERAL_STREAM])
    if facts is None or rng.random() >= share:
        return None
    film = render(facts, study.anatomy, size_px=len(study.pixels_HW), noise=noise, rng=rng)
    return replace(
        study,
        facts=facts,
        pixels_HW=film.pixels_HW,
        masks=film.masks,
        tips=film.tips,
        carina_px=film.carina_px,
        spacing_mm=film.spacing_mm,
    )
