import itertools
import tracemalloc
from collections import Counter
from math import factorial

import numpy as np
import pytest
from scipy import stats

from eval.statistics.curve_bootstrap import bootstrap_auprc, bootstrap_auroc
from eval.statistics.curves import auroc, average_precision
from eval.statistics.multinomial import CellCounts, _PoissonTable, cell_edges, replicate_generators

BOOTSTRAPS = {"auprc": (bootstrap_auprc, average_precision), "auroc": (bootstrap_auroc, auroc)}


def example(num_samples=240, distinct_scores=60, prevalence=0.15, seed=5):
    """Labels, tied scores and patients with one to many samples."""
    rng = np.random.default_rng(seed)
    labels = rng.random(num_samples) < prevalence
    scores = np.round(rng.normal(labels.astype(float), 1.0) * distinct_scores / 6)
    return labels.astype(int), scores, np.sort((rng.random(num_samples) ** 2 * 60).astype(int))


def naive_replicates(area, scheme, labels, scores, patient_ids, replicates, seed):
    """Index arrays, drawn and evaluated one by one."""
    rng = np.random.default_rng(seed)
    positives, negatives = np.flatnonzero(labels), np.flatnonzero(labels == 0)
    rows_of = [np.flatnonzero(patient_ids == patient) for patient in np.unique(patient_ids)]
    values = []
    while len(values) < replicates:
        if scheme == "stratified":
            rows = np.concatenate([rng.choice(positives, positives.size), rng.choice(negatives, negatives.size)])
        elif scheme == "iid":
            rows = rng.choice(labels.size, labels.size)
        else:
            rows = np.concatenate([rows_of[patient] for patient in rng.choice(len(rows_of), len(rows_of))])
        values.append(area(labels[rows], scores[rows]))
    return np.array(values)


def chi_square_p(found, expected):
    """Goodness of fit, with outcomes that are expected fewer than five times taken together."""
    found, expected = np.asarray(found, dtype=float), np.asarray(expected, dtype=float)
    rare = expected < 5
    if rare.any():
        found = np.append(found[~rare], found[rare].sum())
        expected = np.append(expected[~rare], expected[rare].sum())
    return stats.chisquare(found, expected * found.sum() / expected.sum()).pvalue


# At .3 most of the four draws are topped up item by item; at .9 the Poisson counts often overshoot and start over.
@pytest.mark.parametrize("poisson_rate", [None, 0.3, 0.9])
def test_all_35_outcomes_of_four_draws_have_multinomial_frequencies(poisson_rate):
    cells = CellCounts([1, 1, 1, 1])
    if poisson_rate is not None:  # so few items are drawn one by one unless told otherwise
        cells._poisson = _PoissonTable(np.ones(4, dtype=np.intp), poisson_rate)
    rng = np.random.default_rng(3)
    draws = 20_000
    found = Counter(tuple(int(count) for count in cells.draw(rng, 4)) for _ in range(draws))
    outcomes = [counts for counts in itertools.product(range(5), repeat=4) if sum(counts) == 4]
    assert len(outcomes) == 35
    assert set(found) <= set(outcomes)
    expected = [draws * 24 / np.prod([factorial(count) for count in counts]) / 4**4 for counts in outcomes]
    assert chi_square_p([found[counts] for counts in outcomes], expected) > 1e-3


def test_counts_of_unequal_cells_have_binomial_margins_and_multinomial_covariance():
    sizes = np.array([30, 1, 7, 32, 30, 20])
    cells, rng, draws = CellCounts(sizes), np.random.default_rng(4), 20_000
    counts = np.array([cells.draw(rng, 120).copy() for _ in range(draws)], dtype=float)
    assert (counts.sum(axis=1) == 120).all()
    share = sizes / 120
    for cell in range(sizes.size):
        found = np.bincount(counts[:, cell].astype(int), minlength=121)
        assert chi_square_p(found, draws * stats.binom.pmf(np.arange(121), 120, share[cell])) > 1e-3
    covariance = 120 * (np.diag(share) - np.outer(share, share))
    # A covariance of two counts has a standard error of at most about sd * sd * sqrt(2 / draws).
    scale = np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)) * 2 / draws)
    assert (np.abs(np.cov(counts.T) - covariance) < 4 * scale).all()


@pytest.mark.parametrize("size", [1, 9, 32])
def test_poisson_table_is_poisson_into_the_tail(size):
    table, rng = _PoissonTable(np.full(500_000, size, dtype=np.intp), 0.9), np.random.default_rng(size)
    counts = np.empty(500_000, dtype=np.uint8)
    table.fill(rng, counts)
    found = np.bincount(counts, minlength=120)
    assert chi_square_p(found, counts.size * stats.poisson.pmf(np.arange(found.size), 0.9 * size)) > 1e-3


