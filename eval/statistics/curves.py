"""Area under the precision-recall and the ROC curve of scores for a yes/no label, with ties and weights exact.

Samples with one score share one threshold, as in scikit-learn. A weight is a number of copies: weight 0 means the
sample is not there, and bootstrap counts give the same number as the resampled arrays.

Shape letters: N samples, T distinct scores, from the highest down.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


def check_binary(labels_N: npt.ArrayLike, scores_N: npt.ArrayLike) -> tuple[Bools, Floats]:
    """The labels as bool and the scores as float64, both (N,).

    Raises:
        ValueError: not one-dimensional, empty, of unequal lengths, labels other than 0 and 1, scores that are NaN or
            infinite, or one class only: no curve is defined there.
    """
    labels, scores = np.asarray(labels_N), np.asarray(scores_N, dtype=np.float64)
    if labels.ndim != 1 or scores.ndim != 1:
        raise ValueError(f"labels and scores must have one axis, got shapes {labels.shape} and {scores.shape}")
    if labels.size != scores.size:
        raise ValueError(f"{labels.size} labels but {scores.size} scores")
    if labels.size == 0:
        raise ValueError("no samples")
    positive = labels == 1
    wrong = int(labels.size - np.count_nonzero(positive) - np.count_nonzero(labels == 0))
    if wrong:
        raise ValueError(f"{wrong} of {labels.size} labels are neither 0 nor 1")
    bad = int(labels.size - np.count_nonzero(np.isfinite(scores)))
    if bad:
        raise ValueError(f"{bad} of {scores.size} scores are NaN or infinite")
    num_positive = int(np.count_nonzero(positive))
    if num_positive in (0, labels.size):
        raise ValueError(f"one class only: {num_positive} positives among {labels.size} samples")
    return positive, scores


def average_precision(
    labels_N: npt.ArrayLike, scores_N: npt.ArrayLike, weights_N: npt.ArrayLike | None = None
) -> float:
    """AUPRC as a step function: the sum over thresholds of the recall gained times the precision there.

    This is average_precision_score of scikit-learn. A constant score gives the prevalence.

    Raises:
        ValueError: see `check_binary`; weights that are negative, NaN, infinite, of another length, or that leave one
            class without any weight.
    """
    tp_T, fp_T = _counts_at_thresholds(labels_N, scores_N, weights_N)
    return float(np.sum(np.diff(tp_T, prepend=0.0) * (tp_T / (tp_T + fp_T))) / tp_T[-1])


def pr_trapezoid(labels_N: npt.ArrayLike, scores_N: npt.ArrayLike, weights_N: npt.ArrayLike | None = None) -> float:
    """AUPRC with straight lines between thresholds, from precision 1 at recall 0: auc(recall, precision) there.

    Optimistic where scores are tied (a constant score gives half of 1 + prevalence); the step form is the default.

    Raises:
        ValueError: as `average_precision`.
    """
    tp_T, fp_T = _counts_at_thresholds(labels_N, scores_N, weights_N)
    precision = np.concatenate([[1.0], tp_T / (tp_T + fp_T)])
    return float(np.sum(np.diff(tp_T, prepend=0.0) * (precision[1:] + precision[:-1])) / (2.0 * tp_T[-1]))


def auroc(labels_N: npt.ArrayLike, scores_N: npt.ArrayLike, weights_N: npt.ArrayLike | None = None) -> float:
    """The chance that a positive scores above a negative, ties counted half: roc_auc_score of scikit-learn.

    Raises:
        ValueError: as `average_precision`.
    """
    tp_T, fp_T = _counts_at_thresholds(labels_N, scores_N, weights_N)
    twice_above = fp_T + np.concatenate([[0.0], fp_T[:-1]])  # negatives above plus negatives above or tied
    return float(1.0 - np.sum(np.diff(tp_T, prepend=0.0) * twice_above) / (2.0 * tp_T[-1] * fp_T[-1]))


def _counts_at_thresholds(
    labels_N: npt.ArrayLike, scores_N: npt.ArrayLike, weights_N: npt.ArrayLike | None
) -> tuple[Floats, Floats]:
    """Total weight of positives and of negatives at or above each distinct score, highest score first."""
    positive, scores = check_binary(labels_N, scores_N)
    weights = np.ones(scores.size) if weights_N is None else np.asarray(weights_N, dtype=np.float64)
    if weights.shape != scores.shape:
        raise ValueError(f"weights of shape {weights.shape} for {scores.size} samples")
    if not np.isfinite(weights).all() or weights.min() < 0.0:
        raise ValueError("weights must be finite and not negative")
    there = weights > 0.0
    positive, scores, weights = positive[there], scores[there], weights[there]
    if positive.all() or not positive.any():
        raise ValueError(f"one class only: {int(positive.sum())} positives among {positive.size} samples with a weight")
    order = np.argsort(-scores)
    positive, scores, weights = positive[order], scores[order], weights[order]
    last_of_score = np.append(np.flatnonzero(np.diff(scores)), scores.size - 1)
    tp_T = np.cumsum(np.where(positive, weights, 0.0))[last_of_score]
    fp_T = np.cumsum(np.where(positive, 0.0, weights))[last_of_score]
    return tp_T, fp_T
