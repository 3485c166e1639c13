"""One process, or the several that `accelerate launch` started, which share the films."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from encoders.config import ConfigError

if TYPE_CHECKING:
    import torch

_T = TypeVar("_T")
_PATIENCE = timedelta(days=7)  # until others arrive: the first one may hash a million files before they start


class RefusedError(Exception):
    """The first process gave up, and has said why."""


class Ranks:
    """This process (rank) among `count`."""

    def __init__(self, device: str) -> None:
        self._wanted = device
        self._state: Any = None
        self.rank, self.count = 0, 1
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            from accelerate import PartialState
            from accelerate.utils import InitProcessGroupKwargs

            self._state = PartialState(cpu=device == "cpu", **InitProcessGroupKwargs(timeout=_PATIENCE).to_kwargs())
            self.rank, self.count = self._state.process_index, self._state.num_processes

    def device(self) -> torch.device:
        """Where this process computes.

        Raises:
            ConfigError: a GPU is asked for and there is none.
        """
        import torch

        if self._wanted == "cuda" and not torch.cuda.is_available():
            raise ConfigError("--device cuda: this PyTorch sees no GPU")
        if self._state is not None:
            found: torch.device = self._state.device
            return found
        return torch.device("cuda" if self._wanted != "cpu" and torch.cuda.is_available() else "cpu")

    def share(self, make: Callable[[], _T]) -> _T:
        """What the first process makes, in all of them.

        Raises:
            RefusedError: in the others, when it could not be made; the first one raises the error itself.
        """
        if self._state is None:
            return make()
        from accelerate.utils import broadcast_object_list

        if self.rank > 0:
            [made] = broadcast_object_list([None])
            if made is None:
                raise RefusedError
            return made  # type: ignore[no-any-return]
        made = None
        try:
            made = make()
            return made
        finally:
            broadcast_object_list([made])

    def gather(self, mine: list[_T]) -> list[_T]:
        """The items of all processes, in all of them, when every one has come so far."""
        if self._state is None:
            return mine
        from accelerate.utils import gather_object

        return list(gather_object(mine))