@pytest.mark.parametrize("total", [0, 3, 60])
def test_totals_far_from_the_number_of_items_are_reached_exactly(total):
    cells, rng = CellCounts([10, 20, 5]), np.random.default_rng(0)
    assert {int(cells.draw(rng, total).sum()) for _ in range(50)} == {total}


def test_cells_that_a_byte_cannot_count_are_refused():
    with pytest.raises(ValueError, match="1 to 32 items"):
        CellCounts([33])
    with pytest.raises(ValueError, match="1 to 32 items"):
        CellCounts([])
    with pytest.raises(ValueError, match="300 draws from 2 items"):
        CellCounts([1, 1]).draw(np.random.default_rng(0), 300)


def test_cells_end_at_breaks_and_at_even_steps():
    assert cell_edges([0, 5, 5, 40], 70).tolist() == [5, 32, 40, 64, 70]


@pytest.mark.parametrize("curve", BOOTSTRAPS)
@pytest.mark.parametrize("scheme", ["stratified", "iid", "patient"])
def test_replicates_have_the_distribution_of_naive_resampling(curve, scheme):
    bootstrap, area = BOOTSTRAPS[curve]
    labels, scores, patients = example()
    ids = patients if scheme == "patient" else None
    fast = bootstrap(labels, scores, seed=1, scheme=scheme, patient_ids_N=ids, replicates=4_000).replicates_B
    naive = naive_replicates(area, scheme, labels, scores, patients, 4_000, seed=2)
    assert fast.mean() == pytest.approx(naive.mean(), abs=4 * naive.std() * np.sqrt(2 / 4_000))
    assert fast.std() == pytest.approx(naive.std(), rel=4 / np.sqrt(4_000))
    assert stats.ks_2samp(fast, naive).pvalue > 1e-3


@pytest.mark.parametrize("curve", BOOTSTRAPS)
def test_one_positive_among_many_has_the_distribution_of_naive_resampling(curve):
    # The positive is fixed, so the value depends on how many of the 300 negatives above it were drawn, of 1,000.
    bootstrap, _ = BOOTSTRAPS[curve]
    labels, scores = np.zeros(1001, dtype=int), np.arange(1001.0)
    labels[700] = 1
    fast = bootstrap(labels, scores, seed=3, replicates=4_000).replicates_B
    above = np.rint(1 / fast - 1 if curve == "auprc" else 1000 * (1 - fast)).astype(int)
    found = np.bincount(above, minlength=1001)
    assert chi_square_p(found, 4_000 * stats.binom.pmf(np.arange(1001), 1000, 0.3)) > 1e-3


@pytest.mark.parametrize("curve", BOOTSTRAPS)
@pytest.mark.parametrize("scheme", ["stratified", "iid"])
def test_two_positives_and_two_negatives_give_every_resample_its_share(curve, scheme):
    bootstrap, area = BOOTSTRAPS[curve]
    labels, scores = np.array([1, 1, 0, 0]), np.array([0.9, 0.6, 0.6, 0.1])
    choices = [(0, 1), (0, 1), (2, 3), (2, 3)] if scheme == "stratified" else [range(4)] * 4
    expected: Counter = Counter()
    for rows in itertools.product(*choices):
        drawn = labels[list(rows)]
        expected["degenerate" if drawn.min() == drawn.max() else round(area(drawn, scores[list(rows)]), 9)] += 1
    replicates = bootstrap(labels, scores, seed=4, scheme=scheme, replicates=8_000).replicates_B
    found = Counter("degenerate" if np.isnan(value) else round(value, 9) for value in replicates)
    assert set(found) <= set(expected)
    share = 8_000 / expected.total()
    assert chi_square_p([found[value] for value in expected], [share * expected[value] for value in expected]) > 1e-3


@pytest.mark.parametrize("curve", BOOTSTRAPS)
@pytest.mark.parametrize("scheme", ["stratified", "patient"])
def test_point_is_the_area_on_the_data(curve, scheme):
    bootstrap, area = BOOTSTRAPS[curve]
    labels, scores, patients = example()
    ids = patients if scheme == "patient" else None
    interval = bootstrap(labels, scores, seed=1, scheme=scheme, patient_ids_N=ids, replicates=3)
    assert interval.point == pytest.approx(area(labels, scores), abs=1e-12)


def test_summary_is_of_the_replicates():
    labels, scores, _ = example()
    interval = bootstrap_auprc(labels, scores, seed=1, replicates=200)
    values = interval.replicates_B
    assert values.shape == (200,)
    assert (interval.low, interval.median, interval.high) == tuple(np.quantile(values, [0.025, 0.5, 0.975]))
    assert (interval.mean, interval.std) == pytest.approx((values.mean(), values.std(ddof=0)))
    assert interval.degenerate_share == 0.0


