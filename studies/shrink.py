"""Whole folders of films to small 8-bit PNG, the conversion that RAD-DINO's training films went through."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from studies.images import Film, looks_like_dicom, read_film
from studies.resample import shrink_film
from studies.tables import InputError

_PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
COLUMNS = (
    "image", "source", "view", "view_source", "derived", "row_spacing_mm", "column_spacing_mm", "spacing_kind",
    "bits", "photometric", "inverted", "window",
)  # fmt: skip


def find_films(inputs: Sequence[Path]) -> list[tuple[Path, Path]]:
    """(file, name of its PNG) of the files given and of all DICOM, PNG and JPEG files, by their content, in folders.

    Raises:
        InputError: nothing is there, or two films would have one name.
    """
    found: dict[Path, Path] = {}
    for given in inputs:
        if not given.exists():
            raise InputError(f"{given} does not exist")
        files = sorted(path for path in given.rglob("*") if path.is_file()) if given.is_dir() else [given]
        for path in files:
            if given.is_dir() and not _is_film(path):
                continue
            name = (path.relative_to(given) if given.is_dir() else Path(path.name)).with_suffix(".png")
            if name in found:
                raise InputError(f"{path} and {found[name]} would both be written as {name}; shrink them apart")
            found[name] = path
    if not found:
        raise InputError("no DICOM, PNG or JPEG file is there")
    return [(path, name) for name, path in found.items()]


def shrink_files(
    films: Sequence[tuple[Path, Path]],
    output: Path,
    *,
    shorter_side_px: int,
    voi: bool,
    on_film: Callable[[], object] = lambda: None,
) -> list[tuple[Path, str]]:
    """Write every film as `output`/name, a row of each in `output`/films.csv, and give (file, reason) of those that
    could not be, which also stand in `output`/failures.jsonl.

    Args:
        voi: apply a DICOM's window or VOI LUT first; RAD-DINO's training films had none, only their own min-max.

    Raises:
        InputError: the output has films.csv already.
    """
    from PIL import Image

    output.mkdir(parents=True, exist_ok=True)
    if (output / "films.csv").exists():
        raise InputError(f"{output} holds films.csv already; give a new folder")
    failed = []
    with (output / "films.csv").open("w", newline="", encoding="utf-8") as table:
        rows = csv.writer(table)
        rows.writerow(COLUMNS)
        for path, name in films:
            try:
                film = read_film(path, voi=voi)
                levels_HW = shrink_film(film, shorter_side_px=shorter_side_px)
            except ValueError as error:  # ImageError among them
                failed.append((path, str(error)))
            else:
                (output / name).parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(levels_HW).save(output / name)
                told = (film.view, film.view_source, film.derived, *_spacing_mm(film, levels_HW.shape))
                rows.writerow(
                    [name, path, *told, film.spacing_kind, film.bits, film.photometric, film.inverted, film.window]
                )
            on_film()
    with (output / "failures.jsonl").open("w", encoding="utf-8") as lines:
        lines.writelines(json.dumps({"image": str(path), "message": why}) + "\n" for path, why in failed)
    return failed


def _spacing_mm(film: Film, shape: tuple[int, ...]) -> list[float | None]:
    """Of rows and columns once the film has this shape."""
    if film.spacing_mm is None:
        return [None, None]
    return [mm * old / new for mm, old, new in zip(film.spacing_mm, film.pixels_HW.shape, shape, strict=True)]


def _is_film(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(132)
    return head.startswith(_PICTURES) or looks_like_dicom(head)
