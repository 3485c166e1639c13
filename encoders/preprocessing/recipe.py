"""The preprocessing of an encoder as data: `NAME.toml` beside this file, each value with its source."""

from __future__ import annotations

import hashlib
import json
import tomllib
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

Level = Annotated[float, Field(ge=0, le=100)]
Positive = Annotated[float, Field(gt=0)]


class Scale(StrEnum):
    """What becomes black and white before the resize."""

    FULL_RANGE = "full_range"  # as the file says: 0 and the largest storable value (or the window's ends)
    MIN_MAX = "min_max"  # this image's smallest and largest value
    PERCENTILE = "percentile"  # these percentiles of this image


class Polarity(StrEnum):
    """Which way round the encoder saw films in its training."""

    AIR_DARK = "air_dark"  # lungs dark, bone bright: how films are read, and how `studies.images` gives them
    AIR_BRIGHT = "air_bright"  # the negative of that


class Rounding(StrEnum):
    """How a number becomes a whole one."""

    DOWN = "down"  # floor: `//` and numpy's astype
    EVEN = "even"  # the nearest, halves to the even one: Python's round, numpy's rint


class Fit(StrEnum):
    """How a film that is not square becomes a square."""

    SQUASH = "squash"  # both sides to the size, aspect ratio lost
    PAD = "pad"  # black at both ends of the shorter side (the odd pixel at the end), then squashed
    CROP = "crop"  # the shorter side to the size, the middle of the longer one kept


class Kernel(StrEnum):
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    LANCZOS = "lanczos"


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Intensity(_Data):
    """polarity: of the encoder's training films. voi: a DICOM's own window or LUT is applied first (`read_film(voi=)`).
    byte, deep: the scale of images of 8 bits and of more, from the pixels that are no burned-in box; percentiles: those
    of `percentile`. bit_depth: 8 rounds to 256 levels before and after the resize, as every pipeline on 8-bit PIL
    images does; 0 keeps floats. rounding: how those levels are made."""

    polarity: Polarity
    voi: bool
    byte: Scale
    deep: Scale
    percentiles: tuple[Level, Level] | None = None
    bit_depth: Literal[0, 8] = 8
    rounding: Rounding = Rounding.EVEN

    @model_validator(mode="after")
    def _percentiles_iff_used(self) -> Self:
        used = Scale.PERCENTILE in (self.byte, self.deep)
        if used != (self.percentiles is not None):
            raise ValueError(f"percentiles are {'missing' if used else 'given, and neither byte nor deep uses them'}")
        if self.percentiles is not None and self.percentiles[0] >= self.percentiles[1]:
            raise ValueError(f"percentiles {self.percentiles} do not rise")
        return self


class Resize(_Data):
    """size_px: side of the square input. antialias: the kernel widens when it shrinks, as Pillow's always does; False
    samples between neighbouring pixels, as `torch.nn.functional.interpolate` and `tf.image.resize` do by default.
    Of fit = "crop" only: shorter_side_px, what the shorter side is resized to before the crop (DINOv2: 256 for 224),
    by default size_px; crop_offset, how half an odd margin is rounded (transformers: "down"; torchvision: "even")."""

    size_px: int = Field(gt=0)
    fit: Fit
    kernel: Kernel
    antialias: bool = True
    shorter_side_px: int | None = Field(default=None, gt=0)
    crop_offset: Rounding | None = None

    @model_validator(mode="after")
    def _options_have_an_effect(self) -> Self:
        if (self.fit is Fit.CROP) != (self.crop_offset is not None):
            raise ValueError(f"crop_offset goes with fit = 'crop' and with nothing else; fit is {self.fit.value!r}")
        if self.shorter_side_px is not None and (self.fit is not Fit.CROP or self.shorter_side_px < self.size_px):
            raise ValueError(f"shorter_side_px {self.shorter_side_px} needs fit = 'crop' and >= size_px {self.size_px}")
        if not self.antialias and self.kernel is Kernel.LANCZOS:
            raise ValueError("antialias = false is made for bilinear and bicubic, not for lanczos")
        return self


class Normalize(_Data):
    """(value in [0, 1] - mean) / std, per channel of R, G, B."""

    mean: tuple[float, float, float]
    std: tuple[Positive, Positive, Positive]


class Recipe(_Data):
    """One encoder's way from a film to its input tensor: three equal grey channels, normalised apart.

    sources: for each section, where its values are from. variant: None for the encoder's own preprocessing, else the
    name of another published one.
    """

    encoder: str
    variant: str | None = None
    intensity: Intensity
    resize: Resize
    normalize: Normalize
    sources: dict[str, str]

    @model_validator(mode="after")
    def _every_section_has_a_source(self) -> Self:
        missing = {"intensity", "resize", "normalize"} - set(self.sources)
        if missing:
            raise ValueError(f"[sources] says nothing of {', '.join(sorted(missing))}")
        return self

    @property
    def sha256(self) -> str:
        """A hash of all that changes a pixel (the names and the sources don't)."""
        shown = self.model_dump(mode="json", include={"intensity", "resize", "normalize"})
        return hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()

    def at(self, image_size_px: int) -> Recipe:
        """The same recipe for another input size; a shorter side given apart grows with it."""
        resize = self.resize.model_dump()
        if resize["shorter_side_px"] is not None:
            resize["shorter_side_px"] = round(resize["shorter_side_px"] * image_size_px / self.resize.size_px)
        changed = Resize.model_validate(resize | {"size_px": image_size_px})
        return self.model_copy(update={"resize": changed})


def known_recipes() -> tuple[str, ...]:
    """The names of the shipped recipes: encoders, and "ENCODER:VARIANT" for another published preprocessing."""
    return tuple(sorted(_shipped()))


def load_recipe(name_or_path: str | Path) -> Recipe:
    """A shipped recipe by its name ("medsiglip", "medsiglip:squash"), or a user's own TOML file.

    Raises:
        ValueError: no such recipe, no TOML, or a key that is missing, misspelt or out of range.
    """
    name = str(name_or_path)
    if name.endswith(".toml"):
        path = Path(name_or_path)
        if not path.is_file():
            raise ValueError(f"preprocessing file {path} does not exist")
        text = path.read_text(encoding="utf-8")
    else:
        shipped = _shipped()
        if name not in shipped:
            raise ValueError(f"no preprocessing of {name!r} is shipped; known: {', '.join(sorted(shipped))}")
        text = shipped[name]
    try:
        return Recipe.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"preprocessing {name}: {error}") from None
    except ValidationError as error:
        wrong = [": ".join([*map(str, item["loc"]), item["msg"]]) for item in error.errors()]
        raise ValueError(f"preprocessing {name}: {'; '.join(wrong)}") from None


def _shipped() -> dict[str, str]:
    """Name -> text; the file medsiglip.squash.toml is "medsiglip:squash"."""
    found = (entry for entry in files("encoders.preprocessing").iterdir() if entry.name.endswith(".toml"))
    return {entry.name.removesuffix(".toml").replace(".", ":"): entry.read_text(encoding="utf-8") for entry in found}
