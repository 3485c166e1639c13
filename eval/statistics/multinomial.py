"""Bootstrap counts without one draw for each item: exact multinomial counts over cells of items.

Drawing with replacement, a curve needs to know only how often each cell (a gap between two positives, a tie group, one
sample) was hit. Independent Poisson counts are multinomial given their total (Devroye, Non-Uniform Random Variate
Generation, 1986, XI.1), so: give every cell a Poisson count a little below its expectation, then draw what is missing
item by item, about five times the square root of the number of items. If the Poisson counts overshoot, all are drawn
item by item. Either way the counts are multinomial given the total that was reached, hence multinomial: no
approximation. The Poisson counts come from a table look-up of 14 random bits; what 14 bits cannot resolve (a few in
ten thousand) is decided by a further random number against the rest of the distribution.

Shape letters: C cells, R distinct cell sizes, K possible counts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.uint8]
Index = npt.NDArray[np.intp]

# The largest cell: its count stays far below 255 (a Poisson count of mean 64 passes 254 once in 10^70).
MAX_CELL_ITEMS = 32
BLOCK_REPLICATES = 64
_BITS = 14
_UNRESOLVED = 255
_CHUNK_CELLS = 65_536  # 128 kB of random bits and 512 kB of indices, which stay in cache


def replicate_generators(seed: int, replicates: int, *key: int) -> Iterator[np.random.Generator]:
    """One generator for each replicate; each block of 64 replicates has its own stream.

    A block's stream depends on `seed`, `key` and the block alone, so blocks may be worked through in any order, and the
    first replicates of a longer run are those of a shorter one.

    Raises:
        ValueError: fewer than one replicate.
    """
    if replicates < 1:
        raise ValueError(f"{replicates} replicates")
    for first in range(0, replicates, BLOCK_REPLICATES):
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(*key, first // BLOCK_REPLICATES)))
        for _ in range(min(BLOCK_REPLICATES, replicates - first)):
            yield rng


def cell_edges(breaks: npt.ArrayLike, num_items: int) -> Index:
    """Where cells end in a row of items, so that no cell crosses a break or holds more than MAX_CELL_ITEMS.

    Args:
        breaks: positions 0 to num_items, in any order, repeated at will.
        num_items: length of the row, at least 1.
    """
    even = np.arange(MAX_CELL_ITEMS, num_items, MAX_CELL_ITEMS)
    edges = np.sort(np.concatenate([np.asarray(breaks, dtype=np.intp), even, [num_items]]))
    return edges[np.diff(edges, prepend=0) > 0].astype(np.intp)


class CellCounts:
    """Draws how often each cell is hit when items are drawn with replacement, all items alike.

    The same array is filled at every draw: use it before the next.
    """

    def __init__(self, sizes_C: npt.ArrayLike) -> None:
        """Take the number of items in each cell.

        Raises:
            ValueError: no cells, or a cell without items or with more than MAX_CELL_ITEMS.
        """
        sizes = np.asarray(sizes_C, dtype=np.intp)
        if sizes.size == 0 or sizes.min() < 1 or sizes.max() > MAX_CELL_ITEMS:
            raise ValueError(f"cells must hold 1 to {MAX_CELL_ITEMS} items, and there must be a cell")
        self._num_items = int(sizes.sum())
        self._cell_of_item = np.repeat(np.arange(sizes.size), sizes) if self._num_items > sizes.size else None
        self._counts = np.zeros(sizes.size, dtype=np.uint8)
        # Five standard deviations below, so that an overshoot (slow, not wrong) stays rare even if the total varies.
        rate = 1.0 - 5.0 / math.sqrt(self._num_items)
        self._poisson = _PoissonTable(sizes, rate) if rate > 0.0 else None

    def draw(self, rng: np.random.Generator, total: int) -> Counts:
        """Counts (C,) that sum to `total`: multinomial, each cell in proportion to its size.

        Raises:
            ValueError: a total above 255 and above twice the number of items, whose counts might not fit in a byte.
        """
        if total > 255 and total > 2 * self._num_items:
            raise ValueError(f"{total} draws from {self._num_items} items: a count might pass 255")
        counts = self._counts
        missing = total
        if self._poisson is not None:
            self._poisson.fill(rng, counts)
            missing -= int(counts.sum(dtype=np.int64))
        if self._poisson is None or missing < 0:
            counts[:] = 0
            missing = total
        items = rng.integers(0, self._num_items, missing)
        np.add.at(counts, items if self._cell_of_item is None else self._cell_of_item[items], np.uint8(1))
        return counts


class _PoissonTable:
    """Independent Poisson counts, one for each cell, with mean rate * size."""

    def __init__(self, sizes_C: Index, rate: float) -> None:
        sizes_R, row_C = np.unique(sizes_C, return_inverse=True)
        largest = rate * int(sizes_R[-1])
        num_counts = math.ceil(largest + 12.0 * math.sqrt(largest) + 20.0)  # beyond: less than 1e-20
        self._lookup = np.full((sizes_R.size, 1 << _BITS), _UNRESOLVED, dtype=np.uint8)
        self._rest_cdf_RK = np.empty((sizes_R.size, num_counts))
        for row, size in enumerate(sizes_R):
            mean = rate * int(size)
            pmf_K = np.array([math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(num_counts)])
            slots_K = np.floor(pmf_K * (1 << _BITS))
            resolved = np.repeat(np.arange(num_counts), slots_K.astype(np.intp))
            self._lookup[row, : resolved.size] = resolved
            rest_K = np.cumsum(pmf_K * (1 << _BITS) - slots_K)
            self._rest_cdf_RK[row] = rest_K / rest_K[-1]
        self._row_C = row_C.reshape(-1)
        self._offset_C = self._row_C << _BITS if sizes_R.size > 1 else None
        self._index = np.empty(min(sizes_C.size, _CHUNK_CELLS), dtype=np.intp)

    def fill(self, rng: np.random.Generator, counts_C: Counts) -> None:
        for begin in range(0, counts_C.size, _CHUNK_CELLS):
            chunk = counts_C[begin : begin + _CHUNK_CELLS]
            bits = rng.bit_generator.random_raw((chunk.size + 3) // 4).view(np.uint16)[: chunk.size]
            index = self._index[: chunk.size]
            np.right_shift(bits, 16 - _BITS, out=index)
            if self._offset_C is not None:
                index += self._offset_C[begin : begin + _CHUNK_CELLS]
            self._lookup.reshape(-1).take(index, out=chunk, mode="clip")  # any other mode copies `out`
        unresolved = np.flatnonzero(counts_C == _UNRESOLVED)
        cdf_K = self._rest_cdf_RK[self._row_C[unresolved]]
        counts_C[unresolved] = (cdf_K <= rng.random(unresolved.size)[:, None]).sum(axis=1)
