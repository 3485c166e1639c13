"""One's own timm or transformers model under the same contract, described by a TOML file (examples/own_encoder.toml).

No code is taken from a model's folder, and nothing is downloaded: the architecture is one that the installed library
knows, the weights are a local checkpoint in that library's own naming, and every tensor has to fit.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from encoders.key_map import KeyMap
from encoders.preprocessing.recipe import Recipe, load_recipe
from encoders.spec import EncoderSpec, Layout, Licence, Size, Source

if TYPE_CHECKING:
    from torch import Tensor

    from encoders.contract import Encoder


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelSettings(_Data):
    """The [encoder] table.

    name: what features are labelled with; model: timm's name of an architecture, or a folder with transformers'
    config.json; pooling: how the global vector is made of the tokens; stride_px: which of its maps `patches()` gives
    when none is asked for (the last layer's by default); model_args: further arguments of timm's `create_model` or of
    the transformers class.
    """

    name: str = Field(pattern=r"^[a-z0-9_]+$")
    backend: Literal["timm", "transformers"]
    model: str
    image_size_px: int = Field(gt=0)
    pooling: Literal["cls", "mean", "attention"]
    stride_px: int | None = Field(default=None, gt=0)
    model_args: dict[str, Any] = Field(default_factory=dict)


class KeySettings(_Data):
    """The [keys] table, for a checkpoint that wraps the model: regular expressions of whole keys, in order. rename:
    (pattern, replacement); drop: keys that the encoder does not have, such as a classifier's."""

    rename: tuple[tuple[str, str], ...] = ()
    drop: tuple[str, ...] = ()


class _File(_Data):
    encoder: ModelSettings
    preprocessing: dict[str, Any] | str
    keys: KeySettings = KeySettings()


class OwnModel(NamedTuple):
    """What a TOML file describes. sha256: of all that changes features but is neither weight nor preprocessing."""

    spec: EncoderSpec
    recipe: Recipe
    sha256: str


class Description(NamedTuple):
    """An own model's architecture without its files, for a checkpoint of something that holds the encoder.

    toml: the file's text; config: transformers' configuration of the vision half, None of a timm model.
    """

    toml: str
    config: dict[str, Any] | None


def describe_own_model(path: str | Path) -> Description:
    """What `own_spec` builds the same architecture from, wherever it is.

    Raises:
        ValueError: as `load_own_model`.
    """
    path = Path(path)
    load_own_model(path)  # a file that describes no model is refused here, not where it is needed
    text = path.read_text(encoding="utf-8")
    model = _File.model_validate(tomllib.loads(text)).encoder
    if model.backend == "timm":
        return Description(text, None)
    from encoders.own_transformers import read_config

    return Description(text, read_config(path.parent / model.model))


def own_spec(description: Description) -> EncoderSpec:
    """The spec of a described model, for its `build`; weights come from whoever kept the description.

    Raises:
        ValueError: the text describes no model.
    """
    try:
        read = _File.model_validate(tomllib.loads(description.toml))
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise ValueError(f"the description of an own encoder: {error}") from None
    return _spec(read.encoder, read.keys, "its description", description.config)


def load_own_model(path: Path) -> OwnModel:
    """The encoder that a TOML file describes, not built yet.

    Raises:
        ValueError: no such file, no TOML, a key that is missing, misspelt or out of range, a published encoder's
            name, or a model that the library cannot build as described.
    """
    from encoders.registry import NAMES

    if not path.is_file():
        raise ValueError(f"encoder file {path} does not exist")
    try:
        read = _File.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
        model = read.encoder
        if isinstance(read.preprocessing, str):
            beside = path.parent / read.preprocessing
            recipe = load_recipe(beside if beside.suffix == ".toml" else read.preprocessing)
        else:
            recipe = Recipe.model_validate({"encoder": model.name, **read.preprocessing})
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise ValueError(f"encoder file {path}: {error}") from None
    if model.name in NAMES:
        raise ValueError(f"encoder file {path}: {model.name!r} is a published encoder's name; take another")
    if model.backend == "transformers":
        model = model.model_copy(update={"model": str(path.parent / model.model)})
    return OwnModel(_spec(model, read.keys, str(path), None), recipe, _model_sha256(model))


def _spec(model: ModelSettings, keys: KeySettings, origin: str, config: dict[str, Any] | None) -> EncoderSpec:
    return EncoderSpec(
        name=model.name,
        title=f"{Path(model.model).name} ({model.backend})",
        source=Source(url=origin, file=""),
        licence=Licence("the user's own", ""),
        image_size_px=model.image_size_px,
        build=partial(_build, model, config),
        layouts=(Layout(f"{model.backend}'s naming", _any_keys, partial(_translate, model, keys)),),
    )


def _build(
    model: ModelSettings, config: dict[str, Any] | None, spec: EncoderSpec, size: Size, image_size_px: int
) -> Encoder:
    if size == "tiny":
        raise ValueError(f"{spec.name} is your own model, which has no tiny twin; weights='twin' is its random twin")
    if model.backend == "timm":
        from encoders.own_timm import TimmEncoder

        return TimmEncoder(spec, model, image_size_px)
    from encoders.own_transformers import TransformersEncoder

    return TransformersEncoder(spec, model, image_size_px, config)


def _translate(model: ModelSettings, keys: KeySettings, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    try:
        named = KeyMap(rename=(*keys.rename, ("(.+)", r"\1")), drop=keys.drop).translate(tensors)
    except re.error as error:
        raise ValueError(f"[keys] has a regular expression that is none: {error}") from None
    if model.backend == "transformers":
        from encoders.own_transformers import in_memory_names

        named = in_memory_names(model, named)
    return {f"model.{key}": tensor for key, tensor in named.items()}


def _any_keys(keys: Collection[str]) -> bool:
    return bool(keys)


def _model_sha256(model: ModelSettings) -> str:
    """Of the architecture and pooling; for transformers of the configuration itself, wherever its folder is."""
    shown = model.model_dump(include={"backend", "model", "pooling", "model_args"})
    if model.backend == "transformers":
        from encoders.own_transformers import read_config

        shown["model"] = read_config(Path(model.model))
    return hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()
