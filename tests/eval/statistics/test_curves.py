import numpy as np
import pytest
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_auc_score

from eval.statistics.curves import auroc, average_precision, pr_trapezoid
from tests.eval.shared_oracles import oracle

CURVES = (average_precision, pr_trapezoid, auroc)


def sklearn_areas(labels, scores):
    precision, recall, _ = precision_recall_curve(labels, scores)
    return average_precision_score(labels, scores), auc(recall, precision), roc_auc_score(labels, scores)


def areas(labels, scores, weights=None):
    return tuple(curve(labels, scores, weights) for curve in CURVES)


def test_three_samples_by_hand():
    # Thresholds .9, .8, .7 give precision 1, 1/2, 2/3 at recall 1/2, 1/2, 1.
    labels, scores = [1, 0, 1], [0.9, 0.8, 0.7]
    assert average_precision(labels, scores) == pytest.approx(1 / 2 * 1 + 1 / 2 * 2 / 3)
    assert pr_trapezoid(labels, scores) == pytest.approx(1 / 2 * 1 + 1 / 2 * (1 / 2 + 2 / 3) / 2)
    assert auroc(labels, scores) == pytest.approx(1 / 2)


def test_constant_score_gives_the_prevalence_and_half_the_roc():
    assert areas([1, 0, 0, 0], [0.5] * 4) == pytest.approx((0.25, (1 + 0.25) / 2, 0.5))


@pytest.mark.parametrize("name", ["ap.ties", "ap.weights"])
def test_ties_and_weights_equal_the_oracle(name):
    given, expected = (oracle(name)[key] for key in ("input", "expected"))
    found = areas(given["y"], given["score"], given.get("w"))
    assert found == pytest.approx((expected["ap"], expected["pr_trapezoid"], expected["auroc"]), abs=1e-10)


def test_all_tied_equals_the_oracle():
    given, expected = (oracle("ap.all_tied")[key] for key in ("input", "expected"))
    assert areas(given["y"], given["score"])[:2] == pytest.approx((expected["ap"], expected["pr_trapezoid"]), abs=1e-10)


def test_macro_and_micro_equal_the_oracle():
    given, expected = (oracle("ap.micro_macro")[key] for key in ("input", "expected"))
    labels, scores = np.array(given["y"]), np.array(given["score"])
    per_task = [average_precision(labels[:, task], scores[:, task]) for task in range(labels.shape[1])]
    assert per_task == pytest.approx(expected["per_task"], abs=1e-10)
    assert np.mean(per_task) == pytest.approx(expected["macro"], abs=1e-10)
    assert average_precision(labels.ravel(), scores.ravel()) == pytest.approx(expected["micro"], abs=1e-10)


@pytest.mark.parametrize("distinct_scores", [1, 2, 5, 40, 10_000])
def test_areas_equal_scikit_learn_with_many_and_few_ties(distinct_scores):
    rng = np.random.default_rng(distinct_scores)
    for _ in range(40):
        labels = np.concatenate([[0, 1], rng.integers(0, 2, rng.integers(0, 60))])
        scores = rng.integers(0, distinct_scores, labels.size) / 7 - 1
        assert areas(labels, scores) == pytest.approx(sklearn_areas(labels, scores), abs=1e-10)


def test_weights_are_numbers_of_copies():
    rng = np.random.default_rng(1)
    for _ in range(40):
        labels = np.concatenate([[0, 1], rng.integers(0, 2, 30)])
        scores = rng.integers(0, 8, labels.size) / 3
        weights = np.concatenate([[1, 1], rng.integers(0, 4, 30)])
        copies = sklearn_areas(np.repeat(labels, weights), np.repeat(scores, weights))
        assert areas(labels, scores, weights) == pytest.approx(copies, abs=1e-10)


def test_fractional_weights_equal_scikit_learn():
    rng = np.random.default_rng(2)
    labels, scores, weights = rng.integers(0, 2, 50), rng.integers(0, 9, 50), rng.random(50) + 0.01
    assert average_precision(labels, scores, weights) == pytest.approx(
        average_precision_score(labels, scores, sample_weight=weights), abs=1e-10
    )
    assert auroc(labels, scores, weights) == pytest.approx(
        roc_auc_score(labels, scores, sample_weight=weights), abs=1e-10
    )


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize(
    ("labels", "scores", "weights", "message"),
    [
        ([], [], None, "no samples"),
        ([0, 1], [0.1], None, "2 labels but 1 scores"),
        ([[0, 1]], [[0.1, 0.2]], None, "one axis"),
        ([0, 1, 2], [0.1, 0.2, 0.3], None, "1 of 3 labels are neither 0 nor 1"),
        ([0, 1, np.nan], [0.1, 0.2, 0.3], None, "1 of 3 labels are neither 0 nor 1"),
        ([0, 1, 1], [0.1, np.nan, np.inf], None, "2 of 3 scores are NaN or infinite"),
        ([1, 1], [0.1, 0.2], None, "one class only: 2 positives among 2"),
        ([0, 0], [0.1, 0.2], None, "one class only: 0 positives among 2"),
        ([0, 1], [0.1, 0.2], [1], "weights of shape"),
        ([0, 1], [0.1, 0.2], [1, -1], "not negative"),
        ([0, 1], [0.1, 0.2], [1, np.nan], "finite"),
        ([0, 1], [0.1, 0.2], [1, 0], "0 positives among 1 samples with a weight"),
        ([0, 1], [0.1, 0.2], [0, 0], "0 positives among 0 samples with a weight"),
    ],
)
def test_what_has_no_curve_is_refused(curve, labels, scores, weights, message):
    with pytest.raises(ValueError, match=message):
        curve(labels, scores, weights)
