"""Each metric on the joined studies: per-study columns, the settings that made them, and where a study went wrong.

A measure gives columns only; `eval.figure_sets` turns them into figures. So a score never depends on more than what
stands in `per_study.parquet`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from eval.chexpert import CLASSES, NO_LABELS, Mention, label_columns, zero_support
from eval.figures import Columns
from eval.label_rows import LabelFile, RowSource
from eval.pairs import Study
from eval.placement import excluded_studies, placement_columns
from eval.radfact.judge import Judge, OnProgress
from eval.radfact.judgments import Judgments, ReportPair, StudyJudgments, replay
from eval.radfact.score import Bounds, count_failures, failure_bounds, radfact_columns
from eval.rouge import rouge_l_scores
from labeling.crosswalk import chexpert14
from labeling.runtime.engine import EngineError
from labeling.schema import LabelRow

OnDone = Callable[[int], None]  # studies done so far
OnRow = Callable[[str, LabelRow], None]  # "prediction" or "reference", a row made or read
_CHUNK = 1000  # studies whose label rows are in memory at once
_CODES = {str(word): code for code, word in enumerate(Mention)}


@dataclass
class Measured:
    """What one metric found.

    settings: everything that changes the numbers; two runs may be compared only where these agree.
    notes: what a reader must know; failure_rate: share of texts or judgments that failed, None where none can.
    """

    metric: str
    columns: dict[str, npt.NDArray[Any]]
    settings: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    excluded: int = 0
    failure_rate: float | None = None
    details: dict[str, Any] = field(default_factory=dict)


def measure_rouge(studies: Sequence[Study], *, use_stemmer: bool, on_done: OnDone) -> Measured:
    """ROUGE-L F1, precision and recall of each study."""
    scores = []
    for start in range(0, len(studies), _CHUNK):
        pairs = ((one.prediction, one.reference) for one in islice(studies, start, start + _CHUNK))
        scores += rouge_l_scores(pairs, use_stemmer=use_stemmer)
        on_done(len(scores))
    precision, recall, f1 = np.array(scores, dtype=np.float64).T
    columns = {"rouge_l": f1, "rouge_l_precision": precision, "rouge_l_recall": recall}
    settings = {"use_stemmer": use_stemmer, "tokenizer": "rouge-score", "average": "mean of F1 over studies"}
    return Measured("rouge_l", columns, settings)


def measure_chexbert(
    studies: Sequence[Study],
    checkpoint: str,
    *,
    revision: str | None,
    vocab: Any,
    device: str,
    batch_tokens: int | None,
    on_done: OnDone,
) -> tuple[Measured, npt.NDArray[np.int8]]:
    """Labels of CheXbert for both texts of every study; beside them its codes, (2N, 14), all predictions first.

    Raises:
        OSError, ValueError: the weights or the vocabulary cannot be had or are not CheXbert's.
    """
    from eval.chexbert.labeler import load_chexbert

    labeler = load_chexbert(checkpoint, revision=revision, vocab=vocab, device=device)
    texts = [one.prediction for one in studies] + [one.reference for one in studies]
    codes_NC = labeler.label_texts(texts, batch_tokens=batch_tokens, on_progress=lambda done: on_done(done // 2))
    columns = label_columns(codes_NC[: len(studies)], codes_NC[len(studies) :], "chexbert")
    settings = {
        "labels": "CheXbert",
        "weights_sha256": labeler.weights_sha256,
        "vocabulary_sha256": labeler.vocabulary_sha256,
        "uncertain": "negative (MAIRA-2); figures with uncertain as positive are named so",
        "zero_support": "counts as 0 in the macro",
    }
    return Measured("chexbert", columns, settings, _zero_support_notes(columns, "chexbert")), codes_NC


async def measure_label_rows(
    studies: Sequence[Study],
    prediction_source: RowSource,
    reference_source: RowSource,
    *,
    wanted: Sequence[str],
    by_side: bool,
    on_row: OnRow,
    on_done: OnDone,
) -> list[Measured]:
    """What rests on label-reports: "labels" (CheXpert-14 F1 by the crosswalk) and "incorrect_placement".

    A study that has no row on either side counts in neither.

    Raises:
        ValueError: a row is of other texts, or was not asked what is needed; or no study has rows on both sides.
        EngineError: the same, where the rows were to be made now.
    """
    codes: dict[str, list[npt.NDArray[np.int8]]] = {"prediction": [], "reference": []}
    placements: list[dict[str, npt.NDArray[Any]]] = []
    origins: dict[str, Counter[str]] = {"prediction": Counter(), "reference": Counter()}
    reasons: dict[str, str] = {}
    done = 0
    for start in range(0, len(studies), _CHUNK):
        chunk = studies[start : start + _CHUNK]
        rows: dict[str, dict[str, LabelRow]] = {}
        for side, source in (("prediction", prediction_source), ("reference", reference_source)):
            texts = {one.study_id: one.prediction if side == "prediction" else one.reference for one in chunk}
            rows[side], failures = await source.rows(texts)
            reasons |= {f"{side} {study_id}": reason for study_id, reason in failures.items()}
            for row in rows[side].values():
                on_row(side, row)
                origins[side][f"{row.engine} {row.model}, placement tables {row.placement_sha256[:12]}"] += 1
        whole = [one.study_id for one in chunk if all(one.study_id in side for side in rows.values())]
        if "labels" in wanted:
            for side, found in rows.items():
                codes[side].append(_codes(chunk, whole, found))
        if "incorrect_placement" in wanted:
            ids = [one.study_id for one in chunk]
            placements.append(placement_columns(rows["prediction"], rows["reference"], ids, by_side=by_side))
        done += len(chunk)
        on_done(done)
    failed = len({key.split(" ", 1)[1] for key in reasons})
    if failed == len(studies):
        first, why = next(iter(reasons.items()))
        source = prediction_source if first.startswith("prediction ") else reference_source
        message = f"no study has labels on both sides: {why}"
        raise ValueError(message) if isinstance(source, LabelFile) else EngineError(message)
    settings: dict[str, Any] = {f"{side}_labels": ", ".join(sorted(found)) for side, found in origins.items()}
    notes = _origin_notes(origins)
    if failed:
        first, why = next(iter(reasons.items()))
        notes.append(f"{failed:,} studies without labels are left out, the {first} for one: {why}")
    measured = []
    if "labels" in wanted:
        columns = label_columns(np.concatenate(codes["prediction"]), np.concatenate(codes["reference"]), "labels")
        uncertain = "negative (MAIRA-2); figures with uncertain as positive are named so"
        own = settings | {"labels": "label-reports", "uncertain": uncertain, "zero_support": "counts as 0 in the macro"}
        said = ["CheXpert-14 classes from label-reports, not from CheXbert: not comparable with CheXbert F1"]
        said += notes + _zero_support_notes(columns, "labels")
        measured.append(Measured("labels", columns, own, said, failed, failed / len(studies)))
    if "incorrect_placement" in wanted:
        columns = {name: np.concatenate([part[name] for part in placements]) for name in placements[0]}
        own = settings | {"unit": "study x device type x side" if by_side else "study x device type"}
        excluded = excluded_studies(columns)
        measured.append(Measured("incorrect_placement", columns, own, notes, excluded, excluded / len(studies)))
    return measured


def replayed(judgments: Judgments, studies: Sequence[Study]) -> tuple[list[StudyJudgments], dict[str, Any]]:
    """Stored judgments of these studies, and which judge gave them; nobody is asked.

    Raises:
        ValueError: a study was not judged, or its texts have changed since.
    """
    return replay(judgments, _report_pairs(studies)), judgments.judge


async def judged(
    judge: Judge, studies: Sequence[Study], on_progress: OnProgress
) -> tuple[list[StudyJudgments], dict[str, Any]]:
    """The judge's verdicts on these studies, asked for where they are not kept yet, and which judge it is."""
    return await judge.judge(_report_pairs(studies), on_progress), judge.description


