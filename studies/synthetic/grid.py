"""Coordinates in millimetres, grids coarser than the film, ribbons drawn on them, and the grain of a film.

Shape letters: H rows, W columns (of whichever grid), N samples along a curve, M samples across it.

All lengths are millimetres from the carina, x towards the patient's left (the image's right), y downwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]
Points = NDArray[np.float64]  # or amounts of points


_STEP = 0.6  # of a node's spacing, between samples of a ribbon


@dataclass(frozen=True)
class Grid:
    """Pixel centres of a square film, or of a grid `factor` times coarser over the same film.

    corner_mm: x and y of the film's top left corner; field_mm: its side; size_px: pixels of the film itself.
    """

    corner_mm: tuple[float, float]
    field_mm: float
    size_px: int
    factor: int = 1

    @property
    def spacing_mm(self) -> float:
        return self.field_mm / self.size_px * self.factor

    @property
    def count(self) -> int:
        """Nodes along a side: enough for the last node to lie beyond the film's last pixel."""
        return self.size_px if self.factor == 1 else -(-self.size_px // self.factor) + 1

    def coarser(self, factor: int) -> Grid:
        return Grid(self.corner_mm, self.field_mm, self.size_px, factor)

    @property
    def xs(self) -> Array:
        return self._nodes(self.corner_mm[0])

    @property
    def ys(self) -> Array:
        return self._nodes(self.corner_mm[1])

    def _nodes(self, start: float) -> Array:
        return (start + (np.arange(self.count) + 0.5) * self.spacing_mm).astype(np.float32)

    def place(self, x_mm: float, y_mm: float) -> tuple[float, float]:
        """Row and column of one place."""
        column, row = self.index(np.array([[x_mm, y_mm]]))[0].tolist()
        return row, column

    def index(self, points_N2: Points) -> Points:
        """x, y in millimetres -> column, row; node centres are whole numbers."""
        return np.asarray((points_N2 - np.asarray(self.corner_mm)) / self.spacing_mm - 0.5)


def refine(coarse_HW: Array, size: int) -> Array:
    """The grid twice as fine, `size` nodes a side, by linear interpolation."""
    return _refine_rows(np.ascontiguousarray(_refine_rows(coarse_HW, size).T), size).T


def _refine_rows(coarse_HW: Array, size: int) -> Array:
    """Fine node 2k lies a quarter step before coarse node k, 2k + 1 a quarter step after it."""
    fine_HW = np.empty((size, coarse_HW.shape[1]), np.float32)
    near_HW, far_HW = coarse_HW * np.float32(0.75), coarse_HW * np.float32(0.25)
    evens, odds = (size + 1) // 2, size // 2
    fine_HW[0] = coarse_HW[0]
    np.add(near_HW[1:evens], far_HW[: evens - 1], out=fine_HW[2::2])
    np.add(near_HW[:odds], far_HW[1 : odds + 1], out=fine_HW[1::2])
    return fine_HW


class Ribbon(NamedTuple):
    """A band along a curve: `profile` is what it adds from one edge to the other, interpolated across `width_mm`.

    points_N2: x, y in millimetres, in order.
    """

    points_N2: Points
    width_mm: float
    profile: tuple[float, ...]


def add_ribbons(image_HW: Array, grid: Grid, ribbons: Sequence[Ribbon]) -> None:
    """Add ribbons to an image.

    Each is sampled in steps of less than a pixel and shared out among the four nearest nodes, so its edges are smooth
    and a ribbon thinner than a pixel is fainter, as on a film. What lies outside the grid is left out.
    """
    samples = [_samples(ribbon, grid.spacing_mm) for ribbon in ribbons]
    if samples:
        add_points(image_HW, grid, np.concatenate([s[0] for s in samples]), np.concatenate([s[1] for s in samples]))


def ribbon_mask(grid: Grid, ribbons: Sequence[Ribbon]) -> Mask:
    """Pixels whose centre some ribbon covers, give or take a quarter of a pixel; every ribbon is at least a line."""
    mask_HW = np.zeros((grid.count, grid.count), np.bool_)
    for ribbon in ribbons:
        inner_mm = max(ribbon.width_mm - grid.spacing_mm / 2, grid.spacing_mm / 2)
        column, row = np.rint(grid.index(_samples(ribbon._replace(width_mm=inner_mm), grid.spacing_mm)[0])).T
        inside = (column >= 0) & (row >= 0) & (column < grid.count) & (row < grid.count)
        mask_HW[row[inside].astype(np.intp), column[inside].astype(np.intp)] = True
    return mask_HW


def _samples(ribbon: Ribbon, spacing: float) -> tuple[Points, Points]:
    """Places of a ribbon and what each adds."""
    path_N2 = resample(ribbon.points_N2, spacing * _STEP)
    move_N2 = path_N2[1:] - path_N2[:-1]
    length_N = np.sqrt((move_N2 * move_N2).sum(1)) + 1e-12
    count = max(2, round(ribbon.width_mm / (spacing * _STEP)))
    share_M = (np.arange(count) + 0.5) / count
    across_M = np.interp(share_M, np.linspace(0, 1, len(ribbon.profile)), ribbon.profile)
    normal_N2 = move_N2[:, ::-1] * (-1.0, 1.0) / length_N[:, None]
    middle_N2 = path_N2[:-1] + move_N2 / 2
    offset_M = (share_M - 0.5) * ribbon.width_mm
    points = middle_N2[:, None, :] + offset_M[None, :, None] * normal_N2[:, None, :]
    amount = (length_N * (ribbon.width_mm / count / spacing**2))[:, None] * across_M
    return points.reshape(-1, 2), amount.reshape(-1)


def add_points(image_HW: Array, grid: Grid, points_N2: Points, amount_N: Points) -> None:
    """Share each amount out among the four nodes around its point."""
    place_N2 = grid.index(points_N2)
    height, width = image_HW.shape
    inside = ((place_N2 >= 0) & (place_N2 < (width - 1, height - 1))).all(1)
    column, row = place_N2[inside].T
    if not len(column):
        return
    left, top = column.astype(np.intp), row.astype(np.intp)
    first_row, last_row = int(top.min()), int(top.max()) + 2
    right_share, amount = column - left, amount_N[inside]
    low = amount * (row - top)
    high = amount - low
    place = (top - first_row) * width + left
    places = np.concatenate([place, place + 1, place + width, place + width + 1])
    high_right, low_right = high * right_share, low * right_share
    amounts = np.concatenate([high - high_right, high_right, low - low_right, low_right])
    flat = np.bincount(places, amounts, (last_row - first_row) * width)
    image_HW[first_row:last_row] += flat.reshape(-1, width).astype(np.float32)


def resample(points_N2: Points, step_mm: float) -> Points:
    """The same polyline with points `step_mm` apart (a little less, so that both ends are kept)."""
    along_N = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points_N2, axis=0).T))])
    at = np.linspace(0, along_N[-1], max(2, int(np.ceil(along_N[-1] / step_mm)) + 1))
    return np.stack([np.interp(at, along_N, points_N2[:, 0]), np.interp(at, along_N, points_N2[:, 1])], 1)


