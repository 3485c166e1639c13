"""How fast the built-in rules label, on one core: the engine alone, and the whole command.

    python benchmarks/rules_speed.py

The engine is timed over the development reports and examples with every memory of earlier sentences cleared before
each pass (every sentence is new) and once more without clearing (sentences repeat, as they do in a hospital's
archive). The whole command (read, check, label, prove, keep, decide, write) is timed on 5,000 reports put together
from the same sentences, no two alike. Beside it, in the same run, a bare keyword search over the same texts: the
ratio says how much the reading itself costs.
"""

from __future__ import annotations

import csv
import gc
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from labeling.facts import read_answer
from labeling.rules.engine import read_facts
from labeling.vocabulary import LABELS, LineTubeType
from studies.report_text import split_sentences

HERE = Path(__file__).parent
PROMPTS = ("findings", "lines_and_tubes")
COMMAND_REPORTS = 5_000
PASSES = 5


def corpus() -> list[str]:
    """The development gold and the example reports."""
    texts = [json.loads(line)["text"] for line in (HERE / "gold" / "devices_dev.jsonl").open(encoding="utf-8")]
    with (HERE.parent / "examples" / "icu_reports.csv").open(encoding="utf-8", newline="") as file:
        texts += [row["report"] for row in csv.DictReader(file)]
    return texts


def label(text: str) -> None:
    """What the engine does with one report, validation of its answers included."""
    sentences = split_sentences(text)
    for prompt in PROMPTS:
        read_answer(prompt, json.dumps(read_facts(prompt, sentences)))


def search(patterns: list[re.Pattern[str]], text: str) -> None:
    """A bare keyword search: one pattern for each label and device, no negation, no sides, no proof."""
    for pattern in patterns:
        pattern.search(text)


def forget() -> None:
    """Clear every bounded memory of the rules."""
    for item in gc.get_objects():
        if type(item).__name__ == "_lru_cache_wrapper" and item.__module__.startswith(("labeling.rules", "studies")):
            parameters = item.cache_parameters()
            if parameters["maxsize"] is not None:  # an unbounded cache holds constants, not sentences
                item.cache_clear()


def rate(texts: list[str], work: Callable[[str], None], *, cleared: bool) -> float:
    """Median reports per second over the passes."""
    rates = []
    for _ in range(PASSES):
        if cleared:
            forget()
        begun = time.perf_counter()
        for text in texts:
            work(text)
        rates.append(len(texts) / (time.perf_counter() - begun))
    return sorted(rates)[PASSES // 2]


def command_rate(texts: list[str]) -> float:
    """Reports per second of the whole command, start-up included."""
    chance = random.Random(0)
    sentences = [sentence.text for text in texts for sentence in split_sentences(text)]
    with tempfile.TemporaryDirectory() as folder:
        source, output = Path(folder) / "in.csv", Path(folder) / "out.jsonl"
        with source.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["report_id", "report"])
            for number in range(COMMAND_REPORTS):
                writer.writerow([number, " ".join(chance.sample(sentences, 8)) + f" Seen at {number}."])
        begun = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "labeling", "label", "--prompt", "all", str(source), "-o", str(output)],
            check=True,
            capture_output=True,
        )
        return COMMAND_REPORTS / (time.perf_counter() - begun)


def main() -> None:
    """Print the table."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # one core, for child processes too
    texts = corpus()
    for text in texts:
        label(text)  # first-use costs (compiled patterns) are no part of the rate
    words = [*LABELS, *(device.value for device in LineTubeType)]
    patterns = [re.compile(name.replace("_", r"\W"), re.IGNORECASE) for name in words]
    keyword = rate(texts, lambda text: search(patterns, text), cleared=False)
    new = rate(texts, label, cleared=True)
    repeated = rate(texts, label, cleared=False)
    whole = command_rate(texts)
    mean = sum(len(split_sentences(text)) for text in texts) / len(texts)
    print(f"{len(texts)} reports of {mean:.1f} sentences, findings and all ten types, one core")
    print(f"engine, every sentence new:  {new:>7,.0f} reports/s ({new / keyword:.2f} of a bare keyword search)")
    print(
        f"engine, sentences repeat:    {repeated:>7,.0f} reports/s ({repeated / keyword:.2f} of a bare keyword search)"
    )
    print(f"whole label-reports command: {whole:>7,.0f} reports/s on {COMMAND_REPORTS:,} reports, start-up included")


if __name__ == "__main__":
    main()
