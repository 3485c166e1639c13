"""Finds the films that the user named: files, folders and tables, in a stable order, nothing left out silently."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from encoders.config import EncodeSettings
from encoders.encode.store import STORE_FOLDER
from studies.images import looks_like_dicom
from studies.tables import PATIENT_ID_NAMES, STUDY_ID_NAMES, InputError, Table, identity, open_table, read_rows
from studies.view import view_of_text

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".dcm", ".dicom"})
TABLE_SUFFIXES = frozenset({".csv", ".tsv", ".jsonl", ".ndjson", ".parquet"})
# Names that exports give to these columns, likeliest first.
IMAGE_NAMES = (
    "image", "image_path", "path", "file", "filename", "file_name", "file_path", "filepath", "image_file", "dicom",
    "dicom_path", "png", "image_id",
)  # fmt: skip
VIEW_NAMES = ("view", "view_position", "viewposition", "projection")
_HEAD_BYTES = 132  # DICOM PS3.10 7.1: a preamble of 128 bytes, then "DICM"


class Row(NamedTuple):
    """One row of the output. image: its name there, a path relative to the folder given, as the table writes it, or
    as the user typed it; path: where it lies; the rest is what the table says of it."""

    image: str
    path: str
    study_id: str | None = None
    patient_id: str | None = None
    view: str | None = None


class Inputs(NamedTuple):
    """skipped: what folders hold that is no film, by suffix ("hidden" for names that begin with a dot)."""

    rows: list[Row]
    skipped: dict[str, list[str]]


def find_films(settings: EncodeSettings) -> Inputs:
    """The rows of all inputs, in the order given; folders are walked by name, tables keep their order.

    Raises:
        InputError: an input does not exist or is no usable table, nothing was found, or one name means two files.
    """
    rows: list[Row] = []
    skipped: dict[str, list[str]] = {}
    for given in settings.inputs:
        path = Path(given)
        if path.is_dir():
            if path.resolve() == settings.output.resolve() or (path / STORE_FOLDER).is_dir():
                raise InputError(
                    f"{given} is an output folder; films and what is made of them need folders of their own"
                )
            rows += _in_folder(path, settings.output, skipped)
        elif not path.exists():
            raise InputError(f"input {given} does not exist; give films, folders of films, or tables that name them")
        elif path.suffix.lower() in TABLE_SUFFIXES:
            rows += _in_table(given, settings)
        else:
            rows.append(Row(_utf8(given), given))
    if not rows:
        left = ", ".join(f"{len(names):,} x {suffix}" for suffix, names in sorted(skipped.items()))
        raise InputError(f"no film in {', '.join(settings.inputs)}" + (f"; left out: {left}" if left else ""))
    _check_names(rows)
    return Inputs(rows, skipped)


def stated_views(rows: Sequence[Row]) -> dict[str, str]:
    """The view of each path that a table states in a known word; a path with two views has none."""
    views: dict[str, set[str]] = {}
    for row in rows:
        view = view_of_text(row.view or "")
        if view is not None:
            views.setdefault(row.path, set()).add(view)
    return {path: next(iter(stated)) for path, stated in views.items() if len(stated) == 1}


def _in_folder(folder: Path, output: Path, skipped: dict[str, list[str]]) -> Iterator[Row]:
    own, visited = output.resolve(), set()

    def unread(error: OSError) -> None:
        skipped.setdefault("folder that cannot be read", []).append(str(error.filename))

    for here, folders, names in os.walk(folder, onerror=unread, followlinks=True):
        real = Path(here).resolve()
        written = real == own or Path(here, STORE_FOLDER).is_dir()  # by a run, with plots that look like films
        if real in visited or written:  # visited: a link that leads back
            folders.clear()
            continue
        visited.add(real)
        hidden = [str(Path(here, name)) for name in folders if name.startswith(".")]
        if hidden:
            skipped.setdefault("hidden", []).extend(hidden)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(here, name)
            if name.startswith("."):  # such as macOS' "._film.png", which is no film
                skipped.setdefault("hidden", []).append(str(path))
            elif path.suffix.lower() in IMAGE_SUFFIXES or _is_dicom(path):
                yield Row(_utf8(path.relative_to(folder).as_posix()), str(path))
            else:
                skipped.setdefault(path.suffix.lower() or "no suffix", []).append(str(path))


def _utf8(name: str) -> str:
    """A file's name may hold any bytes, a table may not: those that are no UTF-8 are written as an escape."""
    return name.encode("utf-8", "backslashreplace").decode()


def _is_dicom(path: Path) -> bool:
    """Archives name files by their UID, whose last number looks like a suffix, or without any."""
    try:
        if not path.is_file():  # opening a pipe would wait for ever
            return False
        with path.open("rb") as file:
            return looks_like_dicom(file.read(_HEAD_BYTES))
    except OSError:
        return False


def _in_table(given: str, settings: EncodeSettings) -> Iterator[Row]:
    table = open_table(given, encoding=settings.encoding)
    image = table.column(settings.image_column, IMAGE_NAMES, "--image-column")
    others = [
        _optional(table, settings.id_column, STUDY_ID_NAMES, "--id-column"),
        _optional(table, settings.patient_column, PATIENT_ID_NAMES, "--patient-column"),
        _optional(table, settings.view_column, VIEW_NAMES, "--view-column"),
    ]
    root = settings.root or Path(given).parent
    for row in read_rows(table, [image, *(name for name in others if name is not None)]):
        name, *rest = row.values
        if not isinstance(name, str) or not name.strip():
            raise InputError(f"{row.where}: column {image!r} names no file: {name!r}")
        values = iter(rest)
        told = [None if column is None else _word(next(values), row.where) for column in others]
        yield Row(name, str(root / name), *told)


def _optional(table: Table, named: str | None, known: Sequence[str], option: str) -> str | None:
    return table.find(known) if named is None else table.column(named, known, option)


def _word(value: object, where: str) -> str | None:
    return None if value is None or value == "" else identity(value, where)


def _check_names(rows: Sequence[Row]) -> None:
    paths: dict[str, str] = {}
    for row in rows:
        first = paths.setdefault(row.image, row.path)
        if first != row.path:
            raise InputError(
                f"{first} and {row.path} would both be {row.image!r} in the output; give the folder above both"
            )
