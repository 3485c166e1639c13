"""Rank tests: numbers by hand, from scipy and from scikit-posthocs (in the shared oracles)."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from eval.statistics.ranks import critical_difference, friedman, mann_whitney, nemenyi
from tests.eval.shared_oracles import oracle, read_shared


def two_treatments(plus: int, minus: int, ties: int) -> list[list[float]]:
    return [[0.1, 0.2]] * plus + [[0.2, 0.1]] * minus + [[0.3, 0.3]] * ties


def test_three_treatments_in_the_same_order_in_four_folds():
    # Rank sums 4, 8, 12 about 8: S = 32; sum of squared ranks 4 * 14 = 56, less 4 * 3 * 16 / 4 = 48: 8.
    # chi2 = 2 * 32 / 8 = 8, its tail on 2 degrees of freedom exp(-4). One of 3! orders in all four folds: 6 ** -3.
    result = friedman([[1, 2, 3], [0.1, 0.2, 0.9], [5, 6, 7], [-3, -2, -1]])
    assert result.chi2 == pytest.approx(8, abs=1e-12)
    assert result.p == pytest.approx(math.exp(-4), rel=1e-12)
    assert result.f == math.inf
    assert result.f_p == pytest.approx(6**-3, rel=1e-12)
    assert result.sign_p is None


def test_equal_folds_with_a_tie_have_fewer_possible_orders():
    # Ranks 1.5, 1.5, 3: three places for the 3, so agreement of three folds has chance 3 ** -2.
    result = friedman([[1, 1, 2]] * 3)
    assert (result.f, result.f_p) == (math.inf, pytest.approx(1 / 9))


def test_friedman_with_ties_is_scipys():
    values = np.random.default_rng(5).integers(0, 4, (7, 5)).astype(float)
    expected = stats.friedmanchisquare(*values.T)
    result = friedman(values)
    assert (result.chi2, result.p) == (pytest.approx(expected.statistic), pytest.approx(expected.pvalue))
    # Iman and Davenport's F is the two-way analysis of variance of the ranks.
    ranks = stats.rankdata(values, axis=1)
    treatment = 7 * ((ranks.mean(axis=0) - 3) ** 2).sum()
    residual = ((ranks - 3) ** 2).sum() - treatment
    assert result.f == pytest.approx((treatment / 4) / (residual / 24))
    assert result.f_p == pytest.approx(stats.f.sf(result.f, 4, 24))


def test_five_of_five_folds_give_025_by_the_approximation_but_exactly_0625():
    # Friedman: (5 - 0)^2 / 5 = 5 on one degree of freedom. Exactly: 2 of the 2^5 sign patterns are as extreme, and
    # the signed rank test on five folds can do no better.
    result = friedman(two_treatments(5, 0, 0))
    assert result.chi2 == 5
    assert result.p == pytest.approx(0.0253473, abs=1e-7)
    assert result.sign_p == pytest.approx(2 / 32)
    assert stats.wilcoxon([1, 2, 3, 4, 5]).pvalue == pytest.approx(0.0625)


def test_exact_sign_test_of_four_folds_against_one_with_a_tie_left_out():
    # 4 : 1 of five untied folds: (1 + 5) of 32 patterns on each side.
    assert friedman(two_treatments(4, 1, 2)).sign_p == pytest.approx(12 / 32)


def test_no_difference_in_any_fold_is_p_1():
    assert friedman([[0.5, 0.5]] * 5) == (0, 1, 0, 1, 1)
    assert friedman([[0.5, 0.5, 0.5]] * 2)[:2] == (0, 1)


def test_nemenyi_of_two_treatments_is_the_normal_tail_of_their_mean_ranks():
    # 4 : 1 folds: mean ranks 1.8 and 1.2, q = .6 / sqrt(1 / 5). Two treatments: the range of two normals.
    result = nemenyi(two_treatments(4, 1, 0), larger_is_better=True)
    assert result.mean_rank_K.tolist() == pytest.approx([1.8, 1.2])
    assert result.p_KK[0, 1] == pytest.approx(2 * stats.norm.sf(0.6 / math.sqrt(1 / 5)), abs=1e-9)
    assert result.p_KK.diagonal().tolist() == [1, 1]


def test_direction_turns_the_ranks_and_leaves_the_p_values():
    values = np.random.default_rng(0).normal(size=(6, 4)).round(1)
    up, down = nemenyi(values, larger_is_better=True), nemenyi(values, larger_is_better=False)
    assert (up.mean_rank_K + down.mean_rank_K).tolist() == pytest.approx([5] * 4)
    assert up.p_KK == pytest.approx(down.p_KK)
    assert nemenyi([[9, 1], [8, 2]], larger_is_better=False).mean_rank_K.tolist() == [2, 1]


@pytest.mark.parametrize(("k", "q"), [(2, 1.960), (3, 2.344), (4, 2.569), (5, 2.728), (6, 2.850)])
def test_critical_difference_uses_the_quantiles_that_demsar_prints(k, q):
    assert critical_difference(k, 5) / math.sqrt(k * (k + 1) / 30) == pytest.approx(q, abs=6e-4)


def test_at_the_critical_difference_the_p_value_is_alpha():
    values = np.array([[0, 1, 2]] * 8 + [[1, 0, 2]] * 4, dtype=float)
    result = nemenyi(values, larger_is_better=True)
    gap = result.mean_rank_K[1] - result.mean_rank_K[2]
    assert critical_difference(3, 12, alpha=float(result.p_KK[1, 2])) == pytest.approx(gap, abs=1e-6)


def enumerated_p(a: list[float], b: list[float]) -> float:
    together = a + b

    def u(chosen: tuple[int, ...]) -> int:
        rest = [together[i] for i in range(len(together)) if i not in chosen]
        return sum(together[i] > value for i in chosen for value in rest)

    observed, center = u(tuple(range(len(a)))), len(a) * len(b) / 2
    every = [u(chosen) for chosen in combinations(range(len(together)), len(a))]
    return sum(abs(value - center) >= abs(observed - center) for value in every) / len(every)


@pytest.mark.parametrize(
    ("a", "b"), [([0.31, 0.45, 0.52], [0.22, 0.35, 0.18, 0.41]), ([5, 1, 9, 8], [2, 7, 3, 4]), ([10, 9], [1, 2, 3])]
)
def test_small_groups_without_ties_are_tested_exactly(a, b):
    result = mann_whitney(a, b)
    assert result.method == "exact"
    assert result.p == pytest.approx(enumerated_p(a, b))


def test_ties_are_tested_by_the_corrected_normal_approximation():
    # a wins 1, ties 1.5 more: pairs (1,2)L (1,3)L (2,2)T (2,3)L (4,2)W (4,3)W: U = 2.5 of 6, mean 3. Tie correction:
    # variance = 3 * 2 / 12 * (6 - (2^3 - 2) / (5 * 4)) = 2.85; z = (.5 - .5 continuity) / sd = 0.
    result = mann_whitney([1, 2, 4], [2, 3])
    assert (result.u, result.method, result.p) == (2.5, "normal", pytest.approx(1))
    assert result.a12 == pytest.approx(2.5 / 6)
    # One value further: U = 1.5, z = (1.5 - .5) / sqrt(2.85).
    assert mann_whitney([1, 2, 2.5], [2, 3]).p == pytest.approx(2 * stats.norm.sf(1 / math.sqrt(2.85)))


@pytest.mark.parametrize(("n", "m", "method"), [(8, 30, "exact"), (9, 9, "normal")])
def test_exact_up_to_eight_values_in_the_smaller_group(n, m, method):
    assert mann_whitney(range(n), [value + 0.5 for value in range(m)]).method == method


def test_effect_size_is_the_share_of_won_pairs_a_tie_counting_half():
    assert mann_whitney([3, 4], [1, 2]).a12 == 1
    assert mann_whitney([1, 5], [2, 5]).a12 == (0 + 0 + 1 + 0.5) / 4


def test_smallest_p_of_five_folds_a_side():
    # Two of C(10, 5) = 252 arrangements.
    result = mann_whitney([6, 7, 8, 9, 10], [1, 2, 3, 4, 5])
    assert result.p == result.smallest_p == pytest.approx(2 / 252)
    assert mann_whitney([5, 3], [1, 4]).smallest_p == pytest.approx(1 / 3)


def test_equal_values_throughout_are_p_1():
    assert mann_whitney([2, 2], [2, 2, 2])[:2] == (3, 1)


@pytest.mark.parametrize("values", [[[1, 2]], [[1], [2]], [1, 2, 3], [], [[1, math.nan], [1, 2]], [[1, math.inf]] * 2])
def test_what_cannot_be_ranked_is_refused(values):
    with pytest.raises(ValueError, match="values"):
        friedman(values)
    with pytest.raises(ValueError, match="values"):
        nemenyi(values, larger_is_better=True)


@pytest.mark.parametrize("group", [[], [1, math.nan], [[1, 2]]])
def test_a_group_without_finite_values_is_refused(group):
    with pytest.raises(ValueError, match="first group"):
        mann_whitney(group, [1, 2])
    with pytest.raises(ValueError, match="second group"):
        mann_whitney([1, 2], group)


@pytest.mark.parametrize("arguments", [(1, 5), (3, 1), (3, 5, 0.0), (3, 5, 1.0)])
def test_a_critical_difference_of_nothing_is_refused(arguments):
    with pytest.raises(ValueError, match=r"least|alpha"):
        critical_difference(*arguments)


def test_nine_models_on_five_folds_as_the_oracle():
    given, expected = (oracle("friedman.k9n5")[key] for key in ("input", "expected"))
    result = friedman(given["values_folds_by_models"])
    assert result[:4] == pytest.approx(
        [expected[key] for key in ("chi2", "p", "iman_davenport_F", "iman_davenport_p")], rel=1e-9
    )
    ranks = nemenyi(given["values_folds_by_models"], larger_is_better=True)
    assert ranks.mean_rank_K.tolist() == pytest.approx(expected["mean_rank_best_is_1"])
    assert ranks.p_KK == pytest.approx(np.array(expected["nemenyi_p"]), abs=1e-8)
    assert critical_difference(9, 5) == pytest.approx(expected["CD_0.05"], abs=1e-8)


def test_ties_within_folds_as_the_oracle():
    given, expected = (oracle("friedman.ties")[key] for key in ("input", "expected"))
    result = friedman(given["values"])
    assert (result.chi2, result.p) == (pytest.approx(expected["chi2"]), pytest.approx(expected["p"]))
    ranks = nemenyi(given["values"], larger_is_better=True)
    assert ranks.p_KK == pytest.approx(np.array(expected["nemenyi_p"]), abs=1e-8)


def test_two_treatments_on_five_folds_as_the_oracle():
    cases = oracle("friedman.k2")["expected"]
    assert len(cases) == 12
    for case in cases:
        result = friedman(two_treatments(case["plus"], case["minus"], case["ties"]))
        assert (result.chi2, result.p) == (pytest.approx(case["chi2"]), pytest.approx(case["p"], abs=1e-10))


def test_critical_differences_as_the_oracle():
    for case in oracle("nemenyi.CD_table")["expected"]:
        assert critical_difference(case["k"], case["n"]) == pytest.approx(case["CD"], abs=1e-8)


def test_mann_whitney_as_the_oracles():
    exact = oracle("mwu.exact")
    result = mann_whitney(**{f"{name}_N": values for name, values in exact["input"].items()})
    assert (result.u, result.p) == (exact["expected"]["auto"]["U1"], pytest.approx(exact["expected"]["auto"]["p"]))
    ties = oracle("mwu.ties")
    result = mann_whitney(ties["input"]["a"], ties["input"]["b"])
    assert (result.u, result.p) == (ties["expected"]["auto"]["U1"], pytest.approx(ties["expected"]["auto"]["p"]))
    assert result.a12 == pytest.approx(ties["expected"]["A12"])
    floor = oracle("mwu.floor")
    result = mann_whitney(floor["input"]["a"], floor["input"]["b"])
    assert result.p == result.smallest_p == pytest.approx(floor["expected"]["p"])


def test_twelve_folds_of_four_models_as_the_shared_file():
    shared = read_shared("friedman_nemenyi_mwu.json")
    values = np.array(shared["X"])
    assert friedman(values)[:2] == pytest.approx(shared["friedman"])
    ranks = nemenyi(values, larger_is_better=True)
    assert ranks.mean_rank_K.tolist() == pytest.approx(shared["mean_ranks"])
    assert ranks.p_KK == pytest.approx(np.array(shared["nemenyi_p"]), abs=1e-8)
    assert critical_difference(4, 12) == pytest.approx(shared["nemenyi_cd_05"], abs=1e-8)
    result = mann_whitney(values[:, 0], values[:, 3])
    assert (result.u, result.p) == tuple(pytest.approx(value) for value in shared["mannwhitney_two_sided"])
