"""Reading processes leave a request to stop to their parent, and end when it ends.

Readers are classes of this file, so that reading processes can unpickle them.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import numpy as np

from llava.dataset.example import BadStudy, StepBatch
from llava.dataset.loader import step_batches


@dataclass
class Slow:
    """Every study is a bad one, which takes a while. log: the process that reads it."""

    log: Path
    seconds: float

    def read(self, place: int, /) -> BadStudy:
        self.log.write_text(f"{os.getpid()}\n")
        time.sleep(self.seconds)
        return BadStudy(f"s{place}", "Made", "made")


def steps(reader: Any, *, workers: int) -> Iterator[StepBatch]:
    settings: dict[str, Any] = {"batch_studies": 2, "seed": 0, "token_budget": 16}
    return step_batches(reader, np.full(8, 7), last_step=4, workers=workers, **settings)


def until(there: Callable[[], bool], seconds: float) -> bool:
    ends = time.monotonic() + seconds
    while not there() and time.monotonic() < ends:
        time.sleep(0.05)
    return there()


def ended(pid: int) -> bool:
    """Whether a process is gone, or dead and not yet collected."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_a_scheduler_that_stops_every_process_of_a_job_leaves_the_readers_to_the_trainer(tmp_path):
    # both signals again and again, from before a reading process has imported anything to the end of its work
    done, sent, others = threading.Event(), [], set(active_children())

    def schedule() -> None:
        while not done.wait(0.05):
            for child in set(active_children()) - others:
                if subprocess.run(["kill", "-TERM", str(child.pid)], check=False, stderr=subprocess.DEVNULL).returncode:
                    continue
                subprocess.run(["kill", "-INT", str(child.pid)], check=False, stderr=subprocess.DEVNULL)
                sent.append(child.pid)

    sender = threading.Thread(target=schedule)
    sender.start()
    try:
        found = list(steps(Slow(tmp_path / "log", 0.1), workers=1))
    finally:
        done.set()
        sender.join()
    assert [len(step.bad) for step in found] == [2, 2, 2, 2]
    assert len(sent) > 5


def test_what_asks_this_process_to_stop_is_still_heard(tmp_path):
    heard = []
    before = signal.signal(signal.SIGTERM, lambda *_: heard.append(True))
    try:
        running = steps(Slow(tmp_path / "log", 0.0), workers=1)
        next(running)
        os.kill(os.getpid(), signal.SIGTERM)
        assert len(list(running)) == 3
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == [True]


def test_readers_end_when_their_parent_is_killed_even_in_the_middle_of_a_study(tmp_path):
    log = tmp_path / "log"
    script = (
        "from pathlib import Path\n"
        "from tests.llava.dataset.test_processes import Slow, steps\n"
        f"if __name__ == '__main__':\n    next(steps(Slow(Path({str(log)!r}), 300.0), workers=1))\n"
    )
    (tmp_path / "apart.py").write_text(script)
    path = os.pathsep.join([str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH", "")])
    with subprocess.Popen(
        [sys.executable, str(tmp_path / "apart.py")], env=os.environ | {"PYTHONPATH": path}
    ) as parent:
        assert until(lambda: log.exists() and log.read_text().endswith("\n"), 60)
        reader = int(log.read_text())
        assert reader != parent.pid
        assert not ended(reader)
        parent.kill()
    assert until(lambda: ended(reader), 10)


def test_a_reader_that_hangs_ends_when_this_process_itself_ends_it(tmp_path):
    log = tmp_path / "log"
    running = steps(Slow(log, 300.0), workers=1)

    def wait() -> None:
        with contextlib.suppress(RuntimeError):  # that it died
            next(running)

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    assert until(lambda: log.exists() and log.read_text().endswith("\n"), 60)
    [child] = [one for one in active_children() if one.pid == int(log.read_text())]
    child.terminate()  # as torch does, and Python at its end: this process's own request
    assert until(lambda: ended(int(log.read_text())), 10)
    waiting.join(20)
