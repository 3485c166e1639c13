"""RadFact's scores from judgments: per-study columns, the figures that follow from them, and what failures leave open.

The definition is that of RadFact (Bannur et al., "MAIRA-2", 2024): precision is the share of the prediction's phrases
that follow from the reference, recall the share of the reference's that follow from the prediction; both are averaged
over studies, each over those where it is defined, and F1 is the harmonic mean of the two averages. Unlike there, a
judgment that failed is neither right nor wrong: it leaves numerator and denominator, and is counted.

Shape letters: N studies, D sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from eval.figures import Columns, Figure, Floats, Group, mean_figure
from eval.radfact.judgments import Outcome, Side, SideJudgments, StudyJudgments
from eval.radfact.wire import UNKNOWN_EVIDENCE
from eval.report.marks import Kind, Mark

METRIC = "radfact"


class Bounds(NamedTuple):
    """What a score lies between, whatever the failed judgments would have been."""

    low: float
    high: float


class FailureCounts(NamedTuple):
    """reports: two a study; judgments: phrases of studies both of whose reports were taken apart."""

    reports: int
    failed_reports: int
    judgments: int
    failed_judgments: int

    @property
    def report_rate(self) -> float:
        return self.failed_reports / self.reports if self.reports else 0.0

    @property
    def judgment_rate(self) -> float:
        return self.failed_judgments / self.judgments if self.judgments else 0.0


def radfact_columns(studies: Sequence[StudyJudgments], compat: Literal["radfact"] | None = None) -> dict[str, Floats]:
    """Give the per-study columns, in the order of the studies.

    `radfact_precision` and `radfact_recall`: NaN where undefined. Per side `..._phrases`, `..._entailed` and
    `..._failed`: NaN where the report could not be taken apart; where only the other could not, all phrases failed.

    Args:
        studies: at least one.
        compat: "radfact" gives the two scores as RadFact 1.0 (commit 72463ac) would from these judgments: a failed one
            counts as not entailed; a study whose report could not be taken apart, or where the judge cited evidence
            that does not exist, has no scores. The counts stay as they are.

    Raises:
        ValueError: there are no studies.
    """
    if not studies:
        raise ValueError("no studies to score")
    columns: dict[str, list[float]] = {}
    for study in studies:
        counts = {side: _counts(judgments) for side, judgments in study.sides}
        scores = [_share(*counts[side], failed_is_wrong=compat == "radfact") for side in Side]
        if compat == "radfact" and _is_dropped(study):
            scores = [np.nan, np.nan]
        row = dict(zip(("radfact_precision", "radfact_recall"), scores, strict=True))
        for side in Side:
            names = (f"radfact_{side}_{what}" for what in ("phrases", "entailed", "failed"))
            row |= dict(zip(names, counts[side], strict=True))
        for name, value in row.items():
            columns.setdefault(name, []).append(value)
    return {name: np.array(values, dtype=np.float64) for name, values in columns.items()}


def radfact_figures(columns: Columns) -> list[Figure]:
    """Logical F1, precision and recall, from the columns `radfact_precision` and `radfact_recall` alone."""
    precision = mean_figure(
        "radfact_logical_precision", "RadFact logical precision", METRIC, columns["radfact_precision"], Group.DETAIL
    )
    recall = mean_figure(
        "radfact_logical_recall", "RadFact logical recall", METRIC, columns["radfact_recall"], Group.DETAIL
    )
    sums_ND = np.column_stack([precision.sums_ND, recall.sums_ND])
    f1 = Figure("radfact_logical_f1", "RadFact logical F1", METRIC, Group.HEADLINE, sums_ND, _f1)
    return [f1, precision, recall]


def failure_bounds(columns: Columns) -> Bounds:
    """Logical F1 when every failed judgment is taken as not entailed, and when as entailed.

    A report that could not be taken apart counts as a study with score 0, and with score 1.
    """
    return Bounds(*(_f1_with_failures_as(columns, value) for value in (0.0, 1.0)))


def count_failures(columns: Columns) -> FailureCounts:
    """How many reports were not taken apart, and how many judgments failed otherwise."""
    unsplit_N2 = np.column_stack([np.isnan(columns[f"radfact_{side}_phrases"]) for side in Side])
    both_N = ~unsplit_N2.any(axis=1)
    judgments, failed = (
        int(sum(columns[f"radfact_{side}_{what}"][both_N].sum() for side in Side)) for what in ("phrases", "failed")
    )
    return FailureCounts(unsplit_N2.size, int(unsplit_N2.sum()), judgments, failed)


def unsupported_marks(study: StudyJudgments) -> list[Mark]:
    """Where the reports of a study disagree: a mark for each sentence with phrases that are not entailed.

    The note lists these phrases; `start` and `end` are the sentence's place in its report's text.
    """
    marks = []
    for side, judgments in study.sides:
        phrases: dict[tuple[int, int], list[str]] = {}
        for phrase, verdict in judgments.phrases:
            if verdict.outcome is Outcome.NOT_ENTAILED:
                phrases.setdefault((phrase.start, phrase.end), []).append(phrase.text)
        kind: Kind = "unsupported" if side is Side.PREDICTION else "missed"
        marks += [Mark(side.value, start, end, kind, " / ".join(texts)) for (start, end), texts in phrases.items()]
    return marks


def _counts(judgments: SideJudgments) -> tuple[float, float, float]:
    if judgments.split_failure is not None:
        return (np.nan, np.nan, np.nan)
    outcomes = [verdict.outcome for _, verdict in judgments.phrases]
    return (len(outcomes), outcomes.count(Outcome.ENTAILED), outcomes.count(Outcome.FAILED))


def _share(phrases: float, entailed: float, failed: float, *, failed_is_wrong: bool) -> float:
    judged = phrases if failed_is_wrong else phrases - failed
    return entailed / judged if judged > 0 else np.nan  # NaN is not above 0 either


def _is_dropped(study: StudyJudgments) -> bool:
    """Whether RadFact leaves the study out: it cannot attach evidence that is not there, nor a missing report."""
    return any(
        judgments.split_failure is not None
        or any(v.failure is not None and v.failure.kind == UNKNOWN_EVIDENCE for _, v in judgments.phrases)
        for _, judgments in study.sides
    )


def _f1_with_failures_as(columns: Columns, value: float) -> float:
    scores = {}
    for side, name in zip(Side, ("radfact_precision", "radfact_recall"), strict=True):
        phrases, entailed, failed = (columns[f"radfact_{side}_{what}"] for what in ("phrases", "entailed", "failed"))
        with np.errstate(invalid="ignore"):
            scores[name] = np.where(np.isnan(phrases), value, (entailed + value * failed) / phrases)
    return radfact_figures(scores)[0].point()


def _f1(sums: Floats) -> Floats:
    """Harmonic mean of sum/count of precision and of recall; 0 when both are 0, where RadFact divides by zero."""
    with np.errstate(divide="ignore", invalid="ignore"):
        precision, recall = sums[..., 0] / sums[..., 1], sums[..., 2] / sums[..., 3]
        total = precision + recall
        return np.where(total == 0, 0.0, 2 * precision * recall / total)
