"""Histogram equalisation, whole or by tiles: what some data sets did to their films before anybody encoded them.

Shape letters: H rows, W columns.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]


def equalize(levels_HW: Bytes) -> Bytes:
    """Each level becomes the share of pixels up to it, of those that are not the darkest level that occurs.

    OpenCV's equalizeHist: 255 * (count up to the level - count of the darkest) / (pixels - count of the darkest).
    """
    counts = np.bincount(levels_HW.ravel(), minlength=256)
    darkest = counts[np.flatnonzero(counts)[0]]
    share = (counts.cumsum() - darkest) / max(levels_HW.size - darkest, 1)
    table: Bytes = np.round(np.clip(share, 0, 1) * 255).astype(np.uint8)
    return table[levels_HW]


def clahe(levels_HW: Bytes, *, clip: float, tiles: int = 8) -> Bytes:
    """Contrast-limited adaptive equalisation (Zuiderveld 1994) with OpenCV's clipping and blending.

    The film is mirrored to a multiple of the tiles; each tile's histogram is cut at `clip` times its mean count, what
    was cut is spread evenly, and each pixel blends the tables of the four nearest tiles.
    """
    rows, columns = levels_HW.shape
    padded_HW = np.pad(levels_HW, ((0, -rows % tiles), (0, -columns % tiles)), mode="reflect")
    height, width = padded_HW.shape[0] // tiles, padded_HW.shape[1] // tiles
    limit = max(int(clip * height * width / 256), 1)
    tables = np.empty((tiles, tiles, 256), dtype=np.float32)
    for row in range(tiles):
        for column in range(tiles):
            tile = padded_HW[row * height : (row + 1) * height, column * width : (column + 1) * width]
            counts = np.bincount(tile.ravel(), minlength=256)
            cut = int(np.maximum(counts - limit, 0).sum())
            counts = np.minimum(counts, limit) + cut // 256
            rest = cut % 256
            if rest:
                counts[:: 256 // rest][:rest] += 1
            tables[row, column] = np.round(counts.cumsum() * (255 / (height * width)))
    (above_H, below_H, down_H), (left_W, right_W, across_W) = _tiles(rows, height, tiles), _tiles(columns, width, tiles)
    down_H1 = down_H[:, None]

    def looked_up(tile_H: NDArray[np.intp]) -> NDArray[np.float32]:
        left_HW = tables[tile_H[:, None], left_W, levels_HW]
        return left_HW + (tables[tile_H[:, None], right_W, levels_HW] - left_HW) * across_W

    blended_HW = looked_up(above_H) * (1 - down_H1) + looked_up(below_H) * down_H1
    return np.clip(np.round(blended_HW), 0, 255).astype(np.uint8)


def _tiles(length: int, tile_px: int, tiles: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """For each pixel of one axis: the two tiles whose centres enclose it, and its way from the first to the second."""
    place = np.arange(length, dtype=np.float32) / np.float32(tile_px) - np.float32(0.5)
    first = np.floor(place).astype(np.intp)
    return np.clip(first, 0, tiles - 1), np.clip(first + 1, 0, tiles - 1), place - first.astype(np.float32)
