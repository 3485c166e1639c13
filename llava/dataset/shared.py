"""What is learnt of a patient must not be judged by the same: no patient, and no study, in both of two tables."""

from __future__ import annotations

import logging
from typing import Any

import pyarrow.compute as pc  # type: ignore[import-untyped]

from llava.dataset.table import StudyTable

logger = logging.getLogger(__name__)


def refuse_shared(trained: StudyTable, judged: StudyTable) -> None:
    """Warns of studies without a patient_id, of which it cannot be seen whose they are.

    Raises:
        ValueError: patients or studies are in both.
    """
    both = f"in both {trained.source} and {judged.source}"
    for what, shared in (("patients", patients_in_both(trained, judged)), ("studies", _studies(trained, judged))):
        if shared:
            raise ValueError(
                f"{len(shared):,} {what} are {both}, such as {shared[0]}: what is learnt of one would be judged by the "
                "same; split by patient"
            )
    for table in (trained, judged):
        if unknown := table.column("patient_id").null_count:
            logger.warning(
                "%s: %d of %d studies have no patient_id: whether a patient of theirs is %s cannot be seen",
                table.source,
                unknown,
                len(table),
                both,
            )


def patients_in_both(a: StudyTable, b: StudyTable) -> list[str]:
    """Patients with studies in both tables, sorted; studies without a patient_id are left out."""
    return _common(*(pc.drop_null(pc.unique(table.column("patient_id"))) for table in (a, b)))


def _studies(a: StudyTable, b: StudyTable) -> list[str]:
    return _common(*(table.column("study_id").combine_chunks() for table in (a, b)))


def _common(ours: Any, theirs: Any) -> list[str]:
    return sorted(ours.filter(pc.is_in(ours, value_set=theirs)).to_pylist())
