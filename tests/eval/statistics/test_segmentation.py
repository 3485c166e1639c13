"""Masks: by hand and against every pair of boundary pixels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import f1_score, jaccard_score

from eval.statistics.segmentation import Hausdorff, dice, hausdorff, iou


def mask(*rows: str) -> np.ndarray:
    return np.array([[letter == "#" for letter in row] for row in rows])


def square(shape: tuple[int, int], top: int, left: int, height: int, width: int) -> np.ndarray:
    drawn = np.zeros(shape, dtype=bool)
    drawn[top : top + height, left : left + width] = True
    return drawn


EMPTY = np.zeros((3, 4), dtype=bool)
FULL = ~EMPTY


def boundary_points(drawn: np.ndarray) -> list[tuple[int, int]]:
    padded = np.pad(drawn, 1)
    return [
        (row, column)
        for row, column in np.argwhere(drawn).tolist()
        if not all(padded[row + 1 + i, column + 1 + j] for i, j in ((-1, 0), (1, 0), (0, -1), (0, 1)))
    ]


def brute_force(a: np.ndarray, b: np.ndarray, spacing: tuple[float, float]) -> tuple[float, float]:
    of_a, of_b = boundary_points(a), boundary_points(b)

    def directed(from_points, to_points):
        return [
            min(math.hypot((r - s) * spacing[0], (c - d) * spacing[1]) for s, d in to_points) for r, c in from_points
        ]

    def percentile_95(values):
        ordered, position = sorted(values), 0.95 * (len(values) - 1)
        below = ordered[math.floor(position)]
        return below + (position % 1) * (ordered[math.ceil(position)] - below)

    there, back = directed(of_a, of_b), directed(of_b, of_a)
    return max(max(there), max(back)), max(percentile_95(there), percentile_95(back))


def test_overlap_by_hand():
    a, b = mask("##..", "##.."), mask(".##.", ".##.")
    # 4 and 4 pixels, 2 in common, 6 in either.
    assert dice(a, b) == 0.5
    assert iou(a, b) == pytest.approx(2 / 6)


def test_overlap_is_scikit_learns_f1_and_jaccard_of_the_pixels():
    rng = np.random.default_rng(0)
    a, b = rng.random((9, 14)) < 0.4, rng.random((9, 14)) < 0.6
    assert dice(a, b) == pytest.approx(f1_score(a.ravel(), b.ravel()))
    assert iou(a, b) == pytest.approx(jaccard_score(a.ravel(), b.ravel()))


def test_one_empty_mask_overlaps_nothing_and_two_are_what_the_caller_says():
    for measure in (dice, iou):
        assert measure(EMPTY, FULL) == measure(FULL, EMPTY) == 0
        assert math.isnan(measure(EMPTY, EMPTY))
        assert measure(EMPTY, EMPTY, both_empty=1.0) == 1
        assert measure(FULL, EMPTY, both_empty=1.0) == 0


def test_two_points_are_apart_by_the_spacing_of_rows_and_of_columns():
    a, b = mask("#...", "....", "...."), mask("....", "....", "...#")
    # 2 rows of 2 mm, 3 columns of 1 mm: sqrt(16 + 9) = 5.
    assert hausdorff(a, b, spacing_mm=(2.0, 1.0)) == (5, 5)
    assert hausdorff(a, b, spacing_mm=(1.0, 2.0)).hd_mm == pytest.approx(math.sqrt(4 + 36))


def test_one_far_pixel_sets_hd_but_not_hd95():
    a = square((12, 60), 2, 2, 1, 40)
    b = a.copy()
    b[10, 20] = True
    # Of the 41 pixels of b one is 8 rows off: the 95th percentile is the 39th of 41 values, 0.
    assert hausdorff(a, b, spacing_mm=(1.0, 1.0)) == (8, 0)


def test_hd95_is_the_larger_directed_percentile_not_the_pooled_one():
    a, b = square((3, 100), 1, 0, 1, 90), square((3, 100), 1, 0, 1, 10)
    # From a to b: 0 ten times, then 1 to 80: the 95th percentile of these 90 lies at .95 * 89 = 84.55 of 0 to 89, so
    # at distance 75.55. Pooled with the ten zeros of b it would be 75.05.
    result = hausdorff(a, b, spacing_mm=(1.0, 1.0))
    assert result.hd_mm == 80
    assert result.hd95_mm == pytest.approx(75.55)
    assert hausdorff(b, a, spacing_mm=(1.0, 1.0)) == result


def test_a_hole_has_a_boundary():
    solid = square((9, 9), 0, 0, 9, 9)
    holed = solid.copy()
    holed[4, 4] = False
    # The four neighbours of the hole, as (3, 4), are 3 rows from the outermost pixels.
    assert hausdorff(solid, holed, spacing_mm=(1.0, 1.0)).hd_mm == 3


@pytest.mark.parametrize("seed", range(12))
def test_distances_are_those_of_every_pair_of_boundary_pixels(seed):
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(6, 25)), int(rng.integers(6, 25)))
    spacing = (float(rng.uniform(0.1, 2)), float(rng.uniform(0.1, 2)))

    def blob():
        drawn = square(shape, *rng.integers(0, 5, 2), *rng.integers(1, 15, 2))
        return drawn ^ (rng.random(shape) < 0.03)  # specks and holes

    a, b = blob(), blob()
    assert hausdorff(a, b, spacing_mm=spacing) == pytest.approx(brute_force(a, b, spacing), abs=1e-9)


def test_equal_masks_are_0_apart_even_where_they_fill_the_image():
    assert hausdorff(FULL, FULL, spacing_mm=(0.2, 0.2)) == (0, 0)


def test_empty_masks_are_infinitely_far_or_nowhere():
    assert hausdorff(EMPTY, FULL, spacing_mm=(1.0, 1.0)) == Hausdorff(math.inf, math.inf)
    assert hausdorff(FULL, EMPTY, spacing_mm=(1.0, 1.0)) == Hausdorff(math.inf, math.inf)
    assert all(map(math.isnan, hausdorff(EMPTY, EMPTY, spacing_mm=(1.0, 1.0))))


@pytest.mark.parametrize("spacing", [(0.0, 1.0), (1.0, -1.0), (1.0, math.nan), (1.0, math.inf), (1.0,)])
def test_a_spacing_that_is_none_is_refused(spacing):
    with pytest.raises(ValueError, match="spacing"):
        hausdorff(FULL, FULL, spacing_mm=spacing)


@pytest.mark.parametrize("wrong", [FULL.astype(np.uint8), FULL[0], FULL[None], np.zeros((0, 4), dtype=bool), FULL[:2]])
def test_what_is_no_pair_of_masks_is_refused(wrong):
    for measure in (dice, iou, lambda a, b: hausdorff(a, b, spacing_mm=(1.0, 1.0))):
        with pytest.raises(ValueError, match="shape"):
            measure(FULL, wrong)
        with pytest.raises(ValueError, match="shape"):
            measure(wrong, FULL)


def test_two_empty_masks_cannot_be_given_any_score():
    with pytest.raises(ValueError, match="both_empty"):
        dice(EMPTY, EMPTY, both_empty=0.5)
