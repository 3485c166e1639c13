"""Two samples: by hand, by normal theory, and replicate by replicate as numpy's generator draws."""

from __future__ import annotations

import math

import numpy as np
import pytest

from eval.statistics.multiplicity import bonferroni
from eval.statistics.two_sample import bootstrap_difference
from tests.eval.shared_oracles import oracle

# Ten studies, hard and easy ones; b is .02 to .06 behind a on each.
A = np.array([0.1, 0.9, 0.2, 0.8, 0.3, 0.7, 0.4, 0.6, 0.5, 0.95])
B = A - np.array([0.02, 0.06, 0.03, 0.05, 0.04, 0.02, 0.06, 0.03, 0.05, 0.04])


def test_paired_samples_are_compared_study_by_study():
    paired = bootstrap_difference(A, B, seed=1, replicates=2000)
    assert paired.difference == pytest.approx(0.04)
    # Every study is better, so every replicate is: one side of 0 is empty.
    assert paired.p == pytest.approx(2 / 2001)
    assert paired.significant
    # Standard error of the ten differences .0141 / sqrt(10) = .0045; of independent means .27 * sqrt(2 / 10) = .12.
    unpaired = bootstrap_difference(A, B, seed=1, replicates=2000, paired=False)
    assert paired.high - paired.low == pytest.approx(2 * 1.96 * 0.0045, rel=0.1)
    assert unpaired.high - unpaired.low == pytest.approx(2 * 1.96 * A.std() * math.sqrt(2 / 10), rel=0.1)
    assert not unpaired.significant


def test_p_values_without_one_added_can_be_0():
    assert bootstrap_difference(A, B, seed=1, replicates=2000, plus_one=False).p == 0


def test_replicates_are_those_of_numpys_generator():
    a, b = np.array([1.0, 2.0, 4.0, 8.0]), np.array([3.0, 5.0, 1.0])
    rng = np.random.default_rng(9)
    d = []
    for _ in range(50):
        i, j = rng.choice(4, 4), rng.choice(3, 3)
        d.append(a[i].mean() - b[j].mean())
    result = bootstrap_difference(a, b, seed=9, replicates=50, paired=False)
    assert (result.low, result.high) == tuple(pytest.approx(v) for v in np.quantile(d, [0.025, 0.975]))
    low_side, high_side = sum(v <= 0 for v in d), sum(v >= 0 for v in d)
    assert result.p == pytest.approx(min(1, 2 * (min(low_side, high_side) + 1) / 51))


def test_equal_systems_are_p_1():
    assert bootstrap_difference(A, A, seed=0, replicates=100)[:4] == (0, 0, 0, 1)


def test_a_replicate_of_difference_0_lies_on_both_sides():
    # Differences .1, -.1, .2 and -.2: many resamples sum to 0, in tenths only up to rounding. In whole numbers they do
    # so exactly, and the same resamples must give the same p.
    a, b = np.array([0.4, 0.3, 0.5, 0.1]), np.array([0.3, 0.4, 0.3, 0.3])
    tenths = bootstrap_difference(a, b, seed=2, replicates=999)
    whole = bootstrap_difference(np.array([4, 3, 5, 1]), np.array([3, 4, 3, 3]), seed=2, replicates=999)
    assert tenths.p == whole.p


def test_the_seed_alone_decides():
    first, again, other = (bootstrap_difference(A, B[::-1], seed=seed, replicates=200) for seed in (3, 3, 4))
    assert first == again
    assert first.low != other.low


def test_alpha_is_shared_among_comparisons_as_bonferroni_does():
    # 30 studies, mean .01 in favour of a, standard error .0045: p about .026.
    d = np.random.default_rng(0).normal(size=30)
    d = 0.01 + (d - d.mean()) / d.std() * 0.0045 * math.sqrt(30)
    alone = bootstrap_difference(d, np.zeros(30), seed=5, replicates=4000)
    of_three = bootstrap_difference(d, np.zeros(30), seed=5, replicates=4000, comparisons=3)
    assert (alone.alpha, of_three.alpha) == (0.05, pytest.approx(0.0166667, abs=1e-7))
    assert alone[:4] == of_three[:4]
    assert (alone.significant, of_three.significant) == (True, False)
    assert (bonferroni([alone.p, 1, 1])[0] <= 0.05) == of_three.significant


@pytest.mark.parametrize(
    ("a", "b", "options", "message"),
    [
        ([], [], {}, "at least two"),
        ([1.0], [2.0], {}, "at least two"),
        ([1, 2, 3], [1, 2], {}, "3 scores of a, 2 of b"),
        ([1, math.nan], [1, 2], {}, "1 of 2 scores of a"),
        ([1, 2], [1, math.inf], {}, "1 of 2 scores of b"),
        ([1, 2], [1, 2], {"comparisons": 0}, "0 comparisons"),
        ([1, 2], [1, 2], {"replicates": 38}, "38 replicates"),
        ([1, 2], [1, 2], {"replicates": 100, "comparisons": 3}, "at least 120"),
    ],
)
def test_what_cannot_be_compared_is_refused(a, b, options, message):
    with pytest.raises(ValueError, match=message):
        bootstrap_difference(a, b, seed=0, **options)


def test_thirty_studies_as_the_oracle():
    case = oracle("two_sample.bootstrap")
    given, expected = case["input"], case["expected"]
    for name, paired in (("paired", True), ("unpaired", False)):
        common = {"seed": given["seed"], "replicates": given["B"], "paired": paired}
        result = bootstrap_difference(given["a"], given["b"], **common)
        assert result.p == pytest.approx(expected[name]["p_plus1"], abs=1e-10)
        assert [result.low, result.high] == pytest.approx(expected[name]["ci"], abs=1e-10)
        paper = bootstrap_difference(given["a"], given["b"], plus_one=False, **common)
        assert paper.p == pytest.approx(expected[name]["p"], abs=1e-10)


def test_alpha_of_three_pairs_as_the_oracle():
    case = oracle("bonferroni.001")
    result = bootstrap_difference(A, B, seed=0, replicates=200, comparisons=case["input"]["m"])
    assert result.alpha == pytest.approx(case["expected"], abs=1e-10)
