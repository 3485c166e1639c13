"""The studies with the worst scores, with both texts and what went wrong in them marked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from eval.figures import Columns, Floats
from eval.pairs import Study
from eval.report.marks import Mark
from eval.report.page import StudyView

# per-study scores that a page shows, where they were measured
_SHOWN = ("rouge_l", "radfact_precision", "radfact_recall")


def worst_studies(
    studies: Sequence[Study],
    columns: Columns,
    number: int,
    marks: Callable[[Study], Sequence[Mark]],
) -> list[StudyView]:
    """Up to `number` studies for each metric, worst first; a study may be among the worst of several.

    ROUGE-L and RadFact (mean of precision and recall): lowest first. CheXpert-14: most classes that differ, positive
    or not. Incorrect Placement: most false alarms and misses. A study without fault is not listed.

    Args:
        marks: gives the marks of one study, for both texts.
    """
    views = []
    for metric, badness_N in _badness(columns).items():
        ranked = np.argsort(-badness_N, kind="stable")[:number]
        for place in ranked.tolist():
            if not badness_N[place] > 0:
                break
            study = studies[place]
            scores = {name: _number(columns[name][place]) for name in _SHOWN if name in columns}
            views.append(
                StudyView(
                    study_id=study.study_id,
                    prediction=study.prediction,
                    reference=study.reference,
                    scores=scores,
                    marks=tuple(marks(study)),
                    worst_by=metric,
                )
            )
    return views


def _badness(columns: Columns) -> dict[str, Floats]:
    """Per metric a number per study, 0 for none to be shown."""
    found: dict[str, Floats] = {}
    if "radfact_precision" in columns:
        both_N2 = np.column_stack([columns["radfact_precision"], columns["radfact_recall"]])
        there_N = np.isfinite(both_N2).any(axis=1)
        mean_N = np.nan_to_num(both_N2).sum(axis=1) / np.maximum(np.isfinite(both_N2).sum(axis=1), 1)
        found["radfact_logical_f1"] = np.where(there_N, 1 - mean_N, 0.0)
    if "incorrect_placement_tp_chest_tube" in columns:
        wrong = [
            v for name, v in columns.items() if name.startswith(("incorrect_placement_fp_", "incorrect_placement_fn_"))
        ]
        found["incorrect_placement_f1"] = np.nan_to_num(np.sum(wrong, axis=0))
    for prefix in ("chexbert", "labels"):
        if f"{prefix}_reference_no_finding" in columns:
            found[f"{prefix}_macro_f1_14"] = _classes_apart(columns, prefix)
    if "rouge_l" in columns:
        found["rouge_l"] = 1 - columns["rouge_l"]
    return found


def _classes_apart(columns: Columns, prefix: str) -> Floats:
    apart_N: Floats = np.zeros(len(columns["study_id"]))
    for name, reference_N in columns.items():
        if name.startswith(f"{prefix}_reference_"):
            prediction_N = columns[name.replace("_reference_", "_prediction_", 1)]
            apart_N += _positive(prediction_N) != _positive(reference_N)
    return apart_N


def _positive(words_N: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    return np.array([word == "positive" for word in words_N])


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
