"""The table that the original CheXbert labeler writes, so that its labels and ours can be exchanged.

Columns "Report Impression" and the fourteen classes; positive 1, negative 0, uncertain -1, blank empty.

Shape letters: N reports, C the fourteen classes.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from eval.chexpert import CLASSES, NO_LABELS, Codes, check_codes

TEXT_COLUMN = "Report Impression"
_CELLS = ("", "1", "0", "-1")  # by class code: blank, positive, negative, uncertain


def write_labels(path: Path, texts: Sequence[str], codes_NC: Codes) -> None:
    """Write one row a report.

    Args:
        texts: the reports, written as they are.
        codes_NC: integers, 0 blank, 1 positive, 2 negative, 3 uncertain.

    Raises:
        ValueError: not one row of codes a text, or a code outside 0..3; this table cannot say "no labels".
    """
    check_codes(codes_NC, path.name)
    if len(texts) != len(codes_NC):
        raise ValueError(f"{path.name}: {len(texts)} reports and labels of {len(codes_NC)}")
    if (codes_NC == NO_LABELS).any():
        row = int((codes_NC == NO_LABELS).any(axis=1).argmax())
        raise ValueError(f"{path.name}: report {row} has no labels, which this table would say as blank")
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([TEXT_COLUMN, *CLASSES])
        for text, codes in zip(texts, codes_NC.tolist(), strict=True):
            writer.writerow([text, *(_CELLS[code] for code in codes)])


def read_labels(path: Path) -> tuple[list[str], npt.NDArray[np.int8]]:
    """Reports and their codes (N, C), in the order of the file; other columns are passed over.

    Raises:
        ValueError: a column is missing, or a cell is none of empty, 1, 0, -1 (also as "1.0", the way pandas writes).
    """
    codes = {cell: code for code, cell in enumerate(_CELLS)}
    codes |= {f"{cell}.0": code for cell, code in codes.items() if cell}
    texts: list[str] = []
    rows: list[list[int]] = []
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        missing = [name for name in (TEXT_COLUMN, *CLASSES) if name not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(f"{path.name}: no column {', '.join(repr(name) for name in missing)}")
        for row in reader:
            texts.append(row[TEXT_COLUMN])
            for name in CLASSES:
                if row[name] not in codes:
                    raise ValueError(
                        f"{path.name} line {reader.line_num}: {name} is {row[name]!r}, not empty, 1, 0 or -1"
                    )
            rows.append([codes[row[name]] for name in CLASSES])
    return texts, np.array(rows, dtype=np.int8).reshape(-1, len(CLASSES))
