"""What makes a step, shared among processes and packed into rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llava.dataset.batching import deal, epoch_order, pack, pack_row, step_studies, steps_per_epoch
from llava.dataset.example import Example

LENGTHS = st.lists(st.integers(1, 6000), min_size=1, max_size=60)


def example(study_id: str, ids: list[int], supervised: list[int], images: int = 0) -> Example:
    films = tuple(np.full((2, 2), ord(study_id[0]) + number, np.uint8) for number in range(images))
    return Example(study_id, np.array(ids, np.int64), np.array(supervised, bool), films)


@settings(deadline=None)
@given(n=st.integers(1, 200), batch=st.integers(1, 60), seed=st.integers(0, 2**40), epoch=st.integers(0, 5))
def test_every_study_is_taken_once_an_epoch(n, batch, seed, epoch):
    steps = steps_per_epoch(n, batch)
    taken = [step_studies(n, batch, seed, epoch * steps + step) for step in range(steps)]
    assert sorted(np.concatenate(taken).tolist()) == list(range(n))
    assert [len(step) for step in taken[:-1]] == [batch] * (steps - 1)
    assert 1 <= len(taken[-1]) <= batch


def test_epochs_and_seeds_have_orders_of_their_own():
    orders = [tuple(epoch_order(50, seed, epoch).tolist()) for seed in range(4) for epoch in range(4)]
    assert len(set(orders)) == 16


def test_the_order_is_the_one_that_runs_were_trained_in():
    # resuming under a newer numpy must go on in the same order; Philox's raw draws are promised to stay
    assert epoch_order(10, 0, 0).tolist() == [0, 8, 9, 3, 7, 5, 1, 2, 6, 4]
    assert step_studies(10, 4, 0, 2).tolist() == [6, 4]


def test_the_order_cannot_be_changed_by_who_reads_it():
    with pytest.raises(ValueError, match="read-only"):
        step_studies(10, 4, 0, 0)[0] = 3


def test_places_of_the_first_study_are_even():
    # 4,000 orders of 4 studies: each is first in 1,000 of them, give or take 4 standard deviations (27.4 each)
    firsts = np.bincount([epoch_order(4, seed, 0)[0] for seed in range(4000)], minlength=4)
    assert (abs(firsts - 1000) < 4 * 27.4).all()


def test_an_empty_table_has_no_step():
    with pytest.raises(ValueError, match="no study"):
        step_studies(0, 4, 0, 0)


@settings(deadline=None)
@given(lengths=LENGTHS, world_size=st.integers(1, 16))
def test_processes_share_a_step_without_loss(lengths, world_size):
    shares = deal(lengths, world_size)
    assert len(shares) == world_size
    assert sorted(np.concatenate(shares).tolist()) == list(range(len(lengths)))
    assert all((np.diff(share) > 0).all() for share in shares)


@settings(deadline=None)
@given(lengths=LENGTHS, world_size=st.integers(1, 16))
def test_loads_differ_by_less_than_a_study(lengths, world_size):
    # each study went to the least load of its time, so no load is above another by more than its own last study
    cost = [length * (1 + length / 61440) for length in lengths]
    loads = [sum(cost[place] for place in share) for share in deal(lengths, world_size)]
    assert max(loads) - min(loads) <= max(cost) * (1 + 1e-9)


def test_shares_of_the_papers_mix_are_even():
    draw = np.random.default_rng(0)
    lengths = 450 + 1369 * draw.integers(1, 4, 128)
    loads = [lengths[share].sum() for share in deal(lengths, 8)]
    assert max(loads) / min(loads) < 1.02


def test_the_costliest_go_first_to_the_least_laden():
    # 7, 6, 5, 4, 3 for two: 7 | 6, then 5 to the second (11), 4 to the first (11), 3 to the first, which has 11 and a
    # smaller square (7^2 + 4^2 = 65 against 61: the second's is the smaller)
    assert [share.tolist() for share in deal([3, 4, 5, 6, 7], 2)] == [[1, 4], [0, 2, 3]]


@settings(deadline=None)
@given(lengths=LENGTHS, budget=st.integers(1, 9000))
def test_rows_keep_to_the_budget_and_lose_nothing(lengths, budget):
    rows = pack(lengths, budget)
    assert sorted(place for row in rows for place in row) == list(range(len(lengths)))
    assert all(len(row) == 1 or sum(lengths[place] for place in row) <= budget for row in rows)


@settings(deadline=None)
@given(lengths=st.lists(st.integers(1, 100), min_size=1, max_size=60), budget=st.integers(100, 400))
def test_rows_are_as_few_as_the_rule_promises(lengths, budget):
    # first-fit-decreasing: at most 11/9 of the best and 6/9 more (Dosa 2007); the best is at least the tokens' share
    fewest = -(-sum(lengths) // budget)
    rows = pack(lengths, budget)
    assert len(rows) >= fewest
    assert sum(sum(lengths[place] for place in row) <= budget // 2 for row in rows) <= 1
    fullness = [sum(lengths[place] for place in row) for row in rows]
    assert fullness == sorted(fullness, reverse=True)


def test_first_fit_decreasing_by_hand():
    # 7 opens a row, 5 another, 4 fits beside 5, 3 beside 7, 12 is over the budget of 10, 1 beside 5 and 4
    assert pack([3, 4, 12, 5, 7, 1], 10) == [[2], [4, 0], [3, 1, 5]]


def test_a_budget_of_nothing_gives_a_row_a_study():
    assert pack([3, 9, 5], 0) == [[1], [2], [0]]


def test_a_row_keeps_every_study_whole():
    row = pack_row([example("a", [5, 6, 7, 8], [0, 0, 1, 1], 2), example("b", [9, 3], [0, 1], 1)])
    assert row.study_ids == ("a", "b")
    assert row.input_ids_T.tolist() == [5, 6, 7, 8, 9, 3]
    assert row.position_ids_T.tolist() == [0, 1, 2, 3, 0, 1]
    assert row.boundaries_S1.tolist() == [0, 4, 6]
    assert row.boundaries_S1.dtype == np.int32
    assert row.predicting_K.tolist() == [1, 2, 4]  # one before each supervised token
    assert row.targets_K.tolist() == [7, 8, 3]
    assert [int(image[0, 0]) for image in row.images] == [97, 98, 98]
    assert row.num_tokens == 6
    assert row.longest == 4


@pytest.mark.parametrize("supervised", [[0, 0], [1, 1]])
def test_a_study_that_teaches_nothing_or_has_no_beginning_is_refused(supervised):
    with pytest.raises(ValueError, match="study b"):
        pack_row([example("a", [5, 6], [0, 1]), example("b", [7, 8], supervised)])


def test_an_empty_row_is_refused():
    with pytest.raises(ValueError, match="needs a study"):
        pack_row([])
