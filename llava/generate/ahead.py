"""Batches of examples, read by other processes while this one generates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from llava.dataset.example import BadStudy, Example
from llava.dataset.processes import end_with_the_parent, started_deaf
from llava.generate.controls import ControlledReader

_WORTH_PROCESSES = 64  # studies; starting processes takes as long as reading some hundreds


def batches(lengths: Sequence[int], places: Sequence[int], size: int) -> list[list[int]]:
    """Places in batches of about equal lengths, the longest first: what does not fit into memory is seen at once.

    Args:
        lengths: of each place's example, in tokens, at least about.
    """
    ordered = sorted(places, key=lambda place: (-lengths[place], place))
    return [ordered[begin : begin + size] for begin in range(0, len(ordered), size)]


def read_ahead(
    reader: ControlledReader, groups: Sequence[Sequence[int]], *, workers: int
) -> Iterator[list[Example | BadStudy]]:
    """The examples of each group, in order; workers = 0, or few studies, are read by this process.

    Raises:
        RuntimeError: a reading process died.
    """
    if workers == 0 or sum(map(len, groups)) < _WORTH_PROCESSES:
        for group in groups:
            yield [reader.read(place) for place in group]
        return
    from torch.utils.data import DataLoader

    # numpy through pipes, not tensors through shared memory: containers often have but 64 MB of that
    loader: Any = DataLoader(
        _Groups(reader, groups),  # type: ignore[arg-type]  # a list is all that it needs
        batch_size=None,
        collate_fn=_as_it_is,
        num_workers=workers,
        multiprocessing_context="spawn",  # forking a process that holds a GPU or threads is not safe
        worker_init_fn=end_with_the_parent,
    )
    with started_deaf():
        iterator = iter(loader)
    yield from iterator


class _Groups:
    def __init__(self, reader: ControlledReader, groups: Sequence[Sequence[int]]) -> None:
        self._reader = reader
        self._groups = groups

    def __len__(self) -> int:
        return len(self._groups)

    def __getitem__(self, index: int) -> list[Example | BadStudy]:
        return [self._reader.read(place) for place in self._groups[index]]


def _as_it_is(batch: list[Any]) -> list[Any]:
    return batch
