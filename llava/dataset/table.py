"""A table of studies, opened in bounded memory: converted once to an Arrow file that is mapped, not read.

Shape letters: N studies.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import shutil
import tempfile
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]
from numpy.typing import NDArray

from llava.dataset.table_rows import COLUMNS, read_batches
from studies.records import GenerationStudy
from studies.tables import InputError

logger = logging.getLogger(__name__)

_FORMAT = 1  # of the files below; another number converts anew
_ROWS, _NUMBERS, _FACTS = "studies.arrow", "numbers.npy", "facts.json"
_PROMPT_TOKENS = 120  # of the prompt's own words and the chat's; an estimate needs no more
_TEXTS = ("indication", "technique", "comparison", "prior_report", "findings")
_FILMS = ("frontal", "lateral", "prior_frontal")


class StudyTable:
    """Studies by their place in the file, and three whole numbers of each.

    text_characters_N: of the texts that an example is made of, the target among them where findings are needed.
    prior_characters_N: of the prior report alone. images_N: films of each study.
    without_film, without_findings: how many studies cannot be used for want of a current film or, where they are
    needed, of findings; reading one of them says so. ignored_columns: columns of the file that nothing here uses.
    root: of relative image paths. All of it is mapped from files, so that a copy sent to another process costs nothing.
    """

    def __init__(self, source: Path, entry: Path, root: Path) -> None:
        self.source = source
        self.root = root
        self._entry = entry
        facts = json.loads((entry / _FACTS).read_text(encoding="utf-8"))
        self.ignored_columns: tuple[str, ...] = tuple(facts["ignored_columns"])
        self.without_film: int = facts["without_film"]
        self.without_findings: int = facts["without_findings"]
        numbers_3N: NDArray[np.int32] = np.load(entry / _NUMBERS, mmap_mode="r")
        self.text_characters_N, self.prior_characters_N, self.images_N = numbers_3N

    def __reduce__(self) -> tuple[Any, ...]:
        return StudyTable, (self.source, self._entry, self.root)

    @classmethod
    def open(cls, path: str | Path, *, cache: Path, need_findings: bool, root: Path | None = None) -> StudyTable:
        """Open a CSV, TSV, JSONL or Parquet file whose columns are `GenerationStudy`'s; convert it if it is new.

        Args:
            path: the file, or a folder of Parquet files, which are then read in the order of their names.
            cache: folder for the converted table, which holds the reports: made for its owner alone. It is used again
                while the file's size and time of change stay the same, and replaced when they don't.
            need_findings: whether the findings are the target, or are left aside.
            root: of relative image paths; by default the folder that the rows' file is in.

        Raises:
            InputError: no such file, unreadable, no rows, no study_id or the same one twice, a value of another type.
            OSError: the cache cannot be written.
        """
        source = Path(path).resolve()
        files = _files(source, str(path))
        stats = [file.stat() for file in files]
        place = _hash([str(source), need_findings])
        entry = cache / f"{place}-{_hash([_FORMAT, [(s.st_size, s.st_mtime_ns) for s in stats]])}"
        cache.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _locked(cache / f"{place}.lock"):  # of several processes that start together, one converts
            if not (entry / _FACTS).exists():
                for old in cache.glob(f"{place}-*"):  # of the file as it was, or left by a process that was killed
                    shutil.rmtree(old)
                with tempfile.TemporaryDirectory(prefix=f"{place}-part-", dir=cache) as part:  # mode 0700
                    whole = Path(part) / "whole"
                    whole.mkdir()
                    _convert(files, whole, need_findings)
                    whole.rename(entry)
        return cls(source, entry, (root or files[0].parent).resolve())

    def __len__(self) -> int:
        return len(self.images_N)

    def __getitem__(self, place: int) -> GenerationStudy:
        if not 0 <= place < len(self):
            raise IndexError(f"study {place} of {len(self)}")
        starts, batches = self._mapped
        number = bisect_right(starts, place) - 1
        row = place - starts[number]
        values = {name: column[row].as_py() for name, column in zip(COLUMNS, batches[number], strict=True)}
        return GenerationStudy.model_construct(**values)  # all of it is text or None, as the schema wants it

    @property
    def study_ids(self) -> list[str]:
        ids: list[str] = self.column("study_id").to_pylist()
        return ids

    def estimated_tokens(self, num_image_tokens: int, characters_per_token: float = 4.0) -> NDArray[np.int64]:
        """About how many tokens each example has, N, without reading any text; 4 characters of English a token."""
        text_N = np.ceil(self.text_characters_N / characters_per_token).astype(np.int64)
        tokens_N: NDArray[np.int64] = text_N + self.images_N.astype(np.int64) * num_image_tokens + _PROMPT_TOKENS
        return tokens_N

    @cached_property
    def _mapped(self) -> tuple[list[int], list[list[Any]]]:
        """Where each batch begins, and the columns of each."""
        reader = pa.ipc.open_file(pa.memory_map(str(self._entry / _ROWS)))
        batches = [reader.get_batch(number) for number in range(reader.num_record_batches)]
        ends = np.cumsum([batch.num_rows for batch in batches])
        return [0, *ends[:-1].tolist()], [batch.columns for batch in batches]

    def column(self, name: str) -> Any:
        """A column of `COLUMNS`, as pyarrow has it: all studies' values, null where there is none."""
        return pa.chunked_array([columns[COLUMNS.index(name)] for columns in self._mapped[1]])


