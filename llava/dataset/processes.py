"""Processes that read studies: what asks a run to stop is the parent's to answer, and they end when it does.

Terminals send SIGINT, and cluster schedulers SIGTERM, to all processes of a job. A reading process that obeyed would
take the step, whose state the trainer is about to save, away from it.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from multiprocessing import resource_tracker

_STOPS = (signal.SIGINT, signal.SIGTERM)
_LOOK_EVERY_S = 1.0


@contextlib.contextmanager
def started_deaf() -> Iterator[None]:
    """Processes started within never hear SIGINT and SIGTERM, from their first instruction on: importing takes seconds.

    A blocked signal is inherited, an ignored one would be this process's loss: what comes for it meanwhile is delivered
    on leaving.
    """
    resource_tracker.ensure_running()  # it unblocks both where it has to be started, so before
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_with_the_parent(_: int) -> None:
    """The `worker_init_fn` of such processes: ended by the parent's own SIGTERM, or its death, even while reading."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    assert parent.pid is not None
    threading.Thread(target=_watch, args=(parent.pid,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        if sys.platform != "linux":
            time.sleep(_LOOK_EVERY_S)  # elsewhere nothing tells who sent a signal
            continue
        told = signal.sigtimedwait((signal.SIGTERM,), _LOOK_EVERY_S)
        if told is not None and told.si_pid == parent:
            break
    os._exit(0)
