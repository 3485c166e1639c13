"""Predictions on the disk: appended as they come, in the table's order when all are there.

While a run goes on its lines are in OUTPUT.part, so that whoever finds OUTPUT finds all of it. A killed run loses the
batch it was at.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from llava.dataset.example import BadStudy


class Line(NamedTuple):
    """A study's report.

    run: key of everything that made it but the study; study_key: of the study's own row; tokens: generated, the end
    token among them; finish_reason: "length" where max_new_tokens cut it off; prior_tokens_cut: of the prior report, to
    fit the context.
    """

    study_id: str
    patient_id: str | None
    prediction: str
    run: str
    study_key: str
    tokens: int
    finish_reason: str
    prior_tokens_cut: int


class StoreError(ValueError):
    """The output belongs to another run, or another run is writing it."""


class Store:
    """The lines of one output that are there already; made by `opened`.

    lines: by study id. torn: unreadable lines that a kill or a crash left, dropped. stale: lines of this run whose
    study has changed since, so that it is generated again.
    """

    def __init__(self, output: Path, run: str, file: Any) -> None:
        self.output = output
        self.lines: dict[str, Line] = {}
        self.torn = 0
        self.stale = 0
        self._run = run
        self._file = file

    def missing(self, keys: Mapping[str, str]) -> list[str]:
        """Of these study ids, each with its key, those without a line; lines of other keys are forgotten.

        Raises:
            StoreError: there are lines of other studies, which `finish` would drop.
        """
        strangers = [one for one in self.lines if one not in keys]
        if strangers:
            raise StoreError(
                f"{self.output} holds reports of {len(strangers):,} studies that are not among these {len(keys):,} "
                f"(such as {strangers[0]}): another table or a smaller --limit; name another output, or --overwrite"
            )
        changed = [one for one, line in self.lines.items() if line.study_key != keys[one]]
        for one in changed:
            del self.lines[one]
        self.stale = len(changed)
        return [one for one in keys if one not in self.lines]

    def add(self, lines: Sequence[Line]) -> None:
        """Append; on the disk when this returns.

        Raises:
            OSError: the disk is full or the file cannot be written.
        """
        self._file.seek(0, os.SEEK_END)
        self._file.write(b"".join(_encoded(line) for line in lines))
        self._file.flush()
        os.fsync(self._file.fileno())
        self.lines.update({line.study_id: line for line in lines})

    def finish(self, order: Iterable[str]) -> int:
        """Write OUTPUT, a line for each of these study ids that has one, and give how many; OUTPUT.part goes."""
        found = [self.lines[one] for one in order if one in self.lines]
        write_lines(self.output, found)
        self._file.truncate(0)  # `opened` removes it
        return len(found)

    def load(self, *, overwrite: bool) -> None:
        """Read what earlier runs left, or with `overwrite` remove it.

        Raises:
            StoreError: it was made otherwise or is no file of predictions, and is not to be overwritten.
        """
        if overwrite:
            self._file.truncate(0)
            self.output.unlink(missing_ok=True)
            return
        part = self._file.read()
        whole = part.rfind(b"\n") + 1
        finished = list(_lines(self.output.read_bytes() if self.output.exists() else b""))
        if foreign := finished.count(None):  # it is written whole: no kill can have left them
            raise StoreError(
                f"{self.output} has {foreign:,} of {len(finished):,} lines that generate-reports did not write: "
                "another file, or one that was edited; name another output, or give --overwrite to lose it"
            )
        read = [*finished, *_lines(part[:whole])]
        lines = [line for line in read if line is not None]
        others = sorted({line.run for line in lines} - {self._run})
        if others:
            raise StoreError(
                f"{self.output} holds reports of another run ({others[0]}; this one is {self._run}): another model, "
                f"prompt, engine or setting made them; {beside(self.output, 'run.json').name} says which. Name another "
                "output, or give --overwrite"
            )
        self.torn = len(read) - len(lines) + (whole < len(part))
        self.lines = {line.study_id: line for line in lines}
        self._file.truncate(whole)  # a kill may have torn the last line: what follows must not continue it


@contextlib.contextmanager
def opened(output: Path, run: str, *, overwrite: bool) -> Iterator[Store]:
    """Hold an output for this run; a killed holder lets go of it.

    Raises:
        StoreError: it was made by another run, or another one is writing it.
        OSError: its folder cannot be made or written.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    with _locked(part_of(output)) as file:
        store = Store(output, run, file)
        try:
            store.load(overwrite=overwrite)
            yield store
        finally:
            file.seek(0, os.SEEK_END)
            if file.tell() == 0:  # nothing came of it, or all of it is in OUTPUT
                part_of(output).unlink(missing_ok=True)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[Any]:
    import fcntl  # no such module on Windows, where the package must still import

    while True:
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b")  # reports are for this user only
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StoreError(
                    f"another generate-reports is writing {path.with_suffix('').name}; wait for it, or name another -o"
                ) from None
            if not path.exists() or not os.path.samestat(os.fstat(file.fileno()), path.stat()):
                continue  # its holder finished, and removed it, between our two calls
            file.seek(0)
            yield file
            return


def part_of(output: Path) -> Path:
    return output.with_name(output.name + ".part")


def beside(output: Path, kind: str) -> Path:
    """predictions.jsonl, "failures.jsonl" -> predictions.failures.jsonl."""
    return output.with_name(f"{output.stem}.{kind}")


def write_lines(path: Path, lines: Iterable[Line]) -> None:
    """Lines as a file, whole or not at all."""
    write_whole(path, b"".join(_encoded(line) for line in lines))


def write_failures(path: Path, failures: Iterable[BadStudy]) -> None:
    """A JSON line of study_id, error and message each; an empty file where all went well."""
    write_whole(path, b"".join(_json(one._asdict()) for one in failures))


def write_whole(path: Path, content: bytes) -> None:
    """A file for this user only, whole or not at all."""
    part = path.with_name(path.name + ".new")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _encoded(line: Line) -> bytes:
    told = line._asdict()
    if line.patient_id is None:
        del told["patient_id"]  # score-reports resamples patients where the column is there
    return _json(told)


def _json(told: Mapping[str, Any]) -> bytes:
    return (json.dumps(told, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")


def _lines(content: bytes) -> Iterator[Line | None]:
    """Lines of a file; None for what is no line of ours."""
    for raw in content.splitlines():
        try:
            line = Line(**{"patient_id": None, **json.loads(raw)})
        except (ValueError, TypeError):
            yield None
            continue
        texts = (line.study_id, line.prediction, line.run, line.study_key, line.finish_reason)
        yield line if all(isinstance(one, str) for one in texts) else None
