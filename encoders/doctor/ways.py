"""Pipelines that differ from the golden one in a named way, run through the golden code wherever that can do it.

Shape letters: C channels, H rows, W columns.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from encoders.doctor.equalize import clahe, equalize
from encoders.preprocessing.intensity import Levels, scale_to_levels
from encoders.preprocessing.prepare import normalize
from encoders.preprocessing.recipe import Fit, Intensity, Normalize, Recipe, Resize
from encoders.preprocessing.resize import crop_shape, to_square
from studies.images import Film, read_film

Pixels = NDArray[np.float32]


class Squeeze(StrEnum):
    """How a film of many bits became 8: as the recipe says, or by a mistake on its stored values."""

    GOLDEN = "golden"
    SATURATED = "saturated"  # values above 255 became 255: what Pillow's convert does to a 16-bit image
    SHIFTED = "shifted"  # value >> 8, whatever its bits


class Contrast(StrEnum):
    GOLDEN = "golden"
    EQUALIZED = "equalized"  # histogram equalised, as MIMIC-CXR-JPG is
    CLAHE_2 = "clahe 2"  # equalised by 8 x 8 tiles, the contrast limited to what is usual for films
    CLAHE_40 = "clahe 40"  # ... or to OpenCV's default


class Turn(StrEnum):
    NONE = "none"
    LEFT_RIGHT = "left-right"
    TOP_BOTTOM = "top-bottom"
    TRANSPOSED = "transposed"
    AGAINST_CLOCK = "against the clock"
    WITH_CLOCK = "with the clock"


class Output(StrEnum):
    """What is fed as the input."""

    NORMALIZED = "normalized"  # by mean and std, as a recipe says
    UNIT = "unit"  # [0, 1]
    BYTES = "bytes"  # 0 to 255
    TWICE = "twice"  # normalised, and normalised again
    OWN = "own"  # by this image's mean and std
    XRV = "xrv"  # [-1024, 1024], torchxrayvision's range


@dataclass(frozen=True)
class Way:
    """One pipeline; with its defaults, and the encoder's own recipe in the first three fields, it is the golden one.

    sampling: a Pillow resampling that no recipe has. jpeg_before, jpeg_after: quality of a JPEG in between, before or
    after the resize. shift_px: rows down and columns right by which the square is off. cast: a torch dtype's name.
    """

    intensity: Intensity
    resize: Resize
    normalize: Normalize
    squeeze: Squeeze = Squeeze.GOLDEN
    contrast: Contrast = Contrast.GOLDEN
    sampling: Image.Resampling | None = None
    jpeg_before: int | None = None
    jpeg_after: int | None = None
    turn: Turn = Turn.NONE
    shift_px: tuple[int, int] = (0, 0)
    output: Output = Output.NORMALIZED
    cast: str | None = None


class Bench:
    """Runs ways on one file. Films and levels are kept: most ways share them."""

    def __init__(self, path: str | Path, recipe: Recipe) -> None:
        self.golden = Way(recipe.intensity, recipe.resize, recipe.normalize)
        self._recipe = recipe
        self._read = lru_cache(maxsize=2)(lambda voi: read_film(path, voi=voi))
        self.levels = lru_cache(maxsize=256)(self._make_levels)

    @property
    def film(self) -> Film:
        """As the golden way reads it."""
        return self._read(self.golden.intensity.voi)

    def pixels(self, way: Way) -> Pixels:
        """The input that this way makes of the file: C,H,W.

        Raises:
            ValueError: the way leaves a film of one value, which has no levels.
        """
        numbers_apart = replace(way, normalize=self.golden.normalize, output=Output.NORMALIZED, cast=None)
        recipe = self._recipe.model_copy(update={"normalize": way.normalize})
        pixels_CHW = _feed(self.levels(numbers_apart), recipe, way.output)
        if way.cast is None:
            return pixels_CHW
        import torch

        cast_CHW = torch.from_numpy(pixels_CHW).to(getattr(torch, way.cast))
        return cast_CHW.float().numpy()

    def _make_levels(self, way: Way) -> Levels:
        film = _squeezed(self._read(way.intensity.voi), way.squeeze)
        levels_HW = _recontrasted(scale_to_levels(film, way.intensity), way.contrast)
        if way.jpeg_before is not None:
            levels_HW = _through_jpeg(levels_HW, way.jpeg_before)
        if way.sampling is not None:
            levels_HW = _sampled(levels_HW, way.resize, way.sampling)
        levels_HW = to_square(levels_HW, way.resize, way.intensity)
        if way.jpeg_after is not None:
            levels_HW = _through_jpeg(levels_HW, way.jpeg_after)
        return _shifted(_turned(levels_HW, way.turn), way.shift_px)


def _squeezed(film: Film, squeeze: Squeeze) -> Film:
    """The film as an 8-bit one, by a mistake that works on stored values and knows nothing of polarity."""
    if squeeze is Squeeze.GOLDEN:
        return film
    stored_HW = 1 - film.pixels_HW if film.inverted else film.pixels_HW
    values_HW = np.round(stored_HW * np.float32(2**film.bits - 1))
    levels_HW = np.minimum(values_HW, 255) if squeeze is Squeeze.SATURATED else np.floor(values_HW / 256)
    return replace(film, pixels_HW=(levels_HW / 255).astype(np.float32), bits=8)


def _recontrasted(levels_HW: Levels, contrast: Contrast) -> Levels:
    match contrast:
        case Contrast.GOLDEN:
            return levels_HW
        case Contrast.EQUALIZED:
            return equalize(_bytes(levels_HW))
        case Contrast.CLAHE_2:
            return clahe(_bytes(levels_HW), clip=2)
        case Contrast.CLAHE_40:
            return clahe(_bytes(levels_HW), clip=40)


def _through_jpeg(levels_HW: Levels, quality: int) -> Levels:
    buffer = io.BytesIO()
    Image.fromarray(_bytes(levels_HW)).save(buffer, format="JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def _sampled(levels_HW: Levels, resize: Resize, sampling: Image.Resampling) -> Levels:
    """Resampled to the size at which `to_square` has only to crop or to pad."""
    rows, columns = levels_HW.shape
    match resize.fit:
        case Fit.SQUASH:
            shape = (resize.size_px, resize.size_px)
        case Fit.PAD:
            ratio = resize.size_px / max(rows, columns)
            shape = (round(rows * ratio), round(columns * ratio))
        case Fit.CROP:
            shape = crop_shape(levels_HW.shape, resize.shorter_side_px or resize.size_px)
    return np.asarray(Image.fromarray(levels_HW).resize(shape[::-1], sampling))


def _turned(levels_HW: Levels, turn: Turn) -> Levels:
    match turn:
        case Turn.NONE:
            return levels_HW
        case Turn.LEFT_RIGHT:
            return levels_HW[:, ::-1]
        case Turn.TOP_BOTTOM:
            return levels_HW[::-1]
        case Turn.TRANSPOSED:
            return levels_HW.T
        case Turn.AGAINST_CLOCK:
            return np.rot90(levels_HW)
        case Turn.WITH_CLOCK:
            return np.rot90(levels_HW, -1)


def _shifted(levels_HW: Levels, shift_px: tuple[int, int]) -> Levels:
    """Moved by whole pixels; the edge is repeated, for what lay beyond it is gone (one row or column is a guess)."""
    down, right = shift_px
    if not (down or right):
        return levels_HW
    rows, columns = levels_HW.shape
    rows_H = np.clip(np.arange(rows) - down, 0, rows - 1)
    columns_W = np.clip(np.arange(columns) - right, 0, columns - 1)
    return levels_HW[np.ix_(rows_H, columns_W)]


def _feed(levels_HW: Levels, recipe: Recipe, output: Output) -> Pixels:
    if output in (Output.NORMALIZED, Output.TWICE):
        pixels_CHW = normalize(levels_HW, recipe)
        if output is Output.NORMALIZED:
            return pixels_CHW
        mean_C11, std_C11 = np.array([recipe.normalize.mean, recipe.normalize.std], np.float32).reshape(2, 3, 1, 1)
        return (pixels_CHW - mean_C11) / std_C11
    levels = levels_HW.astype(np.float32)
    if output is Output.UNIT:
        levels = levels / np.float32(255)
    elif output is Output.XRV:
        levels = levels * np.float32(2048 / 255) - np.float32(1024)
    elif output is Output.OWN:
        spread = max(float(levels.std(dtype=np.float64)), 1e-6)
        levels = (levels - np.float32(levels.mean(dtype=np.float64))) / np.float32(spread)
    return np.repeat(levels[None], 3, axis=0)


def _bytes(levels_HW: Levels) -> NDArray[np.uint8]:
    whole_HW = levels_HW if levels_HW.dtype == np.uint8 else np.rint(levels_HW)
    return whole_HW.astype(np.uint8, copy=False)
