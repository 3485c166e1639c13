"""`per_study.parquet`: a row a study, all that the figures rest on, so that nothing need be measured twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from eval.figures import Columns

STUDY_ID, PATIENT_ID, REFERENCE_SHA256 = "study_id", "patient_id", "reference_sha256"
GROUP_PREFIX = "group_"


def write_per_study(path: Path, columns: Columns) -> None:
    """Write the table, whole or not at all; NaN becomes null.

    Raises:
        OSError: it cannot be written.
    """
    import duckdb

    part = path.with_name(path.name + ".part")
    held = {f"c{place}": values for place, values in enumerate(columns.values())}
    shown = []
    for (name, values), key in zip(columns.items(), held, strict=True):
        source = f'CAST("{key}" AS VARCHAR)' if values.dtype.kind == "O" else f'"{key}"'  # DuckDB reads NaN as null
        shown.append(f'{source} AS "{_quoted(name)}"')
    try:
        with duckdb.connect(config={"threads": 1}) as db:
            db.register("held", held)
            db.sql(f"SELECT {', '.join(shown)} FROM held").write_parquet(str(part), compression="zstd")
        part.chmod(0o600)
        part.replace(path)
    except duckdb.Error as error:
        raise OSError(f"cannot write {path}: {error}") from error
    finally:
        part.unlink(missing_ok=True)


def read_per_study(path: Path) -> dict[str, npt.NDArray[Any]]:
    """The table as columns: numbers float64 with NaN for null, words object arrays with None.

    Raises:
        ValueError: there is no such file, or it is no table of scores.
    """
    import duckdb

    if not path.is_file():
        raise ValueError(f"{path} does not exist; score-reports writes it into its output folder")
    try:
        with duckdb.connect(config={"threads": 1}) as db:
            found = db.execute("SELECT * FROM read_parquet(?)", [str(path)])
            names = [one[0] for one in found.description or []]
            rows = found.fetchnumpy()
    except duckdb.Error:
        raise ValueError(f"{path} is no Parquet file, or is damaged; run score-reports again") from None
    missing = [name for name in (STUDY_ID, PATIENT_ID, REFERENCE_SHA256) if name not in names]
    if missing:
        raise ValueError(f"{path} has no column {' and no '.join(missing)}: it is no table of score-reports")
    return {name: _column(rows[name]) for name in names}


def _column(values: Any) -> npt.NDArray[Any]:
    masked = np.ma.getmaskarray(values)
    plain = np.ma.getdata(values)
    if plain.dtype.kind in "OUS":
        words = plain.astype(object)
        words[masked] = None
        return words
    numbers = plain.astype(np.float64)
    numbers[masked] = np.nan
    return numbers


def _quoted(name: str) -> str:
    return name.replace('"', '""')
