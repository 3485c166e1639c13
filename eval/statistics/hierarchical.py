"""Is model A better than model B over several tasks and training seeds? The hierarchical paired bootstrap.

A.8 of the data scaling paper: in each task the test set is resampled, positives and negatives apart, and the same
resample serves both models and all seeds; each seed gets its AUPRC, a model the mean over its seeds, and the replicate
the difference A - B. Over all tasks two answers are given, because they answer different questions:

- `pooled`, the paper's: all tasks' differences in one list. Its interval covers the spread between tasks, and does not
  shrink to nothing however large the test sets: two tasks of twenty that go the other way make it include 0.
- `mean_of_tasks`, the one to use for "better on average": the mean over tasks in each replicate, then percentiles.

Tasks are resampled independently, as in the paper. If they share images, the interval of the mean is approximate.

Shape letters: T tasks, B replicates, S training seeds of a model, N samples of a task.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from eval.statistics.curve_bootstrap import patient_drawing
from eval.statistics.curves import Bools, Floats, check_binary
from eval.statistics.multinomial import CellCounts, Counts, Index, replicate_generators
from eval.statistics.ranking import CountedCurve, Curve, Drawing


class Task(NamedTuple):
    """One task's test set: labels 0 or 1, and a row of scores for each training seed of either model.

    With `patient_ids_N`, patients are drawn with all their images, instead of images stratified by class.
    """

    labels_N: npt.ArrayLike
    scores_A_SN: npt.ArrayLike
    scores_B_SN: npt.ArrayLike
    patient_ids_N: npt.ArrayLike | None = None


class Difference(NamedTuple):
    """AUPRC of A minus AUPRC of B.

    point: on the data as they are; mean, low, high: mean, 2.5 and 97.5 % quantiles (linear) of the replicates;
    p_value: two-sided, twice the smaller of (replicates <= 0) + 1 and (replicates >= 0) + 1 over (replicates + 1), at
    most 1; significant: the interval excludes 0, as the paper decides; degenerate_share: replicates without a value.
    """

    point: float
    mean: float
    low: float
    high: float
    p_value: float
    significant: bool
    degenerate_share: float


class HierarchicalResult(NamedTuple):
    """The differences for each task and over all (see the module); differences_TB holds every replicate."""

    tasks: tuple[Difference, ...]
    pooled: Difference
    mean_of_tasks: Difference
    differences_TB: Floats


def hierarchical_bootstrap(
    tasks: Sequence[Task | tuple[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike]],
    *,
    seed: int,
    replicates: int = 500,
    resample_seeds: bool = False,
    rng: Literal["fast", "reference"] = "fast",
) -> HierarchicalResult:
    """Compare two models as A.8 does.

    Args:
        tasks: see `Task`.
        seed: decides every replicate.
        replicates: B; the paper has 500.
        resample_seeds: draw each model's training seeds with replacement too, one drawing a replicate for all tasks
            (a seed is one training run that scored them all). Without, the interval says how the test set, not the
            training, might have come out. With S seeds it still shows only (S - 1) / S of their variance.
        rng: "fast", or "reference": default_rng([seed, task]) and `choice` of positives, then of negatives, as a plain
            loop over replicates would draw them; the same distribution, slower.

    Raises:
        ValueError: no tasks; a task's arrays as `curves.check_binary` and `curve_bootstrap.patient_drawing` refuse them
            (the task's number is in the message); `resample_seeds` with fewer than two seeds, or with numbers of
            seeds that differ between tasks; patients with the reference stream.
    """
    if not tasks:
        raise ValueError("no tasks")
    if rng not in ("fast", "reference"):
        raise ValueError(f"no rng {rng!r}; known: fast, reference")
    if replicates < 1:
        raise ValueError(f"{replicates} replicates")
    points, values_A, values_B = [], [], []
    for number, task in enumerate(tasks):
        try:
            point, a_BS, b_BS = _task_values(Task(*task), number, seed, replicates, rng)
        except ValueError as error:
            raise ValueError(f"task {number}: {error}") from error
        points.append(point)
        values_A.append(a_BS)
        values_B.append(b_BS)
    if resample_seeds:
        # The streams after the tasks': one a model, so that a longer run begins like a shorter one.
        streams = [np.random.SeedSequence(seed, spawn_key=(len(tasks), model)) for model in range(2)]
        values_A, values_B = _with_drawn_seeds(values_A, streams[0]), _with_drawn_seeds(values_B, streams[1])
    differences_TB = np.stack([a.mean(axis=1) - b.mean(axis=1) for a, b in zip(values_A, values_B, strict=True)])
    mean_point = float(np.mean(points))
    return HierarchicalResult(
        tasks=tuple(_summary(point, row_B) for point, row_B in zip(points, differences_TB, strict=True)),
        pooled=_summary(mean_point, differences_TB.reshape(-1)),
        mean_of_tasks=_summary(mean_point, differences_TB.mean(axis=0)),
        differences_TB=differences_TB,
    )


def _task_values(task: Task, number: int, seed: int, replicates: int, rng: str) -> tuple[float, Floats, Floats]:
    """The task's difference on the data as they are, and the AUPRC of each replicate and seed of A and of B."""
    scores_A, scores_B = _rows(task.scores_A_SN), _rows(task.scores_B_SN)
    checked = [check_binary(task.labels_N, row) for row in (*scores_A, *scores_B)]
    positive, scores_VN = checked[0][0], np.stack([row for _, row in checked])
    generators: Iterator[np.random.Generator]
    if rng == "reference":
        if task.patient_ids_N is not None:
            raise ValueError("the reference stream draws images, not patients")
        draw, unit_N = _reference_drawing(positive)
        generators = iter([np.random.default_rng([seed, number])] * replicates)
    else:
        generators = replicate_generators(seed, replicates, number)
        if task.patient_ids_N is not None:
            draw, unit_N = patient_drawing(task.patient_ids_N, positive.size)
        else:
            # Ranks of the models are alike, so samples in the order of the first are near each other in the others.
            order = np.argsort(-scores_VN[0], kind="stable")
            positive, scores_VN = positive[order], scores_VN[:, order]
            draw, unit_N = _stratified_drawing(positive)
    curves = [CountedCurve(Curve.AUPRC, positive, row, unit_N) for row in scores_VN]
    points = [curve.point() for curve in curves]
    values_BV = np.empty((replicates, len(curves)))
    for replicate, generator in enumerate(generators):
        drawing = draw(generator)
        values_BV[replicate] = [curve(*drawing) for curve in curves]
    split = len(scores_A)
    return float(np.mean(points[:split]) - np.mean(points[split:])), values_BV[:, :split], values_BV[:, split:]


def _rows(scores_SN: npt.ArrayLike) -> Floats:
    scores = np.asarray(scores_SN, dtype=np.float64)
    if scores.ndim != 2 or len(scores) == 0:
        raise ValueError(f"scores of shape {scores.shape}, not (seeds, samples) with at least one seed")
    return scores


def _place_in_class(positive: Bools) -> Index:
    """Each sample's number among the samples of its class."""
    return np.where(positive, np.cumsum(positive), np.cumsum(~positive)) - 1


def _stratified_drawing(positive: Bools) -> tuple[Callable[[np.random.Generator], Drawing], Index]:
    num_positive = int(positive.sum())
    num_negative = positive.size - num_positive
    positives, negatives = CellCounts(np.ones(num_positive)), CellCounts(np.ones(num_negative))
    return lambda rng: (positives.draw(rng, num_positive), negatives.draw(rng, num_negative)), _place_in_class(positive)


def _reference_drawing(positive: Bools) -> tuple[Callable[[np.random.Generator], Drawing], Index]:
    num_positive = int(positive.sum())

    def counts(rng: np.random.Generator, size: int) -> Counts:
        return np.bincount(rng.choice(size, size), minlength=size).astype(np.uint8)

    return (
        lambda rng: (counts(rng, num_positive), counts(rng, positive.size - num_positive)),
        _place_in_class(positive),
    )


def _with_drawn_seeds(values: list[Floats], stream: np.random.SeedSequence) -> list[Floats]:
    numbers = {task_BS.shape[1] for task_BS in values}
    if len(numbers) > 1 or min(numbers) < 2:
        raise ValueError(f"resampling seeds needs at least two, as many in each task, got {sorted(numbers)}")
    drawn_BS = np.random.default_rng(stream).integers(0, min(numbers), values[0].shape)
    return [np.take_along_axis(task_BS, drawn_BS, axis=1) for task_BS in values]


def _summary(point: float, replicates: Floats) -> Difference:
    there = replicates[~np.isnan(replicates)]
    if there.size == 0:
        raise ValueError(f"each of {replicates.size} resamples drew one class only")
    low, high = (float(value) for value in np.quantile(there, [0.025, 0.975]))
    tail = min(np.count_nonzero(there <= 0.0), np.count_nonzero(there >= 0.0))
    return Difference(
        point=point,
        mean=float(there.mean()),
        low=low,
        high=high,
        p_value=min(1.0, 2.0 * (int(tail) + 1) / (there.size + 1)),
        significant=low > 0.0 or high < 0.0,
        degenerate_share=1.0 - there.size / replicates.size,
    )
