"""One trainer an output folder: a lock that the system drops when its holder dies, however it dies."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

LOCK_NAME = "train.lock"


class LockError(ValueError):
    """Another run is writing into the folder."""


@contextlib.contextmanager
def locked(output: Path) -> Iterator[None]:
    """Hold a run's folder, made if need be.

    The lock is the kernel's (`flock`), not the file's presence: what a killed run leaves behind holds nobody up. It
    says who holds it: process and host. Over NFS the kernel asks the server (Linux 2.6.12 and later).

    Raises:
        LockError: another process holds it; the message says which.
        OSError: the folder cannot be made or written.
    """
    import fcntl  # no such module on Windows, where the package must still import

    output.mkdir(parents=True, exist_ok=True)
    with (output / LOCK_NAME).open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise LockError(
                f"another train-llava is writing into {output} ({holder}); wait for it, stop it, or name another output"
            ) from None
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)
