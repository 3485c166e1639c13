"""The papers' conversion of a film to 518 px: Gaussian against aliasing, cubic B-spline, 8 bits from end to end.

Shape letters: H, W rows and columns; O, I output and input places along one axis.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from studies.images import Film

# The width of the Gaussian that makes pixels of one size look like pixels `factor` times larger, if both blur as
# Gaussians whose full width at half maximum is a pixel: Cardoso et al., "Scale factor point spread function matching",
# MICCAI 2015; it is what TorchIO's resampling does.
_FWHM_PER_SIGMA = 2 * np.sqrt(2 * np.log(2))
_GAUSSIAN_REACH = 4.0  # in sigmas
_NEGLIGIBLE = 1e-7  # a weight that cannot change a float32 of [0, 1]


def shrink_film(film: Film, *, shorter_side_px: int = 518) -> NDArray[np.uint8]:
    """The film in 8 bits with its shorter side at a size: what RAD-DINO's and later papers' PNGs hold.

    Resized by `resize_bspline`, then the smallest and largest value to 0 and 255, rounded. Values out of `valid_HW`,
    and those mixed with them, do not count for the smallest and largest, and are clipped.

    Args:
        shorter_side_px: the longer side keeps the aspect ratio, rounded.

    Raises:
        ValueError: no pixels are valid, or all are the same.
    """
    height, width = film.pixels_HW.shape
    scale = shorter_side_px / min(height, width)
    size = {"height_px": round(height * scale), "width_px": round(width * scale)}
    small_HW = resize_bspline(film.pixels_HW, **size)
    counted = small_HW
    if film.valid_HW is not None:
        masked_HW = resize_bspline((~film.valid_HW).astype(np.float32), **size)
        counted = small_HW[np.abs(masked_HW) < 1e-3]
    if counted.size == 0 or counted.min() == counted.max():
        raise ValueError(f"{film.path}: {counted.size} pixels are valid and have {np.unique(counted).size} values")
    low, high = float(counted.min()), float(counted.max())
    levels_HW = np.rint(np.clip((small_HW - low) * (255 / (high - low)), 0, 255))
    return np.asarray(levels_HW.astype(np.uint8))


def resize_bspline(pixels_HW: NDArray[np.float32], *, height_px: int, width_px: int) -> NDArray[np.float32]:
    """Resize by a cubic B-spline, after a Gaussian along each axis that shrinks.

    As SimpleITK's Resample with sitkBSpline on the output of SmoothingRecursiveGaussian (on four real films the mean
    difference is at most 0.014 of 255, the largest 1.2): pixels are areas (the first and last pixel's outer edges
    stay), the spline mirrors at the border, the Gaussian repeats the outermost pixel.
    Its standard deviation is sqrt(factor^2 - 1) / (2 sqrt(2 ln 2)) input pixels (Cardoso et al., MICCAI 2015).

    Args:
        pixels_HW: float32. The result may overshoot its range a little, as cubic splines do.
    """
    height, width = pixels_HW.shape
    rows = _axis_weights(height, height_px) @ pixels_HW
    columns = _axis_weights(width, width_px) @ np.ascontiguousarray(rows.T)
    return np.ascontiguousarray(columns.T)


@lru_cache(maxsize=32)  # a hospital's films have few sizes
def _axis_weights(size: int, new_size: int) -> Any:
    """O,I sparse float32: Gaussian, B-spline coefficients and sampling are linear, so one banded matrix does them."""
    from scipy import linalg, ndimage, sparse

    factor = size / new_size
    places_O = (np.arange(new_size) + 0.5) * factor - 0.5
    first_O = np.floor(places_O).astype(int) - 1
    spline_OI = np.zeros((new_size, size))
    for step in range(4):
        near_O = first_O + step
        distance_O = np.abs(places_O - near_O)
        weight_O = np.where(
            distance_O < 1, 2 / 3 - distance_O**2 * (1 - distance_O / 2), np.maximum(2 - distance_O, 0) ** 3 / 6
        )
        np.add.at(spline_OI, (np.arange(new_size), _mirrored(near_O, size)), weight_O)
    # Coefficients c solve B c = pixels, B of rows (1/6, 4/6, 1/6) mirrored at both ends; so weights = spline B^-1
    band = np.zeros((3, size))
    band[0, 1:], band[1], band[2, :-1] = 1 / 6, 4 / 6, 1 / 6
    if size == 1:
        band[1] = 1
    else:  # B transposed: its first and last rows' neighbour is mirrored, so counts twice
        band[2, 0] *= 2
        band[0, -1] *= 2
    weights_OI = linalg.solve_banded((1, 1), band, spline_OI.T).T
    if factor > 1:
        sigma = np.sqrt(factor**2 - 1) / _FWHM_PER_SIGMA
        reach = max(1, round(_GAUSSIAN_REACH * sigma))
        wide = np.pad(weights_OI, ((0, 0), (reach, reach)))  # what falls beyond the border is the outermost pixel's
        wide = ndimage.gaussian_filter1d(wide, sigma, axis=1, mode="constant", radius=reach)
        weights_OI = wide[:, reach:-reach].copy()
        weights_OI[:, 0] += wide[:, :reach].sum(axis=1)
        weights_OI[:, -1] += wide[:, -reach:].sum(axis=1)
    weights_OI[np.abs(weights_OI) < _NEGLIGIBLE] = 0
    return sparse.csr_array(weights_OI.astype(np.float32))


def _mirrored(places: NDArray[np.int_], size: int) -> NDArray[np.int_]:
    """Reflected at the outermost pixels' centres."""
    period = max(1, 2 * (size - 1))
    folded = np.abs(places) % period
    return np.minimum(folded, period - folded) if size > 1 else np.zeros_like(places)
