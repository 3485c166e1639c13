"""Signals, and what a command makes of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

WAITING = """
import itertools, sys
from llava.console import Screen
from llava.running import exit_code
def wait():
    print("waiting", flush=True)
    return int(all(itertools.repeat(True)))  # for ever, in C, as a collective waits: no handler of Python's runs
sys.exit(exit_code(Screen("train-llava"), wait))
"""


def test_a_process_that_waits_for_one_that_is_gone_ends_when_the_launcher_says_so():
    environment = {**os.environ, "WORLD_SIZE": "2", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", WAITING]
    with subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "waiting\n"
            process.terminate()
            assert process.wait(20) == -signal.SIGTERM
        finally:
            process.kill()
