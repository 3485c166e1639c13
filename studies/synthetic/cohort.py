"""Patients with several studies each, in order of time; a later report compares with the film before."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from studies.synthetic.facts import Facts
from studies.synthetic.study import SyntheticStudy, make_study


def make_cohort(
    count: int,
    seed: int,
    *,
    studies_per_patient: float = 1.6,
    lateral_share: float = 0.1,
    size_px: int = 518,
    noise: float = 0.012,
) -> Iterator[SyntheticStudy]:
    """Make `count` studies, one at a time, patient after patient; each patient's in order of time.

    Args:
        studies_per_patient: on average, 1 or more; the first has no prior, the others compare with the one before.
        lateral_share: of the patients, who have a single lateral film instead.

    Raises:
        ValueError: count, seed, or a share that there cannot be.
    """
    if count < 1 or seed < 0:
        raise ValueError(f"count {count} must be at least 1 and seed {seed} at least 0")
    if not 1 <= studies_per_patient <= 20:
        raise ValueError(f"studies_per_patient {studies_per_patient} is not in 1 to 20")
    if not 0 <= lateral_share <= 1:
        raise ValueError(f"lateral_share {lateral_share} is not in 0 to 1")
    return _studies(count, seed, studies_per_patient, lateral_share, size_px, noise)


def _studies(
    count: int, seed: int, studies_per_patient: float, lateral_share: float, size_px: int, noise: float
) -> Iterator[SyntheticStudy]:
    made = patient = 0
    while made < count:
        patient += 1
        rng = np.random.default_rng([seed, 21, patient])
        lateral = rng.random() < lateral_share
        length = 1 if lateral else 1 + int(rng.poisson(studies_per_patient - 1))
        patient_seed = int(rng.integers(2**31))
        prior: Facts | None = None
        for _ in range(min(length, count - made)):
            made += 1
            study = make_study(
                int(rng.integers(2**31)),
                size_px=size_px,
                noise=noise,
                view="LATERAL" if lateral else None,
                patient_seed=patient_seed,
                prior=prior,
                patient_id=f"SYN-P{patient:05d}",
                study_id=f"SYN-S{made:06d}",
            )
            prior = study.facts
            yield study
