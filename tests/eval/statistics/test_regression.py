"""Squared errors and R2: by hand and by scikit-learn, whole and resampled."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import mean_squared_error, r2_score

from eval.statistics.regression import mse, mse_figure, r2, r2_figure


def test_by_hand():
    # Errors 0, 1, -1; y about its mean 2: -1, 0, 1.
    assert mse([1, 2, 3], [1, 1, 4]) == pytest.approx(2 / 3)
    assert r2([1, 2, 3], [1, 1, 4]) == pytest.approx(1 - 2 / 2)
    # Predictions worse than the mean: below 0.
    assert r2([1, 2, 3], [3, 2, 1]) == pytest.approx(1 - 8 / 2)


@pytest.mark.parametrize(("offset", "unit"), [(0, 1), (1e6, 1), (-3, 1e-4), (50, 1e8)])
def test_scikit_learn_gives_the_same_at_any_origin_and_unit(offset, unit):
    rng = np.random.default_rng(4)
    y = offset + unit * rng.normal(size=200)
    prediction = y + unit * rng.normal(0.2, 0.5, size=200)
    assert mse(y, prediction) == pytest.approx(mean_squared_error(y, prediction))
    assert r2(y, prediction) == pytest.approx(r2_score(y, prediction), abs=1e-12)


def test_figures_of_resamples_are_scikit_learns_on_the_drawn_studies():
    rng = np.random.default_rng(8)
    y = 0.5 + 0.1 * rng.normal(size=30)
    prediction = y + 0.05 * rng.normal(size=30)
    draws_BN = rng.integers(0, 30, (7, 30))
    counts_BN = np.array([np.bincount(draw, minlength=30) for draw in draws_BN], dtype=float)
    for figure, expected in (
        (mse_figure("m", y, prediction), mean_squared_error),
        (r2_figure("r", y, prediction), r2_score),
    ):
        values = figure.value(counts_BN @ figure.sums_ND)
        assert values.tolist() == pytest.approx([expected(y[draw], prediction[draw]) for draw in draws_BN], abs=1e-12)


def test_r2_of_a_resample_in_which_y_does_not_vary_is_nan():
    y, prediction = np.array([0.1, 0.7, 0.7, 0.3]), np.array([0.2, 0.6, 0.7, 0.3])
    figure = r2_figure("r2", y, prediction)
    counts_BN = np.array([[4, 0, 0, 0], [0, 1, 3, 0], [1, 1, 1, 1], [0, 0, 0, 0]], dtype=float)
    values = figure.value(counts_BN @ figure.sums_ND)
    assert np.isnan(values).tolist() == [True, True, False, True]
    assert values[2] == pytest.approx(r2_score(y, prediction))


def test_rounding_is_no_variation_whichever_study_is_drawn_over_and_over():
    y = np.random.default_rng(0).normal(size=50)
    figure = r2_figure("r2", y, y + 0.1)
    assert np.isnan(figure.value(50 * np.eye(50) @ figure.sums_ND)).all()


def test_r2_of_a_constant_is_refused_and_its_error_is_not():
    with pytest.raises(ValueError, match="all 3 values of y are 0"):
        r2([0.3, 0.3, 0.3], [0.3, 0.3, 0.3])
    with pytest.raises(ValueError, match="all 1 values"):
        r2_figure("r2", [0.3], [0.2])
    assert mse([0.3, 0.3], [0.3, 0.4]) == pytest.approx(0.005)


@pytest.mark.parametrize(
    ("y", "prediction", "message"),
    [
        ([], [], "equal lists"),
        ([1, 2], [1, 2, 3], "equal lists"),
        ([[1, 2]], [[1, 2]], "equal lists"),
        ([1, math.nan], [1, 2], "1 of 2 values of y"),
        ([1, 2], [1, math.inf], "1 of 2 values of the predictions"),
    ],
)
def test_values_that_are_no_pairs_of_numbers_are_refused(y, prediction, message):
    for measure in (mse, r2):
        with pytest.raises(ValueError, match=message):
            measure(y, prediction)
