"""Bootstrap intervals of AUPRC and AUROC, for test sets of any size: sorted once, a millisecond or so a resample.

Three ways to draw. "stratified" keeps the number of positives and of negatives (A.8 of the data scaling paper) and
"iid" draws samples whatever their label; both take samples for independent. "patient" draws patients and keeps all
their samples: right whenever a patient has several images, where the other two give intervals that are too short (by
about 30 % in our simulation of 11,800 studies of 4,000 patients, who often have many studies).

Shape letters: N samples, B replicates.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from eval.statistics.curves import Bools, Floats, check_binary
from eval.statistics.multinomial import CellCounts, Index, cell_edges, replicate_generators
from eval.statistics.ranking import CountedCurve, Cumulative, Curve, CurveArea, Drawing, Thresholds, find_thresholds

Scheme = Literal["stratified", "iid", "patient"]


class CurveInterval(NamedTuple):
    """A curve's area with its bootstrap distribution.

    point: on the data as they are; median, low, high: 50, 2.5 and 97.5 % quantiles of the replicates (linear between
    order statistics); mean, std: of the replicates, std with divisor B; degenerate_share: replicates that drew one
    class only, which are NaN in replicates_B and left out of all of these.
    """

    point: float
    median: float
    low: float
    high: float
    mean: float
    std: float
    degenerate_share: float
    replicates_B: Floats


def bootstrap_auprc(
    labels_N: npt.ArrayLike,
    scores_N: npt.ArrayLike,
    *,
    seed: int,
    scheme: Scheme = "stratified",
    patient_ids_N: npt.ArrayLike | None = None,
    replicates: int = 500,
) -> CurveInterval:
    """Percentile interval of the AUPRC (`curves.average_precision`).

    Args:
        labels_N: 0 or 1.
        scores_N: higher means more likely positive.
        seed: decides every replicate; the first B of a longer run are the same.
        scheme: see the module.
        patient_ids_N: whose sample it is; needed by "patient" and refused by the other two.
        replicates: B.

    Raises:
        ValueError: see `curves.check_binary`; patient ids missing, unwanted, of another length, unknown for a sample,
            or all alike; no replicate; no replicate with both classes.
    """
    return _bootstrap(Curve.AUPRC, labels_N, scores_N, seed, scheme, patient_ids_N, replicates)


def bootstrap_auroc(
    labels_N: npt.ArrayLike,
    scores_N: npt.ArrayLike,
    *,
    seed: int,
    scheme: Scheme = "stratified",
    patient_ids_N: npt.ArrayLike | None = None,
    replicates: int = 500,
) -> CurveInterval:
    """Percentile interval of the AUROC (`curves.auroc`); all else, and the resamples, as in `bootstrap_auprc`."""
    return _bootstrap(Curve.AUROC, labels_N, scores_N, seed, scheme, patient_ids_N, replicates)


def patient_drawing(
    patient_ids_N: npt.ArrayLike, num_samples: int
) -> tuple[Callable[[np.random.Generator], Drawing], Index]:
    """Draws patients with replacement; and each sample's patient, as its place in the drawn counts.

    Raises:
        ValueError: another length than the samples, an id that is None or NaN, or fewer than two patients.
    """
    ids = np.asarray(patient_ids_N)
    if ids.shape != (num_samples,):
        raise ValueError(f"patient ids of shape {ids.shape} for {num_samples} samples")
    unknown = int(np.count_nonzero((ids != ids) | (ids == None)))  # noqa: E711 - element by element
    if unknown:
        raise ValueError(f"{unknown} of {num_samples} samples have no patient id")
    patients, patient_N = np.unique(ids, return_inverse=True)
    if patients.size < 2:
        raise ValueError("all samples are of one patient: nothing can be resampled")
    cells = CellCounts(np.ones(patients.size))

    def draw(rng: np.random.Generator) -> Drawing:
        drawn = cells.draw(rng, patients.size)
        return drawn, drawn

    return draw, patient_N.reshape(-1)


def _bootstrap(
    curve: Curve,
    labels_N: npt.ArrayLike,
    scores_N: npt.ArrayLike,
    seed: int,
    scheme: Scheme,
    patient_ids_N: npt.ArrayLike | None,
    replicates: int,
) -> CurveInterval:
    positive, scores = check_binary(labels_N, scores_N)
    if scheme not in ("stratified", "iid", "patient"):
        raise ValueError(f"no scheme {scheme!r}; known: stratified, iid, patient")
    if (scheme == "patient") != (patient_ids_N is not None):
        raise ValueError(f"scheme {scheme!r} {'needs' if scheme == 'patient' else 'takes no'} patient ids")
    if patient_ids_N is not None:
        draw, patient_N = patient_drawing(patient_ids_N, scores.size)
        counted = CountedCurve(curve, positive, scores, patient_N)
        point = counted.point()
        values_B = np.array([counted(*draw(rng)) for rng in replicate_generators(seed, replicates)])
    else:
        point, resample = _sample_resample(curve, positive, scores, stratified=scheme == "stratified")
        values_B = np.array([resample(rng) for rng in replicate_generators(seed, replicates)])
    degenerate = int(np.count_nonzero(np.isnan(values_B)))
    if degenerate == replicates:
        raise ValueError(f"each of {replicates} resamples drew one class only")
    low, median, high = np.nanquantile(values_B, [0.025, 0.5, 0.975])
    return CurveInterval(
        point=point,
        median=float(median),
        low=float(low),
        high=float(high),
        mean=float(np.nanmean(values_B)),
        std=float(np.nanstd(values_B)),
        degenerate_share=degenerate / replicates,
        replicates_B=values_B,
    )


def _sample_resample(
    curve: Curve, positive: Bools, scores: Floats, *, stratified: bool
) -> tuple[float, Callable[[np.random.Generator], float]]:
    """The area on the data as they are, and what draws a resample and gives its area.

    Samples that no threshold tells apart are one cell: with few positives there are far fewer cells than samples.
    """
    positives, negatives = np.sort(-scores[positive]), np.sort(-scores[~positive])
    at = find_thresholds(positives, negatives)
    tp_edges = cell_edges(at.tp_G, positives.size)
    fp_edges = cell_edges(np.concatenate([at.fp_above_G, at.fp_G]), negatives.size)
    tp_cells, fp_cells = (CellCounts(np.diff(edges, prepend=0)) for edges in (tp_edges, fp_edges))
    tp_cumulative, fp_cumulative = Cumulative(tp_edges.size), Cumulative(fp_edges.size)
    area = CurveArea(
        curve,
        Thresholds(
            np.searchsorted(tp_edges, at.tp_G, side="right"),
            np.searchsorted(fp_edges, at.fp_above_G, side="right"),
            np.searchsorted(fp_edges, at.fp_G, side="right"),
        ),
    )
    positive_share = positives.size / scores.size

    def resample(rng: np.random.Generator) -> float:
        num_positive = positives.size if stratified else int(rng.binomial(scores.size, positive_share))
        tp = tp_cumulative(tp_cells.draw(rng, num_positive))
        fp = fp_cumulative(fp_cells.draw(rng, scores.size - num_positive))
        return area(tp, fp)

    point = area(*(np.append(0, edges).astype(np.int32) for edges in (tp_edges, fp_edges)))
    return point, resample
