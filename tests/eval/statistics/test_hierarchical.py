import numpy as np
import pytest
from scipy import stats

from eval.statistics.curves import average_precision
from eval.statistics.hierarchical import Task, hierarchical_bootstrap
from tests.eval.shared_oracles import oracle


def example(num_samples=150, seed=0, better=0.4):
    """Labels and two tied seeds each of a model and of one that separates less."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(num_samples) % 5 == 0).astype(int)
    scores = [np.round(rng.normal(labels * (1.0 + gain), 1.0, (2, num_samples)), 1) for gain in (better, 0.0)]
    return labels, scores[0], scores[1]


@pytest.fixture
def a8():
    found = oracle("a8.hierarchical")
    given = found["input"]
    tasks = [(task["y"], task["A"], task["B"]) for task in given["tasks"]]
    return tasks, {"seed": given["seed"], "replicates": given["B"]}, found["expected"]


def test_reference_stream_equals_the_oracle(a8):
    tasks, settings, expected = a8
    result = hierarchical_bootstrap(tasks, rng="reference", **settings)
    assert result.differences_TB[:, :3] == pytest.approx(np.array(expected["first3_replicates"]), abs=1e-10)
    assert [task.point for task in result.tasks] == pytest.approx(expected["point"], abs=1e-10)
    for found, printed in zip(result.tasks, expected["per_task"], strict=True):
        assert (found.mean, found.low, found.high) == pytest.approx((printed["mean"], *printed["ci"]), abs=1e-10)
        assert found.significant == printed["significant"]
    for name in ("pooled", "mean_of_tasks"):
        found, printed = getattr(result, name), expected[name]
        assert (found.mean, found.low, found.high) == pytest.approx((printed["mean"], *printed["ci"]), abs=1e-10)
    assert (result.pooled.significant, result.mean_of_tasks.significant) == (False, True)


def test_fast_stream_has_the_distribution_of_the_reference():
    tasks = [example(seed=0), example(num_samples=60, seed=1)]
    fast = hierarchical_bootstrap(tasks, seed=1, replicates=3_000)
    reference = hierarchical_bootstrap(tasks, seed=2, replicates=3_000, rng="reference")
    for drawn, expected in zip(fast.differences_TB, reference.differences_TB, strict=True):
        assert stats.ks_2samp(drawn, expected).pvalue > 1e-3
    assert [task.point for task in fast.tasks] == pytest.approx([task.point for task in reference.tasks], abs=1e-12)
    # The tasks' test sets are resampled apart: a correlation of 3,000 pairs has a standard error of .018.
    assert abs(np.corrcoef(fast.differences_TB)[0, 1]) < 4 * 0.018


def test_point_is_the_difference_of_means_over_seeds():
    labels, scores_a, scores_b = example()
    result = hierarchical_bootstrap([(labels, scores_a, scores_b[:1])], seed=1, replicates=2)
    mean_a = np.mean([average_precision(labels, scores) for scores in scores_a])
    assert result.tasks[0].point == pytest.approx(mean_a - average_precision(labels, scores_b[0]), abs=1e-12)
    assert result.pooled.point == result.mean_of_tasks.point == result.tasks[0].point


def test_one_resample_serves_both_models_and_all_seeds():
    # Were the models resampled apart, equal scores would give differences other than 0.
    labels, scores, _ = example()
    result = hierarchical_bootstrap([(labels, scores, scores[::-1])], seed=1, replicates=50)
    assert np.abs(result.differences_TB).max() < 1e-12


def test_p_value_counts_the_observed_as_one_more_replicate():
    # A sorts perfectly (AUPRC 1 in every resample), B not at all (prevalence 1/4 in every stratified resample).
    labels = np.array([1, 0, 0, 0] * 5)
    perfect, constant = labels[None, :] * 1.0, np.zeros((1, 20))
    better = hierarchical_bootstrap([(labels, perfect, constant)], seed=1, replicates=99).tasks[0]
    assert (better.low, better.high, better.p_value, better.significant) == (0.75, 0.75, 2 * 1 / 100, True)
    worse = hierarchical_bootstrap([(labels, constant, perfect)], seed=1, replicates=99).tasks[0]
    assert (worse.low, worse.high, worse.p_value, worse.significant) == (-0.75, -0.75, 2 * 1 / 100, True)
    same = hierarchical_bootstrap([(labels, constant, constant)], seed=1, replicates=99).tasks[0]
    assert (same.low, same.high, same.p_value, same.significant) == (0.0, 0.0, 1.0, False)


def test_pooled_covers_the_spread_of_tasks_and_the_mean_does_not():
    # Differences are exactly +.75 in three tasks and -.75 in one: .375 on average, whatever is drawn.
    labels = np.array([1, 0, 0, 0] * 5)
    perfect, constant = labels[None, :] * 1.0, np.zeros((1, 20))
    tasks = [(labels, perfect, constant)] * 3 + [(labels, constant, perfect)]
    result = hierarchical_bootstrap(tasks, seed=1, replicates=40)
    assert (result.pooled.low, result.pooled.high, result.pooled.significant) == (-0.75, 0.75, False)
    assert (result.mean_of_tasks.low, result.mean_of_tasks.high) == (0.375, 0.375)
    assert result.mean_of_tasks.significant
    assert result.pooled.mean == result.mean_of_tasks.mean == 0.375


@pytest.mark.parametrize("rng", ["fast", "reference"])
def test_resampled_seeds_add_their_spread_and_are_shared_by_tasks(rng):
    # A's seeds have AUPRC 1 and 1/4, B's 1/4 both: two drawn seeds give 0, .375 or .75 in the ratio 1:2:1.
    labels = np.array([1, 0, 0, 0] * 5)
    tasks = [(labels, np.stack([labels * 1.0, np.zeros(20)]), np.zeros((2, 20)))] * 2
    fixed = hierarchical_bootstrap(tasks, seed=1, replicates=800, rng=rng).differences_TB
    drawn = hierarchical_bootstrap(tasks, seed=1, replicates=800, rng=rng, resample_seeds=True).differences_TB
    assert (fixed == 0.375).all()
    assert (drawn[0] == drawn[1]).all()
    values, counts = np.unique(drawn[0], return_counts=True)
    assert values.tolist() == [0.0, 0.375, 0.75]
    assert stats.chisquare(counts, [200, 400, 200]).pvalue > 1e-3


def test_patients_with_alike_samples_double_the_interval():
    labels, scores_a, scores_b = (np.repeat(array, 4, axis=-1) for array in example())
    patients = np.repeat(np.arange(150), 4)
    images = hierarchical_bootstrap([(labels, scores_a, scores_b)], seed=1, replicates=1_500)
    grouped = hierarchical_bootstrap([Task(labels, scores_a, scores_b, patients)], seed=1, replicates=1_500)
    assert grouped.differences_TB.std() / images.differences_TB.std() == pytest.approx(2.0, rel=0.15)


def test_one_class_resamples_are_counted_and_left_out():
    # Ten patients, one with the only positives: a resample lacks them with chance .9^10 = .349.
    labels, scores = np.eye(10, dtype=int)[3], np.arange(10.0)[None, :]
    result = hierarchical_bootstrap([Task(labels, scores, -scores, np.arange(10))], seed=1, replicates=4_000)
    assert result.tasks[0].degenerate_share == pytest.approx(0.349, abs=0.03)
    assert result.tasks[0].mean == pytest.approx(np.nanmean(result.differences_TB), abs=1e-12)


def test_first_replicates_of_a_longer_run_are_the_same():
    tasks = [example(seed=0), example(seed=1)]
    short = hierarchical_bootstrap(tasks, seed=1, replicates=70, resample_seeds=True).differences_TB
    long = hierarchical_bootstrap(tasks, seed=1, replicates=130, resample_seeds=True).differences_TB
    assert (long[:, :70] == short).all()


LABELS, SCORES = [0, 1, 0], [[0.1, 0.2, 0.3]]


@pytest.mark.parametrize(
    ("tasks", "settings", "message"),
    [
        ([], {}, "no tasks"),
        ([(LABELS, SCORES, SCORES)], {"replicates": 0}, "0 replicates"),
        ([(LABELS, SCORES, SCORES)], {"rng": "numpy"}, "no rng 'numpy'"),
        ([(LABELS, SCORES, SCORES), ([0, 0, 0], SCORES, SCORES)], {}, "task 1: one class only"),
        ([(LABELS, SCORES, [[0.1, 0.2]])], {}, "task 0: 3 labels but 2 scores"),
        ([(LABELS, [[0.1, np.nan, 0.2]], SCORES)], {}, "task 0: 1 of 3 scores are NaN"),
        ([(LABELS, SCORES[0], SCORES)], {}, r"shape \(3,\), not \(seeds, samples\)"),
        ([(LABELS, np.empty((0, 3)), SCORES)], {}, r"shape \(0, 3\), not \(seeds, samples\)"),
        ([(LABELS, SCORES, SCORES)], {"resample_seeds": True}, r"at least two, as many in each task, got \[1\]"),
        ([Task(LABELS, SCORES, SCORES, [1, 2, 3])], {"rng": "reference"}, "draws images, not patients"),
        ([Task(LABELS, SCORES, SCORES, [1, 2])], {}, "task 0: patient ids of shape"),
    ],
)
def test_what_cannot_be_compared_is_refused(tasks, settings, message):
    with pytest.raises(ValueError, match=message):
        hierarchical_bootstrap(tasks, seed=0, **settings)
