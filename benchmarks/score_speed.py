"""How fast scoring and its intervals are, against the usual packages in the same run, on one core.

    python benchmarks/score_speed.py

ROUGE-L over 40,000 pairs of invented texts of 60 to 120 words, without and with the stemmer, against `rouge-score` on
the first few hundred of those pairs, where every score must agree to the last bit. Then 500 bootstrap replicates of a
mean and of macro F1 over 14 classes, both of 40,000 studies, against the loop that draws with `sklearn.utils.resample`
(and calls `f1_score`), timed on some of its replicates. Times are CPU seconds, for one pair or one replicate; memory is
what was allocated at the peak beyond the input.
"""

from __future__ import annotations

import os
import sys
import time
import tracemalloc
from collections.abc import Callable

# One thread for matrix products; read when NumPy is imported.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"

import numpy as np
import numpy.typing as npt
from rouge_score.rouge_scorer import RougeScorer
from sklearn.metrics import f1_score
from sklearn.utils import resample

from eval.figures import Figure, Floats, Group, mean_figure
from eval.rouge import rouge_l_scores, stemmed_tokens
from eval.statistics.bootstrap import bootstrap
from eval.statistics.resampling import Resampling

PAIRS, STUDIES, CLASSES = 40_000, 40_000, 14
ROUGE_LOOP_PAIRS = 200
MEAN_LOOP_REPLICATES, F1_LOOP_REPLICATES = 100, 4
ROUGE_PASSES, BOOTSTRAP_PASSES = 3, 9
MEMORY_TARGET_MB = 300
RESAMPLING = Resampling(replicates=500, seed=1)


def cpu_s(work: Callable[[], object]) -> float:
    """CPU seconds of one call."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def best_s(loop: Callable[[], object], ours: Callable[[], object], passes: int) -> tuple[float, float]:
    """The least of a few timings of each, in turns: what other work on the machine disturbed least."""
    times = [(cpu_s(loop), cpu_s(ours)) for _ in range(passes)]
    return min(one for one, _ in times), min(one for _, one in times)


def peak_mb(work: Callable[[], object]) -> float:
    """Megabytes allocated at the peak of one call."""
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def line(what: str, loop: float, ours: float, target: float, memory_mb: float | None = None) -> None:
    """One row of the table, with microseconds a pair or a replicate."""
    memory = "" if memory_mb is None else f" {memory_mb:>4.0f} MB (target {MEMORY_TARGET_MB} MB)"
    print(
        f"{what:<30} {1e6 * loop:>9,.1f} us {1e6 * ours:>7,.1f} us {loop / ours:>6.1f}x (target {target:.0f}x){memory}",
        flush=True,
    )


def invented_pairs() -> list[tuple[str, str]]:
    """(prediction, reference) pairs that share their first sentences; 1,500 invented words, some far more common."""
    rng = np.random.default_rng(0)
    roots = ["".join(rng.choice(list("aeioubcdglmnprstv"), rng.integers(2, 8))) for _ in range(375)]
    words = [root + ending for root in roots for ending in ("", "s", "ed", "ation")]
    chances = 1 / np.arange(5, 5 + len(words))
    lengths = rng.integers(60, 121, (PAIRS, 2))
    drawn = iter(rng.choice(len(words), int(lengths.sum()), p=chances / chances.sum()).tolist())

    def text(opening: list[str], length: int) -> list[str]:
        rest = [words[next(drawn)] + ("." if place % 10 == 9 else "") for place in range(len(opening), length)]
        return opening + rest

    pairs = []
    for length, other in lengths.tolist():
        reference = text([], length)
        prediction = text(reference[: min(length, other) // 3], other)
        pairs.append((" ".join(prediction).capitalize(), " ".join(reference).capitalize()))
    return pairs


def rouge(pairs: list[tuple[str, str]], *, use_stemmer: bool, target: float) -> None:
    """Time both on the same texts and compare every score of the loop's part."""
    scorer = RougeScorer(["rougeL"], use_stemmer=use_stemmer)
    part = pairs[:ROUGE_LOOP_PAIRS]
    theirs = [scorer.score(reference, prediction)["rougeL"] for prediction, reference in part]
    ours = rouge_l_scores(part, use_stemmer=use_stemmer)
    if [tuple(score) for score in theirs] != [tuple(score) for score in ours]:
        sys.exit("a score differs from rouge-score's")

    def loop() -> None:
        for prediction, reference in part:
            scorer.score(reference, prediction)

    def all_pairs() -> None:
        stemmed_tokens.cache_clear()  # every pass stems every word anew
        rouge_l_scores(pairs, use_stemmer=use_stemmer)

    name = f"ROUGE-L, {'with' if use_stemmer else 'no'} stemmer, a pair"
    theirs_s, ours_s = best_s(loop, all_pairs, ROUGE_PASSES)
    line(name, theirs_s / len(part), ours_s / len(pairs), target)


