"""What the commands of `eval` show: progress and messages on standard error, tables on standard output."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column, Table
from rich.text import Text

from labeling.runtime.keep import Tally

if TYPE_CHECKING:
    from eval.compare import Comparison
    from eval.radfact.calibrate import Calibration
    from eval.selfcheck import Check

_WIDTH = 120  # a file or pipe has no width of its own: wide enough for the tables
SIGNIFICANT = 0.05


class Screen:
    """Everything the user sees of one run; texts of reports are never among it."""

    def __init__(self, command: str) -> None:
        self._command = command
        self._out = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH)
        self._err = Console(stderr=True, highlight=False)

    def error(self, message: str) -> None:
        self._err.print(Text(f"{self._command}: {message}"), soft_wrap=True)

    def say(self, message: str) -> None:
        self._err.print(Text(message), soft_wrap=True)

    def print(self, message: str) -> None:
        self._out.print(Text(message), soft_wrap=True)

    def table(self, table: Table) -> None:
        self._out.print(table)

    @contextlib.contextmanager
    def progress(self, what: str, total: int) -> Iterator[Callable[[int], None]]:
        """A live bar on a terminal, nothing elsewhere; give it how many are done."""
        with self._bar() as bar:
            task = bar.add_task(what, total=total)
            yield lambda done: bar.update(task, completed=done)

    @contextlib.contextmanager
    def questions(self, what: str) -> Iterator[Callable[[str, int, Tally], None]]:
        """A live bar for each stage of asking; give it the stage, its questions in all and its tally."""
        with self._bar() as bar:
            tasks: dict[str, Any] = {}

            def on_stage(stage: str, total: int, tally: Tally) -> None:
                if stage not in tasks:
                    tasks[stage] = bar.add_task(f"{what} {stage}", total=total)
                bar.update(tasks[stage], completed=tally.done, total=total)

            yield on_stage

    @contextlib.contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """A spinner on a terminal for what has no steps to count."""
        with self._err.status(what) if self._err.is_terminal else contextlib.nullcontext():
            yield

    def _bar(self) -> Progress:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        return Progress(*columns, console=self._err, disable=not self._err.is_terminal, refresh_per_second=5)

    def scores(self, scores: Mapping[str, Any], output: Path, elapsed_s: float) -> None:
        """The table of a paper, then what a reader must know."""
        bootstrap, counts = scores["bootstrap"], scores["counts"]
        patients = f" of {counts['patients']:,} patients" if counts["patients"] is not None else ""
        title = (
            f"{counts['scored']:,} studies{patients}; 95 % intervals: {bootstrap['replicates']:,} resamples of "
            f"{'patients' if bootstrap['unit'] == 'patient' else 'studies'}, seed {bootstrap['seed']}"
        )
        self._out.print(Text(title))
        table = Table(
            "metric",
            Column("point", justify="right", no_wrap=True),
            Column("median [95 % interval]", no_wrap=True),
            Column("n", justify="right", no_wrap=True),
        )
        shown = [figure for figure in scores["figures"] if figure["group"] in ("headline", "detail")]
        for figure in shown:
            style = "bold" if figure["group"] == "headline" else "dim"
            cells = (figure["label"], percent(figure["point"]), interval(figure))
            studies = scores["metrics"][figure["metric"]]["studies"]
            table.add_row(*(Text(cell, style=style) for cell in cells), f"{studies:,}")
        self._out.print(table)
        if bootstrap["warning"]:
            self.print(bootstrap["warning"])
        for figure in shown:
            if figure["degenerate_share"]:
                share = 100 * figure["degenerate_share"]
                self.print(f"{figure['label']}: undefined in {share:.1f} % of the resamples, which are left out")
        for metric, found in scores["metrics"].items():
            for note in found["notes"]:
                self.print(f"{metric}: {note}")
        for metric, reason in scores["not_computed"].items():
            self.print(f"{metric}: not computed; {reason}")
        self.say(f"{output}: scores.json, per_study.parquet, report.html in {elapsed_s:.1f} s")

    def comparison(self, found: Comparison, correction: str, replicates: int) -> None:
        """Each difference with its interval and corrected p."""
        patients = f" of {found.patients:,} patients" if found.patients is not None else ""
        self.print(
            f"{found.studies:,} common studies{patients}; differences in points; 95 % intervals: {replicates:,} paired "
            f"resamples of {'patients' if found.unit == 'patient' else 'studies'}"
        )
        tests = sum(one.p is not None for one in found.differences)
        table = Table(
            Column("metric"),
            Column("first - second"),
            Column("first", justify="right"),
            Column("second", justify="right"),
            Column("difference [95 % interval]", no_wrap=True),
            Column("p", justify="right"),
            Column(f"p ({correction}, {tests})", justify="right"),
        )
        for one in found.differences:
            clear = one.p_adjusted is not None and one.p_adjusted < SIGNIFICANT
            table.add_row(
                one.label,
                f"{one.first} - {one.second}",
                percent(one.first_point),
                percent(one.second_point),
                Text(
                    f"{percent(one.difference, sign=True)} [{percent(one.low, sign=True)}, "
                    f"{percent(one.high, sign=True)}]",
                    style="bold" if clear else "",
                ),
                p_value(one.p),
                p_value(one.p_adjusted),
            )
        self._out.print(table)
        if found.warning:
            self.print(found.warning)
        for run, count in found.left_out.items():
            if count:
                self.print(f"{run}: {count:,} studies are not in every run and are left out")
        for setting in found.unlike:
            self.print(f"--allow-unlike: {setting}")
        if tests * 2 / (replicates + 1) > SIGNIFICANT:
            self.print(
                f"{replicates:,} resamples cannot show p below {SIGNIFICANT:g} for {tests} tests; give more with "
                "--replicates"
            )

    def calibration(self, model: str, found: Calibration, replicates: int) -> None:
        """The judge's agreement with people."""
        self.print(
            f"{model} on {found.num_statements:,} labelled statements of {found.num_pairs:,} report pairs; "
            f"{found.num_failed:,} judgments failed ({100 * found.failure_rate:.1f} %) and are left out"
        )
        table = Table(Column("", no_wrap=True), "judge: entailed", "judge: not entailed")
        table.add_row("people: entailed", f"{found.true_positives:,}", f"{found.false_negatives:,}")
        table.add_row("people: not entailed", f"{found.false_positives:,}", f"{found.true_negatives:,}")
        self._out.print(table)
        for name, one in (
            ("agreement", found.agreement),
            ("Cohen's kappa", found.kappa),
            ("sensitivity to entailment", found.sensitivity),
            ("specificity", found.specificity),
        ):
            self.print(f"{name:26}{_three(one.point)} [{_three(one.low)}, {_three(one.high)}]")
        self.print(f"95 % intervals: {replicates:,} resamples of report pairs")

    def check(self, check: Check) -> None:
        """One line of the self-check."""
        word, style = {True: ("pass", "green"), False: ("FAIL", "bold red"), None: ("skip", "yellow")}[check.passed]
        self._out.print(Text(f"{word}  {check.name}:", style=style), Text(check.detail, style="dim"), soft_wrap=True)


def _three(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"


def p_value(p: float | None) -> str:
    return "n/a" if p is None else f"{p:.4f}" if p < 0.1 else f"{p:.2f}"


def percent(value: float | None, *, sign: bool = False) -> str:
    """A share in percent with one decimal; "n/a" where it is undefined, never 0."""
    return "n/a" if value is None else f"{100 * value:{'+' if sign else ''}.1f}"


def interval(figure: Mapping[str, Any]) -> str:
    return f"{percent(figure['median'])} [{percent(figure['low'])}, {percent(figure['high'])}]"