def test_resamples_without_a_positive_are_degenerate_and_left_out():
    # One positive of 20: no resample has it with chance (19/20)^20 = .358; 4 standard errors of 4,000 are .03.
    labels, scores = np.eye(20, dtype=int)[7], np.arange(20.0)
    interval = bootstrap_auprc(labels, scores, seed=1, scheme="iid", replicates=4_000)
    assert interval.degenerate_share == pytest.approx(0.358, abs=0.03)
    assert np.isnan(interval.replicates_B).mean() == interval.degenerate_share
    assert interval.median == np.nanmedian(interval.replicates_B)
    assert interval.std == np.nanstd(interval.replicates_B)


def test_interval_doubles_when_patients_have_four_alike_samples():
    # Four copies carry the information of one, so a bootstrap over patients has twice the standard deviation.
    labels, scores, _ = example(num_samples=400, prevalence=0.3)
    copies = [np.repeat(array, 4) for array in (labels, scores, np.arange(labels.size))]
    alone = bootstrap_auroc(copies[0], copies[1], seed=1, scheme="iid", replicates=2_000)
    grouped = bootstrap_auroc(copies[0], copies[1], seed=1, scheme="patient", patient_ids_N=copies[2], replicates=2_000)
    assert grouped.std / alone.std == pytest.approx(2.0, rel=0.1)


def test_patient_names_and_the_order_of_rows_do_not_matter():
    labels, scores, patients = example()
    names = np.array([f"p{patient:03d}" for patient in patients])
    order = np.random.default_rng(0).permutation(labels.size)
    settings = {"seed": 1, "scheme": "patient", "replicates": 20}
    found = bootstrap_auprc(labels, scores, patient_ids_N=patients, **settings).replicates_B
    shuffled = bootstrap_auprc(labels[order], scores[order], patient_ids_N=names[order], **settings).replicates_B
    assert shuffled == pytest.approx(found, abs=1e-12)


def test_first_replicates_of_a_longer_run_are_the_same_and_seeds_differ():
    labels, scores, _ = example()
    short = bootstrap_auprc(labels, scores, seed=1, replicates=70).replicates_B
    assert (bootstrap_auprc(labels, scores, seed=1, replicates=200).replicates_B[:70] == short).all()
    assert (bootstrap_auprc(labels, scores, seed=2, replicates=70).replicates_B != short).any()


def test_a_block_has_its_own_stream_whatever_came_before():
    drawn = [rng.integers(1 << 60) for rng in replicate_generators(9, 130, 5)]
    third = np.random.default_rng(np.random.SeedSequence(9, spawn_key=(5, 2)))
    assert drawn[128:] == [third.integers(1 << 60), third.integers(1 << 60)]


def test_memory_stays_below_600_bytes_a_sample():
    labels, scores, _ = example(num_samples=100_000, distinct_scores=10**9)
    tracemalloc.start()
    bootstrap_auprc(labels, scores, seed=1, replicates=70)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 600 * 100_000


@pytest.mark.parametrize("bootstrap", [bootstrap_auprc, bootstrap_auroc])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scheme": "patient"}, "'patient' needs patient ids"),
        ({"scheme": "iid", "patient_ids_N": [1, 2, 3]}, "'iid' takes no patient ids"),
        ({"scheme": "cluster"}, "no scheme 'cluster'"),
        ({"scheme": "patient", "patient_ids_N": [1, 2]}, "for 3 samples"),
        ({"scheme": "patient", "patient_ids_N": [1, 1, 1]}, "one patient"),
        ({"scheme": "patient", "patient_ids_N": ["a", None, "b"]}, "1 of 3 samples have no patient id"),
        ({"scheme": "patient", "patient_ids_N": [1.0, np.nan, np.nan]}, "2 of 3 samples have no patient id"),
        ({"replicates": 0}, "0 replicates"),
        ({"labels_N": [1, 1, 1]}, "one class only"),
        ({"scores_N": [0.1, 0.2, np.nan]}, "NaN"),
    ],
)
def test_what_cannot_be_resampled_is_refused(bootstrap, changes, message):
    arguments = {"labels_N": [0, 1, 0], "scores_N": [0.1, 0.2, 0.3], "seed": 0, **changes}
    with pytest.raises(ValueError, match=message):
        bootstrap(arguments.pop("labels_N"), arguments.pop("scores_N"), **arguments)


def test_a_run_of_one_class_resamples_only_is_refused():
    # Of two patients with one class each, half of all resamples are degenerate; one replicate is either or.
    outcomes = []
    for seed in range(20):
        try:
            bootstrap_auprc([0, 1], [0.1, 0.2], seed=seed, scheme="patient", patient_ids_N=["a", "b"], replicates=1)
            outcomes.append("value")
        except ValueError as error:
            outcomes.append(str(error))
    assert set(outcomes) == {"value", "each of 1 resamples drew one class only"}
