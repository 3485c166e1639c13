"""Synthetic films with masks, tips, reports and labels that agree, for tests, demonstrations and training."""

from studies.synthetic.cohort import make_cohort
from studies.synthetic.facts import Consolidation, Device, Effusion, Facts, Pneumothorax
from studies.synthetic.study import SyntheticStudy, make_study

__all__ = [
    "Consolidation",
    "Device",
    "Effusion",
    "Facts",
    "Pneumothorax",
    "SyntheticStudy",
    "make_cohort",
    "make_study",
]
