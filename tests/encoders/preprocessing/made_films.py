"""Films made by integer formulas, the same on every machine: a pattern for exact comparisons, and a drawn chest.

Shape letters: H rows, W columns.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from studies.images import Film

SHAPES = {"portrait": (301, 257), "landscape": (257, 301)}  # odd, so that every rounding of sizes and margins shows


def pattern(bits: int, shape: tuple[int, int]) -> NDArray[np.int64]:
    """Slopes of all directions with sharp edges between them; every grey from 0 to 2^bits - 1 can occur."""
    row, column = np.meshgrid(np.arange(shape[0]), np.arange(shape[1]), indexing="ij")
    deep = (7 * row * row + 13 * column * column + 3 * row * column + 97 * (row ^ column)) % 65536
    deep[0, 0], deep[-1, -1] = 0, 65535
    return deep >> (16 - bits)


def drawn_chest(bits: int = 8, shape: tuple[int, int] = (518, 518)) -> NDArray[np.int64]:
    """A frontal chest of flat areas: body on black air, dark lungs, bright spine and abdomen."""
    row, column = np.meshgrid(np.arange(shape[0]), np.arange(shape[1]), indexing="ij")
    y, x = row * 1000 // shape[0], abs(column * 1000 // shape[1] - 500)
    grey = np.full(shape, 150)
    grey[(y < 160) & (x > 120 + y)] = 8  # above the shoulders
    grey[x > 470] = 5
    grey[((x - 190) ** 2 * 400 + (y - 440) ** 2 * 120 < 400 * 120 * 120)] = 60  # lungs
    grey[(y > 740) & (x < 430)] = 210  # abdomen
    grey[x < 55] = 220  # spine, mediastinum
    grey = grey + (row * 3 + column * 5) % 16
    return grey * (2**bits - 1) // 255


def film(levels_HW: NDArray[np.int64], bits: int = 8, *, view: str | None = None, inverted: bool = False) -> Film:
    """As `read_film` gives it."""
    pixels_HW = (levels_HW / (2**bits - 1)).astype(np.float32)
    return Film(Path("made.png"), pixels_HW, bits, "png", "L", inverted=inverted, window="full range", view=view)
