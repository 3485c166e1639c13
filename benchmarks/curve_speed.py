"""How fast curve bootstraps are, against the usual scikit-learn loop in the same run, on one core.

    python benchmarks/curve_speed.py

Invented scores of 500,000 images. First the interval of one AUPRC, 500 replicates stratified by class, sorting and all
included; the loop draws indices and calls average_precision_score, and is timed on a few replicates of its 500. Then
one replicate of the hierarchical comparison (2 models of 3 seeds on one resample), its sorting spread over the paper's
500 replicates. Times are CPU time; memory is what NumPy allocated at the peak beyond the input.
"""

from __future__ import annotations

import os
import time
import tracemalloc
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score

from eval.statistics.curve_bootstrap import bootstrap_auprc
from eval.statistics.hierarchical import hierarchical_bootstrap

IMAGES = 500_000
REPLICATES = 500
MODELS, SEEDS = 2, 3
LOOP_REPLICATES = 6
MEMORY_TARGET_MB = 300
Array = npt.NDArray[np.float64]


def cpu_s(work: Callable[[], object]) -> float:
    """CPU seconds of one call."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def peak_mb(work: Callable[[], object]) -> float:
    """Megabytes allocated at the peak of one call."""
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def invent(prevalence: float) -> tuple[Array, Array]:
    """Labels, and a row of scores for each seed of each model; the rows differ a little."""
    rng = np.random.default_rng(0)
    labels = (rng.random(IMAGES) < prevalence).astype(np.float64)
    common = rng.normal(1.5 * labels, 1.0)
    return labels, common + 0.3 * rng.normal(size=(MODELS * SEEDS, IMAGES))


def loop_s(labels: Array, scores: Array) -> float:
    """CPU seconds of one replicate of the loop: the best of a few, all rows of scores on the same resample."""
    rng = np.random.default_rng(1)
    positives, negatives = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)

    def replicate() -> None:
        drawn = np.concatenate([rng.choice(positives, positives.size), rng.choice(negatives, negatives.size)])
        for row in scores:
            average_precision_score(labels[drawn], row[drawn])

    return min(cpu_s(replicate) for _ in range(LOOP_REPLICATES))


def line(what: str, loop: float, ours: float, target: float, memory_mb: float) -> None:
    """One row of the table, with milliseconds a replicate."""
    print(
        f"{what:<34} {1e3 * loop:>8.1f} ms {1e3 * ours:>7.2f} ms {loop / ours:>6.0f}x (target {target:.0f}x)"
        f" {memory_mb:>5.0f} MB (target {MEMORY_TARGET_MB} MB)"
    )


def main() -> None:
    """Print the table."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    print(f"{IMAGES:,} images, one core, CPU time of one replicate of {REPLICATES}, set-up shared among them")
    print(f"scikit-learn: best of {LOOP_REPLICATES} replicates; ours: best of two runs of all {REPLICATES}")
    print(f"{'':<34} {'scikit-learn':>11} {'ours':>10}")
    for prevalence, target in ((0.02, 80.0), (0.14, 20.0)):
        labels, scores = invent(prevalence)

        def interval(replicates: int = REPLICATES, labels: Array = labels, scores: Array = scores) -> None:
            bootstrap_auprc(labels, scores[0], seed=1, replicates=replicates)

        loop = loop_s(labels, scores[:1])
        ours = min(cpu_s(interval) for _ in range(2)) / REPLICATES
        line(f"AUPRC, {prevalence:.0%} positive", loop, ours, target, peak_mb(lambda: interval(5)))
    models = scores[:SEEDS], scores[SEEDS:]

    def compare(replicates: int) -> None:
        hierarchical_bootstrap([(labels, *models)], seed=1, replicates=replicates)

    loop = loop_s(labels, scores)
    setup = min(cpu_s(lambda: compare(1)) for _ in range(2))
    fifty = min(cpu_s(lambda: compare(51)) for _ in range(3))
    ours = (fifty - setup) / 50 + setup / REPLICATES
    line(f"{MODELS} models of {SEEDS} seeds, {prevalence:.0%} positive", loop, ours, 25.0, peak_mb(lambda: compare(5)))


if __name__ == "__main__":
    main()
