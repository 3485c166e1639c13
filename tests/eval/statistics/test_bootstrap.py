"""Intervals of figures: the oracles, NumPy loops, scipy, and widths that theory gives."""

from __future__ import annotations

import math
import tracemalloc
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import scipy.stats

from eval.figures import Figure, Floats, Group, mean_figure
from eval.statistics.bootstrap import Estimate, bca_interval, bootstrap, bootstrap_bca, estimate, replicate_values
from eval.statistics.resampling import Resampling, Rng
from tests.eval.shared_oracles import oracle

NAN = math.nan


def figure(sums: npt.ArrayLike, value: Any) -> Figure:
    return Figure("f", "F", "m", Group.HEADLINE, np.asarray(sums, dtype=np.float64), value)


def mean_of(values: npt.ArrayLike) -> Figure:
    return mean_figure("mean", "mean", "m", np.asarray(values, dtype=np.float64))


def harmonic_of_means(sums: Floats) -> Floats:
    """F1 of mean precision and mean recall, from [precision, has one, recall, has one]."""
    precision, recall = sums[..., 0] / sums[..., 1], sums[..., 2] / sums[..., 3]
    f1: Floats = 2 * precision * recall / (precision + recall)
    return f1


def radfact_f1(precision: npt.ArrayLike, recall: npt.ArrayLike) -> Figure:
    columns = [mean_of(precision).sums_ND, mean_of(recall).sums_ND]
    return figure(np.hstack(columns), harmonic_of_means)


