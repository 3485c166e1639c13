from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from llava.training.lock import LOCK_NAME, LockError, locked

HOLDER = """
import sys, time
from pathlib import Path
from llava.training.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def hold(output: Path) -> subprocess.Popen[str]:
    """Another process that holds the folder."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(output)], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder


def test_a_second_trainer_is_told_who_holds_the_folder(tmp_path):
    holder = hold(tmp_path)
    try:
        with pytest.raises(LockError, match=rf"process {holder.pid} on .*name another output"), locked(tmp_path):
            pass
        assert str(holder.pid) in (tmp_path / LOCK_NAME).read_text()  # the refused one has not written over it
    finally:
        holder.kill()
        holder.wait()


def test_a_killed_trainer_holds_nobody_up(tmp_path):
    holder = hold(tmp_path)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert str(holder.pid) in (tmp_path / LOCK_NAME).read_text()  # its name is still there
    with locked(tmp_path):
        assert str(os.getpid()) in (tmp_path / LOCK_NAME).read_text()


def test_the_folder_is_free_after_an_error_in_it(tmp_path):
    with pytest.raises(RuntimeError, match="inside"), locked(tmp_path / "new"):
        raise RuntimeError("inside")
    with locked(tmp_path / "new"):
        pass
