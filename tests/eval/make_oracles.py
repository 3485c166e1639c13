"""Makes the files of `eval/oracles` from reference implementations: `python -m tests.eval.make_oracles`.

Nothing here calls the functions that the oracles are to prove: values come from rouge-score, scikit-learn, scipy, plain
loops over numpy, or by hand with the derivation beside them. All cases are invented. Whoever changes what a seed means
(the streams of `eval.statistics`) must change the loops here too, and say so in the changelog.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from rouge_score.rouge_scorer import RougeScorer
from scipy import integrate, special, stats
from sklearn.metrics import (
    auc,
    average_precision_score,
    confusion_matrix,
    f1_score,
    precision_recall_curve,
    precision_score,
    recall_score,
    roc_auc_score,
)

from eval.selfcheck import wave

FOLDER = Path(__file__).parents[2] / "eval" / "oracles"
Oracle = dict[str, Any]


def rouge_l() -> Oracle:
    pairs = [
        ["The heart is mildly enlarged.", "Mild enlargement of the heart."],
        ["No pleural effusions or pneumothoraces.", "No pleural effusion or pneumothorax."],
        ["ET tube tip 4.8 cm above the carina.", "ETT terminates 48 mm above the carina."],
        ["Lungs are clear", "Lungs are clear"],
        ["", "Lungs are clear."],
        ["Lungs are clear.", ""],
        ["", ""],
        ["... !", "?"],
        ["Kleiner Pleuraerguß rechts; Herzgröße normal.", "Kleiner Pleuraerguss links, Herzgröße 15 cm."],
        ["Temperature 300 \u212a, \u0130leus suspected", "temperature 300 k, ileus not suspected"],  # Kelvin, dotted I
        ["a b c a b c a", "c b a c b a c"],
        ["Bowel gas and ribs", "Bowel ga and rib"],  # words of three letters are not stemmed
        ["Right-sided PICC, unchanged;\n\tno new opacities", "PICC on the right is unchanged. No new opacity."],
    ]
    expected: dict[str, Any] = {
        name: [
            list(RougeScorer(["rougeL"], use_stemmer=stem).score(reference, said)["rougeL"])
            for said, reference in pairs
        ]
        for name, stem in (("plain", False), ("stemmed", True))
    }
    return {
        "about": "ROUGE-L precision, recall and F1 of (prediction, reference), from rouge-score",
        "cases": {"pairs": pairs},
        "expected": expected | {"one pair": expected["plain"][0]},
    }


_CLASSES = (
    "Enlarged Cardiomediastinum,Cardiomegaly,Lung Opacity,Lung Lesion,Edema,Consolidation,Pneumonia,Atelectasis,"
    "Pneumothorax,Pleural Effusion,Pleural Other,Fracture,Support Devices,No Finding"
).split(",")
_FIVE = [1, 4, 5, 7, 9]
_FRACTURE, _PLEURAL_OTHER, _NO_FINDING = 11, 10, 13


def chexpert() -> Oracle:
    study, column = np.indices((30, 14))
    reference = (study * study * (column + 1) + study // 3 + 5 * column) % 11 % 4
    prediction = np.where((study + 2 * column) % 5 < 3, reference, (5 * study + column * column) % 4)
    reference[:, _FRACTURE] = prediction[:, _FRACTURE] = 0  # nobody speaks of it: 0 in the macro, undefined alone
    reference[:, _PLEURAL_OTHER] = 2  # false alarms only
    reference[:, _NO_FINDING] %= 2
    prediction[:, _NO_FINDING] %= 2
    words = {"prediction": ["".join(map(str, row)) for row in prediction]}
    words["reference"] = ["".join(map(str, row)) for row in reference]
    words["prediction"][4] = words["reference"][17] = "-" * 14  # labels failed: these two studies do not count
    counted = np.array([place not in (4, 17) for place in range(30)])

    said, true = prediction[counted], reference[counted]
    figures: dict[str, float | None] = {}
    for ending, codes in (("", [1]), ("_uncertain_positive", [1, 3])):
        y_true, y_said = np.isin(true, codes), np.isin(said, codes)
        for size, columns in ((14, list(range(14))), (5, _FIVE)):
            for average in ("macro", "micro"):
                figures[f"chexbert_{average}_f1_{size}{ending}"] = float(
                    f1_score(y_true[:, columns], y_said[:, columns], average=average, zero_division=0.0)
                )
    y_true, y_said = true == 1, said == 1
    alone = f1_score(y_true, y_said, average=None, zero_division=np.nan)
    figures["chexbert_macro_f1_supported"] = float(alone[y_true.any(axis=0)].mean())
    classes: dict[str, list[float | None]] = {}
    for number, name in enumerate(_CLASSES):
        _, fp, fn, tp = confusion_matrix(y_true[:, number], y_said[:, number], labels=[False, True]).ravel().tolist()
        one = y_true[:, number], y_said[:, number]
        precision = _null(precision_score(*one, zero_division=np.nan))
        recall = _null(recall_score(*one, zero_division=np.nan))
        classes[name] = [tp + fn, tp, fp, fn, precision, recall, _null(alone[number])]
        figures[f"chexbert_f1_{name.lower().replace(' ', '_')}"] = _null(alone[number])
    return {
        "about": "F1 from labels (0 blank, 1 positive, 2 negative, 3 uncertain, - failed) of 30 studies, "
        "from scikit-learn; a class: support, TP, FP, FN, precision, recall, F1",
        "cases": words,
        "expected": {"figures": figures, "classes": classes},
    }


_SCORES = {
    "first": [None if n in (3, 11) else round((37 * n * n + 11 * n) % 101 / 103 + n / 997, 6) for n in range(25)],
    "second": [None if n == 8 else round((53 * n * n + 29 * n) % 97 / 101 + n / 991, 6) for n in range(25)],
}


def _harmonic(first: Any, second: Any) -> Any:
    p, r = np.nanmean(first, axis=-1), np.nanmean(second, axis=-1)
    return 2 * p * r / (p + r)


def reference_bootstrap() -> Oracle:
    first, second = (np.array(_SCORES[name], dtype=float) for name in _SCORES)
    patients = [f"P{(n * n) % 11}" for n in range(25)]
    members = [np.flatnonzero(np.array(patients) == one) for one in dict.fromkeys(patients)]
    expected = {}
    for unit, groups in (("studies", [np.array([n]) for n in range(25)]), ("patients", members)):
        rng = np.random.default_rng(11)
        drawn = [np.concatenate([groups[one] for one in rng.choice(len(groups), len(groups))]) for _ in range(200)]
        values = {
            "mean": (np.nanmean(first), [np.nanmean(first[places]) for places in drawn]),
            "harmonic": (_harmonic(first, second), [_harmonic(first[places], second[places]) for places in drawn]),
        }
        expected[unit] = {
            name: {
                "point": float(point),
                "median": float(np.median(replicates)),
                "low": float(np.percentile(replicates, 2.5)),
                "high": float(np.percentile(replicates, 97.5)),
                "mean": float(np.mean(replicates)),
                "std": float(np.std(replicates)),
                "degenerate_share": 0.0,
            }
            for name, (point, replicates) in values.items()
        }
    return {
        "about": "mean of `first` and harmonic mean of the means of `first` and `second`, resampled one by one with "
        "numpy.random.default_rng(seed).choice",
        "cases": {**_SCORES, "patients": patients, "replicates": 200, "seed": 11},
        "expected": expected,
    }


def bca() -> Oracle:
    first = np.array([0.9 if one is None else one for one in _SCORES["first"]])
    second = np.array([0.1 if one is None else one for one in _SCORES["second"]])
    rng = np.random.default_rng(5)
    drawn = np.array([rng.choice(25, 25) for _ in range(400)])
    expected = {}
    for name, statistic, samples in (("mean", np.mean, (first,)), ("harmonic", _harmonic, (first, second))):
        values = np.array([statistic(*(one[places] for one in samples)) for places in drawn])
        resampled = SimpleNamespace(bootstrap_distribution=values)
        found = stats.bootstrap(
            samples, statistic, n_resamples=0, bootstrap_result=resampled, paired=True, vectorized=False, method="BCa"
        )
        expected[name] = list(map(float, found.confidence_interval))
    return {
        "about": "BCa interval of the same two figures without gaps, from scipy.stats.bootstrap on resamples of "
        "numpy.random.default_rng(seed).choice",
        "cases": {"first": first.tolist(), "second": second.tolist(), "replicates": 400, "seed": 5},
        "expected": expected,
    }


def fast_bootstrap() -> Oracle:
    """The stream of `eval.statistics.resampling`, drawn one unit at a time."""
    values = [(7 * n * n + 3 * n) % 41 / 4 + n / 1024 for n in range(600)]
    seed, replicates, studies_of_patient = 2, 70, 2

    def resamples(units: int) -> list[list[int]]:
        full, rest = divmod(units, 256)
        shares = np.array([256 / units] * full + [rest / units] * (rest > 0))
        drawn = []
        for replicate in range(replicates):
            if replicate % 64 == 0:
                key = np.random.SeedSequence(seed, spawn_key=(replicate // 64,))
                rng = np.random.Generator(np.random.SFC64(key))
            counts = rng.multinomial(units, shares)
            cells = [cell for cell in range(full) for _ in range(counts[cell])]
            words = rng.bit_generator.random_raw(len(cells) // 8 + 1)
            taken = [256 * cell + (int(words[n // 8]) >> 8 * (n % 8)) % 256 for n, cell in enumerate(cells)]
            if rest:
                taken += [256 * full + int(place) for place in rng.integers(0, rest, counts[-1])]
            assert len(taken) == units
            drawn.append(taken)
        return drawn

    studies, patients = resamples(len(values)), resamples(len(values) // studies_of_patient)
    squares, floors = [one**2 for one in values], [math.floor(one) for one in values]
    return {
        "about": "every replicate of small figures under one seed: a promise, the same on every machine",
        "cases": {
            "values": values,
            "studies_of_patient": studies_of_patient,
            "replicates": replicates,
            "seed": seed,
        },
        "expected": {
            "studies": [math.fsum(values[n] for n in taken) / len(taken) for taken in studies],
            "studies, counted": [
                math.fsum(values[n] for n in taken) / math.fsum(squares[n] for n in taken) for taken in studies
            ],
            "studies, whole numbers": [float(sum(floors[n] + 1 for n in taken)) for taken in studies],
            "patients": [
                math.fsum(values[2 * n] + values[2 * n + 1] for n in taken) / (2 * len(taken)) for taken in patients
            ],
        },
    }


def _ranked(samples: int, levels: int, every: int) -> tuple[list[int], list[float]]:
    """Labels, one in `every` positive on average, and scores on few levels that know something of them."""
    labels = [int((n * n + n // 3) % every == 0) for n in range(samples)]
    return labels, [(n * 29 % levels + 3 * label) / levels for n, label in enumerate(labels)]


def curves() -> Oracle:
    labels, scores = _ranked(60, 13, 4)
    weights = [n % 4 / 2 for n in range(60)]
    weighted = (None, weights)
    trapezoid = []
    for weight in weighted:
        precision, recall, _ = precision_recall_curve(labels, scores, sample_weight=weight)
        trapezoid.append(float(auc(recall, precision)))
    return {
        "about": "areas without and with weights, scores full of ties, from scikit-learn",
        "cases": {"labels": labels, "scores": scores, "weights": weights},
        "expected": {
            "average precision": [float(average_precision_score(labels, scores, sample_weight=w)) for w in weighted],
            "AUROC": [float(roc_auc_score(labels, scores, sample_weight=w)) for w in weighted],
            "PR trapezoid": trapezoid,
        },
    }


def _cell_counts(rng: np.random.Generator, sizes: Sequence[int], total: int) -> list[int]:
    """The drawing of `eval.statistics.multinomial`, one cell at a time."""
    items = [cell for cell, size in enumerate(sizes) for _ in range(size)]
    rate = 1.0 - 5.0 / math.sqrt(len(items))
    counts = [0] * len(sizes)
    if rate > 0:
        words = rng.bit_generator.random_raw((len(sizes) + 3) // 4)
        unresolved = []
        largest = rate * max(sizes)
        num_counts = math.ceil(largest + 12 * math.sqrt(largest) + 20)
        for cell, size in enumerate(sizes):
            slot = (int(words[cell // 4]) >> 16 * (cell % 4)) % (1 << 16) // 4
            for count in range(num_counts):
                slot -= int(_poisson(count, rate * size) * (1 << 14))
                if slot < 0:
                    counts[cell] = count
                    break
            else:
                unresolved.append(cell)
        for cell, point in zip(unresolved, rng.random(len(unresolved)), strict=True):
            rest = [_poisson(count, rate * sizes[cell]) * (1 << 14) % 1 for count in range(num_counts)]
            shares = np.cumsum(rest) / math.fsum(rest)
            counts[cell] = int((shares <= point).sum())
    if rate <= 0 or sum(counts) > total:
        counts = [0] * len(sizes)
    for item in rng.integers(0, len(items), total - sum(counts)):
        counts[items[item]] += 1
    return counts


def _poisson(count: int, mean: float) -> float:
    return math.exp(count * math.log(mean) - mean - math.lgamma(count + 1))


def _cells(keys: Sequence[Any]) -> list[int]:
    """Sizes of the runs of equal keys, parted at multiples of 32 as well."""
    sizes: list[int] = []
    for place, key in enumerate(keys):
        if place and key == keys[place - 1] and place % 32:
            sizes[-1] += 1
        else:
            sizes.append(1)
    return sizes


def _area(metric: Callable[..., Any], labels: Any, scores: Any, counts: Any) -> float | None:
    there = np.asarray(counts) > 0
    if len(set(np.asarray(labels)[there])) < 2:
        return None
    return float(metric(labels, scores, sample_weight=counts))


def curve_bootstrap() -> Oracle:
    labels, scores = _ranked(300, 61, 5)
    patients = [n * 7 % 90 for n in range(300)]
    seed, replicates = 3, 70

    # The scores of either class from the highest down; samples that no threshold of a positive parts are one cell.
    positives = sorted((s for s, label in zip(scores, labels, strict=True) if label), reverse=True)
    negatives = sorted((s for s, label in zip(scores, labels, strict=True) if not label), reverse=True)
    cells_of = [_cells(positives), _cells([(sum(c > s for c in set(positives)), s in positives) for s in negatives])]
    ranked, truth = positives + negatives, [1] * len(positives) + [0] * len(negatives)

    def by_cell(rng: np.random.Generator, num_positive: int) -> list[int]:
        weights: list[int] = []
        for sizes, total in zip(cells_of, (num_positive, len(scores) - num_positive), strict=True):
            for size, count in zip(sizes, _cell_counts(rng, sizes, total), strict=True):
                weights += [count] + [0] * (size - 1)  # whichever of the cell was drawn
        return weights

    def by_patient(rng: np.random.Generator) -> list[int]:
        counts = _cell_counts(rng, [1] * len(set(patients)), len(set(patients)))
        return [counts[sorted(set(patients)).index(one)] for one in patients]

    def every(resample: Callable[[np.random.Generator], float | None]) -> list[float | None]:
        values = []
        for replicate in range(replicates):
            if replicate % 64 == 0:
                rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(replicate // 64,)))
            values.append(resample(rng))
        return values

    share = len(positives) / len(scores)
    return {
        "about": "every replicate of areas under one seed: a promise, the same on every machine",
        "cases": {"labels": labels, "scores": scores, "patients": patients, "replicates": replicates, "seed": seed},
        "expected": {
            "stratified AUPRC": every(
                lambda rng: _area(average_precision_score, truth, ranked, by_cell(rng, len(positives)))
            ),
            "iid AUROC": every(
                lambda rng: _area(roc_auc_score, truth, ranked, by_cell(rng, int(rng.binomial(len(scores), share))))
            ),
            "patient AUPRC": every(lambda rng: _area(average_precision_score, labels, scores, by_patient(rng))),
        },
    }


def hierarchical() -> Oracle:
    seed, replicates = 4, 60
    tasks = []
    for number, samples in enumerate((40, 55)):
        labels = [int((n * n + n // 5 + number) % 3 == 0) for n in range(samples)]
        a, b = (
            [
                [
                    round((n * (17 + 6 * model + 2 * run) % 31) / 31 + 0.2 * label * (2 - model) + n / 977, 6)
                    for n, label in enumerate(labels)
                ]
                for run in range(runs)
            ]
            for model, runs in ((0, 2), (1, 3))
        )
        tasks.append({"labels": labels, "A": a, "B": b})

    differences, points = [], []
    for number, task in enumerate(tasks):
        truth = np.array(task["labels"])
        positive, negative = np.flatnonzero(truth == 1), np.flatnonzero(truth == 0)

        def difference(places: Any, task: Any = task, labels: Any = truth) -> float:
            means = [
                np.mean([average_precision_score(labels[places], np.array(run)[places]) for run in task[model]])
                for model in ("A", "B")
            ]
            return float(means[0] - means[1])

        rng = np.random.default_rng([seed, number])
        points.append(difference(np.arange(len(truth))))
        differences.append(
            [
                difference(
                    np.concatenate(
                        [
                            positive[rng.choice(len(positive), len(positive))],
                            negative[rng.choice(len(negative), len(negative))],
                        ]
                    )
                )
                for _ in range(replicates)
            ]
        )

    def summary(point: float, values: Any) -> dict[str, Any]:
        low, high = np.percentile(values, [2.5, 97.5])
        tail = min(sum(one <= 0 for one in values), sum(one >= 0 for one in values))
        return {
            "point": point,
            "mean": float(np.mean(values)),
            "low": float(low),
            "high": float(high),
            "p_value": min(1.0, 2 * (int(tail) + 1) / (len(values) + 1)),
            "significant": bool(low > 0 or high < 0),
            "degenerate_share": 0.0,
        }

    return {
        "about": "AUPRC of A minus AUPRC of B, a plain loop with scikit-learn on default_rng([seed, task]).choice",
        "cases": {"tasks": tasks, "seed": seed, "replicates": replicates},
        "expected": {
            "tasks": [summary(point, values) for point, values in zip(points, differences, strict=True)],
            "pooled": summary(float(np.mean(points)), np.concatenate(differences)),
            "mean of tasks": summary(float(np.mean(points)), np.mean(differences, axis=0)),
        },
    }


def ranks() -> Oracle:
    folds = [
        [
            [0.71, 0.68, 0.74, 0.70],
            [0.66, 0.67, 0.72, 0.69],
            [0.73, 0.70, 0.73, 0.71],
            [0.69, 0.69, 0.75, 0.66],
            [0.70, 0.65, 0.71, 0.72],
        ],
        [[0.5, 0.6, 0.55], [0.5, 0.5, 0.5], [0.4, 0.6, 0.6], [0.45, 0.7, 0.5]],
        [[0.1, 0.2], [0.3, 0.4], [0.2, 0.5], [0.6, 0.6], [0.9, 0.8]],
    ]
    groups = [
        [[0.61, 0.72, 0.55, 0.80, 0.67], [0.50, 0.58, 0.69, 0.44, 0.52, 0.49]],  # exact
        [[0.6, 0.7, 0.6, 0.8, 0.7, 0.5], [0.5, 0.6, 0.4, 0.4, 0.6]],  # ties: normal
    ]
    tests, nemenyis = [], []
    for values in folds:
        n, k = len(values), len(values[0])
        if k == 2:  # scipy refuses two: the approximate sign test, here 3 of 5 decided 3 to 1 (one fold is tied)
            plus, minus = 3, 1
            chi2, p, sign_p = (plus - minus) ** 2 / (plus + minus), None, float(stats.binomtest(plus, 4).pvalue)
            p = float(stats.chi2.sf(chi2, 1))
        else:
            chi2, p = (float(one) for one in stats.friedmanchisquare(*zip(*values, strict=True)))
            sign_p = None
        f = (n - 1) * chi2 / (n * (k - 1) - chi2)
        f_p = float(stats.f.sf(f, k - 1, (k - 1) * (n - 1)))
        tests.append({"chi2": chi2, "p": p, "f": f, "f_p": f_p, "sign_p": sign_p})
        mean_rank = stats.rankdata(-np.array(values), axis=1).mean(axis=0)
        pairwise = [[_range_p(abs(a - b) / math.sqrt(k * (k + 1) / (12 * n)), k) for b in mean_rank] for a in mean_rank]
        nemenyis.append({"mean_rank_K": mean_rank.tolist(), "p_KK": pairwise})
    whitneys = []
    for (a, b), method in zip(groups, ("exact", "asymptotic"), strict=True):
        found = stats.mannwhitneyu(a, b, method=method)
        wins = sum(Fraction(int(x > y) * 2 + int(x == y), 2) for x in a for y in b)
        assert found.statistic == wins
        whitneys.append(
            {
                "u": float(wins),
                "p": float(found.pvalue),
                "method": "exact" if method == "exact" else "normal",
                "a12": float(wins / (len(a) * len(b))),
                "smallest_p": 2 / math.comb(len(a) + len(b), len(a)),
            }
        )
    return {
        "about": "Friedman and Mann-Whitney from scipy; Nemenyi by integrating the density of the studentized range",
        "cases": {"folds": folds, "groups": groups},
        "expected": {"Friedman": tests, "Nemenyi": nemenyis, "Mann-Whitney": whitneys},
    }


def _range_p(q: float, k: int) -> float:
    """Chance that the range of k standard normal numbers exceeds q: the smallest is z, all others within q above."""
    inside, _ = integrate.quad(
        lambda z: k * stats.norm.pdf(z) * (special.ndtr(z + q) - special.ndtr(z)) ** (k - 1),
        -12.0,
        12.0,
        epsabs=1e-13,
        limit=200,
    )
    return 1.0 - float(inside)


def multiplicity() -> Oracle:
    p = [0.04, 0.001, 0.3, 0.012, 0.012, 0.8, 0.0004]
    order = np.argsort(p)
    holm = np.empty(len(p))
    for place, one in enumerate(order):  # each no smaller than the ones before it
        holm[one] = min(1.0, max((len(p) - n) * p[order[n]] for n in range(place + 1)))
    return {
        "about": "Benjamini-Hochberg and Benjamini-Yekutieli from scipy, Bonferroni and Holm from their definitions",
        "cases": {"p": p},
        "expected": {
            "bonferroni": [min(1.0, len(p) * one) for one in p],
            "holm": holm.tolist(),
            "benjamini_hochberg": stats.false_discovery_control(p).tolist(),
            "benjamini_yekutieli": stats.false_discovery_control(p, method="by").tolist(),
        },
    }


def power_law() -> Oracle:
    sizes = [1000, 1000, 3000, 10000, 10000, 30000, 100000]
    scores = [0.31, 0.29, 0.36, 0.42, 0.45, 0.47, 0.58]
    encoders = ["a", "a", "b", "c", "c", "d", "e"]
    x, f = np.log([1000, 3000, 10000, 30000, 100000]), np.log([0.30, 0.36, 0.435, 0.47, 0.58])  # seeds averaged
    fit, robust = stats.linregress(x, f), stats.theilslopes(f, x)
    half = stats.t.ppf(0.975, 3) * fit.stderr
    expected = {
        "k": fit.slope,
        "k_low": fit.slope - half,
        "k_high": fit.slope + half,
        "k_error": fit.stderr,
        "alpha": math.exp(fit.intercept),
        "r2_log": fit.rvalue**2,
        "theil_sen_k": robust.slope,
        "theil_sen_alpha": math.exp(robust.intercept),
    }
    return {
        "about": "from scipy.stats.linregress and theilslopes of the logarithms, seeds of an encoder averaged",
        "cases": {"sizes": sizes, "scores": scores, "encoders": encoders, "names": list(expected)},
        "expected": {name: float(value) for name, value in expected.items()},
    }


def masks() -> Oracle:
    def one(reference: Sequence[str], prediction: Sequence[str], spacing: Sequence[float]) -> dict[str, Any]:
        return {"reference": list(reference), "prediction": list(prediction), "spacing_mm": list(spacing)}

    block = ["0000000", "0111000", "0111000", "0111000", "0000000"]
    moved = ["0000000", "0001110", "0001110", "0001110", "0000000"]
    ring, full, empty = ["11111", "10001", "10001", "10001", "11111"], ["11111"] * 5, ["00000"] * 5
    rod, longer = ["0" * 16, "01111111111" + "0" * 5, "0" * 16], ["0" * 16, "0" + "1" * 14 + "0", "0" * 16]
    return {
        "about": "by hand",
        "cases": {
            "masks": [
                one(block, moved, [2.0, 0.5]),
                one(rod, longer, [2.0, 0.5]),
                one(full, ring, [1.0, 1.0]),
                one(full, empty, [1.0, 1.0]),
                one(empty, empty, [1.0, 1.0]),
            ]
        },
        "expected": [
            # 3 common pixels of 9 and 9; the far column is two columns of 0.5 mm away
            {"Dice": 6 / 18, "IoU": 3 / 15, "hd_mm": 1.0, "hd95_mm": 1.0},
            # 10 common of 10 and 14; from the longer rod ten pixels are at 0, then .5, 1, 1.5, 2 mm: 95 % of the way
            # through 14 values is place 12.35, between 1.5 and 2
            {"Dice": 20 / 24, "IoU": 10 / 14, "hd_mm": 2.0, "hd95_mm": 1.675},
            # 16 of 25 pixels; both have the same boundary, of which the ring consists
            {"Dice": 32 / 41, "IoU": 16 / 25, "hd_mm": 0.0, "hd95_mm": 0.0},
            {"Dice": 0.0, "IoU": 0.0, "hd_mm": "inf", "hd95_mm": "inf"},
            {"Dice": None, "IoU": None, "hd_mm": None, "hd95_mm": None},
        ],
    }


def radfact() -> Oracle:
    """E: the phrase follows from the other report, N: it does not, F: no valid answer, U: the answer cited evidence
    that is not there; "!": the report was not taken apart, "": it has no phrases."""
    letters = {"s1": ("EEN", "EN"), "s2": ("EF", "E"), "s3": ("!", "FF"), "s4": ("", "NN"), "s5": ("NU", "EEE")}
    pairs, rows = [], []
    for study, outcomes in letters.items():
        texts = [f"Invented {side} of {study}: {word}" for side, word in zip(("text", "truth"), outcomes, strict=True)]
        pairs.append([study, *texts])
        for side, own, text in zip(("prediction", "reference"), outcomes, texts, strict=True):
            sha = hashlib.sha256(text.encode()).hexdigest()
            blank = dict.fromkeys(("number", "sentence", "start", "end", "phrase", "failure", "failure_kind"))
            row: dict[str, Any] = {"study_id": study, "direction": side, **blank, "evidence": [], "text_sha256": sha}
            if own == "!":
                rows.append({**row, "outcome": "not_split", "failure": "the server failed (500)"})
            elif not own:
                rows.append({**row, "outcome": "no_phrases"})
            for number, letter in enumerate(own.replace("!", ""), 1):
                place = {"number": number, "sentence": 1, "start": 0, "end": len(text), "phrase": f"phrase {number}"}
                verdict: dict[str, Any] = {"outcome": {"E": "entailed", "N": "not_entailed"}.get(letter, "failed")}
                if letter == "E":
                    verdict["evidence"] = [1]
                if letter in "FU":
                    kind = "cites evidence that does not exist" if letter == "U" else None
                    verdict |= {"failure": "no valid answer", "failure_kind": kind}
                rows.append({**row, **place, **verdict})
    head = {"radfact_judgments": 1, "rows": len(rows), "judge": {"engine": "none", "model": "by hand"}}

    # Failed judgments leave both sides of a share. s1: 2/3, 1/2; s2: 1/1, 1/1; s3: none, none; s4: none, 0/2;
    # s5: 0/1, 3/3. The package RadFact: s2 1/2 and 1/1; s3 and s5 are left out.
    figures = _radfact_figures([Fraction(2, 3), Fraction(1), Fraction(0)], [Fraction(1, 2), 1, 0, 1])
    compat = _radfact_figures([Fraction(2, 3), Fraction(1, 2)], [Fraction(1, 2), 1, 0])
    # All failures wrong: precisions 2/3, 1/2, 0 (s3), 0/2 and recalls 1/2, 1, 0/2, 0, 1; all right: precisions 2/3,
    # 1, 1, 1/2 and recalls 1/2, 1, 2/2, 0, 1.
    low = _radfact_figures([Fraction(2, 3), Fraction(1, 2), 0, 0], [Fraction(1, 2), 1, 0, 0, 1])
    high = _radfact_figures([Fraction(2, 3), 1, 1, Fraction(1, 2)], [Fraction(1, 2), 1, 1, 0, 1])
    return {
        "about": "by hand, with fractions; see the script",
        "cases": {"judgments": [head, *rows], "pairs": pairs},
        "expected": {
            "figures": figures,
            "figures, compat radfact": compat,
            # reports: two a study; judgments: of s1, s2, s4 and s5, whose reports were both taken apart
            "failures": {"reports": 10, "failed_reports": 1, "judgments": 15, "failed_judgments": 2},
            "bounds": {"low": low["radfact_logical_f1"], "high": high["radfact_logical_f1"]},
        },
    }


def _radfact_figures(precisions: Sequence[Any], recalls: Sequence[Any]) -> dict[str, float]:
    p, r = (sum(values, Fraction(0)) / len(values) for values in (precisions, recalls))
    return {
        "radfact_logical_f1": float(2 * p * r / (p + r)),
        "radfact_logical_precision": float(p),
        "radfact_logical_recall": float(r),
    }


_DEVICES = (
    "picc,internal_jugular_cvc,subclavian_cvc_or_port,nasogastric_tube,endotracheal_tube,tracheostomy_tube,"
    "chest_tube,mediastinal_drain,intra_aortic_balloon_pump,swan_ganz_catheter"
).split(",")


def placement() -> Oracle:
    pairs = [
        # prediction, reference; under 2 cm above the carina is too low: found
        ["Endotracheal tube tip is 1 cm above the carina.", "The endotracheal tube ends 1.5 cm above the carina."],
        # a nasogastric tube in the esophagus is misplaced: missed
        ["Nasogastric tube tip is in the stomach.", "Nasogastric tube tip is in the esophagus."],
        # a PICC in the right atrium is too deep, in the lower SVC it is well: false alarm
        ["Right PICC tip is in the right atrium.", "Right PICC tip is in the lower SVC."],
        # left out: missed
        ["Lungs are clear.", "Left chest tube with its side port outside the rib cage."],
        # both too deep: found; but of another side it is a false alarm and a miss by side
        ["Left PICC tip is in the right atrium.", "Right PICC tip is in the right atrium."],
        # 2.5 cm is neither correct nor incorrect: false alarm, which is no unit where the reference is clear
        ["Endotracheal tube tip is 1 cm above the carina.", "Endotracheal tube tip is 2.5 cm above the carina."],
        # both well: no case
        ["Endotracheal tube tip is 6 cm above the carina.", "Endotracheal tube tip is 5 cm above the carina."],
    ]

    def table(**counts: list[int]) -> dict[str, list[int]]:
        return {device: counts.get(device, [0, 0, 0]) for device in _DEVICES}

    def figures(tp: int, fp: int, fn: int, both: Sequence[int], clear: Sequence[int], macro: Fraction) -> Oracle:
        def f1(tp: int, fp: int, fn: int) -> float:
            return 2 * tp / (2 * tp + fp + fn)

        return {
            "incorrect_placement_f1": f1(tp, fp, fn),
            "incorrect_placement_precision": tp / (tp + fp),
            "incorrect_placement_recall": tp / (tp + fn),
            "incorrect_placement_both_present_f1": f1(*both),
            "incorrect_placement_reference_clear_f1": f1(*clear),
            "incorrect_placement_macro_f1": float(macro),
        }

    # F1 of the devices with a case: endotracheal 2/3, nasogastric 0, PICC 2/3 (by side 0), chest tube 0
    expected = {
        "devices": {
            "tp, fp, fn": table(
                endotracheal_tube=[1, 1, 0], nasogastric_tube=[0, 0, 1], picc=[1, 1, 0], chest_tube=[0, 0, 1]
            ),
            "figures": figures(2, 2, 2, (2, 2, 1), (2, 1, 2), Fraction(1, 3)),
        },
        "devices and sides": {
            "tp, fp, fn": table(
                endotracheal_tube=[1, 1, 0], nasogastric_tube=[0, 0, 1], picc=[0, 2, 1], chest_tube=[0, 0, 1]
            ),
            # The left and the right PICC are in one text each, so not among the devices in both texts.
            "figures": figures(1, 3, 3, (1, 2, 1), (1, 2, 3), Fraction(1, 6)),
        },
    }
    return {
        "about": "texts, and by hand what the built-in rules must find in them",
        "cases": {"pairs": pairs, "figures": list(expected["devices"]["figures"])},
        "expected": expected,
    }


def crosswalk() -> Oracle:
    return {
        "about": "texts, and by hand their CheXpert classes; a class that is not named is blank",
        "cases": {
            "texts": [
                "The heart is enlarged. Small left pleural effusion. No pneumothorax.",
                "Possible pneumonia in the right lower lobe. Endotracheal tube tip is 4 cm above the carina.",
                "The heart size is normal. No pleural effusion, consolidation or rib fracture.",
            ]
        },
        "expected": [
            {"Cardiomegaly": "positive", "Pneumothorax": "negative", "Pleural Effusion": "positive"},
            {"Pneumonia": "uncertain", "Support Devices": "positive"},
            # without a fracture of a rib another bone may still be broken: Fracture stays blank
            {
                "Cardiomegaly": "negative",
                "Consolidation": "negative",
                "Pleural Effusion": "negative",
                "No Finding": "positive",
            },
        ],
    }


_WIDTH, _LAYERS, _HEADS, _MIDDLE, _POSITIONS = 8, 2, 2, 12, 10


def chexbert() -> Oracle:
    """A BERT of two layers in plain numpy (post-norm, erf GELU), and fourteen linear heads at [CLS]."""
    vocabulary = "[PAD] [UNK] [CLS] [SEP] . , the heart is normal no pleural effusion ##s en ##larg ##ed 1".split()
    texts = ["The heart is enlarged.", "No pleural effusions,\n no pleural effusion", "", "Normal xyz 1. 1 1 1 1 1 1 1"]
    # by hand: lower case, pieces, white space of any kind is one, unknown words; at most ten, the last of them [SEP]
    ids = [
        [2, 6, 7, 8, 14, 15, 16, 4, 3],
        [2, 10, 11, 12, 13, 5, 10, 11, 12, 3],
        [2, 3],
        [2, 9, 1, 17, 4, 17, 17, 17, 17, 3],
    ]
    shapes = _chexbert_shapes(len(vocabulary))
    weights = {name: wave(number, shape).astype(np.float64) for number, (name, shape) in enumerate(shapes.items())}
    logits = [_chexbert_logits(weights, row) for row in ids]
    margins = [np.diff(sorted(head))[-1] for report in logits for head in report]
    assert min(margins) > 0.05, "a label hangs on rounding"
    apart = [np.abs(np.concatenate(a) - np.concatenate(b)).max() for a, b in combinations(logits, 2)]
    assert min(apart) > 0.1, "two texts look alike to this network"
    padded = [[[*map(float, head), *["-inf"] * (4 - len(head))] for head in report] for report in logits]
    return {
        "about": "a tiny CheXbert with weights in closed form (eval.selfcheck.wave), computed in plain numpy",
        "cases": {
            "vocabulary": vocabulary,
            "config": {
                "hidden_size": _WIDTH,
                "num_hidden_layers": _LAYERS,
                "num_attention_heads": _HEADS,
                "intermediate_size": _MIDDLE,
                "max_position_embeddings": _POSITIONS,
                "type_vocab_size": 2,
                "vocab_size": len(vocabulary),
            },
            "shapes": shapes,
            "texts": texts,
            "left_out": "bert.encoder.layer.1.output.LayerNorm.bias",
        },
        "expected": {
            "token ids": ids,
            "labels": [[int(np.argmax(head)) for head in report] for report in logits],
            "logits": padded,
            "checkpoint without one tensor": "refused",
        },
    }


def _chexbert_shapes(vocab_size: int) -> dict[str, list[int]]:
    """The tensors of the published checkpoint in their order, in small."""
    shapes = {
        "bert.embeddings.word_embeddings.weight": [vocab_size, _WIDTH],
        "bert.embeddings.position_embeddings.weight": [_POSITIONS, _WIDTH],
        "bert.embeddings.token_type_embeddings.weight": [2, _WIDTH],
        "bert.embeddings.LayerNorm.weight": [_WIDTH],
        "bert.embeddings.LayerNorm.bias": [_WIDTH],
    }

    def linear(name: str, outputs: int, inputs: int) -> None:
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = [outputs, inputs], [outputs]

    for layer in range(_LAYERS):
        start = f"bert.encoder.layer.{layer}"
        for part in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            linear(f"{start}.{part}", _WIDTH, _WIDTH)
        for end in ("weight", "bias"):
            shapes[f"{start}.attention.output.LayerNorm.{end}"] = [_WIDTH]
        linear(f"{start}.intermediate.dense", _MIDDLE, _WIDTH)
        linear(f"{start}.output.dense", _WIDTH, _MIDDLE)
        for end in ("weight", "bias"):
            shapes[f"{start}.output.LayerNorm.{end}"] = [_WIDTH]
    for head in range(14):
        linear(f"linear_heads.{head}", 2 if head == 13 else 4, _WIDTH)
    return shapes


def _chexbert_logits(weights: dict[str, Any], ids: Sequence[int]) -> list[Any]:
    def linear(name: str, x: Any) -> Any:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def norm(name: str, x: Any) -> Any:
        spread = np.sqrt(x.var(axis=-1, keepdims=True) + 1e-12)
        return (x - x.mean(axis=-1, keepdims=True)) / spread * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    words, positions, types = (
        weights[f"bert.embeddings.{name}_embeddings.weight"] for name in ("word", "position", "token_type")
    )
    x = norm("bert.embeddings.LayerNorm", words[list(ids)] + positions[: len(ids)] + types[0])
    for layer in range(_LAYERS):
        start = f"bert.encoder.layer.{layer}"
        query, key, value = (linear(f"{start}.attention.self.{part}", x) for part in ("query", "key", "value"))
        seen = np.empty_like(x)
        size = _WIDTH // _HEADS
        for head in range(_HEADS):
            part = slice(head * size, (head + 1) * size)
            seen[:, part] = special.softmax(query[:, part] @ key[:, part].T / math.sqrt(size), axis=-1) @ value[:, part]
        x = norm(f"{start}.attention.output.LayerNorm", x + linear(f"{start}.attention.output.dense", seen))
        middle = linear(f"{start}.intermediate.dense", x)
        middle = middle * (1 + special.erf(middle / math.sqrt(2))) / 2
        x = norm(f"{start}.output.LayerNorm", x + linear(f"{start}.output.dense", middle))
    return [linear(f"linear_heads.{head}", x[0]) for head in range(14)]


def _null(value: Any) -> float | None:
    return None if math.isnan(value) else float(value)


ORACLES: dict[str, Callable[[], Oracle]] = {
    make.__name__: make
    for make in (
        rouge_l,
        chexpert,
        reference_bootstrap,
        fast_bootstrap,
        bca,
        curves,
        curve_bootstrap,
        hierarchical,
        ranks,
        multiplicity,
        power_law,
        masks,
        radfact,
        placement,
        crosswalk,
        chexbert,
    )
}


def as_text(oracle: Oracle) -> str:
    """One line a case and an expectation, so that a change shows where it is."""
    parts = [f' "about": {json.dumps(oracle["about"])}']
    for name in ("cases", "expected"):
        value = oracle[name]
        if isinstance(value, dict):
            inner = ",\n".join(f"  {json.dumps(key)}: {json.dumps(one, allow_nan=False)}" for key, one in value.items())
            parts.append(f' "{name}": {{\n{inner}\n }}')
        else:
            inner = ",\n".join(f"  {json.dumps(one, allow_nan=False)}" for one in value)
            parts.append(f' "{name}": [\n{inner}\n ]')
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    for name, make in ORACLES.items():
        (FOLDER / f"{name}.json").write_text(as_text(make()), encoding="utf-8")
