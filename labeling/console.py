"""What `label-reports` shows: progress and messages on standard error, tables and reports on standard output."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column, Table
from rich.text import Text

from labeling.config import LabelConfig
from labeling.pipeline import Written
from labeling.redecide import Change, count_changes
from labeling.runtime.engine import Question
from labeling.runtime.keep import Tally
from labeling.schema import LabelRow, Span
from labeling.vocabulary import Finding, LineTubeType, Mention, Placement
from studies.records import Report

_REFRESH_S = 0.2
_MAX_LISTED = 20
_CHARACTERS_PER_TOKEN = 4  # rule of thumb for English in the usual tokenizers; only for estimates before a run
_PLACEMENTS = (*(p.value for p in Placement), "removed")


class Screen:
    """Everything the user sees of one run. Report text is printed by `report` only, because the user asked."""

    def __init__(self) -> None:
        # A file or pipe has no width of its own: wide enough for the tables
        self._out = Console(highlight=False, width=None if sys.stdout.isatty() else 110)
        self._err = Console(stderr=True, highlight=False)

    def error(self, message: str) -> None:
        self._err.print(Text(f"label-reports: {message}"), soft_wrap=True)

    def say(self, message: str) -> None:
        self._err.print(Text(message), soft_wrap=True)

    def begin(self, engine: str, model: str, where: str | None, total: int, rejected: int) -> None:
        if rejected:
            self.say(f"{rejected} of {total} reports cannot be labelled and are listed as failures")
        if engine == "rules":
            self.say(
                f"No language model is used: the built-in rules ({model}) read the reports on this machine. "
                "To ask one, name it with --model and --base-url."
            )
        else:
            self.say(f"Asking {model} at {where}")

    @contextlib.contextmanager
    def progress(self, total: int, config: LabelConfig) -> Iterator[Callable[[Tally], None]]:
        """A live bar on a terminal; nothing where there is none, so that logs stay readable."""
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[state]}"), TimeRemainingColumn())
        with Progress(*columns, console=self._err, disable=not self._err.is_terminal, refresh_per_second=5) as bar:
            task = bar.add_task("labels", total=total, state="")
            begun = shown = time.monotonic()

            def on_progress(tally: Tally) -> None:
                nonlocal shown
                now = time.monotonic()
                if now - shown < _REFRESH_S and tally.done < total:
                    return
                shown = now
                rate = (tally.answered + tally.failed) / max(now - begun, 1e-9)
                bar.update(task, completed=tally.done, state=f"{rate:,.0f}/s  {_state(tally, config)}")

            yield on_progress

    def end(
        self, output: Path, failures: Path, written: Written, tally: Tally, elapsed_s: float, config: LabelConfig
    ) -> None:
        self.say(
            f"{output}: {written.rows:,} rows in {elapsed_s:.1f} s "
            f"({tally.answered:,} answered now, {tally.reused:,} known before, {_state(tally, config)})"
        )
        if written.failed:
            self.say(f"{failures}: {written.failed:,} reports without labels, each with its reason")

    def dry_run(self, questions: Iterable[Question], tally: Tally, total: int, config: LabelConfig) -> None:
        """Say what would be asked; tokens are an estimate of the prompts alone, answers come on top."""
        asked: dict[str, int] = {}
        characters = 0
        for question in questions:
            asked[question.prompt_name] = asked.get(question.prompt_name, 0) + 1
            if config.uses_model:
                characters += sum(len(m.content) for m in question.prefix) + len(question.render())
        table = Table("prompt", "questions to ask")
        for name, count in asked.items():
            table.add_row(name, f"{count:,}")
        self._out.print(table)
        self._out.print(f"{total:,} reports, {tally.questions:,} questions, {tally.reused:,} answered before")
        if config.uses_model:
            tokens = characters // _CHARACTERS_PER_TOKEN
            cost = "" if config.price_in is None else f", ${tokens / 1e6 * config.price_in:,.2f} without the answers"
            self._out.print(f"about {tokens:,} prompt tokens (characters / {_CHARACTERS_PER_TOKEN}){cost}")
        self._out.print("dry run: nothing was asked")

    def table(self, written: Written) -> None:
        devices = {name for name, _ in written.devices}
        if devices:
            table = Table(_name("line or tube"), *_PLACEMENTS, title="Lines and tubes by placement")
            for device in LineTubeType:
                if device.value in devices:
                    table.add_row(device.value, *(_number(written.devices[device.value, p]) for p in _PLACEMENTS))
            self._out.print(table)
        if written.findings:
            table = Table(_name("finding"), *(m.value for m in Mention), title="Reports by finding")
            for finding in Finding:
                table.add_row(finding.value, *(_number(written.findings[finding.value, m.value]) for m in Mention))
            self._out.print(table)

    def changes(self, entries: int, changes: list[Change]) -> None:
        """Print what other placement tables change."""
        if changes:
            table = Table("line or tube", "before", "after", "entries", title="Changed placements")
            for (device, before, after), count in sorted(count_changes(changes).items()):
                table.add_row(device, before, after, f"{count:,}")
            self._out.print(table)
            for change in changes[:_MAX_LISTED]:
                self._out.print(f"{change.report_id}: {change.device} {change.before} -> {change.after}")
            if len(changes) > _MAX_LISTED:
                self._out.print(f"... and {len(changes) - _MAX_LISTED:,} more")
        self._out.print(f"{len(changes):,} of {entries:,} lines and tubes change")

    def report(self, report: Report, row: LabelRow) -> None:
        """Print a report with the evidence marked, and its labels with what proves each."""
        text = Text(report.text)
        for finding in row.findings:
            _mark(text, finding.evidence, "cyan")
        for device in row.lines_and_tubes:
            _mark(text, device.evidence, "bold yellow")
        self._out.rule(f"report {report.report_id}")
        self._out.print(text)
        self._out.rule(f"labels ({row.prompt}, {row.model})")
        for device in row.lines_and_tubes:
            tip = device.tip_location
            if device.tip_distance_cm is not None:
                place = " ".join(p.value for p in (device.tip_direction, device.tip_landmark) if p)
                tip += f" ({device.tip_distance_cm:g} cm {place})"
            line = (
                f"{device.type_categorical.value}, {device.side_categorical.value}, {device.status.value}, tip {tip}: "
                f"placement {device.placement.value} (rule {device.placement_rule})"
            )
            self._labelled(line, "bold yellow", device.reference_sentence)
        for finding in row.findings:
            details = [finding.assertion.value]
            details += [
                word.value
                for word in (finding.side_categorical, finding.severity, finding.comparison)
                if word.value != "unspecified"
            ]
            self._labelled(f"{finding.label}: {', '.join(details)}", "cyan", finding.reference_phrase)

    def _labelled(self, line: str, style: str, proof: str) -> None:
        self._out.print(Text(line, style=style), soft_wrap=True)
        self._out.print(Text(f"    {' '.join(proof.split())}", style="dim"), soft_wrap=True)


def _mark(text: Text, spans: Iterable[Span], style: str) -> None:
    for span in spans:
        text.stylize(style, span.start, span.end)


def _name(header: str) -> Column:
    return Column(header, no_wrap=True, min_width=max(len(finding.value) for finding in Finding))


def _number(count: int) -> str:
    return f"{count:,}" if count else "-"


def _state(tally: Tally, config: LabelConfig) -> str:
    parts = [f"{tally.failed:,} failed"]
    if tally.usage.prompt_tokens or tally.usage.completion_tokens:
        parts.append(config.say_usage(tally.usage))
    return ", ".join(parts)
