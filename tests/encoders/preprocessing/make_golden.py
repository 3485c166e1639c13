"""Freezes what the publishers' code makes of two made films: python -m tests.encoders.preprocessing.make_golden"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.encoders.preprocessing.made_films import SHAPES, pattern
from tests.encoders.preprocessing.references import Reference, references

GOLDEN = Path(__file__).with_name("golden.json")
FILMS = {"8-bit portrait": (8, "portrait"), "8-bit landscape": (8, "landscape"), "16-bit portrait": (16, "portrait")}
NORMALIZATIONS = {  # of the first channel, by recipe: to find the grey levels behind the reference's tensor
    "ark_plus": (0.485, 0.229),
    "biomedclip": (0.48145466, 0.26862954),
    "dinov2": (0.485, 0.229),
    "medimageinsight": (0.485, 0.229),
    "rad_dino": (0.5307, 0.2583),
    "segformer": (0.485, 0.229),
}


def made(film: str) -> tuple[NDArray[np.int64], int]:
    bits, shape = FILMS[film]
    return pattern(bits, SHAPES[shape]), bits


def places(size_px: int) -> list[tuple[int, int]]:
    """Nine fixed pixels: corners, borders and the inside."""
    steps = (0, size_px * 3 // 7, size_px - 1)
    return [(row, column) for row in steps for column in steps]


def describe(pixels_CHW: NDArray[np.float32], levels_HW: NDArray[np.uint8]) -> dict[str, Any]:
    chosen = [[float(f"{channel[place]:.9g}") for place in places(channel.shape[0])] for channel in pixels_CHW]
    exact = pixels_CHW.astype(np.float64)
    return {
        "size_px": pixels_CHW.shape[1],
        "mean": [round(float(value), 9) for value in exact.mean(axis=(1, 2))],
        "std": [round(float(value), 9) for value in exact.std(axis=(1, 2))],
        "values": chosen,
        "levels_sha256": hashlib.sha256(np.ascontiguousarray(levels_HW).tobytes()).hexdigest(),
    }


def describe_reference(recipe: str, film: str, reference: Reference) -> dict[str, Any]:
    pixels_CHW = reference(*made(film))
    mean, std = NORMALIZATIONS.get(recipe, (0.5, 0.5))
    levels_HW = np.rint((pixels_CHW[0].astype(np.float64) * std + mean) * 255).astype(np.uint8)
    return describe(pixels_CHW, levels_HW)


def main() -> None:
    golden = {
        recipe: {film: describe_reference(recipe, film, reference) for film in FILMS}
        for recipe, reference in references().items()
    }
    text = json.dumps(golden, indent=1)
    GOLDEN.write_text(text.replace(",\n     ", ", ").replace("[\n     ", "[").replace("\n    ]", "]") + "\n")


if __name__ == "__main__":
    main()
