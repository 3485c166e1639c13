"""Resamples: uniform, of full size, the same whatever else is asked; and RadFact's stream, draw for draw."""

from __future__ import annotations

import hashlib
import itertools
import math

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import binom, chisquare

from eval.statistics import resampling
from eval.statistics.resampling import Resampling, Rng, count_blocks, draws, replicate_sums, unit_numbers, unit_sums
from tests.eval.shared_oracles import oracle

Counts = npt.NDArray[np.int64]
CHANCE = 0.001  # seeds are fixed, so a test that passes once passes always
# Less than a cell, one cell, cells and a rest, and past the part that is drawn at a time (64 cells).
SIZES = [1, 2, 100, 255, 256, 257, 511, 512, 1000, 64 * 256, 64 * 256 + 1, 65 * 256 + 7]


def all_counts(units: int, setting: Resampling) -> Counts:
    """(B, U) of all replicates; each block is copied, since the next one is written over it."""
    return np.vstack([block.astype(np.int64) for block in count_blocks(units, setting)])


def drawn(units: int, setting: Resampling) -> list[Counts]:
    """The drawn units of each replicate, in order."""
    return [np.concatenate([start + places for start, _, places in parts]) for parts in draws(units, setting)]


@pytest.mark.parametrize("rng", list(Rng))
@pytest.mark.parametrize("units", [2, 3, 4])
def test_every_outcome_of_a_few_units_is_as_frequent_as_multinomial_draws_make_it(units: int, rng: Rng) -> None:
    replicates = 20_000
    rows, times = np.unique(all_counts(units, Resampling(replicates, 3, rng)), axis=0, return_counts=True)
    outcomes = [row for row in itertools.product(range(units + 1), repeat=units) if sum(row) == units]
    chances = [math.factorial(units) / math.prod(map(math.factorial, row)) / units**units for row in outcomes]
    assert rows.tolist() == [list(row) for row in outcomes]  # all of them, and nothing else
    assert chisquare(times, np.array(chances) * replicates).pvalue > CHANCE


