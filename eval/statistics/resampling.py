"""The stream of bootstrap resamples: how often each unit is drawn, replicate by replicate.

Shape letters: B replicates, U resampled units (studies or patients), N studies, D sums that a figure needs.

Every replicate draws U of the U units with replacement. A unit is found in two steps, which together are exactly one
uniform draw: how many draws fall into each cell of 256 units (multinomial), then one random byte for each draw's place
in its cell. That needs an eighth of the random bits of U draws from 1..U and touches memory in order. Replicates
come in blocks of 64 with a generator each, so that a block is the same whatever was drawn before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from eval.figures import Floats

Counts = npt.NDArray[np.float32]
# These three are part of what a seed means, so they never change.
_BLOCK = 64  # replicates that share one generator
_CELL = 256  # units that one random byte can tell apart
_CELLS_AT_ONCE = 64  # 128 KiB of indices: stays in the cache
_ROWS_BYTES = 1 << 25  # at most 32 MiB of counts at a time
_EXACT_IN_FLOAT32 = 1 << 24  # whole numbers up to here are exact, and so are their sums


class Rng(StrEnum):
    """FAST is the stream of the module; REFERENCE that of RadFact's published bootstrap, draw for draw:
    `numpy.random.default_rng(seed).choice(n, n)` once a replicate (github.com/microsoft/RadFact, bootstrapping.py)."""

    FAST = "fast"
    REFERENCE = "reference"


@dataclass(frozen=True, slots=True)
class Resampling:
    """How often and from which stream. replicates: 500 as in the paper; the 2.5 % end point's standard error is then
    6 % of the interval's half width."""

    replicates: int = 500
    seed: int = 0
    rng: Rng = Rng.FAST

    def __post_init__(self) -> None:
        if self.replicates < 1:
            raise ValueError(f"replicates {self.replicates} is below 1")
        if self.seed < 0:
            raise ValueError(f"seed {self.seed} is below 0")