def smooth_curve(control_K2: Points) -> Points:
    """A smooth curve through control points: cubic Hermite pieces on chord length, slopes of second order."""
    along_K = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(control_K2, axis=0).T))])
    slope_K2 = np.gradient(control_K2, along_K, axis=0)
    t = np.linspace(0, 1, 12, endpoint=False)[None, :, None]
    span, start, end = np.diff(along_K)[:, None, None], control_K2[:-1, None], control_K2[1:, None]
    curve = (
        (1 + 2 * t) * (1 - t) ** 2 * start
        + t**2 * (3 - 2 * t) * end
        + span * (t * (1 - t) ** 2 * slope_K2[:-1, None] - t**2 * (1 - t) * slope_K2[1:, None])
    )
    return np.concatenate([curve.reshape(-1, 2), control_K2[-1:]])


_TILE, _CLOUD_STEPS = 1024, 130


@lru_cache(maxsize=1)
def _grain_tile() -> Array:
    """Unit noise, a little correlated between neighbours as a detector's is; made once, seeded by a constant."""
    white = np.random.default_rng(20260101).standard_normal((_TILE, _TILE), np.float32)
    mixed = white + 0.5 * (np.roll(white, 1, 0) + np.roll(white, 1, 1))
    return np.asarray(mixed / mixed.std(), np.float32)


@lru_cache(maxsize=1)
def _cloud_tile() -> Array:
    """Unit smooth noise of a few nodes' size, for texture; made once, seeded by a constant."""
    from scipy.ndimage import gaussian_filter

    white = np.random.default_rng(20260102).standard_normal((512, 512), np.float32)
    clouds = sum(gaussian_filter(white, sigma, mode="wrap") * sigma for sigma in (1.0, 2.0, 5.0))
    return np.asarray(clouds / np.std(clouds), np.float32)


def grain(rng: np.random.Generator, size: int) -> Array:
    """`size` square of unit noise: another part of the tile each time (repeats beyond 1024)."""
    return _cut(_grain_tile(), rng, size)


def clouds(rng: np.random.Generator, grid: Grid) -> Array:
    """Unit noise on a grid, smooth over some 1 to 5 of the 130 steps that any film's side has, whatever its size."""
    patch = _cut(_cloud_tile(), rng, _CLOUD_STEPS + 2)
    place = np.clip((np.arange(grid.count) + 0.5) * (grid.factor / grid.size_px * _CLOUD_STEPS), 0, _CLOUD_STEPS)
    low = place.astype(np.intp)
    share = (place - low).astype(np.float32)
    rows = patch[low] + (patch[low + 1] - patch[low]) * share[:, None]
    return np.asarray(rows[:, low] + (rows[:, low + 1] - rows[:, low]) * share)


def _cut(tile: Array, rng: np.random.Generator, size: int) -> Array:
    side = len(tile)
    row, column, flips = rng.integers(side), rng.integers(side), rng.integers(4)
    turned = tile[:: 1 - 2 * (flips & 1), :: 1 - 2 * (flips >> 1)]
    if row + size <= side and column + size <= side:
        return np.asarray(turned[row : row + size, column : column + size])
    rows, columns = (row + np.arange(size)) % side, (column + np.arange(size)) % side
    return np.asarray(turned[rows[:, None], columns])