def label_figures(truth: npt.ArrayLike, predicted: npt.ArrayLike) -> list[Figure]:
    """Macro and micro F1 on one table of true positives and of what is counted in either."""
    y, z = np.asarray(truth, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    sums, classes = np.hstack([y * z, y + z]), y.shape[1]

    def macro(s: Floats) -> Floats:
        f1: Floats = (2 * s[..., :classes] / np.maximum(s[..., classes:], 1)).mean(axis=-1)
        return f1

    def micro(s: Floats) -> Floats:
        f1: Floats = 2 * s[..., :classes].sum(axis=-1) / s[..., classes:].sum(axis=-1)
        return f1

    return [figure(sums, macro), figure(sums, micro)]


def check(found: Estimate, expected: dict[str, Any]) -> None:
    names = {"point": "point", "median": "median", "mean": "mean", "std": "std", "sd": "std"}
    for name, field in names.items():
        if name in expected:
            assert getattr(found, field) == pytest.approx(expected[name], abs=1e-10), name
    assert [found.low, found.high] == pytest.approx(expected["ci"], abs=1e-10)
    assert found.degenerate_share == 0


@pytest.mark.parametrize("name", ["boot.mean.B500", "boot.mean.B10000"])
def test_a_mean_on_the_reference_stream_is_the_oracles(name: str) -> None:
    one = oracle(name)
    setting = Resampling(one["input"]["B"], one["input"]["seed"], Rng.REFERENCE)
    check(bootstrap([mean_of(one["input"]["x"])], setting)[0], one["expected"])


def test_radfact_f1_on_the_reference_stream_is_the_oracles() -> None:
    one = oracle("boot.radfact_f1.B500")
    precision, recall = (np.array(one["input"][name], dtype=np.float64) for name in ("precision", "recall"))
    setting = Resampling(one["input"]["B"], one["input"]["seed"], Rng.REFERENCE)
    check(bootstrap([radfact_f1(precision, recall)], setting)[0], one["expected"])


def test_macro_and_micro_f1_on_the_reference_stream_are_the_oracles() -> None:
    one = oracle("boot.f1.B500")
    setting = Resampling(one["input"]["B"], one["input"]["seed"], Rng.REFERENCE)
    macro, micro = bootstrap(label_figures(one["input"]["y"], one["input"]["pred"]), setting)
    check(macro, one["expected"]["macro"])
    check(micro, one["expected"]["micro"])


def test_patients_on_the_reference_stream_are_the_oracles() -> None:
    one = oracle("cluster.mean")
    setting = Resampling(one["input"]["B"], one["input"]["seed"], Rng.REFERENCE)
    lone = bootstrap([mean_of(one["input"]["x"])], setting)[0]
    grouped = bootstrap([mean_of(one["input"]["x"])], setting, np.array(one["input"]["patient"]))[0]
    check(grouped, one["expected"])
    assert lone.std == pytest.approx(one["expected"]["iid_sd"], rel=0.1)  # half of it: studies are not independent
    assert grouped.std == pytest.approx(one["expected"]["sandwich_se"], rel=0.1)


def test_quantiles_are_the_oracles_linear_ones() -> None:
    one = oracle("quantile.linear")
    found = estimate(0.37, np.array(one["input"]["values"]))
    assert [found.low, found.median, found.high] == pytest.approx(one["expected"]["linear"], abs=1e-10)


def test_undefined_replicates_are_left_out_as_the_oracle_does() -> None:
    one = oracle("quantile.nan")
    values = np.array(one["input"]["values"], dtype=np.float64)
    found = estimate(0.3, values)
    assert [found.low, found.median, found.high] == pytest.approx(one["expected"], abs=1e-10)
    assert found.degenerate_share == 1 / 7


def test_bca_is_the_oracles() -> None:
    one = oracle("bca.mean")
    values, scores = np.array(one["input"]["distribution"]), mean_of(one["input"]["x"])
    found = bootstrap_bca(scores, values)
    assert found is not None
    expected = one["expected"]
    assert found == pytest.approx((*expected["ci"], expected["z0"], expected["acceleration"]), abs=1e-10)


def test_quantiles_lie_on_a_straight_line_between_sorted_replicates() -> None:
    # 41 replicates 0..40 in disorder: place p * 40 of the sorted ones, 2.5 % is 1 and 97.5 % is 39.
    values = np.random.default_rng(0).permutation(41).astype(np.float64)
    found = estimate(7.0, values)
    assert list(found[:4]) == pytest.approx([7.0, 20.0, 1.0, 39.0])
    assert found.mean == 20.0
    assert found.std == pytest.approx(math.sqrt((41**2 - 1) / 12))  # ddof 0
    assert estimate(7.0, values, confidence=0.5)[2:4] == (10.0, 30.0)


@pytest.mark.parametrize("patients", [None, np.arange(60) // 4])
def test_estimates_are_those_of_a_numpy_loop(patients: npt.NDArray[np.int64] | None) -> None:
    chance = np.random.default_rng(1)
    precision, recall = chance.random(60), chance.random(60)
    precision[::7] = NAN
    recall[3::9] = NAN
    truth = chance.random((60, 3)) < 0.4
    predicted = truth ^ (chance.random((60, 3)) < 0.2)
    rows_of = (
        [np.array([n]) for n in range(60)] if patients is None else [np.flatnonzero(patients == p) for p in range(15)]
    )
    generator, loops = np.random.default_rng(5), []
    for _ in range(300):
        rows = np.concatenate([rows_of[one] for one in generator.choice(len(rows_of), len(rows_of))])
        p, r = np.nanmean(precision[rows]), np.nanmean(recall[rows])
        hits, either = (truth & predicted)[rows].sum(axis=0), (truth * 1 + predicted)[rows].sum(axis=0)
        loops.append([p, 2 * p * r / (p + r), np.mean(2 * hits / either), 2 * hits.sum() / either.sum()])
    figures = [mean_of(precision), radfact_f1(precision, recall), *label_figures(truth, predicted)]
    found = bootstrap(figures, Resampling(300, 5, Rng.REFERENCE), patients)
    for one, column in zip(found, np.array(loops).T, strict=True):
        low, median, high = np.quantile(column, [0.025, 0.5, 0.975])
        assert one[1:6] == pytest.approx((median, low, high, column.mean(), column.std()), rel=1e-12)
    assert found[0].point == pytest.approx(np.nanmean(precision), rel=1e-14)


def test_interval_is_twice_as_wide_when_the_four_studies_of_a_patient_agree() -> None:
    # 400 studies, half 0 and half 1: as 400 patients se = sqrt(.25 / 400) = .025; as 100 patients of four alike studies
    # se = sqrt(.25 / 100) = .05. An interval spans 2 * 1.96 of them.
    scores = mean_of(np.repeat([0.0, 1.0], 200))
    setting = Resampling(4000, seed=2)
    lone = bootstrap([scores], setting)[0]
    grouped = bootstrap([scores], setting, np.arange(400) // 4)[0]
    assert lone.low is not None
    assert lone.high is not None
    assert grouped.low is not None
    assert grouped.high is not None
    assert lone.high - lone.low == pytest.approx(2 * 1.96 * 0.025, rel=0.06)
    assert grouped.high - grouped.low == pytest.approx(2 * 1.96 * 0.05, rel=0.06)
    assert grouped.std == pytest.approx(0.05, rel=0.05)


def test_patients_of_one_study_each_are_studies() -> None:
    scores = mean_of(np.random.default_rng(3).random(300))
    setting = Resampling(100, seed=3)
    assert bootstrap([scores], setting, np.arange(300)) == bootstrap([scores], setting)


def test_figures_share_their_resamples() -> None:
    # One figure is the other times 2 plus 1, on a table of its own: so is every replicate.
    values = np.random.default_rng(4).random(500)
    first, second = replicate_values([mean_of(values), mean_of(2 * values + 1)], Resampling(90, seed=4))
    np.testing.assert_allclose(second, 2 * first + 1, rtol=1e-12)
    (alone,) = replicate_values([mean_of(values)], Resampling(90, seed=4))
    np.testing.assert_allclose(first, alone, rtol=1e-12)


def test_replicates_without_a_study_that_counts_are_left_out_and_counted() -> None:
    # One of five studies has a score: it is not drawn with chance (4/5)^5 = .328, standard error .0074 of 4,000.
    found = bootstrap([mean_of([NAN, NAN, 0.75, NAN, NAN])], Resampling(4000, seed=5))[0]
    assert found[:6] == (0.75, 0.75, 0.75, 0.75, 0.75, 0.0)
    assert found.degenerate_share == pytest.approx(0.8**5, abs=4 * 0.0074)


def test_a_figure_that_is_nowhere_defined_has_no_number() -> None:
    nothing = Estimate(None, None, None, None, None, None, 1.0)
    assert bootstrap([mean_of([NAN, NAN, NAN])], Resampling(20))[0] == nothing
    assert estimate(NAN, np.array([NAN, NAN])) == nothing
    assert estimate(NAN, np.array([])) == nothing


def test_a_figure_defined_on_all_studies_but_on_no_replicate_keeps_its_point() -> None:
    assert estimate(0.5, np.array([NAN])) == Estimate(0.5, None, None, None, None, None, 1.0)


def test_all_studies_of_one_patient_tell_nothing_about_others() -> None:
    one = mean_figure("m", "m", "m", np.array([0.0, 0.5, 1.0]))
    (found,) = bootstrap([one], Resampling(10), np.zeros(3, dtype=np.int64))
    assert found == Estimate(0.5, None, None, None, None, None, 0.0)
    (apart,) = bootstrap([one], Resampling(200))
    assert apart.low is not None
    assert apart.low < 0.5


def test_no_figures_need_no_studies() -> None:
    assert bootstrap([], Resampling()) == []


def test_figures_of_unlike_or_no_studies_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\[3, 4\] units"):
        bootstrap([mean_of([1, 2, 3]), mean_of([1, 2, 3, 4])], Resampling())
    with pytest.raises(ValueError, match="no units"):
        bootstrap([mean_of([])], Resampling())
    with pytest.raises(ValueError, match="no units"):
        bootstrap([mean_of([])], Resampling(), np.array([], dtype=np.int64))
    with pytest.raises(ValueError, match="2 patient numbers for 3 studies"):
        bootstrap([mean_of([1, 2, 3])], Resampling(), np.array([0, 1]))


def scipys_bca(values: Floats, replicates: Floats) -> tuple[float, float]:
    """scipy's BCa of a mean on the same replicates."""

    class Given:
        bootstrap_distribution = replicates

    found = scipy.stats.bootstrap((values,), np.mean, n_resamples=0, bootstrap_result=Given(), method="BCa")
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def test_bca_on_the_same_replicates_is_scipys() -> None:
    values = np.random.default_rng(6).lognormal(0, 1, 45)
    scores = mean_of(values)
    (replicates,) = replicate_values([scores], Resampling(3000, seed=6))
    found = bootstrap_bca(scores, replicates)
    assert found is not None
    assert found[:2] == pytest.approx(scipys_bca(values, replicates), rel=1e-10)
    assert found.acceleration == pytest.approx(scipy.stats.skew(values) / (6 * math.sqrt(45)))  # of a mean
    percentile = estimate(0, replicates)
    assert percentile.high is not None
    assert found.high > percentile.high + 0.2 * scores.sums_ND[:, 0].std() / math.sqrt(45)  # skew moves it up


def test_bca_counts_ties_with_the_point_by_half() -> None:
    # Half marks of 12 studies: many replicates are the point itself.
    values = np.array([0, 0, 0, 0, 0, 0, 0.5, 0, 0.5, 0, 1, 1])
    scores = mean_of(values)
    (replicates,) = replicate_values([scores], Resampling(2000, seed=7))
    assert 0.05 < np.mean(replicates == 0.25) < 0.3
    found = bootstrap_bca(scores, replicates)
    assert found is not None
    assert found[:2] == pytest.approx(scipys_bca(values, replicates), rel=1e-10)
    below = np.mean(replicates < 0.25) + np.mean(replicates == 0.25) / 2
    assert found.z0 == pytest.approx(scipy.stats.norm.ppf(below))


def test_bca_is_near_scipys_own_whole_run() -> None:
    values = np.random.default_rng(8).lognormal(0, 0.7, 80)
    scores = mean_of(values)
    (replicates,) = replicate_values([scores], Resampling(20_000, seed=8))
    found = bootstrap_bca(scores, replicates)
    assert found is not None
    theirs = scipy.stats.bootstrap((values,), np.mean, n_resamples=20_000, method="BCa", rng=np.random.default_rng(8))
    # An end point's chance error is about 2.5 % of a standard error at 20,000 replicates, in either run.
    near = 5 * 0.025 * theirs.standard_error
    assert found[:2] == pytest.approx(tuple(theirs.confidence_interval), abs=near)


def test_bca_leaves_out_whole_patients() -> None:
    chance = np.random.default_rng(9)
    patients = chance.integers(0, 12, 60)
    patients[:12] = np.arange(12)
    precision, recall = chance.random(60), chance.random(60)
    one = radfact_f1(precision, recall)
    (replicates,) = replicate_values([one], Resampling(500, seed=9), patients)
    left_out = []
    for patient in range(12):
        rest = patients != patient
        p, r = precision[rest].mean(), recall[rest].mean()
        left_out.append(2 * p * r / (p + r))
    expected = bca_interval(one.point(), replicates, np.array(left_out))
    found = bootstrap_bca(one, replicates, patients)
    assert expected is not None
    assert found == pytest.approx(expected, rel=1e-9)
    assert found != pytest.approx(bootstrap_bca(one, replicates), rel=1e-3)


def test_bca_without_bias_or_skew_is_the_percentile_interval() -> None:
    values = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
    replicates = np.linspace(0.2, 0.8, 101)
    found = bca_interval(0.5, replicates, values)
    assert found is not None
    assert found == pytest.approx((0.2 + 0.6 * 0.025, 0.2 + 0.6 * 0.975, 0.0, 0.0), abs=1e-12)


def test_bca_is_undefined_where_its_corrections_are() -> None:
    replicates, left_out = np.linspace(0.2, 0.8, 101), np.array([0.4, 0.5, 0.6])
    assert bca_interval(0.5, replicates, left_out) is not None
    assert bca_interval(NAN, replicates, left_out) is None
    assert bca_interval(0.5, replicates, np.array([0.4, NAN, 0.6])) is None  # without one unit nothing counts
    assert bca_interval(0.5, np.full(9, NAN), left_out) is None
    assert bca_interval(0.5, np.full(9, 0.5), np.full(3, 0.5)) is None  # never varies
    assert bca_interval(0.1, replicates, left_out) is None  # all replicates above
    assert bca_interval(0.9, replicates, left_out) is None
    assert bootstrap_bca(mean_of([NAN, 0.75, NAN]), np.full(9, 0.75)) is None


def peak_mb(figures: list[Figure], replicates: int) -> float:
    """Megabytes that NumPy and Python allocated at the peak, beyond the figures."""
    tracemalloc.start()
    bootstrap(figures, Resampling(replicates, seed=1))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def test_macro_f1_of_40_000_studies_stays_within_300_mb() -> None:
    chance = np.random.default_rng(0)
    truth = chance.random((40_000, 21)) < 0.1
    figures = label_figures(truth, truth ^ (chance.random(truth.shape) < 0.1))
    assert figures[0].sums_ND.shape == (40_000, 42)
    assert peak_mb(figures, 500) < 300


def test_means_of_a_million_studies_stay_within_300_mb() -> None:
    chance = np.random.default_rng(0)
    one, two = (mean_of(chance.random(1_000_000)) for _ in range(2))
    # Memory does not grow with replicates beyond the first rows of counts; 66 pass two blocks.
    assert peak_mb([one], 66) < 300
    assert peak_mb([one, two, radfact_f1(one.sums_ND[:, 0], two.sums_ND[:, 0])], 12) < 300
