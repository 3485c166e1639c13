"""Which studies make a step, which process computes them, and in which rows: pure functions of numbers.

A batch is defined in studies and drawn from (seed, epoch) alone, so that it is the same whatever the encoder, the
length of its token sequences, the number of processes, and the step at which a run was resumed.

Shape letters: N studies of a table or of a step, T tokens of a row, K supervised tokens, S studies of a row.
"""

from __future__ import annotations

import functools
import heapq
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from llava.dataset.example import Example, PackedRow

# Attention's work a token beside the rest's: 6LDT^2 / 6NT with N = 12LD^2 is T / 12D; D = 5,120 in a 13B model. Even a
# model of a third of that width has its loads evened within a few per cent.
_TOKENS_OF_EQUAL_WORK = 12 * 5120


@functools.lru_cache(maxsize=2)  # asked for at every step; a run is in one epoch, or between two
def epoch_order(n: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """The table's places in the order in which an epoch takes them; read-only.

    Sorted by raw draws of Philox, which numpy promises to keep over its versions (it does not promise `permutation`).
    """
    draws = np.random.Philox(np.random.SeedSequence([seed, epoch])).random_raw(n)
    order = np.argsort(draws, kind="stable").astype(np.int64, copy=False)
    order.flags.writeable = False
    return order


def steps_per_epoch(n: int, batch: int) -> int:
    """The last step of an epoch takes what is left."""
    return -(-n // batch)


def step_studies(n: int, batch: int, seed: int, step: int) -> NDArray[np.int64]:
    """Places in the table of the studies of one step, over all processes.

    Args:
        batch: studies of a step; fewer in the last one of an epoch.
        step: counted from 0 over all epochs.

    Raises:
        ValueError: the table is empty.
    """
    if n < 1:
        raise ValueError("no study to draw from: the table is empty")
    epoch, place = divmod(step, steps_per_epoch(n, batch))
    return epoch_order(n, seed, epoch)[place * batch : (place + 1) * batch]


def deal(lengths: ArrayLike, world_size: int) -> tuple[NDArray[np.int64], ...]:
    """Share a step's studies among processes so that all have about as much to compute.

    The costliest study first, each to the process with the least so far (Graham 1969: at most 4/3 of the best).

    Args:
        lengths: tokens of each study, images included; an estimate will do.

    Returns:
        Of each process, the places in `lengths` of its studies, in rising order; empty where there are fewer studies
        than processes.
    """
    tokens_N = np.asarray(lengths, np.float64)
    cost_N = tokens_N * (1 + tokens_N / _TOKENS_OF_EQUAL_WORK)
    loads = [(0.0, rank) for rank in range(world_size)]
    shares: list[list[int]] = [[] for _ in loads]
    for place in np.argsort(-cost_N, kind="stable").tolist():
        load, rank = loads[0]
        shares[rank].append(place)
        heapq.heapreplace(loads, (load + float(cost_N[place]), rank))
    return tuple(np.array(sorted(share), np.int64) for share in shares)


def pack(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Places in `lengths`, put into as few rows of at most `budget` tokens as first-fit-decreasing finds.

    A study longer than the budget has a row of its own. The fullest rows are first, so that what runs out of memory
    does so at once.
    """
    rows: list[list[int]] = []
    room: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda place: (-lengths[place], place)):
        length = lengths[place]
        row = next((row for row, left in enumerate(room) if length <= left), None)
        if row is None:
            rows.append([place])
            room.append(budget - length)  # below 0 for one longer than the budget: nothing fits
        else:
            rows[row].append(place)
            room[row] -= length
    return [rows[row] for row in sorted(range(len(rows)), key=lambda row: room[row])]


def pack_row(examples: Sequence[Example]) -> PackedRow:
    """Examples one after another in one row.

    Raises:
        ValueError: there is none, or one has no supervised token, or its first token is supervised: nothing is before
            it that could predict it.
    """
    if not examples:
        raise ValueError("a row needs a study")
    for example in examples:
        if not example.supervised_T.any() or example.supervised_T[0]:
            raise ValueError(
                f"study {example.study_id}: its tokens must begin with an unsupervised one and have supervised ones"
            )
    lengths = [example.num_tokens for example in examples]
    ids_T = np.concatenate([example.input_ids_T for example in examples])
    supervised_K = np.flatnonzero(np.concatenate([example.supervised_T for example in examples]))
    return PackedRow(
        study_ids=tuple(example.study_id for example in examples),
        input_ids_T=ids_T,
        position_ids_T=np.concatenate([np.arange(length, dtype=np.int64) for length in lengths]),
        boundaries_S1=np.cumsum([0, *lengths], dtype=np.int32),
        predicting_K=supervised_K - 1,
        targets_K=ids_T[supervised_K],
        images=tuple(image for example in examples for image in example.images),
    )
