"""Fold ranges: by hand, and the bootstrap fact by listing all resamples."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from eval.statistics.folds import fold_range
from tests.eval.shared_oracles import oracle


def test_median_and_range_of_five_folds():
    result = fold_range([0.9, 0.7, 0.8, 0.75, 0.6])
    assert result[:3] == (0.75, 0.6, 0.9)
    # All five on one side of the median: 2 of 32 cases.
    assert result.coverage == 1 - 2 / 32


def test_the_median_of_an_even_number_of_folds_lies_between_the_middle_two():
    assert fold_range([4, 1, 2, 8]).median == 3


@pytest.mark.parametrize("n", [2, 3, 4, 5, 6])
def test_share_of_all_resamples_whose_median_is_the_smallest_value(n):
    medians = np.median(list(product(range(n), repeat=n)), axis=1)
    assert fold_range(range(n)).bootstrap_median_is_low == pytest.approx((medians == 0).mean())


@pytest.mark.parametrize(("n", "is_range"), [(3, True), (4, True), (5, True), (6, False), (7, False)])
def test_up_to_five_folds_a_percentile_interval_of_the_median_is_the_range(n, is_range):
    assert (fold_range(range(n)).bootstrap_median_is_low > 0.025) is is_range


@pytest.mark.parametrize("values", [[], [0.5], [0.5, math.nan], [[0.1, 0.2]]])
def test_what_has_no_range_is_refused(values):
    with pytest.raises(ValueError, match="fold values"):
        fold_range(values)


def test_five_folds_as_the_oracle():
    given, expected = (oracle("folds.median_ci")[key] for key in ("input", "expected"))
    result = fold_range(given["folds"])
    assert (result.median, [result.low, result.high]) == (expected["median"], expected["ci"])
    assert result.bootstrap_median_is_low == pytest.approx(expected["p_boot_median_is_min"], abs=1e-10)
    assert result.coverage == expected["order_stat_coverage"]
