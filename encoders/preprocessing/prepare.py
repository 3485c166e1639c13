"""A film into an encoder's input, as its recipe says: the one implementation, on numpy and Pillow.

Shape letters: C channels, H rows, W columns. Levels are grey values of 0 (black) to 255 (white) at the encoder's size.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from encoders.preprocessing.guards import Guard, check_film, check_levels, check_window
from encoders.preprocessing.intensity import Levels, scale_to_levels
from encoders.preprocessing.recipe import Recipe
from encoders.preprocessing.resize import to_square
from studies.images import Film, read_film


def prepare(film: Film, recipe: Recipe, *, skip_guards: Collection[Guard] = ()) -> NDArray[np.float32]:
    """The normalised input of one film: C,H,W = 3, size_px, size_px.

    Args:
        film: from `read_film(path, voi=recipe.intensity.voi)`; `prepare_file` does both.
        skip_guards: checks of `guards` that this film may fail.

    Raises:
        PreprocessingError: a guard found that the film is not what the recipe takes it for.
    """
    return normalize(to_levels(film, recipe, skip_guards=skip_guards), recipe)


def prepare_file(path: str | Path, recipe: Recipe, *, skip_guards: Collection[Guard] = ()) -> NDArray[np.float32]:
    """The normalised input of a film's file, read as the recipe wants it: C,H,W.

    Raises:
        ImageError: it is no usable film.
        PreprocessingError: a guard found that the film is not what the recipe takes it for.
    """
    return prepare(read_film(path, voi=recipe.intensity.voi), recipe, skip_guards=skip_guards)


def to_levels(film: Film, recipe: Recipe, *, skip_guards: Collection[Guard] = ()) -> Levels:
    """`prepare` up to the normalisation: levels of 0..255, H,W; uint8 where the recipe's bit_depth is 8, else float32.

    A quarter of the bytes of one normalised channel: what is worth sending to another process or a device.
    """
    check_window(film, recipe, skip=skip_guards)
    check_film(film, skip=skip_guards)
    levels_HW = to_square(scale_to_levels(film, recipe.intensity), recipe.resize, recipe.intensity)
    check_levels(levels_HW, recipe, skip=skip_guards)
    return levels_HW


def normalize(levels_HW: Levels, recipe: Recipe) -> NDArray[np.float32]:
    """Levels to the normalised input, C,H,W: levels * gain - offset, in float32, each within 1e-6 of the exact value.

    The same two operations give the same bits on any device (`level * gain`, rounded, `- offset`, rounded).
    """
    gain_C, offset_C = gain_and_offset(recipe)
    pixels_CHW = np.empty((3, *levels_HW.shape), np.float32)
    for channel in range(3):
        same = channel > 0 and gain_C[channel] == gain_C[0] and offset_C[channel] == offset_C[0]
        if same:
            pixels_CHW[channel] = pixels_CHW[0]
        else:
            np.multiply(levels_HW, gain_C[channel], out=pixels_CHW[channel])
            np.subtract(pixels_CHW[channel], offset_C[channel], out=pixels_CHW[channel])
    return pixels_CHW


def gain_and_offset(recipe: Recipe) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Of each channel, so that (level / 255 - mean) / std = level * gain - offset."""
    mean_C, std_C = np.array(recipe.normalize.mean), np.array(recipe.normalize.std)
    return (1 / (255 * std_C)).astype(np.float32), (mean_C / std_C).astype(np.float32)


def denormalize(pixels_CHW: NDArray[np.floating], recipe: Recipe) -> NDArray[np.float32]:
    """A normalised input back to levels of 0..255, H,W: the mean of its three channels (equal where it is grey)."""
    if pixels_CHW.ndim != 3 or len(pixels_CHW) != 3:
        raise ValueError(f"an input is C,H,W with C = 3; this array is {pixels_CHW.shape}")
    mean_C, std_C = np.array(recipe.normalize.mean), np.array(recipe.normalize.std)
    levels_CHW = (pixels_CHW.astype(np.float64) * std_C[:, None, None] + mean_C[:, None, None]) * 255
    levels_HW: NDArray[np.float32] = levels_CHW.mean(axis=0).astype(np.float32)
    return levels_HW
