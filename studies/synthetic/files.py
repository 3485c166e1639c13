"""Films, masks, reports, labels and rows for generation of synthetic studies as files: PNG or DICOM, CSV, JSONL.

Shape letters: H rows, W columns.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from studies.records import GenerationStudy
from studies.synthetic.generation import generation_row, lateral_film
from studies.synthetic.grid import Array, Mask
from studies.synthetic.study import SyntheticStudy


class Format(StrEnum):
    PNG = "png"
    DICOM = "dicom"


class Photometric(StrEnum):
    MONOCHROME1 = "MONOCHROME1"  # the largest value is black
    MONOCHROME2 = "MONOCHROME2"


BITS = {Format.PNG: (8, 16), Format.DICOM: (8, 12, 16)}
STUDY_COLUMNS = ("patient_id", "study_id", "image", "view", "sex", "age", "setting", "seed", "spacing_mm")


class MissingPackageError(ImportError):
    """A package of the "images" extra is needed; the message says which."""


def check_format(kind: Format, bits: int, photometric: Photometric) -> None:
    """Refuse what no file can hold.

    Raises:
        ValueError: bits that the format does not have here, or a PNG that shows its largest value black.
    """
    if bits not in BITS[kind]:
        raise ValueError(f"bits {bits}: a {kind.value} has {' or '.join(map(str, BITS[kind]))} here")
    if kind is Format.PNG and photometric is not Photometric.MONOCHROME2:
        raise ValueError(f"photometric {photometric.value}: a PNG shows 0 black; MONOCHROME1 is for dicom")


def stored_values(pixels_HW: Array, bits: int, *, inverted: bool = False) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """[0, 1] -> whole numbers 0 to 2^bits - 1, rounded; `inverted` counts from the other end."""
    top = 2**bits - 1
    values_HW: Array = np.rint(pixels_HW * np.float32(top))
    if inverted:
        values_HW = top - values_HW
    return values_HW.astype(np.uint8) if bits == 8 else values_HW.astype(np.uint16)


def write_png(path: Path, pixels_HW: Array, bits: int = 8, *, compress_level: int = 1) -> None:
    """A grey PNG of 8 or 16 bits. compress_level: 1 is fast, 9 small."""
    _save_png(path, stored_values(pixels_HW, bits), compress_level)


def write_mask(path: Path, mask_HW: Mask) -> None:
    """A PNG of one bit a pixel."""
    _save_png(path, mask_HW, 1)


def _save_png(path: Path, values_HW: NDArray[np.generic], compress_level: int) -> None:
    try:
        from PIL import Image
    except ImportError:
        raise MissingPackageError(
            'Pillow is not installed; install the extra: pip install "carina-cxr[images]"'
        ) from None
    Image.fromarray(values_HW).save(path, compress_level=compress_level)


def write_cohort(
    studies: Iterable[SyntheticStudy],
    folder: Path,
    *,
    kind: Format = Format.PNG,
    bits: int = 8,
    photometric: Photometric = Photometric.MONOCHROME2,
    laterals: float = 0.0,
    noise: float = 0.012,
    on_study: Callable[[], object] = lambda: None,
) -> int:
    """Write images/, masks/STUDY/NAME.png, studies.csv, reports.csv, labels.jsonl and generation.jsonl; give the
    number of studies.

    Args:
        laterals: share of the studies with a second film, images/STUDY-lateral, among those that can have one
            (`generation.lateral_facts`); only generation.jsonl names it. noise: of these films.
        on_study: called after each study.

    Raises:
        ValueError: see `check_format`; a share that there cannot be.
        FileExistsError: the folder holds a studies.csv already.
        MissingPackageError: Pillow or pydicom is not installed.
    """
    check_format(kind, bits, photometric)
    if not 0 <= laterals <= 1:
        raise ValueError(f"laterals {laterals} is not in 0 to 1")
    if (folder / "studies.csv").exists():
        raise FileExistsError(f"{folder} holds studies.csv already; name a new folder")
    (folder / "images").mkdir(parents=True, exist_ok=True)
    count = 0
    suffix = "png" if kind is Format.PNG else "dcm"
    before: tuple[GenerationStudy, str] | None = None
    with ExitStack() as stack:
        tables = [stack.enter_context((folder / n).open("w", encoding="utf-8", newline="")) for n in _TABLES]
        studies_csv, reports_csv, labels, generation = csv.writer(tables[0]), csv.writer(tables[1]), *tables[2:]
        studies_csv.writerow(STUDY_COLUMNS)
        reports_csv.writerow(("report_id", "text"))
        for study in studies:
            name = f"images/{study.study_id}.{suffix}"
            write_film(folder / name, study, kind=kind, bits=bits, photometric=photometric)
            (folder / "masks" / study.study_id).mkdir(parents=True, exist_ok=True)
            for part, mask_HW in study.masks.items():
                write_mask(folder / "masks" / study.study_id / f"{part}.png", mask_HW)
            studies_csv.writerow(study_row(study, name))
            reports_csv.writerow((study.study_id, study.report))
            labels.write(json.dumps(study.labels) + "\n")
            second = lateral_film(study, laterals, noise=noise)
            second_name = None if second is None else f"images/{study.study_id}-lateral.{suffix}"
            if second is not None and second_name is not None:
                write_film(folder / second_name, second, kind=kind, bits=bits, photometric=photometric, number=2)
            same = before is not None and before[0].patient_id == study.patient_id
            row = generation_row(study, name, second_name, before if same else None)
            generation.write(row.model_dump_json() + "\n")
            before = row, study.report
            count += 1
            on_study()
    return count


_TABLES = ("studies.csv", "reports.csv", "labels.jsonl", "generation.jsonl")


def study_row(study: SyntheticStudy, image: str) -> tuple[object, ...]:
    """The row of `STUDY_COLUMNS`."""
    person = study.anatomy
    return (
        study.patient_id,
        study.study_id,
        image,
        study.view,
        person.sex,
        person.age,
        study.setting,
        study.seed,
        f"{study.spacing_mm:.4f}",
    )


def write_film(
    path: Path, study: SyntheticStudy, *, kind: Format, bits: int, photometric: Photometric, number: int = 1
) -> None:
    """One film as one file. number: of the film in its study."""
    if kind is Format.PNG:
        write_png(path, study.pixels_HW, bits)
    else:
        from studies.synthetic.dicom import write_dicom

        write_dicom(path, study, bits=bits, photometric=photometric, number=number)
