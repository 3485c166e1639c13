"""The model that a stage begins with, from files alone: the same for a resumed run as for an unbroken one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from encoders.fingerprint import fingerprint
from llava.build import Built, build
from llava.config import TrainSettings
from llava.folder import load_model
from llava.processor import CxrLlavaProcessor
from llava.training.adapters import FOLDER as ADAPTER
from llava.training.adapters import load_adapter, merge_adapter, refuse_lost_adapter
from llava.training.parts import parameters_of


def model_folder(settings: TrainSettings, number: int) -> Path:
    """Of a stage, by its place; it is there when the stage is done."""
    return settings.output / settings.stages[number].name / "model"


def starting_model(settings: TrainSettings, number: int, identify: Callable[[str, str], None]) -> Built:
    """The model that the stage before wrote, its adapters merged; for the first, what the settings name, put together.

    Args:
        identify: told what encoder and language model are, by their contents, where they are new.

    Raises:
        ValueError: they cannot be loaded, are not what they were, or do not read as many tokens as data.max_tokens.
    """
    if number > 0:
        folder = model_folder(settings, number - 1)
        loaded = load_model(folder)
        refuse_lost_adapter(folder, loaded.record)
        if (folder / ADAPTER).exists():
            load_adapter(loaded.model, folder / ADAPTER)
            merge_adapter(loaded.model)
        return Built(loaded.model, loaded.processor)
    model, processor = build(
        settings.encoder, settings.language_model, settings.projector, settings.data.prompt, seed=settings.seed
    )
    identify("the encoder", fingerprint(model.model.vision_tower.encoder, probe=False).key)
    identify("the language model", language_model_sha256(model, processor.tokenizer))
    return Built(model, _with_context(processor, settings.data.max_tokens))


def language_model_sha256(model: nn.Module, tokenizer: Any) -> str:
    """Of the vocabulary, and of each tensor's name, kind, shape and some 4,096 values spread over it.

    All values of 13 billion would take minutes at every start; another language model differs in nearly all of them.
    """
    digest = hashlib.sha256(json.dumps(sorted(tokenizer.get_vocab().items())).encode())
    for name, weight in parameters_of(model, "language_model"):
        digest.update(f"{name} {weight.dtype} {tuple(weight.shape)}\n".encode())
        values = weight.detach().reshape(-1)[:: max(1, weight.numel() // 4096)].cpu()
        digest.update((values.float() if values.is_floating_point() else values).numpy().tobytes())
    return digest.hexdigest()


def _with_context(processor: CxrLlavaProcessor, max_tokens: int | None) -> CxrLlavaProcessor:
    if max_tokens is None:
        return processor
    if max_tokens > processor.max_tokens:
        raise ValueError(
            f"data.max_tokens = {max_tokens:,}, and the language model reads {processor.max_tokens:,}: set it lower, "
            "or language_model.rope.factor higher"
        )
    return CxrLlavaProcessor(
        processor.tokenizer,
        processor.recipe,
        processor.num_image_tokens,
        processor.prompt_id,
        processor.chat,
        max_tokens,
        frame=processor.frame,
    )
