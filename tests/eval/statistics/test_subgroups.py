"""Subgroups: points by masking, gaps on joint replicates."""

from __future__ import annotations

import math

import numpy as np
import pytest

from eval.figures import Figure, Floats, Group, mean_figure
from eval.statistics.subgroups import MISSING, subgroup_gaps


def resampler(seed: int = 0, replicates: int = 2000):
    def replicate_sums(sums_NE: Floats) -> Floats:
        n = sums_NE.shape[0]
        counts_BN = np.random.default_rng(seed).multinomial(n, [1 / n] * n, size=replicates)
        return np.asarray(counts_BN @ sums_NE, dtype=np.float64)

    return replicate_sums


def words(*values: object) -> np.ndarray:
    return np.array(values, dtype=object)


def score(values: list[float] | Floats) -> Figure:
    return mean_figure("rouge_l", "ROUGE-L", "rouge_l", np.asarray(values, dtype=np.float64))


def f1_figure(truth: np.ndarray, prediction: np.ndarray) -> Figure:
    def f1(sums: Floats) -> Floats:
        with np.errstate(invalid="ignore"):
            return np.asarray(2 * sums[..., 0] / (sums[..., 1] + sums[..., 2]))

    sums_ND = np.column_stack([truth & prediction, truth, prediction]).astype(np.float64)
    return Figure("f1", "F1", "chexbert", Group.CLASS, sums_ND, f1)


def test_each_level_is_the_figure_of_its_own_studies_and_gaps_are_to_the_largest_level():
    levels = subgroup_gaps(score([0.2, 0.4, 0.6, 0.9, 0.7]), words("F", "F", "F", "M", "M"), resampler())
    assert [(level.value, level.studies) for level in levels] == [("F", 3), ("M", 2)]
    assert [level.point for level in levels] == pytest.approx([0.4, 0.8])
    assert [level.gap for level in levels] == pytest.approx([0, 0.4])
    assert (levels[0].gap_low, levels[0].gap_high) == (0, 0)


def test_a_figure_of_several_sums_is_not_mixed_across_levels():
    truth = np.array([1, 1, 0, 1, 0, 1, 1, 0], dtype=bool)
    prediction = np.array([1, 0, 0, 1, 1, 1, 1, 1], dtype=bool)
    sites = words("a", "a", "a", "a", "b", "b", "b", "b")
    levels = subgroup_gaps(f1_figure(truth, prediction), sites, resampler())
    # a: 2 common, 3 true, 2 predicted; b: 2 common, 2 true, 4 predicted.
    assert [level.point for level in levels] == pytest.approx([4 / 5, 4 / 6])


def test_the_reference_can_be_named():
    figure, sex = score([0.2, 0.4, 0.6, 0.9, 0.7]), words("F", "F", "F", "M", "M")
    female, male = subgroup_gaps(figure, sex, resampler(), reference="M")
    assert (female.gap, male.gap) == (pytest.approx(-0.4), 0)
    assert female.gap_high < 0
    with pytest.raises(ValueError, match=r"'X'; levels: F, M"):
        subgroup_gaps(figure, sex, resampler(), reference="X")


def test_intervals_are_those_of_the_normal_theory_for_two_independent_groups():
    rng = np.random.default_rng(1)
    values, sex = rng.normal(0.5, 0.1, 1000), words(*["F"] * 600, *["M"] * 400)
    values[:600] += 0.05
    female, male = subgroup_gaps(score(values), sex, resampler())
    errors = [values[:600].std() / math.sqrt(600), values[600:].std() / math.sqrt(400)]
    assert female.high - female.low == pytest.approx(2 * 1.96 * errors[0], rel=0.1)
    assert male.high - male.low == pytest.approx(2 * 1.96 * errors[1], rel=0.1)
    assert male.gap_high - male.gap_low == pytest.approx(2 * 1.96 * math.hypot(*errors), rel=0.1)
    assert male.gap_low < male.gap < male.gap_high


def test_gaps_come_from_joint_replicates():
    # Each patient has one study with and one without a device, .1 apart whatever the patient: resampling patients
    # moves both levels, and the gap not at all.
    patient = np.random.default_rng(2).random(40)
    figure = score(np.concatenate([patient, patient - 0.1]))
    calls = []

    def patients(sums_NE: Floats) -> Floats:
        calls.append(sums_NE.shape)
        return resampler()(sums_NE[:40] + sums_NE[40:])

    without, with_device = subgroup_gaps(figure, words(*["no"] * 40, *["yes"] * 40), patients)
    assert (with_device.gap_low, with_device.gap_high) == (pytest.approx(-0.1), pytest.approx(-0.1))
    assert without.high - without.low > 0.1
    assert calls == [(80, 4)]


def test_missing_metadata_is_a_level_of_its_own_at_the_end_and_not_the_reference():
    values = words(None, " ", math.nan, "a", "z", "z")
    levels = subgroup_gaps(score([0.3, 0.3, 0.6, 0.5, 0.7, 0.9]), values, resampler())
    assert [(level.value, level.studies) for level in levels] == [("a", 1), ("z", 2), (MISSING, 3)]
    assert levels[2].gap == pytest.approx(0.4 - 0.8)
    (only,) = subgroup_gaps(score([0.5, 0.5]), words(None, None), resampler())
    assert (only.value, only.gap) == (MISSING, 0)


def test_numbers_are_levels_by_their_value():
    levels = subgroup_gaps(score([0.1, 0.2, 0.3]), np.array([2.0, math.nan, 1234567.0]), resampler())
    assert [level.value for level in levels] == ["1234567", "2", MISSING]


def test_levels_with_under_ten_studies_are_marked():
    levels = subgroup_gaps(score(np.linspace(0, 1, 19)), words(*["nine"] * 9, *["ten"] * 10), resampler())
    assert [(level.value, level.few) for level in levels] == [("nine", True), ("ten", False)]


def test_replicates_without_a_level_are_left_out_and_counted():
    # One study of 20 is drawn at all with chance 1 - (19/20)^20 = .6415.
    figure = score([*np.linspace(0, 1, 19), 0.5])
    common, rare = subgroup_gaps(figure, words(*["common"] * 19, "rare"), resampler())
    assert rare.defined == pytest.approx(0.6415, abs=0.04)
    assert common.defined == 1
    assert (rare.low, rare.high) == (0.5, 0.5)


def test_a_level_in_which_no_study_has_the_score_is_nan():
    scored, without = subgroup_gaps(score([0.4, 0.6, math.nan]), words("a", "a", "b"), resampler())
    assert scored.point == pytest.approx(0.5)
    assert all(math.isnan(value) for value in (without.point, without.low, without.gap, without.gap_high))
    assert (without.studies, without.defined) == (1, 0)


@pytest.mark.parametrize(
    ("values", "levels", "message"),
    [
        ([0.1, 0.2], words("a"), r"metadata of shape \(1,\) for 2 studies"),
        ([], words(), "for 0 studies"),
        (np.zeros(51), np.arange(51.0), "51 levels"),
    ],
)
def test_metadata_that_makes_no_groups_is_refused(values, levels, message):
    with pytest.raises(ValueError, match=message):
        subgroup_gaps(score(values), levels, resampler())
