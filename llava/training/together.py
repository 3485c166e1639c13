"""What several processes do as one: the first acts for all, and they fail together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from llava.training.parallel import Parallel

_T = TypeVar("_T")


class RefusedError(Exception):
    """The first process gave up, and says why."""


def on_first(parallel: Parallel, do: Callable[[], _T]) -> _T | None:
    """What the first process makes, None in the others; they wait for it.

    Raises:
        RefusedError: in the others, when it could not be done; the first one raises the error itself.
    """
    made: _T | None = None
    trouble: Exception | None = None
    if parallel.is_main:
        try:
            made = do()
        except Exception as error:  # the others must hear of it, whatever it is
            trouble = error
    [failed] = parallel.all_max([float(trouble is not None)])
    if trouble is not None:
        raise trouble
    if failed:
        raise RefusedError
    return made


def from_first(parallel: Parallel, make: Callable[[], _T]) -> _T:
    """What the first process makes, in all processes; pickled on the way.

    Raises:
        RefusedError: in the others, when it could not be made; the first one raises the error itself.
    """
    made = on_first(parallel, make)
    if parallel.world_size == 1:
        assert made is not None
        return made
    import torch

    sent: list[_T | None] = [made]
    torch.distributed.broadcast_object_list(sent, src=0)
    [received] = sent
    assert received is not None
    return received


def from_all(parallel: Parallel, mine: Sequence[_T]) -> list[_T]:
    """The items of all processes, in all of them, in the order of ranks."""
    if parallel.world_size == 1:
        return list(mine)
    import torch

    gathered: list[list[_T]] = [[] for _ in range(parallel.world_size)]
    torch.distributed.all_gather_object(gathered, list(mine))
    return [one for part in gathered for one in part]
