"""A tiny language model, made once, and generators built on it."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # nothing here asks the hub

import pytest

from llava.build import Built, build
from llava.config import EncoderSettings, LanguageModelSettings, ProjectorSettings, RopeSettings
from llava.tiny import tiny_language_model

TEXTS = ("Heart size is normal. No pleural effusion.", "A right chest tube ends at the apex.") * 4


@pytest.fixture(scope="session")
def language_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random Llama of two layers, width 64, and its tokenizer."""
    return tiny_language_model(tmp_path_factory.mktemp("language_model") / "tiny", TEXTS)


@pytest.fixture(scope="session")
def _made() -> dict[str, Built]:
    return {}


@pytest.fixture
def make(language_model: Path, _made: dict[str, Built]) -> Callable[..., Built]:
    """build() with little: a tiny RAD-DINO of 16 tokens unless told otherwise. The same again is a copy of what was
    built before, unless `fresh`."""

    def made(
        *,
        name: str = "rad_dino",
        weights: str = "tiny",
        image_size_px: int | None = 56,
        path: Path = language_model,
        factor: float = 1.0,
        num_layers: int = 2,
        seed: int = 0,
        fresh: bool = False,
        **encoder: Any,
    ) -> Built:
        told = {"name": name, "weights": weights, "image_size_px": image_size_px, **encoder}
        key = repr((told, path, factor, num_layers, seed))
        if fresh or key not in _made:
            _made[key] = build(
                EncoderSettings.model_validate(told),
                LanguageModelSettings(path=str(path), rope=RopeSettings(factor=factor)),
                ProjectorSettings(num_layers=num_layers),
                "findings",
                seed=seed,
            )
        return copy.deepcopy(_made[key])

    return made
