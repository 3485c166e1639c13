"""Stopping on request: SIGTERM or Ctrl-C lets the step end and the state be saved; asked again, it ends at once."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any, Self


class StoppedError(Exception):
    """The run was asked to stop; its state is saved, and the message says where to go on from."""


_AGAIN_S = 1.0


class StopRequest:
    """Within its context, whether a stop was asked for; signals do what they did before, outside of it.

    Cluster schedulers send SIGTERM some seconds before SIGKILL, to a launcher too, which passes it on: what comes
    within a second is the same request.
    """

    def __init__(self) -> None:
        self.asked = False
        self._asked_s = 0.0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # others cannot set handlers
            self._before = {number: signal.signal(number, self._ask) for number in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def _ask(self, number: int, _frame: FrameType | None) -> None:
        if not self.asked:
            self.asked = True
            self._asked_s = time.monotonic()
        elif time.monotonic() - self._asked_s >= _AGAIN_S:
            self._restore()
            signal.raise_signal(number)

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
