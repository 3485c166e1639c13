"""What the commands of `encoders` show: progress and messages on standard error, tables on standard output."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

_LISTED = 5
_WIDTH = 160  # a file or pipe has no width of its own: wide enough for the table
_UNITS = ("bytes", "KB", "MB", "GB", "TB")


class Screen:
    """Everything the user sees of one run. quiet: nothing is said but errors (a process that is not the first)."""

    def __init__(self, command: str, *, quiet: bool = False) -> None:
        self._command = command
        self._quiet = quiet
        self._out = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH)
        self._err = Console(stderr=True, highlight=False)

    def error(self, message: str) -> None:
        self._err.print(_text(f"{self._command}: {message}"), soft_wrap=True)

    def say(self, message: str) -> None:
        if not self._quiet:
            self._err.print(_text(message), soft_wrap=True)

    def lines(self, lines: Iterable[str]) -> None:
        """What was asked for, on standard output."""
        for line in lines:
            self._out.print(_text(line), soft_wrap=True)

    def table(self, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """The same, in columns."""
        table = Table(*head, box=None, pad_edge=False)
        for row in rows:
            table.add_row(*row)
        self._out.print(table)

    def skipped(self, skipped: Mapping[str, Sequence[str]]) -> None:
        """Files in folders that are no films, by suffix, the first few by name."""
        for suffix, names in sorted(skipped.items()):
            self.say(f"left out, no films: {len(names):,} x {suffix} ({_first(names, 3)})")

    def failures(self, path: Path, failed: Sequence[tuple[str, str, str]]) -> None:
        """image, error and message of each; the first few are shown."""
        for image, error, message in failed[:_LISTED]:
            self.say(f"failed: {image}: {error}: {message}")
        if any("[guard: " in message for _, _, message in failed):
            self.say("look at a film that a guard stopped; if it is right after all, --skip-guard NAME lets it pass")
        if failed:
            self.say(f"{path}: {len(failed):,} films without features, each with its reason")

    @contextlib.contextmanager
    def progress(self, what: str, total: int) -> Iterator[Callable[[int], None]]:
        """A live bar on a terminal, nothing elsewhere; give it how many are done."""
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        quiet = self._quiet or not self._err.is_terminal
        with Progress(*columns, console=self._err, disable=quiet, refresh_per_second=5) as bar:
            task = bar.add_task(what, total=total)
            yield lambda done: bar.update(task, completed=done)


def _text(message: str) -> Text:
    """Names of files may hold anything, and a terminal obeys an escape."""
    return Text("".join(one if one.isprintable() or one in "\n\t" else repr(one)[1:-1] for one in message))


def size(count: float) -> str:
    """Bytes for people: "3.2 MB"."""
    power = 0
    while count >= 1000 and power < len(_UNITS) - 1:
        count, power = count / 1000, power + 1
    return f"{count:,.0f} {_UNITS[power]}" if power == 0 else f"{count:,.1f} {_UNITS[power]}"


def _first(names: Sequence[str], count: int) -> str:
    return ", ".join(names[:count]) + (", ..." if len(names) > count else "")
