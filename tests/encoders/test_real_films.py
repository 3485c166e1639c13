"""Real films through `encode-images`, where the shared data is."""

import json
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

ROOT = Path(__file__).parents[2]
FILMS = ROOT.parent / "shared" / "data" / "images"


def test_real_films_are_encoded_and_those_that_cannot_be_say_why(tmp_path):
    if not FILMS.is_dir():
        pytest.skip("the shared data (real films) is not here")
    options = ("-e", "biomedclip", "-w", "tiny", "-o", tmp_path / "out", "--device", "cpu")
    done = subprocess.run(
        [sys.executable, "-m", "encoders", "encode", FILMS / "dicom", FILMS / "png", *options],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3, done.stderr  # three of sixteen failed
    failed = {row["image"]: row["message"] for row in map(json.loads, (tmp_path / "out/failures.jsonl").open())}
    assert failed.keys() == {"fake_mono1_siim_tagged.dcm", "mlut_18.dcm", "vlut_04.dcm"}
    assert "[guard: polarity]" in failed["fake_mono1_siim_tagged.dcm"]  # tagged MONOCHROME1, falsely
    assert "modality OT" in failed["mlut_18.dcm"]
    table = f"'{tmp_path}/out/vectors.parquet'"
    rows = duckdb.sql(f"SELECT image, view, list_count(global), isfinite(list_sum(global)) FROM {table}").fetchall()
    assert len(rows) == 13
    assert {row[2:] for row in rows} == {(16, True)}
    assert dict(row[:2] for row in rows)["RG1_J2KI_chest_pa_mono1_15bit.dcm"] == "PA"
