"""Everything one run of `encode-images` can be told; a TOML file gives it, flags override it."""

from __future__ import annotations

import difflib
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

Dtype = Literal["float32", "bfloat16", "float16"]
_STRIDES = r"\d+(,\d+)*"


class ConfigError(ValueError):
    """A setting that is unknown, out of range or at odds with another; the message names it."""


class EncodeSettings(BaseModel):
    """Settings of one run.

    maps: "none"; "default", the encoder's own stride; strides in pixels joined by commas ("16", "8,16"); or "layers",
    those in `layers`. norm: of layers only, None leaves each as its block gave it. dtype: of the weights and the
    arithmetic; vectors are written as float32 whatever it is. workers: decoding processes, 0 for none beside this
    one; None chooses.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")  # a misspelt key is an error

    inputs: Annotated[tuple[str, ...], Field(min_length=1)]
    output: Path
    encoder: str
    weights: str
    revision: str | None = None
    image_size_px: Annotated[int, Field(gt=0)] | None = None
    preprocessing: str | None = None
    accept_licence: bool = False

    root: Path | None = None
    image_column: str | None = None
    id_column: str | None = None
    patient_column: str | None = None
    view_column: str | None = None
    encoding: str = "utf-8"

    maps: str = "none"
    layers: tuple[int, ...] = ()
    norm: Literal["final"] | None = None
    maps_dtype: Dtype = "float16"

    dtype: Dtype = "float32"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    compile: bool = False
    batch_size: Annotated[int, Field(ge=1)] = 32
    workers: Annotated[int, Field(ge=0)] | None = None
    save_every_s: Annotated[float, Field(gt=0)] = 30.0
    skip_guards: tuple[str, ...] = ()
    max_failures: Annotated[float, Field(ge=0, le=1)] = 0.01

    plot: bool = False
    plot_images: Annotated[int, Field(ge=1)] = 8

    @field_validator("layers", mode="before")
    @classmethod
    def _split(cls, given: Any) -> Any:
        return tuple(part for part in given.split(",") if part.strip()) if isinstance(given, str) else given

    @field_validator("maps")
    @classmethod
    def _known_maps(cls, given: str) -> str:
        if given not in {"none", "default", "layers"} and not re.fullmatch(_STRIDES, given):
            raise ValueError("maps are none, default, layers, or strides in pixels joined by commas")
        return given

    @model_validator(mode="after")
    def _layers_belong_to_maps(self) -> Self:
        if self.maps == "layers" and not self.layers:
            raise ValueError('maps = "layers" needs layers, for example 2,5,8,11')
        if self.maps != "layers" and (self.layers or self.norm):
            raise ValueError('layers and norm need maps = "layers"')
        return self


def load_settings(file: Path | None, flags: dict[str, Any]) -> EncodeSettings:
    """Settings from a TOML file, overridden by the flags that were given (neither None nor empty).

    Raises:
        ConfigError: naming the setting, its value and what is allowed.
    """
    values: dict[str, Any] = {}
    if file is not None:
        try:
            values = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigError(f"config {file}: {error}") from None
    values |= {name: value for name, value in flags.items() if value is not None and value != []}
    try:
        return EncodeSettings.model_validate(values)
    except ValidationError as error:
        problems = []
        for one in error.errors():
            name = ".".join(str(part) for part in one["loc"])
            if one["type"] == "missing":
                problems.append(f"{name} not given")
                continue
            if one["type"] == "extra_forbidden":
                close = difflib.get_close_matches(name, EncodeSettings.model_fields, 1)
                problems.append(f"{name} is no setting" + (f"; did you mean {close[0]}?" if close else ""))
                continue
            problems.append((f"{name} = {one['input']!r}: " if name else "") + one["msg"].removeprefix("Value error, "))
        raise ConfigError("; ".join(problems)) from None