def measure_radfact(found: Sequence[StudyJudgments], judge: Mapping[str, Any], compat: Any) -> Measured:
    """RadFact's scores from judgments; see `eval.radfact.score` for what failures do."""
    columns = radfact_columns(found, compat)
    failures = count_failures(columns)
    bounds: Bounds | None = failure_bounds(columns)
    if bounds is not None and not np.isfinite(bounds).all():  # nobody has a phrase: undefined whatever the judge says
        bounds = None
    rate = max(failures.report_rate, failures.judgment_rate)
    notes = []
    if failures.failed_reports or failures.failed_judgments:
        notes.append(
            f"{failures.failed_reports:,} of {failures.reports:,} reports and {failures.failed_judgments:,} of "
            f"{failures.judgments:,} judgments failed, most of them by: {_commonest_reason(found)}"
        )
        if bounds is not None and not compat:  # the package leaves whole studies out, so these would not hold
            notes.append(
                f"logical F1 lies between {100 * bounds.low:.1f} (all failed ones wrong) and {100 * bounds.high:.1f} "
                "(all right)"
            )
    if compat:
        notes.append("failures treated as the package RadFact does: not entailed, or the study left out (--compat)")
    undefined = np.isnan(columns["radfact_precision"]) & np.isnan(columns["radfact_recall"])
    details = {"failures": failures._asdict(), "logical_f1_bounds": bounds._asdict() if bounds else None}
    settings = {"judge": dict(judge), "failed_judgments": "as RadFact" if compat else "left out, counted"}
    return Measured("radfact", dict(columns), settings, notes, int(undefined.sum()), rate, details)


def _commonest_reason(found: Sequence[StudyJudgments]) -> str:
    reasons: Counter[str] = Counter()
    for study in found:
        for _, side in study.sides:
            failures = [side.split_failure, *(verdict.failure for _, verdict in side.phrases)]
            reasons.update(one.reason for one in failures if one is not None)
    return reasons.most_common(1)[0][0]


def _report_pairs(studies: Sequence[Study]) -> list[ReportPair]:
    return [ReportPair(one.study_id, one.prediction, one.reference) for one in studies]


def _codes(chunk: Sequence[Study], whole: Sequence[str], rows: Mapping[str, LabelRow]) -> npt.NDArray[np.int8]:
    codes_NC = np.full((len(chunk), len(CLASSES)), NO_LABELS, dtype=np.int8)
    there = set(whole)
    for place, study in enumerate(chunk):
        if study.study_id in there:
            codes_NC[place] = [_CODES[word] for word in chexpert14(rows[study.study_id])]
    return codes_NC


def _origin_notes(origins: Mapping[str, Counter[str]]) -> list[str]:
    if origins["prediction"].keys() == origins["reference"].keys():
        return []
    shown = "; ".join(f"{side}: {', '.join(sorted(found))}" for side, found in origins.items())
    return [f"predictions and references were labelled differently ({shown}): differences may be the labeler's"]


def _zero_support_notes(columns: Columns, prefix: str) -> list[str]:
    empty = zero_support(columns, prefix)
    return [f"no positive reference, so 0 in the macro F1: {', '.join(empty)}"] if empty else []
