"""What a figure is, and what it refuses."""

from __future__ import annotations

import math

import numpy as np
import pytest

from eval.figures import Figure, Group, mean_figure, ratio


def test_a_mean_is_over_the_studies_that_have_a_score() -> None:
    figure = mean_figure("rouge_l", "ROUGE-L", "rouge_l", np.array([0.25, math.nan, 0.75, 0.5]))
    assert figure.point() == pytest.approx(0.5)  # 1.5 over 3 studies, not over 4
    assert figure.sums_ND.tolist() == [[0.25, 1.0], [0.0, 0.0], [0.75, 1.0], [0.5, 1.0]]


def test_a_mean_of_no_scores_is_undefined() -> None:
    assert math.isnan(mean_figure("f", "F", "m", np.array([math.nan, math.nan])).point())
    assert math.isnan(mean_figure("f", "F", "m", np.array([])).point())


def test_an_infinite_score_is_refused() -> None:
    with pytest.raises(ValueError, match="spoilt: sums_ND holds NaN or infinite"):
        mean_figure("spoilt", "F", "m", np.array([1.0, math.inf]))


def test_a_ratio_without_a_denominator_is_undefined_and_the_others_are_not() -> None:
    sums = np.array([[1.0, 2.0], [0.0, 0.0], [3.0, 0.0], [0.0, 4.0]])
    assert np.array_equal(ratio(sums), [0.5, math.nan, math.nan, 0.0], equal_nan=True)
    assert ratio(np.array([[[1.0, 4.0], [1.0, 1.0]]])).tolist() == [[0.25, 1.0]]  # any leading axes


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_sums_that_are_not_finite_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="f1: sums_ND holds NaN or infinite"):
        Figure("f1", "F1", "chexbert", Group.CLASS, np.array([[1.0, bad]]), ratio)


def test_sums_without_a_column_axis_are_refused() -> None:
    with pytest.raises(ValueError, match=r"f1: sums_ND has shape \(2,\)"):
        Figure("f1", "F1", "chexbert", Group.CLASS, np.array([1.0, 2.0]), ratio)


def test_the_point_is_the_value_of_the_summed_columns() -> None:
    # Twice 2 hits over 3 predicted and 4 present: F1 = 4/7; the mean of the studies' own F1 would be another number.
    sums = np.array([[1.0, 1.0, 2.0], [1.0, 2.0, 2.0]])
    figure = Figure("f1", "F1", "m", Group.CLASS, sums, lambda s: 2 * s[..., 0] / (s[..., 1] + s[..., 2]))
    assert figure.point() == pytest.approx(4 / 7)
