"""A model in outline: all but its weights, which `hand_out` brings (tests/llava/training/test_parallel.py)."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from encoders.registry import NAMES
from llava.config import StageSettings
from llava.training.adapters import add_lora
from llava.training.outline import outline_of, outlined
from llava.training.parts import set_trainable
from tests.llava.test_vision import SIZES_PX

LORA = StageSettings.model_validate(
    {"name": "lora", "train": ["projector", "language_model"], "lora": {"rank": 4, "alpha": 8, "dropout": 0.0}}
)


def filled(model: nn.Module, weights: dict[str, Tensor]) -> Any:
    """An outline with weights put in place of its parameters, and nothing else changed."""
    for path, module in model.named_modules():
        for name in module._parameters:
            whole = f"{path}.{name}".lstrip(".")
            if module._parameters[name] is not None:
                module._parameters[name] = nn.Parameter(weights[whole].clone())
    return model


def logits(model: Any, image_size_px: int) -> Tensor:
    chance = torch.Generator().manual_seed(0)
    images = torch.full((1, model.config.image_seq_length), model.config.image_token_id)
    tokens = torch.cat([images, torch.randint(3, 250, (1, 6), generator=chance)], 1)
    pixels = torch.randn(1, 3, image_size_px, image_size_px, generator=chance)
    with torch.no_grad():
        found: Tensor = model.eval()(input_ids=tokens, pixel_values=pixels, use_cache=False).logits
    return found


@pytest.mark.parametrize("name", NAMES)
def test_with_the_weights_it_is_the_model_bit_for_bit(make, name):
    built = make(name=name, image_size_px=SIZES_PX[name])
    stage = StageSettings(name="all", train=["encoder", "projector", "language_model"])
    set_trainable(built.model, stage)
    outline = outlined(outline_of(built.model), stage)
    assert all(parameter.is_meta for parameter in outline.parameters())
    assert not any(buffer.is_meta for buffer in outline.buffers())
    assert outline.generation_config.to_dict() == built.model.generation_config.to_dict()
    whole = filled(outline, dict(built.model.named_parameters(remove_duplicate=False)))
    assert torch.equal(logits(whole, SIZES_PX[name]), logits(built.model, SIZES_PX[name]))


def test_its_parts_learn_as_the_stage_says_and_it_has_adapters(make):
    model = make().model
    add_lora(model, LORA.lora)
    set_trainable(model, LORA)
    outline = outlined(outline_of(model), LORA)
    told = [
        {name: (weight.shape, weight.dtype, weight.requires_grad) for name, weight in one.named_parameters()}
        for one in (model, outline)
    ]
    assert told[0] == told[1]
    assert [module.training for module in outline.modules()] == [module.training for module in model.modules()]


def test_a_plain_tensor_of_a_module_comes_along(make):
    model = make().model
    model.model.vision_tower.shift = torch.arange(3.0)
    stage = StageSettings(name="align", train=["projector"])
    assert torch.equal(outlined(outline_of(model), stage).model.vision_tower.shift, torch.arange(3.0))
