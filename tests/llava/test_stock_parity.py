"""The generator against transformers' own Llava, where that can express it: CLIP and SigLIP towers, un-normed layers, a
projector of two layers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor
from transformers import (
    CLIPVisionConfig,
    CLIPVisionModel,
    LlavaConfig,
    LlavaForConditionalGeneration,
    SiglipVisionConfig,
    SiglipVisionModel,
)

from llava.build import Built

SMALL = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "image_size": 32,
    "patch_size": 8,
}
N = 16  # (32 / 8)**2


class Tower(NamedTuple):
    """strategy: Llava's for leaving out what is no patch; SigLIP has no class token to leave out."""

    model: Any
    config: Any
    pooling: str
    strategy: str


TOWERS = {
    "CLIP": Tower(CLIPVisionModel, CLIPVisionConfig, "cls", "default"),
    "SigLIP": Tower(SiglipVisionModel, SiglipVisionConfig, "attention", "full"),
}


@pytest.fixture(params=[(name, layers) for name in TOWERS for layers in ([-2], [-1], [-3, -2])], ids=str)
def both(request: Any, tmp_path: Path, make: Any) -> tuple[Built, Any]:
    """Ours, built from a folder of the tower's, and the stock model with the same weights."""
    name, layers = request.param
    tower = TOWERS[name]
    torch.manual_seed(0)
    vision = tower.model(tower.config(**SMALL)).eval()
    with torch.no_grad():
        for parameter in vision.parameters():  # norms and biases too, which begin neutral
            parameter.add_(torch.randn_like(parameter) * 0.1)
    vision.save_pretrained(tmp_path / "tower")
    described = tmp_path / "own.toml"
    described.write_text(
        'preprocessing = "medsiglip"\n[encoder]\nname = "own"\nbackend = "transformers"\nmodel = "tower"\n'
        f"image_size_px = 32\npooling = {json.dumps(tower.pooling)}\n"
    )
    built = make(name=str(described), weights=str(tmp_path / "tower"), image_size_px=None, layers=layers, factor=1.5)
    ours = built.model
    config = LlavaConfig(
        vision_config=vision.config,
        text_config=ours.config.text_config.to_dict(),
        image_token_index=ours.config.image_token_id,
        vision_feature_layer=layers if len(layers) > 1 else layers[0],
        vision_feature_select_strategy=tower.strategy,
        image_seq_length=N,
    )
    stock = LlavaForConditionalGeneration(config).eval()
    stock.model.vision_tower.load_state_dict(vision.state_dict())
    stock.model.language_model.load_state_dict(ours.model.language_model.state_dict())
    stock.lm_head.load_state_dict(ours.lm_head.state_dict())
    projector = ours.model.multi_modal_projector.layers
    stock.model.multi_modal_projector.linear_1.load_state_dict(projector[0].state_dict())
    stock.model.multi_modal_projector.linear_2.load_state_dict(projector[2].state_dict())
    return built, stock


def inputs(image_token_id: int) -> dict[str, Tensor]:
    """A study of two films and one of one, padded on the left; the last words are the answer."""
    image = [image_token_id] * N
    rows = [[1, 4, *image, 5, *image, *range(20, 31)], [1, 4, *image, *range(40, 47)]]
    longest = max(map(len, rows))
    ids = torch.tensor([[0] * (longest - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
    labels = ids.clone()
    labels[:, :-5] = -100
    pixels = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    return {"input_ids": ids, "attention_mask": mask, "labels": labels, "pixel_values": pixels}


def test_loss_logits_and_gradients_are_those_of_transformers_llava(both):
    built, stock = both
    told = inputs(built.processor.image_token_id)
    results = []
    for model in (built.model, stock):
        output = model(**told)
        output.loss.backward()
        results.append(output)
    ours, theirs = results
    assert abs(ours.loss.item() - theirs.loss.item()) <= 1e-5
    seen = told["attention_mask"].bool()
    assert (ours.logits - theirs.logits)[seen].abs().max() <= 1e-5
    assert theirs.logits[seen].std() > 0.01  # not equal for being nothing
    mine = built.model.model.multi_modal_projector.layers[0].weight.grad
    other = stock.model.multi_modal_projector.linear_1.weight.grad
    assert (mine - other).abs().max() <= 1e-5 * other.abs().max()
    mine, other = (model.model.language_model.embed_tokens.weight.grad for model in (built.model, stock))
    assert (mine - other).abs().max() <= 1e-5 * other.abs().max()


@torch.no_grad()
def test_generated_tokens_are_those_of_transformers_llava(both):
    built, stock = both
    told = inputs(built.processor.image_token_id)
    del told["labels"]
    how: dict[str, Any] = {"max_new_tokens": 10, "min_new_tokens": 10, "do_sample": False}
    assert torch.equal(built.model.generate(**told, **how), stock.generate(**told, **how, eos_token_id=2))


@torch.no_grad()
def test_an_encoder_of_transformers_keeps_its_attention_when_the_language_models_is_set(both):
    built, _ = both
    tokens = built.model.model.vision_tower(inputs(1)["pixel_values"])
    built.model.set_attn_implementation("eager")
    inner = built.model.model.vision_tower.encoder.model
    assert inner.config._attn_implementation == "sdpa"
    assert built.model.model.language_model.config._attn_implementation == "eager"
    assert torch.equal(built.model.model.vision_tower(inputs(1)["pixel_values"]), tokens)