@pytest.mark.parametrize("units", [100, 255, 256, 257, 600])
def test_every_unit_is_drawn_as_often_as_any_other(units: int) -> None:
    counts = all_counts(units, Resampling(3000, seed=4))
    assert chisquare(counts.sum(axis=0)).pvalue > CHANCE  # multinomial: units - 1 degrees of freedom
    # One unit of one replicate is drawn Binomial(U, 1/U) times. Units of a replicate are as good as independent here.
    times = np.bincount(counts[:, :: units // 25].ravel(), minlength=6)[:6]
    expected = binom.pmf(np.arange(6), units, 1 / units)
    seen = times.sum()
    assert chisquare(times, expected / expected.sum() * seen).pvalue > CHANCE


@pytest.mark.parametrize(
    ("units", "edges"),
    [
        (256, (0, 100, 256)),
        (257, (0, 128, 256, 257)),  # within the cell, and the rest of one unit
        (300, (0, 256, 299, 300)),
        (513, (0, 255, 257, 512, 513)),  # across the border of two cells
        (64 * 256 + 300, (0, 256, 64 * 256 - 1, 64 * 256 + 1, 64 * 256 + 300)),  # across parts
    ],
)
def test_groups_of_units_are_drawn_together_as_multinomial_draws_make_it(units: int, edges: tuple[int, ...]) -> None:
    # The count of a group is Binomial(U, size / U); given that, the next is binomial of what is left, and so on: the
    # chain of conditional distributions is the multinomial. Each link's probability transform is uniform on 0..1.
    replicates = 3000 if units < 1000 else 600
    counts = all_counts(units, Resampling(replicates, seed=5))
    chance = np.random.default_rng(0)
    left, places = np.full(replicates, units), units
    for first, end in itertools.pairwise(edges[:-1]):
        group, size = counts[:, first:end].sum(axis=1), end - first
        below, at = binom.cdf(group - 1, left, size / places), binom.pmf(group, left, size / places)
        uniform = below + chance.random(replicates) * at
        assert chisquare(np.histogram(uniform, bins=10, range=(0, 1))[0]).pvalue > CHANCE
        left, places = left - group, places - size
    assert (left == counts[:, edges[-2] :].sum(axis=1)).all()


@pytest.mark.parametrize("rng", list(Rng))
@pytest.mark.parametrize("units", SIZES)
def test_every_replicate_draws_as_many_units_as_there_are(units: int, rng: Rng) -> None:
    setting = Resampling(70, 6, rng)
    counts = all_counts(units, setting)
    assert counts.shape == (70, units)
    assert (counts.sum(axis=1) == units).all()
    for row, places in zip(counts, drawn(units, setting), strict=True):
        assert (np.bincount(places, minlength=units) == row).all()


@pytest.mark.parametrize("units", SIZES)
def test_a_replicate_is_the_same_however_many_are_asked_for(units: int) -> None:
    many = all_counts(units, Resampling(150, seed=7))
    for few in (1, 63, 64, 65, 128):
        assert (all_counts(units, Resampling(few, seed=7)) == many[:few]).all()


def test_the_first_64_sums_of_500_are_those_of_64() -> None:
    tables = [np.random.default_rng(0).random((1000, columns)) for columns in (1, 3, 4)]
    many, few = (replicate_sums(tables, Resampling(replicates, seed=8)) for replicates in (500, 64))
    assert all((a[:64] == b).all() for a, b in zip(many, few, strict=True))
    (lone_many,), (lone_few,) = (replicate_sums(tables[:1], Resampling(replicates, seed=8)) for replicates in (500, 64))
    assert (lone_many[:64] == lone_few).all()


def test_a_block_does_not_need_the_draws_before_it() -> None:
    # Leaving the first 64 replicates undrawn leaves the others as they are.
    whole = drawn(700, Resampling(130, seed=9))
    later = [
        np.concatenate([start + places for start, _, places in parts])
        for parts in itertools.islice(draws(700, Resampling(130, seed=9)), 64, None)
    ]
    assert len(later) == 66
    assert all((a == b).all() for a, b in zip(whole[64:], later, strict=True))


def test_tables_too_large_for_64_rows_at_a_time_hold_the_same_replicates(monkeypatch: pytest.MonkeyPatch) -> None:
    table = np.random.default_rng(1).random((500, 3))
    (whole,) = replicate_sums([table], Resampling(150, seed=10))
    monkeypatch.setattr(resampling, "_ROWS_BYTES", 4 * 500 * 7)
    assert [len(block) for block in count_blocks(500, Resampling(150, seed=10))] == [7] * 21 + [3]
    (parts,) = replicate_sums([table], Resampling(150, seed=10))
    np.testing.assert_allclose(parts, whole, rtol=1e-13)


def test_replicates_and_seeds_differ() -> None:
    counts = all_counts(50, Resampling(200, seed=11))
    assert len(np.unique(counts, axis=0)) == 200  # none repeats, across blocks either
    assert not (counts == all_counts(50, Resampling(200, seed=12))).all(axis=1).any()


def test_a_seed_means_what_it_meant() -> None:
    # Printed intervals must come out again: this changes only with a word in the change log. (The same under NumPy
    # 1.26 and 2.4.)
    digest = hashlib.sha256()
    for block in count_blocks(600, Resampling(66, seed=1)):
        digest.update(block.astype("<i4").tobytes())
    assert digest.hexdigest() == "11ef539126e63747f81ceca9d3f63e96bf4ce4e3e3d0a04f1b58cadd2068efd0"
    assert all_counts(4, Resampling(3, seed=1)).tolist() == [[1, 1, 0, 2], [0, 2, 1, 1], [1, 0, 1, 2]]


@pytest.mark.parametrize("rng", list(Rng))
@pytest.mark.parametrize("units", [7, 256, 300, 20_000])
def test_a_table_gets_the_same_resamples_whatever_is_asked_along(units: int, rng: Rng) -> None:
    # Alone its one column is added up draw by draw; beside others it is multiplied by counts.
    chance = np.random.default_rng(2)
    scores = np.column_stack([chance.random(units), np.ones(units)])
    half = np.column_stack([chance.random(units), chance.random(units) < 0.5]).astype(np.float64)
    wide = (chance.random((units, 9)) < 0.3).astype(np.float64)
    setting = Resampling(70, 13, rng)
    (alone,) = replicate_sums([scores], setting)
    assert (alone[:, 1] == units).all()
    beside = replicate_sums([wide, scores, half], setting)
    np.testing.assert_allclose(beside[1], alone, rtol=1e-12)
    np.testing.assert_allclose(beside[2], replicate_sums([half], setting)[0], rtol=1e-12)
    counts = all_counts(units, setting)
    np.testing.assert_allclose(alone, counts @ scores, rtol=1e-12)
    assert (beside[0] == counts @ wide).all()


def test_whole_numbers_are_summed_exactly_up_to_and_beyond_what_float32_holds() -> None:
    # 4096 units: 4095 each sums to just below 2^24, 4097 to just above, where float32 holds even numbers alone.
    chance = np.random.default_rng(3)
    setting = Resampling(100, seed=14)
    counts = all_counts(4096, setting)
    for low, high in ((4080, 4096), (-4200, -4090), (4090, 4200), (2**24 - 9, 2**24 + 9), (2**40, 2**40 + 9)):
        table = chance.integers(low, high, (4096, 3))
        (found,) = replicate_sums([table.astype(np.float64)], setting)
        assert (found == counts @ table).all()
        assert (found % 2 == 1).any()


def test_fractions_are_not_rounded_to_float32() -> None:
    table = np.random.default_rng(4).random((400, 3))
    setting = Resampling(20, seed=15)
    (found,) = replicate_sums([table], setting)
    np.testing.assert_allclose(found, all_counts(400, setting) @ table, rtol=1e-14)  # float32 would be 1e-7 away


def test_one_unit_is_always_drawn() -> None:
    assert replicate_sums([np.array([[0.3, 2.0, 1.0, 7.0]])], Resampling(3))[0].tolist() == [[0.3, 2.0, 1.0, 7.0]] * 3


def test_the_reference_stream_is_that_of_choice() -> None:
    generator = np.random.default_rng(16)
    found = drawn(33, Resampling(80, 16, Rng.REFERENCE))
    assert all((places == generator.choice(33, 33, replace=True)).all() for places in found)


def test_the_reference_stream_gives_the_oracles_indices() -> None:
    one = oracle("rng.numpy_pcg64_choice")
    setting = Resampling(one["input"]["replicates"], one["input"]["seed"], Rng.REFERENCE)
    assert [places.tolist() for places in drawn(one["input"]["n"], setting)] == one["expected"]


def test_the_reference_stream_has_the_oracles_hash() -> None:
    one = oracle("rng.stream_sha256")
    setting = Resampling(one["input"]["B"], one["input"]["seed"], Rng.REFERENCE)
    digest = hashlib.sha256(b"".join(places.astype("<i8").tobytes() for places in drawn(one["input"]["n"], setting)))
    assert digest.hexdigest() == one["expected"]


def test_nothing_to_draw_from_is_refused() -> None:
    for rng in Rng:
        with pytest.raises(ValueError, match="no units"):
            next(draws(0, Resampling(rng=rng)))
    with pytest.raises(ValueError, match="no units"):
        next(count_blocks(0, Resampling()))
    for columns in (2, 5):
        with pytest.raises(ValueError, match="no units"):
            replicate_sums([np.zeros((0, columns))], Resampling())


def test_tables_of_unlike_length_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\[3, 4\] units"):
        replicate_sums([np.zeros((3, 1)), np.zeros((4, 1))], Resampling())


def test_no_replicates_and_negative_seeds_are_refused() -> None:
    with pytest.raises(ValueError, match="replicates 0"):
        Resampling(replicates=0)
    with pytest.raises(ValueError, match="seed -1"):
        Resampling(seed=-1)


def test_studies_add_up_to_their_patients() -> None:
    patients = unit_numbers(["p9", "p2", "p9", "p5", "p2", "p9"])
    assert patients.tolist() == [0, 1, 0, 2, 1, 0]  # in the order of first appearance
    sums = np.array([[1.0, 0.5], [2.0, 0.0], [4.0, 0.25], [8.0, 1.0], [16.0, 0.0], [32.0, 0.0]])
    assert unit_sums(sums, patients).tolist() == [[37.0, 0.75], [18.0, 0.0], [8.0, 1.0]]
    assert unit_sums(sums, None) is sums


def test_patients_of_other_studies_are_refused() -> None:
    with pytest.raises(ValueError, match="2 patient numbers for 3 studies"):
        unit_sums(np.zeros((3, 1)), np.array([0, 1]))
