"""From any film to the encoder's square: squashed, padded or cropped, with the publisher's kernel and roundings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from encoders.preprocessing.intensity import Levels, round_levels
from encoders.preprocessing.recipe import Fit, Intensity, Kernel, Resize, Rounding

_PILLOW = {
    Kernel.BILINEAR: Image.Resampling.BILINEAR,
    Kernel.BICUBIC: Image.Resampling.BICUBIC,
    Kernel.LANCZOS: Image.Resampling.LANCZOS,
}
_KEYS_A = -0.75  # of the cubic convolution in torch's interpolate (ATen, UpSample.h); Pillow's is -0.5


def to_square(levels_HW: Levels, resize: Resize, intensity: Intensity) -> Levels:
    """Levels of 0..255 at the encoder's size: size_px, size_px; uint8 stays uint8."""
    size = resize.size_px
    if resize.fit is Fit.PAD:
        levels_HW = _pad_to_square(levels_HW)
    if resize.fit is not Fit.CROP:
        return _resample(levels_HW, (size, size), resize, intensity.rounding)
    shape = crop_shape(levels_HW.shape, resize.shorter_side_px or size)
    resized_HW = _resample(levels_HW, shape, resize, intensity.rounding)
    top, left = (crop_start(side, size, resize.crop_offset) for side in shape)
    return resized_HW[top : top + size, left : left + size]


def crop_shape(shape: tuple[int, ...], shorter_side_px: int) -> tuple[int, int]:
    """Rows and columns once the shorter side has its size; the longer one is cut down to a whole number, as in
    torchvision's `_compute_resized_output_size` and transformers' `get_resize_output_image_size`."""
    shorter, longer = min(shape), max(shape)
    new_longer = int(shorter_side_px * longer / shorter)
    return (shorter_side_px, new_longer) if shape[0] < shape[1] else (new_longer, shorter_side_px)


def crop_start(side_px: int, size_px: int, rounding: Rounding | None) -> int:
    """First row (column) of the centre: transformers' `center_crop` takes (side - size) // 2, torchvision's
    round((side - size) / 2), which differ by one at margins of 3, 7, 11, ..."""
    margin = side_px - size_px
    return round(margin / 2) if rounding is Rounding.EVEN else margin // 2


def _pad_to_square(levels_HW: Levels) -> Levels:
    side = max(levels_HW.shape)
    square = np.zeros((side, side), levels_HW.dtype)
    top, left = ((side - length) // 2 for length in levels_HW.shape)
    square[top : top + levels_HW.shape[0], left : left + levels_HW.shape[1]] = levels_HW
    return square


def _resample(levels_HW: Levels, shape: tuple[int, int], resize: Resize, rounding: Rounding) -> Levels:
    if levels_HW.shape == shape:
        return levels_HW
    if resize.antialias:  # Pillow: mode L for bytes (rounds each pass), mode F for floats
        image = Image.fromarray(levels_HW).resize((shape[1], shape[0]), _PILLOW[resize.kernel])
        return np.asarray(image)
    sampled_HW: NDArray[np.generic] = levels_HW
    for axis in (0, 1):
        sampled_HW = _sample(sampled_HW, shape[axis], axis, resize.kernel)
    floats_HW = sampled_HW.astype(np.float32)
    return round_levels(floats_HW, rounding) if levels_HW.dtype == np.uint8 else floats_HW


def _sample(values: NDArray[np.generic], length: int, axis: int, kernel: Kernel) -> NDArray[np.float64]:
    """Values between neighbours at half-pixel centres, edges repeated; float64, so that flat areas stay exact."""
    old = values.shape[axis]
    centre = (np.arange(length) + 0.5) * (old / length) - 0.5
    if kernel is Kernel.BILINEAR:
        centre = np.clip(centre, 0, old - 1)
    first = np.floor(centre).astype(np.intp)
    weights = _weights(centre - first, kernel)
    start = 0 if kernel is Kernel.BILINEAR else -1
    total = np.zeros((*values.shape[:axis], length, *values.shape[axis + 1 :]))
    for tap, weight in enumerate(weights, start):
        taken = np.take(values, np.clip(first + tap, 0, old - 1), axis=axis)
        total += taken * (weight[:, None] if axis == 0 else weight)
    return total


def _weights(fraction: NDArray[np.float64], kernel: Kernel) -> list[NDArray[np.float64]]:
    if kernel is Kernel.BILINEAR:
        return [1 - fraction, fraction]
    return [_keys(np.abs(fraction - tap)) for tap in (-1, 0, 1, 2)]


def _keys(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cubic convolution (Keys 1981, eq. 4 with a free a)."""
    near = ((_KEYS_A + 2) * distance - (_KEYS_A + 3)) * distance**2 + 1
    far = ((distance - 5) * distance + 8) * distance * _KEYS_A - 4 * _KEYS_A
    return np.where(distance <= 1, near, far)
