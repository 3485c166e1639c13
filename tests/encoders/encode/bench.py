"""Films for the tests of `encode-images`, the command as a user types it, and its output read back."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import duckdb
import numpy as np
import torch
from PIL import Image
from safetensors import safe_open

from encoders.preprocessing.prepare import prepare
from studies.images import read_film
from tests.encoders.encode.fake import Fake, load_fake, main

ROOT = Path(__file__).parents[3]


class Ran(NamedTuple):
    exit_code: int
    stderr: str


def write_film(path: Path, seed: int, side: int = 40) -> Path:
    """A picture that no guard takes for anything but a film: noise on a bright middle, dark at the sides."""
    column_W = np.abs(np.linspace(-1, 1, side + 6))
    noise_HW = np.random.default_rng(seed).integers(0, 60, (side, side + 6))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((noise_HW + 180 * (1 - column_W)).astype(np.uint8)).save(path)
    return path


def write_films(folder: Path, count: int) -> list[Path]:
    return [write_film(folder / f"{seed:03}.png", seed) for seed in range(count)]


def write_dicom(path: Path, seed: int, **tags: Any) -> Path:
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

    film_HW = np.asarray(Image.open(write_film(path.with_suffix(".scratch.png"), seed)))
    path.with_suffix(".scratch.png").unlink()
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[str(seed)])
    data.Modality, data.PhotometricInterpretation = "DX", "MONOCHROME2"
    data.Rows, data.Columns = film_HW.shape
    data.SamplesPerPixel, data.PixelRepresentation = 1, 0
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, 12, 11
    data.PixelData = (film_HW.astype("<u2") * 16).tobytes()
    for name, value in tags.items():
        setattr(data, name, value)
    data.save_as(path, enforce_file_format=True)
    return path


def encode(*arguments: Any, output: Path, encoder: str = "fake", weights: Any = "twin") -> Ran:
    """The command in this process, with the fake encoder; `Fake.batches` then has this run's batches alone."""
    Fake.batches.clear()
    typed = ["encode-images", *map(str, arguments), "-e", encoder, "-w", str(weights), "-o", str(output)]
    stderr = io.StringIO()
    with mock.patch.object(sys, "argv", typed), contextlib.redirect_stderr(stderr):
        try:
            main()
        except SystemExit as exit_:
            return Ran(int(exit_.code or 0), stderr.getvalue())
    raise AssertionError("a command ends by SystemExit")


def command(*arguments: Any, output: Path, weights: Any = "twin") -> list[str]:
    """The same as a process of its own."""
    module = [sys.executable, "-m", "tests.encoders.encode.fake"]
    return [*module, *map(str, arguments), "-e", "fake", "-w", str(weights), "-o", str(output)]


def environment(**more: Any) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | {name: str(v) for name, v in more.items()}


def run_process(typed: list[str], **more: Any) -> Ran:
    done = subprocess.run(typed, cwd=ROOT, env=environment(**more), capture_output=True, text=True, timeout=300)
    return Ran(done.returncode, done.stderr)


def encoded() -> int:
    return sum(Fake.batches)


def read_rows(output: Path) -> list[dict[str, Any]]:
    with duckdb.connect() as db:
        found = db.execute("SELECT * FROM read_parquet(?)", [str(output / "vectors.parquet")])
        names = [one[0] for one in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def read_vectors(output: Path) -> np.ndarray:
    return np.array([row["global"] for row in read_rows(output)], dtype=np.float32)


def read_map(output: Path, row: dict[str, Any], name: str) -> torch.Tensor:
    with safe_open(output / row["map_shard"], "pt") as shard:
        return shard.get_tensor(f"{row['map_key']}/{name}")


def read_failures(output: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (output / "failures.jsonl").read_text().splitlines()]


def by_hand(path: Path, *, image_size_px: int = 32, dtype: torch.dtype = torch.float32, layers: Any = None) -> Any:
    """Features of one film, without anything of `encoders.encode`."""
    encoder = load_fake("fake", weights="twin", image_size_px=image_size_px).to(dtype).requires_grad_(False)
    pixels_CHW = prepare(read_film(path, voi=encoder.recipe.intensity.voi), encoder.recipe)
    with torch.no_grad():
        return encoder.encode(torch.from_numpy(pixels_CHW)[None], layers=layers)