def mean(target: float) -> None:
    """The mean of one score of every study."""
    scores_N = np.random.default_rng(0).random(STUDIES)
    figures = [mean_figure("rouge_l", "ROUGE-L", "rouge_l", scores_N)]

    def loop() -> None:
        for number in range(MEAN_LOOP_REPLICATES):
            resample(scores_N, random_state=number).mean()

    def interval() -> None:
        bootstrap(figures, RESAMPLING)

    theirs_s, ours_s = best_s(loop, interval, BOOTSTRAP_PASSES)
    line(
        "mean, a replicate",
        theirs_s / MEAN_LOOP_REPLICATES,
        ours_s / RESAMPLING.replicates,
        target,
        peak_mb(interval),
    )


def macro_f1_of_sums(sums: Floats) -> Floats:
    """Macro F1 of (..., 3 x classes) sums: true positives, predicted positives, positives; 0 for an absent class."""
    hits, predicted, positives = np.split(sums, 3, axis=-1)
    f1: Floats = (2 * hits / np.maximum(predicted + positives, 1)).mean(axis=-1)
    return f1


def macro_f1(target: float) -> None:
    """Macro F1 of 14 classes, from 42 sums."""
    rng = np.random.default_rng(0)
    truth_NC = rng.random((STUDIES, CLASSES)) < np.geomspace(0.01, 0.4, CLASSES)
    predicted_NC = truth_NC ^ (rng.random((STUDIES, CLASSES)) < 0.1)
    sums_ND = np.hstack([truth_NC & predicted_NC, predicted_NC, truth_NC]).astype(np.float64)
    figures = [Figure("macro_f1", "macro F1-14", "chexbert", Group.HEADLINE, sums_ND, macro_f1_of_sums)]
    expected = f1_score(truth_NC, predicted_NC, average="macro", zero_division=0)
    if abs(figures[0].point() - expected) > 1e-12:
        sys.exit("macro F1 differs from scikit-learn's")

    def loop(truth_NC: npt.NDArray[np.bool_] = truth_NC) -> None:
        for number in range(F1_LOOP_REPLICATES):
            truth, predicted = resample(truth_NC, predicted_NC, random_state=number)
            f1_score(truth, predicted, average="macro", zero_division=0)

    def interval() -> None:
        bootstrap(figures, RESAMPLING)

    theirs_s, ours_s = best_s(loop, interval, BOOTSTRAP_PASSES)
    line(
        "macro F1-14, a replicate",
        theirs_s / F1_LOOP_REPLICATES,
        ours_s / RESAMPLING.replicates,
        target,
        peak_mb(interval),
    )


def main() -> None:
    """Print the table."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    print(f"{PAIRS:,} pairs, {STUDIES:,} studies, {RESAMPLING.replicates} replicates, one core")
    print(
        f"packages: rouge-score on {ROUGE_LOOP_PAIRS} of the pairs (equal to the last bit); scikit-learn on"
        f" {MEAN_LOOP_REPLICATES} replicates of the mean, {F1_LOOP_REPLICATES} of macro F1; best of {ROUGE_PASSES}"
        f" and {BOOTSTRAP_PASSES} passes in turns"
    )
    print(f"{'':<30} {'packages':>12} {'ours':>10}")
    mean(target=5)
    macro_f1(target=60)
    pairs = invented_pairs()
    rouge(pairs, use_stemmer=False, target=30)
    rouge(pairs, use_stemmer=True, target=15)


if __name__ == "__main__":
    main()
