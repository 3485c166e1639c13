"""Sizes of the model that a run's settings describe, with no weight read."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

from llava.config import ConfigError, EncoderSettings, TrainSettings
from llava.planning.flops import EncoderShape, LanguageModelShape, ModelShape


def model_shape(settings: TrainSettings) -> ModelShape:
    """
    Raises:
        ConfigError: a language model that cannot be found; the message says where it was looked for.
        ValueError: an encoder that there is not, or that has no such layers.
    """
    return ModelShape(
        encoder_shape(settings.encoder),
        settings.projector.num_layers,
        LanguageModelShape.of(language_model_config(settings.language_model.path)),
    )


def encoder_shape(settings: EncoderSettings) -> EncoderShape:
    """
    Raises:
        ValueError: no such encoder, a size that it cannot have, or layers that cannot be read together.
    """
    from encoders.placing import build_empty

    if settings.name.endswith(".toml"):
        from encoders.own_models import load_own_model

        spec = load_own_model(Path(settings.name)).spec
    else:
        from encoders.registry import encoder_spec

        spec = encoder_spec(settings.name)
    size_px = settings.image_size_px or spec.image_size_px
    encoder = build_empty(lambda: spec.build(spec, "tiny" if settings.weights == "tiny" else "full", size_px))
    encoder.image_size_px = size_px
    return EncoderShape.of(encoder, settings.layers, settings.norm)


def language_model_config(path: str) -> Any:
    """The transformers config of a folder, of a model in `architectures.toml`, or of the hub, in this order.

    Raises:
        ConfigError: it is in none of them.
    """
    from encoders.torchvision_shim import import_torchvision

    import_torchvision()
    from transformers import AutoConfig

    name, _, commit = path.partition("@")
    try:
        if Path(path).is_dir():
            return AutoConfig.from_pretrained(path)
        known = tomllib.loads(files("llava.planning").joinpath("architectures.toml").read_text(encoding="utf-8"))
        if name in known:
            return AutoConfig.for_model(**known[name])
        return AutoConfig.from_pretrained(name, revision=commit or None)
    except (OSError, ValueError) as error:
        first_line = str(error).strip().partition("\n")[0]
        raise ConfigError(
            f"language_model.path = {path!r}: no config.json of a known model there ({first_line})"
        ) from None
