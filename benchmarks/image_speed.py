"""How fast films are read and prepared, against the usual pipelines in the same run, on one core.

    python benchmarks/image_speed.py

PNG: synthetic films of 518 px. Ours: file -> guards -> RAD-DINO's input. The usual one: Pillow and the publisher's
processor (transformers' BitImageProcessor on Pillow), which checks nothing. DICOM: one synthetic film of 2544 x 3056
px, 12 bits in 16, uncompressed MONOCHROME1. The usual one: pydicom's LUT functions in float64, min-max, the same
processor. Then films drawn by `studies.synthetic`, with masks, report and labels, and `encode-images` on films that it
has encoded before. CPU seconds; the least of several rounds.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # read when torch is imported

import numpy as np
from PIL import Image

from encoders.preprocessing.prepare import prepare, prepare_file
from encoders.preprocessing.recipe import load_recipe
from encoders.torchvision_shim import import_torchvision
from studies.images import read_film
from studies.synthetic import make_study

RECIPE = load_recipe("rad_dino")
FILMS, ROUNDS = 24, 7


def least_s(work: Callable[[Path], object], files: Sequence[Path], rounds: int = ROUNDS) -> float:
    """CPU seconds of one file."""
    times = []
    for _ in range(rounds):
        begun = time.process_time()
        for file in files:
            work(file)
        times.append((time.process_time() - begun) / len(files))
    return min(times)


@cache
def processor() -> Any:
    """RAD-DINO's, as its publisher's package makes it."""
    import_torchvision()  # transformers imports it
    from transformers import BitImageProcessorPil

    size, crop, mean, std = {"shortest_edge": 518}, {"height": 518, "width": 518}, [0.5307] * 3, [0.2583] * 3
    return BitImageProcessorPil(size=size, crop_size=crop, resample=3, image_mean=mean, image_std=std)


def processed(image: Image.Image) -> np.ndarray[Any, Any]:
    return np.asarray(processor()(image.convert("RGB"), return_tensors="np")["pixel_values"][0])


def usual_png(file: Path) -> np.ndarray[Any, Any]:
    return processed(Image.open(file))


def usual_dicom(file: Path) -> np.ndarray[Any, Any]:
    import pydicom
    from pydicom.pixels.processing import apply_modality_lut

    dataset = pydicom.dcmread(file)
    values_HW = np.asarray(apply_modality_lut(dataset.pixel_array, dataset), dtype=np.float64)
    values_HW = values_HW.max() - values_HW  # MONOCHROME1
    values_HW = (values_HW - values_HW.min()) / (values_HW.max() - values_HW.min()) * 255
    return processed(Image.fromarray(np.rint(values_HW).astype(np.uint8)))


def write_dicom(pixels_HW: np.ndarray[Any, Any], file: Path) -> None:
    """12 bits, MONOCHROME1, 2544 x 3056 px."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid

    large = np.asarray(Image.fromarray(pixels_HW).resize((2544, 3056), Image.Resampling.BICUBIC))
    stored_HW = 4095 - np.rint(large.clip(0, 1) * 4095).astype(np.uint16)
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.Modality, dataset.PhotometricInterpretation, dataset.SamplesPerPixel = "CR", "MONOCHROME1", 1
    dataset.Rows, dataset.Columns = stored_HW.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.PixelData = stored_HW.tobytes()
    dataset.save_as(file, enforce_file_format=True)


def ratio_line(what: str, ours_s: float, usual_s: float, usual: str) -> str:
    return f"{what:<34} {1 / ours_s:>7.1f} a second  {usual_s / ours_s:5.2f}x {usual} ({1 / usual_s:.1f})"


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        pngs = []
        for seed in range(FILMS):
            pixels_HW = make_study(seed, size_px=518).pixels_HW
            pngs.append(Path(folder) / f"{seed}.png")
            Image.fromarray(np.rint(pixels_HW * 255).astype(np.uint8)).save(pngs[-1])
        apart = max(float(np.abs(prepare_file(png, RECIPE) - usual_png(png)).max()) for png in pngs)
        decoded = least_s(lambda png: np.asarray(Image.open(png)), pngs)
        ours, usual = least_s(lambda png: prepare_file(png, RECIPE), pngs), least_s(usual_png, pngs)
        print(f"518-px PNG to RAD-DINO's input, largest difference {apart:.1e}")
        print(ratio_line("  read, guarded, prepared", ours, usual, "Pillow and transformers' processor"))
        print(ratio_line("  the same against bare decoding", ours, decoded, "Pillow's decoding alone"))

        dicom = [Path(folder) / "film.dcm"]
        write_dicom(make_study(1, size_px=768).pixels_HW, dicom[0])
        apart = float(np.abs(prepare_file(dicom[0], RECIPE) - usual_dicom(dicom[0])).max())
        ours, usual = least_s(lambda file: prepare_file(file, RECIPE), dicom), least_s(usual_dicom, dicom)
        print(f"2544 x 3056 DICOM to RAD-DINO's input, largest difference {apart:.1e}")
        print(ratio_line("  read, guarded, prepared", ours, usual, "pydicom, numpy and that processor"))
        film = read_film(dicom[0], voi=RECIPE.intensity.voi)
        print(f"  of that, reading {least_s(read_film, dicom) * 1e3:.0f} ms, "
              f"preparing {least_s(lambda _: prepare(film, RECIPE), dicom) * 1e3:.0f} ms")  # fmt: skip

        seeds = [Path(str(seed)) for seed in range(100, 160)]
        drawn = least_s(lambda seed: make_study(int(seed.name), size_px=518), seeds, rounds=3)
        print(f"synthetic films of 518 px with masks, report and labels: {60 / drawn:,.0f} a minute")

        films = Path(folder) / "films"
        films.mkdir()
        for png in pngs:
            png.rename(films / png.name)
        for weights in ("twin", "tiny"):
            command = [sys.executable, "-m", "encoders", "encode", str(films), "-e", "rad_dino", "-w", weights]
            command += ["-o", f"{folder}/{weights}", "--device", "cpu", "--workers", "0"]
            walls = []
            for _ in range(2):
                begun = time.perf_counter()
                subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
                walls.append(time.perf_counter() - begun)
            print(
                f"encode-images, {FILMS} films, rad_dino {weights}: first {walls[0]:.1f} s, again {walls[1]:.1f} s: "
                f"{walls[0] / walls[1]:.0f}x, start of the program included"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
