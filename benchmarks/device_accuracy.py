"""Measures lines and tubes against the hand-labelled reports in `benchmarks/gold/`.

    python benchmarks/device_accuracy.py                        the built-in engine on the development set
    python benchmarks/device_accuracy.py --errors               and every disagreement, by report id
    python benchmarks/device_accuracy.py --labels labels.jsonl  any engine's rows (of `label-reports`) instead
    python benchmarks/device_accuracy.py --counts               what the gold holds; nothing is measured

The held-out set is measured only when it is named: --gold benchmarks/gold/devices_held_out.jsonl.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run from a checkout

from labeling.accuracy import Detection, DeviceAccuracy, Difference, Share, device_accuracy
from labeling.facts import LineTubeAnswer
from labeling.intervals import Interval
from labeling.pipeline import check_answer
from labeling.placement.tables import load_tables
from labeling.questions import QuestionMaker
from labeling.rows import RowMaker
from labeling.rules.engine import RulesEngine
from labeling.vocabulary import DEVICES, LineTubeType, Placement
from prompts.load import load_prompt
from studies.records import Report
from studies.report_text import split_sentences

GOLD = Path(__file__).parent / "gold"
PROMPT = "lines_and_tubes"
SEED = 2026

Row = Mapping[str, Any]


def label_with_rules(gold: Sequence[Row]) -> list[Row]:
    """Label the gold reports as `label-reports` does, without its store."""
    engine, prompt = RulesEngine(), load_prompt(PROMPT)
    questions = QuestionMaker(prompt, engine)
    rows = RowMaker(PROMPT, [prompt], engine.name, engine.model, load_tables())

    async def label(row: Row) -> Row:
        report = Report(row["report_id"], row["text"])
        sentences = split_sentences(report.text)
        question = questions.make(report, sentences)
        reply = await engine.reply(question, ())
        answer = LineTubeAnswer.model_validate_json(check_answer(question, reply.text))
        labelled: Row = rows.make(report, sentences, {PROMPT: answer}).model_dump(mode="json")
        return labelled

    async def label_all() -> list[Row]:
        return [await label(row) for row in gold]

    return asyncio.run(label_all())


def read_jsonl(path: Path) -> list[Row]:
    """The rows of one file.

    Raises:
        ValueError: the file cannot be read or a line is not JSON; file and line are named.
    """
    rows: list[Row] = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror or error}") from None
    for number, line in enumerate(lines, 1):
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise ValueError(f"{path} line {number}: not JSON ({error.msg})") from None
    return rows


def _number(value: float | None, interval: Interval | None) -> str:
    if value is None:
        return "    -"
    return f"{value:.3f}" + (f"  [{interval.low:.3f}, {interval.high:.3f}]" if interval else "")


def _detection_line(name: str, score: Detection) -> str:
    precision, recall = _number(score.precision, None), _number(score.recall, None)
    return (
        f"{name:<28}{score.found:>6}{score.spurious:>10}{score.missed:>8}{precision:>11}{recall:>8}   "
        f"{_number(score.f1, score.f1_interval)}"
    )


def _share_line(name: str, share: Share) -> str:
    return f"{name:<28}{share.right:>6} of {share.of:<5}  {_number(share.value, share.interval)}"


def print_accuracy(result: DeviceAccuracy) -> None:
    print(
        f"{result.reports} reports. Intervals are 95 %: F1 bootstrapped over reports (seed {SEED}), shares Wilson's.\n"
    )
    print(f"{'type':<28}{'found':>6}{'spurious':>10}{'missed':>8}{'precision':>11}{'recall':>8}   F1")
    for name, score in result.by_type.items():
        print(_detection_line(name, score))
    print(_detection_line("all types", result.overall))
    print(_detection_line("incorrect placement", result.incorrect_placement))
    print()
    for name in ("status", "side", "tip", "placement"):
        print(_share_line(f"{name} agrees", getattr(result, name)))


def _say(difference: Difference) -> str:
    fields = ("type_categorical", "side_categorical", "status", "tip_location", "placement")
    gold, predicted = (
        " ".join(str(entry[field]) for field in fields) if entry else "-"
        for entry in (difference.gold, difference.predicted)
    )
    return f"{difference.report_id:<10} {difference.kind:<10} gold: {gold} | labels: {predicted}"


def print_counts(gold: Sequence[Row]) -> None:
    """What the gold holds: reports, and of each type instances, removed ones, placements and tips."""
    entries = [entry for row in gold for entry in row["lines_and_tubes"]]
    without = sum(not row["lines_and_tubes"] for row in gold)
    print(f"{len(gold)} reports, {without} of them without any line or tube; {len(entries)} lines and tubes\n")
    print(f"{'type':<28}{'all':>5}{'removed':>9}" + "".join(f"{placement:>11}" for placement in Placement))
    for device in LineTubeType:
        own = [entry for entry in entries if entry["type_categorical"] == device]
        placed = Counter(entry["placement"] for entry in own)
        removed = sum(entry["status"] == "removed" for entry in own)
        print(f"{device:<28}{len(own):>5}{removed:>9}" + "".join(f"{placed[placement]:>11}" for placement in Placement))
    print()
    for device in LineTubeType:
        tips = Counter(entry["tip_location"] for entry in entries if entry["type_categorical"] == device)
        print(f"{device}: " + ", ".join(f"{tip} {tips[tip]}" for tip in DEVICES[device].tips))
    traps = Counter(trap for row in gold for trap in row["traps"])
    print("\ntraps: " + ", ".join(f"{trap} {count}" for trap, count in sorted(traps.items())))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gold", type=Path, nargs="+", default=[GOLD / "devices_dev.jsonl"], metavar="FILE")
    parser.add_argument("--labels", type=Path, help="rows to measure instead of the built-in engine's (JSONL)")
    parser.add_argument("--errors", action="store_true", help="list every disagreement")
    parser.add_argument("--counts", action="store_true", help="print what the gold holds and stop")
    options = parser.parse_args(arguments)
    try:
        gold = [row for path in options.gold for row in read_jsonl(path)]
        if options.counts:
            print_counts(gold)
            return 0
        rows = read_jsonl(options.labels) if options.labels else label_with_rules(gold)
        result = device_accuracy(gold, rows, seed=SEED)
    except ValueError as error:
        print(f"device_accuracy: {error}", file=sys.stderr)
        return 2
    print_accuracy(result)
    if options.errors:
        print(f"\n{len(result.differences)} disagreements")
        for difference in result.differences:
            print(_say(difference))
    return 0


if __name__ == "__main__":
    sys.exit(main())