def draws(units: int, resampling: Resampling) -> Iterator[Iterator[tuple[int, int, npt.NDArray[np.int64]]]]:
    """For each replicate, its drawn units in parts: (first unit of a range, range's length, places in the range).

    A replicate's parts must be used up before the next replicate is taken.

    Raises:
        ValueError: there is nothing to draw from.
    """
    if units < 1:
        raise ValueError("nothing to resample: no units")
    if resampling.rng is Rng.REFERENCE:
        generator = np.random.default_rng(resampling.seed)
        for _ in range(resampling.replicates):
            yield iter([(0, units, generator.integers(0, units, units))])
        return
    full, rest = divmod(units, _CELL)
    shares = np.full(full + (rest > 0), _CELL / units)
    if rest:
        shares[-1] = rest / units
    for replicate in range(resampling.replicates):
        if replicate % _BLOCK == 0:
            key = np.random.SeedSequence(resampling.seed, spawn_key=(replicate // _BLOCK,))
            generator = np.random.Generator(np.random.SFC64(key))
        yield _cells(generator, units, full, rest, shares)


def _cells(
    generator: np.random.Generator, units: int, full: int, rest: int, shares: Floats
) -> Iterator[tuple[int, int, npt.NDArray[np.int64]]]:
    counts = generator.multinomial(units, shares)
    starts = np.arange(0, _CELLS_AT_ONCE * _CELL, _CELL)
    for first in range(0, full, _CELLS_AT_ONCE):
        cells = counts[first : min(first + _CELLS_AT_ONCE, full)]
        places = np.repeat(starts[: len(cells)], cells)
        places += generator.bit_generator.random_raw(len(places) // 8 + 1).view(np.uint8)[: len(places)]
        yield first * _CELL, len(cells) * _CELL, places
    if rest:
        yield full * _CELL, rest, generator.integers(0, rest, counts[-1])


def count_blocks(units: int, resampling: Resampling) -> Iterator[Counts]:
    """How often each unit is drawn, (rows, U) float32 for some replicates at a time, in order; memory stays flat.

    The array is written over by the next block.
    """
    rows = max(1, min(_BLOCK, _ROWS_BYTES // (4 * units), resampling.replicates)) if units else 1
    counts = np.empty((rows, units), dtype=np.float32)
    row = 0
    for parts in draws(units, resampling):
        for start, length, places in parts:
            counts[row, start : start + length] = np.bincount(places, minlength=length)
        row += 1
        if row == rows:
            yield counts
            row = 0
    if row:
        yield counts[:row]


def replicate_sums(sums: Sequence[Floats], resampling: Resampling) -> list[Floats]:
    """Every table's sums over each resample, all tables on one stream: (U, D) tables in, (B, D) arrays out.

    Raises:
        ValueError: the tables have unlike numbers of units, or there is none.
    """
    units = {len(table) for table in sums}
    if len(units) != 1:
        raise ValueError(f"tables of {sorted(units)} units cannot share one resample")
    unit_count = units.pop()
    if unit_count < 1:
        raise ValueError("nothing to resample: no units")
    if sum(_varies(table).sum() for table in sums) <= 2:
        return _gathered(sums, unit_count, resampling)
    tables = [_narrowed(table) for table in sums]
    results = [np.empty((resampling.replicates, table.shape[1])) for table in sums]
    done = 0
    for counts in count_blocks(unit_count, resampling):
        wide = None
        for table, result in zip(tables, results, strict=True):
            if table.dtype == np.float32:
                result[done : done + len(counts)] = counts @ table
            else:
                wide = counts.astype(np.float64) if wide is None else wide
                result[done : done + len(counts)] = wide @ table
        done += len(counts)
    return results


def _gathered(sums: Sequence[Floats], units: int, resampling: Resampling) -> list[Floats]:
    """The same for next to no columns, where adding up the drawn values beats counting them."""
    results = [np.tile(table[0] * units, (resampling.replicates, 1)) for table in sums]  # right where nothing varies
    columns = [
        (result[:, place], np.ascontiguousarray(table[:, place]))
        for table, result in zip(sums, results, strict=True)
        for place in np.flatnonzero(_varies(table))
    ]
    for replicate, parts in enumerate(draws(units, resampling)):
        totals = [0.0] * len(columns)
        for start, length, places in parts:
            for number, (_, values) in enumerate(columns):
                totals[number] += float(values[start : start + length].take(places).sum())
        for (result, _), total in zip(columns, totals, strict=True):
            result[replicate] = total
    return results


def _varies(table: Floats) -> npt.NDArray[np.bool_]:
    varies: npt.NDArray[np.bool_] = (table != table[:1]).any(axis=0)
    return varies


def _narrowed(table: Floats) -> Floats | Counts:
    """Whole numbers, whose sums float32 holds exactly, are multiplied twice as fast in it."""
    whole = all(bool((column == np.floor(column)).all()) for column in table.T)  # column by column: little memory
    largest = max(table.max(initial=0.0), -table.min(initial=0.0)) * len(table)  # may be drawn every time
    return np.asarray(table, dtype=np.float32) if whole and largest < _EXACT_IN_FLOAT32 else np.ascontiguousarray(table)


def unit_sums(sums_ND: Floats, unit_of_N: npt.NDArray[np.int64] | None) -> Floats:
    """Sums of each resampled unit: (U, D); the studies themselves when `unit_of_N` is None, else patients 0..U-1.

    Raises:
        ValueError: not one patient a study.
    """
    if unit_of_N is None:
        return sums_ND
    if len(unit_of_N) != len(sums_ND):
        raise ValueError(f"{len(unit_of_N)} patient numbers for {len(sums_ND)} studies")
    units = int(unit_of_N.max(initial=-1)) + 1
    return np.column_stack([np.bincount(unit_of_N, weights=column, minlength=units) for column in sums_ND.T])


def unit_numbers(ids: Sequence[str]) -> npt.NDArray[np.int64]:
    """Number 0..U-1 of each study's patient, in the order in which patients first appear."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(one, len(numbers)) for one in ids], dtype=np.int64)
