"""Adjusted p values: by hand, and from statsmodels (in the shared oracles)."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from eval.statistics.multiplicity import benjamini_hochberg, benjamini_yekutieli, bonferroni, holm
from tests.eval.shared_oracles import oracle

ALL = [bonferroni, holm, benjamini_hochberg, benjamini_yekutieli]


def test_four_p_values_by_hand():
    p = [0.04, 0.01, 0.03, 0.30]
    assert bonferroni(p).tolist() == pytest.approx([0.16, 0.04, 0.12, 1.0])
    # Ascending .01 .03 .04 .30: times 4 3 2 1 = .04 .09 .08 .30; .08 may not lie under .09.
    assert holm(p).tolist() == pytest.approx([0.09, 0.04, 0.09, 0.30])
    # Times 4/1 4/2 4/3 1 = .04 .06 .0533 .30; .06 may not lie over .0533.
    assert benjamini_hochberg(p).tolist() == pytest.approx([0.16 / 3, 0.04, 0.16 / 3, 0.30])
    # 1 + 1/2 + 1/3 + 1/4 = 25/12.
    assert benjamini_yekutieli(p).tolist() == pytest.approx([1 / 9, 1 / 12, 1 / 9, 0.625])


def test_false_discovery_rates_are_scipys():
    p = np.random.default_rng(2).random(40).round(2) ** 2
    assert benjamini_hochberg(p) == pytest.approx(stats.false_discovery_control(p, method="bh"))
    assert benjamini_yekutieli(p) == pytest.approx(stats.false_discovery_control(p, method="by"))


@pytest.mark.parametrize("adjust", ALL)
def test_adjusting_keeps_the_order_of_the_p_values_and_stays_under_1(adjust):
    p = np.random.default_rng(1).random(60)
    adjusted = adjust(p)
    assert (np.diff(adjusted[np.argsort(p)]) >= 0).all()
    assert (adjusted >= p).all()
    assert adjusted.max() <= 1


def test_holm_is_never_weaker_than_bonferroni_nor_stronger_than_benjamini_hochberg():
    p = np.random.default_rng(3).random(30) / 20
    assert (benjamini_hochberg(p) <= holm(p)).all()
    assert (holm(p) <= bonferroni(p)).all()


@pytest.mark.parametrize("adjust", ALL)
def test_one_p_value_stays_as_it_is(adjust):
    assert adjust([0.03]).tolist() == [0.03]


@pytest.mark.parametrize("adjust", ALL)
@pytest.mark.parametrize("p", [[], [[0.1]], [0.1, math.nan], [-0.1], [1.1]])
def test_what_is_no_list_of_p_values_is_refused(adjust, p):
    with pytest.raises(ValueError, match="p values"):
        adjust(p)


def test_eight_p_values_as_the_oracle():
    given, expected = (oracle("multiplicity")[key] for key in ("input", "expected"))
    for adjust, name in zip(ALL, ["bonferroni", "holm", "fdr_bh", "fdr_by"], strict=True):
        assert adjust(given["p"]).tolist() == pytest.approx(expected[name], abs=1e-10)
