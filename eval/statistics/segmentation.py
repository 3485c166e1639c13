"""Overlap and distance of two masks: Dice, intersection over union, Hausdorff.

Libraries differ by over 100 mm on the same masks (Podobnik and Vrtovec, arXiv 2410.02630), so every choice is written
down here: the boundary of a mask consists of its own pixels that have at least one of their four neighbours outside it
(beyond the image is outside); distances are Euclidean, in mm, between pixel centers of the stated spacing, from each
boundary pixel of one mask to the nearest boundary pixel of the other.

Shape letters: H rows, W columns. Masks are boolean.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from eval.figures import Floats

Mask = npt.NDArray[np.bool_]


class Hausdorff(NamedTuple):
    """hd_mm: largest distance. hd95_mm: the larger of the two directed 95th percentiles (not that of all pooled)."""

    hd_mm: float
    hd95_mm: float


def dice(reference_HW: Mask, prediction_HW: Mask, *, both_empty: float = math.nan) -> float:
    """Twice the common pixels over the pixels of both; 0 where just one mask is empty.

    Args:
        reference_HW, prediction_HW: boolean masks of one shape; the measure is symmetric.
        both_empty: what two empty masks give, 1.0 (right to find nothing) or NaN (nothing to measure, the default: an
            average over images with 1.0 rises with the share of images that show nothing).

    Raises:
        ValueError: masks that are not boolean, not 2-D, without pixels or of two shapes; another both_empty.
    """
    common, total = _overlap(reference_HW, prediction_HW, both_empty)
    return 2 * common / total if total else both_empty


def iou(reference_HW: Mask, prediction_HW: Mask, *, both_empty: float = math.nan) -> float:
    """Common pixels over those of either mask (Jaccard), = dice / (2 - dice). Arguments and refusals as `dice`."""
    common, total = _overlap(reference_HW, prediction_HW, both_empty)
    return common / (total - common) if total else both_empty


def hausdorff(reference_HW: Mask, prediction_HW: Mask, *, spacing_mm: tuple[float, float]) -> Hausdorff:
    """How far the boundaries of two masks lie apart, in mm; boundary and distance as the module says.

    hd_mm is the larger of the two directed maxima; for hd95_mm the 95th percentiles (linear interpolation) take the
    place of the maxima. One mask empty: both are infinite. Both empty: NaN.

    Args:
        reference_HW, prediction_HW: boolean masks of one shape; the measure is symmetric.
        spacing_mm: distance of neighbouring rows, then of neighbouring columns.

    Raises:
        ValueError: masks that are not boolean, not 2-D, without pixels or of two shapes; a spacing not above 0.
    """
    _check(reference_HW, prediction_HW)
    if len(spacing_mm) != 2 or not all(math.isfinite(s) and s > 0 for s in spacing_mm):
        raise ValueError(f"spacing {spacing_mm} is not two positive numbers of mm (row, column)")
    if not reference_HW.any() or not prediction_HW.any():
        value = math.inf if reference_HW.any() or prediction_HW.any() else math.nan
        return Hausdorff(value, value)
    # Both masks lie inside the box of their union: the same distances from far fewer pixels.
    box = ndimage.find_objects((reference_HW | prediction_HW).astype(np.int8))[0]
    reference, prediction = _boundary(reference_HW[box]), _boundary(prediction_HW[box])
    there = _distances(reference, prediction, spacing_mm)
    back = _distances(prediction, reference, spacing_mm)
    return Hausdorff(
        hd_mm=float(max(there.max(), back.max())),
        hd95_mm=float(max(np.percentile(there, 95), np.percentile(back, 95))),
    )


def _overlap(reference: Mask, prediction: Mask, both_empty: float) -> tuple[int, int]:
    _check(reference, prediction)
    if not (math.isnan(both_empty) or both_empty == 1.0):
        raise ValueError(f"both_empty is {both_empty}; it is 1.0 or NaN")
    return int((reference & prediction).sum()), int(reference.sum()) + int(prediction.sum())


def _check(reference: Mask, prediction: Mask) -> None:
    for name, mask in (("reference", reference), ("prediction", prediction)):
        if mask.dtype != np.bool_ or mask.ndim != 2 or not mask.size:
            raise ValueError(f"the {name} is no boolean (rows, columns) mask: {mask.dtype} of shape {mask.shape}")
    if reference.shape != prediction.shape:
        raise ValueError(f"a reference of shape {reference.shape}, a prediction of shape {prediction.shape}")


def _boundary(mask: Mask) -> Mask:
    return mask & ~np.asarray(
        ndimage.binary_erosion(mask), dtype=np.bool_
    )  # scipy's default: four neighbours, 0 outside


def _distances(boundary: Mask, other: Mask, spacing_mm: tuple[float, float]) -> Floats:
    to_other = np.asarray(ndimage.distance_transform_edt(~other, sampling=spacing_mm), dtype=np.float64)
    return to_other[boundary]
