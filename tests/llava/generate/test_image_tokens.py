"""Encoder and projector without the language model give what they give inside it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from llava.build import Built
from llava.folder import load_model, save_model
from llava.generate.image_tokens import ImageTokens
from llava.generate.settings import Place
from llava.pixels import pixels


def levels(count: int, side: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (side, side), dtype=np.uint8) for _ in range(count)]


@pytest.mark.parametrize(
    ("name", "size", "dtype"),
    [("rad_dino", 56, "float32"), ("rad_dino", 56, "bfloat16"), ("medimageinsight", 64, "bfloat16")],
)
def test_tokens_are_the_models_to_the_last_bit(
    make: Callable[..., Built], tmp_path: Path, name: str, size: int, dtype: str
):
    made = make(name=name, image_size_px=size)
    save_model(made.model, made.processor, tmp_path / "m", record={})
    films = levels(5, size)
    model = load_model(tmp_path / "m", dtype=dtype).model
    with torch.no_grad():
        expected = model.model.get_image_features(pixels(films, made.processor.recipe, "cpu")).pooler_output

    found = ImageTokens(tmp_path / "m", Place("cpu", dtype)).of(films)

    assert len(found) == 5
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(found, expected, strict=True))
    assert found[0].dtype == getattr(torch, dtype)


def test_many_films_are_encoded_in_order(model_folder):
    films = levels(70, 56)  # more than are encoded at once
    tokens = ImageTokens(model_folder, Place("cpu", "float32"))
    found = tokens.of(films)
    for place in (0, 31, 32, 69):
        torch.testing.assert_close(found[place], tokens.of(films[place : place + 1])[0], rtol=1e-5, atol=1e-6)


def test_another_encoders_record_is_refused(model_folder, tmp_path):
    folder = tmp_path / "m"
    shutil.copytree(model_folder, folder)
    record = json.loads((folder / "encoder.json").read_text())
    record["fingerprint"]["key"] = "0" * 64
    (folder / "encoder.json").write_text(json.dumps(record))
    with pytest.raises(ValueError, match=r"encoder\.json says key 0{64}, and the encoder in this folder has"):
        ImageTokens(folder, Place("cpu", "float32"))