def say_ignored(table: StudyTable) -> None:
    """Warn of columns that nothing reads: one of them may be a misspelt one."""
    if table.ignored_columns:
        logger.warning(
            "%s: columns that are not read: %s; read are %s",
            table.source.name,
            ", ".join(table.ignored_columns),
            ", ".join(COLUMNS),
        )


def _files(source: Path, given: str) -> list[Path]:
    if source.is_dir():
        files = sorted(source.glob("*.parquet"))
        if not files:
            raise InputError(f"table {given} is a folder without .parquet files")
        return files
    if not source.exists():
        raise InputError(f"table {given} does not exist; give a CSV, TSV, JSONL or Parquet file of studies")
    return [source]


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _convert(files: list[Path], folder: Path, need_findings: bool) -> None:
    """Write the three files of an entry."""
    numbers: list[NDArray[np.int32]] = []
    ids = []
    without_film = without_findings = 0
    ignored, batches = read_batches(files)
    schema = pa.schema([(name, pa.string()) for name in COLUMNS])
    with pa.OSFile(str(folder / _ROWS), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
            ids.append(batch.column("study_id"))
            there = {name: batch.column(name).is_valid().to_numpy(zero_copy_only=False) for name in _FILMS}
            length = {name: _lengths(batch.column(name)) for name in _TEXTS}
            length["prior_report"] *= there["prior_frontal"]
            if need_findings:
                without_findings += int((length["findings"] == 0).sum())
            else:
                length["findings"][:] = 0
            without_film += int((~(there["frontal"] | there["lateral"])).sum())
            images_N = np.sum(list(there.values()), axis=0)
            numbers.append(np.stack([np.sum(list(length.values()), axis=0), length["prior_report"], images_N]))
    if not numbers:
        raise InputError(f"table {files[0]} has no rows")
    _refuse_repeated(files[0], pa.chunked_array(ids))
    np.save(folder / _NUMBERS, np.concatenate(numbers, axis=1).astype(np.int32))
    facts = {"ignored_columns": ignored, "without_film": without_film, "without_findings": without_findings}
    (folder / _FACTS).write_text(json.dumps(facts), encoding="utf-8")


def _lengths(column: Any) -> NDArray[np.int32]:
    lengths_N: NDArray[np.int32] = pc.fill_null(pc.utf8_length(column), 0).to_numpy(zero_copy_only=False)
    return lengths_N.copy()


def _refuse_repeated(file: Path, ids: Any) -> None:
    if pc.count_distinct(ids).as_py() == len(ids):
        return
    counted = pc.value_counts(ids)
    repeated = counted.filter(pc.greater(counted.field("counts"), 1)).field("values")
    shown = ", ".join(map(repr, repeated[:3].to_pylist()))
    raise InputError(f"table {file}: {len(repeated):,} study_id values stand in several rows, such as {shown}")
