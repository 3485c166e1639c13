"""A tiny model whose answers depend on its films, a table of studies, and a screen that remembers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from llava.build import Built, build
from llava.config import EncoderSettings, LanguageModelSettings, ProjectorSettings
from llava.folder import save_model
from tests.llava.generate.made import Heard, make_films, rows, write_table


@pytest.fixture(scope="session")
def built(language_model: Path) -> Built:
    """Random weights, four times as large in the language model: answers then differ between studies."""
    made = build(
        EncoderSettings(name="rad_dino", weights="tiny", image_size_px=56),
        LanguageModelSettings(path=str(language_model)),
        ProjectorSettings(num_layers=2),
        "findings",
        seed=0,
    )
    with torch.no_grad():
        for parameter in made.model.model.language_model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(4)
        made.model.lm_head.weight.mul_(4)
    return made


@pytest.fixture(scope="session")
def model_folder(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "model"
    save_model(built.model, built.processor, folder, record={})
    return folder


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """studies.jsonl and its films."""
    make_films(tmp_path)
    return write_table(tmp_path / "studies.jsonl", rows())


@pytest.fixture
def screen() -> Heard:
    return Heard()
