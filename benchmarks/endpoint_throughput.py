"""How fast questions go through a server: Carina beside a bare loop over the same client that keeps nothing.

    python benchmarks/endpoint_throughput.py            # both settings, one line each
    python benchmarks/endpoint_throughput.py --memory   # peak memory over 100,000 reports

Both sides run in this process, in turns, against one stub server in a process of its own, and send the same messages
and schema. The bare loop is `asyncio.gather` behind a semaphore over `openai.AsyncOpenAI` as it comes; it reads the
answer's text and forgets it. Carina's side is the function `carina` and nothing else.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import openai

from labeling.facts import wire_schema
from labeling.pipeline import Labeler
from labeling.placement.tables import load_tables
from labeling.rows import RowMaker
from labeling.runtime.ask import Policy
from labeling.runtime.engines.endpoint import EndpointEngine
from labeling.runtime.store import Store
from prompts.load import load_prompt
from studies.records import Report

STUB = Path(__file__).parent.parent / "tests" / "stub_server.py"
PROMPT = load_prompt("chest_tube")
MODEL = "stub-model"
SCHEMA = wire_schema(PROMPT.name)
REPORT = (
    "AP view of the chest.",
    "The endotracheal tube ends 4 cm above the carina.",
    "A nasogastric tube passes below the diaphragm, its tip off the image.",
    "A right chest tube remains in place, its tip at the apex.",
    "No pneumothorax is seen.",
    "A small left effusion and basal atelectasis are as before.",
)
ANSWER = {
    "lines_and_tubes": [
        {
            "type": "chest_tube", "sentences": [4], "side": "right", "status": "in_place", "tip": "upper",
            "tip_distance_cm": None, "tip_landmark": None, "tip_direction": None, "stated": "satisfactory",
            "advice": "none", "pleural": "none", "pleural_sentences": [], "placement": "correct",
        }
    ]
}  # fmt: skip


def reports(count: int) -> Iterator[Report]:
    """Distinct reports, made only when asked for."""
    for number in range(count):
        yield Report(str(number), " ".join((*REPORT, f"Report {number}.")))


async def bare(url: str, count: int, in_flight: int) -> None:
    """The yardstick."""
    form = {"type": "json_schema", "json_schema": {"name": PROMPT.name, "strict": True, "schema": SCHEMA}}
    prefix = [{"role": role, "content": content} for role, content in PROMPT.messages]
    async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:
        free = asyncio.Semaphore(in_flight)

        async def ask(report: Report) -> str | None:
            async with free:
                completion = await client.chat.completions.create(  # type: ignore[call-overload]
                    model=MODEL,
                    messages=[*prefix, {"role": "user", "content": report.text}],
                    response_format=form,
                    temperature=0.0,
                    seed=0,
                    max_tokens=2048,
                )
                content: str | None = completion.choices[0].message.content
                return content

        await asyncio.gather(*(ask(report) for report in reports(count)))


async def carina(url: str, count: int, in_flight: int) -> None:
    """The same reports through all of Carina: asked, validated, proven, kept on disk, placed, written as rows."""
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "answers.sqlite") as store:
        async with EndpointEngine(MODEL, url) as engine:
            row_maker = RowMaker(PROMPT.name, [PROMPT], engine.name, engine.model, load_tables())
            labeler = Labeler([PROMPT], engine, store, row_maker, Policy(concurrency=in_flight))
            await labeler.ask(reports(count), lambda _: None)
            written = labeler.write(reports(count), {}, Path(folder) / "rows.jsonl", Path(folder) / "failures.jsonl")
    if written.rows != count:
        raise RuntimeError(f"{written.failed} of {count} reports failed: these figures would mean nothing")


Side = Callable[[str, int, int], Coroutine[Any, Any, None]]


class Measured(NamedTuple):
    """Requests a second, and milliseconds of this process's CPU a request."""

    rate: float
    cpu_ms: float


async def measure(side: Side, url: str, count: int, in_flight: int) -> Measured:
    wall, cpu = time.perf_counter(), time.process_time()
    await side(url, count, in_flight)
    return Measured(count / (time.perf_counter() - wall), 1000 * (time.process_time() - cpu) / count)


@contextmanager
def stub(latency_s: float) -> Iterator[str]:
    """A stub server in its own process, which gives `ANSWER` to every question; gives its base URL."""
    with tempfile.TemporaryDirectory() as folder:
        answers = Path(folder) / "answers.json"
        answers.write_text(json.dumps({"": ANSWER}), encoding="utf-8")
        command = [sys.executable, str(STUB), "--latency-s", str(latency_s), "--answers", str(answers)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        finally:
            process.terminate()
            process.wait()


def compare(what: str, latency_s: float, in_flight: int, count: int, rounds: int, target: float) -> None:
    """One line: the medians of both sides, run in turns, and the median of the rounds' ratios."""
    sides: dict[Side, list[Measured]] = {bare: [], carina: []}
    with stub(latency_s) as url:
        for side in sides:
            asyncio.run(side(url, 2 * in_flight if latency_s == 0 else 8, in_flight))  # imports, caches
        for turn in range(rounds):
            for side in (bare, carina) if turn % 2 == 0 else (carina, bare):
                sides[side].append(asyncio.run(measure(side, url, count, in_flight)))
    ratio = statistics.median(c.rate / b.rate for b, c in zip(sides[bare], sides[carina], strict=True))
    told = []
    for name, runs in (("bare", sides[bare]), ("carina", sides[carina])):
        rate, cpu_ms = (statistics.median(values) for values in zip(*runs, strict=True))
        told.append(f"{name} {rate:.0f}/s ({cpu_ms:.2f} ms CPU each)")
    print(f"{what}: {', '.join(told)}, ratio {ratio:.2f} (target {target})", flush=True)


def memory(count: int, in_flight: int, target_mb: int) -> None:
    with stub(0.0) as url:
        measured = asyncio.run(measure(carina, url, count, in_flight))
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    print(f"{count} reports, {in_flight} in flight: peak {peak_mb:.0f} MB (target {target_mb}), {measured.rate:.0f}/s")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=3, help="turns of each side")
    parser.add_argument("--requests", type=int, default=2048, help="requests of one turn")
    parser.add_argument("--memory", action="store_true", help="only the peak memory over --rows reports")
    parser.add_argument("--rows", type=int, default=100_000)
    given = parser.parse_args()
    if given.memory:
        memory(given.rows, 256, 300)
        return
    compare("1 s latency, 256 in flight", 1.0, 256, given.requests, given.rounds, 0.97)
    compare("answered at once, 64 in flight", 0.0, 64, given.requests, given.rounds, 0.75)


if __name__ == "__main__":
    main()
