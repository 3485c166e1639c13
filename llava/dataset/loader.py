"""Reads, tokenises and packs one process's share of every step, ahead of the trainer and in a fixed order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from llava.dataset.batching import deal, pack, pack_row, step_studies
from llava.dataset.example import BadStudy, Example, StepBatch
from llava.dataset.processes import end_with_the_parent, started_deaf

_CHUNK = 8  # studies a reading process hands over at once: several processes work on one step
_AHEAD = 256  # studies read before they are asked for, at most: 200 MB of three films of 518 pixels and 8 bits


class Reader(Protocol):
    """`llava.dataset.reading.StudyReader`; pickled for other processes."""

    def read(self, place: int, /) -> Example | BadStudy: ...


class Fault(NamedTuple):
    """What broke while a study was read, other than the study: a table that went away, for one."""

    place: int
    error: str


@dataclass(frozen=True)
class Shares:
    """Which studies this process computes in a step, by their places in the table.

    lengths_N: tokens of each study of the table, images included; estimates will do: they even out the processes' work
    and nothing else.
    """

    lengths_N: NDArray[np.int64]
    batch_studies: int
    seed: int
    rank: int = 0
    world_size: int = 1

    def of(self, step: int) -> list[int]:
        studies = step_studies(len(self.lengths_N), self.batch_studies, self.seed, step)
        mine = deal(self.lengths_N[studies], self.world_size)[self.rank]
        places: list[int] = studies[mine].tolist()
        return places


def step_batches(
    reader: Reader,
    lengths_N: NDArray[np.int64],
    *,
    batch_studies: int,
    seed: int,
    token_budget: int,
    packing: bool = True,
    rank: int = 0,
    world_size: int = 1,
    first_step: int = 0,
    last_step: int,
    workers: int = 0,
) -> Iterator[StepBatch]:
    """Steps first_step to last_step - 1, in order, the same for any number of `workers`.

    Studies that cannot be used are in their step's `bad`, for the trainer to judge: in all processes at once.
    Nothing of the steps before first_step is read. Lengths are exact where studies are packed, which is after reading.

    Args:
        lengths_N: tokens of each study of the table, estimated (`StudyTable.estimated_tokens`).
        token_budget, packing: as `llava.config` explains them.
        workers: processes that read; 0 reads in this one, when a step is asked for.

    Raises:
        RuntimeError: reading broke otherwise, or a reading process died.
    """
    shares = Shares(lengths_N, batch_studies, seed, rank, world_size)
    budget = token_budget if packing else 0  # every study is longer than that, and has a row of its own
    chunks = _chunks(reader, shares, range(first_step, last_step), workers)
    for step in range(first_step, last_step):
        missing = len(shares.of(step))
        examples: list[Example] = []
        bad: list[BadStudy] = []
        while missing:
            for read in next(chunks):
                missing -= 1
                if isinstance(read, Fault):
                    raise RuntimeError(f"reading the study at place {read.place} of the table: {read.error}")
                if isinstance(read, Example):
                    examples.append(read)
                else:
                    bad.append(read)
        rows = pack([example.num_tokens for example in examples], budget)
        yield StepBatch(
            step=step,
            rows=tuple(pack_row([examples[place] for place in row]) for row in rows),
            bad=tuple(bad),
            cut_studies=sum(example.cut_tokens > 0 for example in examples),
        )


def _chunks(reader: Reader, shares: Shares, steps: range, workers: int) -> Iterator[list[Example | BadStudy | Fault]]:
    """What became of the studies of all steps, in order, a few at a time, none of which are of two steps."""
    studies = _Studies(reader)
    asked = _Asked(shares, steps)
    if workers == 0:
        for places in asked:
            yield [studies[place] for place in places]
        return
    import torch
    from torch.utils.data import DataLoader

    longest = -(-min(shares.batch_studies, len(shares.lengths_N)) // shares.world_size)
    ahead = min(-(-longest // _CHUNK), _AHEAD // _CHUNK)  # a step's share, so that no step waits for its films
    # numpy through pipes, not tensors through shared memory: containers often have but 64 MB of that
    loader: Any = DataLoader(
        studies,  # type: ignore[arg-type]  # __getitem__ is all that it needs
        batch_sampler=asked,  # makes them as they are asked for
        collate_fn=_as_it_is,
        num_workers=workers,
        prefetch_factor=max(2, -(-ahead // workers)),
        multiprocessing_context="spawn",  # forking a process that holds a GPU or threads is not safe
        worker_init_fn=end_with_the_parent,
        generator=torch.Generator(),  # its own, or starting would draw from the generator that dropout draws from
    )
    with started_deaf():
        iterator = iter(loader)
    while True:
        try:
            chunk = next(iterator)
        except StopIteration:
            return
        except RuntimeError as error:
            raise RuntimeError(
                f"a process that reads studies died ({str(error).splitlines()[0]}); if memory ran out, "
                f"data.workers = {workers} may be too many"
            ) from None
        yield chunk


class _Studies:
    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def __getitem__(self, place: int) -> Example | BadStudy | Fault:
        try:
            return self._reader.read(place)
        except Exception as error:  # as a value: torch would raise it with the traceback of another process
            return Fault(place, f"{type(error).__name__}: {error}")


class _Asked:
    """Places to read, a chunk at a time, made when they are asked for: a run may have millions."""

    def __init__(self, shares: Shares, steps: range) -> None:
        self._shares = shares
        self._steps = steps

    def __iter__(self) -> Iterator[list[int]]:
        for step in self._steps:
            places = self._shares.of(step)
            yield from (places[begin : begin + _CHUNK] for begin in range(0, len(places), _CHUNK))


def _as_it_is(batch: Sequence[Any]) -> Sequence[Any]:
    return batch
