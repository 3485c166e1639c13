"""Checks of a tensor that other code prepared: is it an input of this recipe, and if not, of which?

Shape letters: B batch, C channels, H rows, W columns. Levels are grey values of 0 to 255 behind the normalisation.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cache

import numpy as np
from numpy.typing import NDArray

from encoders.preprocessing.guards import Guard, PreprocessingError
from encoders.preprocessing.recipe import Kernel, Normalize, Recipe, known_recipes, load_recipe

_EQUAL_LEVELS = 2.0  # three channels in bfloat16 agree within this
_WHOLE = 0.1  # float16 keeps whole levels within this
# Cubic and Lanczos kernels on floats go beyond black and white at sharp edges: Pillow's up to a quarter of the range.
_OVERSHOOT = {Kernel.BILINEAR: 2.0, Kernel.BICUBIC: 64.0, Kernel.LANCZOS: 64.0}


def check_input(pixels_BCHW: NDArray[np.floating], recipe: Recipe, *, skip: Collection[Guard] = ()) -> None:
    """Refuse a batch that `recipe` could not have given: NaN, a flat image, another normalisation, colours.

    Another normalisation (none, 0..1, another shipped recipe's) is recognised by the grey levels behind it: under the
    right mean and std the three channels agree and the levels are whole, or reach exactly 0 and 255.

    Raises:
        PreprocessingError: the first guard that fails, but for those of `skip`.
        ValueError: the array is not B, 3, size_px, size_px.
    """
    skip = frozenset(Guard(name) for name in skip)
    size = recipe.resize.size_px
    if pixels_BCHW.ndim != 4 or pixels_BCHW.shape[1:] != (3, size, size):
        raise ValueError(f"{recipe.encoder} takes B, 3, {size}, {size}; this array is {pixels_BCHW.shape}")
    for place, pixels_CHW in enumerate(pixels_BCHW):
        failed = _first_failure(pixels_CHW.astype(np.float64), recipe, skip)
        if failed is not None:
            raise PreprocessingError(failed[0], f"image {place} of the batch: {failed[1]}")


def _first_failure(pixels_CHW: NDArray[np.float64], recipe: Recipe, skip: frozenset[Guard]) -> tuple[Guard, str] | None:
    low, high = float(pixels_CHW.min()), float(pixels_CHW.max())
    finite = bool(np.isfinite(low) and np.isfinite(high))
    if Guard.RANGE not in skip and not finite:
        return Guard.RANGE, f"{int((~np.isfinite(pixels_CHW)).sum())} values are NaN or infinite"
    if Guard.BLANK not in skip and bool((pixels_CHW == pixels_CHW[:, :1, :1]).all()):
        return Guard.BLANK, "blank: each channel is one value"
    levels_CHW = _levels(pixels_CHW, recipe.normalize)
    if Guard.NORMALIZATION not in skip and finite and not _is_grey_and(levels_CHW, ends=False):
        for name, normalize in _known_normalizations().items():
            if normalize != recipe.normalize and _is_grey_and(_levels(pixels_CHW, normalize), ends=True):
                return Guard.NORMALIZATION, (
                    f"values of {low:.3g} to {high:.3g} are {name}; {recipe.encoder} has mean {recipe.normalize.mean} "
                    f"and std {recipe.normalize.std}"
                )
    over = max(-float(levels_CHW.min()), float(levels_CHW.max()) - 255)
    if Guard.RANGE not in skip and over > _OVERSHOOT[recipe.resize.kernel]:
        black, white = (
            [(level - mean) / std for mean, std in zip(recipe.normalize.mean, recipe.normalize.std, strict=True)]
            for level in (0, 1)
        )
        return Guard.RANGE, (
            f"unexpected range: {low:.3g} to {high:.3g}; {recipe.encoder} takes {min(black):.3g} to {max(white):.3g}"
        )
    apart = float(np.ptp(levels_CHW, axis=0).max())
    if Guard.CHANNELS not in skip and apart > _EQUAL_LEVELS:
        return (
            Guard.CHANNELS,
            f"its three channels differ by up to {apart:.0f} of 255 levels: coloured, or R and B swapped",
        )
    return None


def _levels(pixels_CHW: NDArray[np.float64], normalize: Normalize) -> NDArray[np.float64]:
    mean_C, std_C = np.array(normalize.mean), np.array(normalize.std)
    levels_CHW: NDArray[np.float64] = (pixels_CHW * std_C[:, None, None] + mean_C[:, None, None]) * 255
    return levels_CHW


def _is_grey_and(levels_CHW: NDArray[np.float64], *, ends: bool) -> bool:
    """One grey picture within black and white, of whole levels or, if `ends` counts, from exactly black to white."""
    low, high = float(levels_CHW.min()), float(levels_CHW.max())
    if low < -_WHOLE or high > 255 + _WHOLE or float(np.ptp(levels_CHW, axis=0).max()) > _EQUAL_LEVELS:
        return False
    whole = bool((np.abs(levels_CHW - np.rint(levels_CHW)) < _WHOLE).all())
    return whole or (ends and low < _WHOLE and high > 255 - _WHOLE)


@cache
def _known_normalizations() -> dict[str, Normalize]:
    """In words -> how the levels are found."""
    one = (1.0, 1.0, 1.0)
    none = (0.0, 0.0, 0.0)
    known = {
        "grey levels of 0..255, not normalised": Normalize(mean=none, std=(1 / 255, 1 / 255, 1 / 255)),
        "grey values of 0..1, not normalised": Normalize(mean=none, std=one),
    }
    for name in known_recipes():
        normalize = load_recipe(name).normalize
        if normalize not in known.values():
            known[f"normalised with {name}'s mean {normalize.mean} and std {normalize.std}"] = normalize
    return known
