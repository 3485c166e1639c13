"""Parts of the tiny generator of conftest, and what learns of them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from llava.config import PARTS, StageSettings
from llava.training.parts import (
    checkpoint_activations,
    counts,
    decoder_layers,
    hold_frozen_low,
    parameters_of,
    part_of,
    set_trainable,
    training_mode,
)


@pytest.fixture
def model(make: Any) -> Any:
    return make().model


def stage(*train: Any) -> StageSettings:
    return StageSettings(name="s", train=train)


def test_every_parameter_is_of_one_part(model):
    names = [name for part in PARTS for name, _ in parameters_of(model, part)]
    assert sorted(names) == sorted(name for name, _ in model.named_parameters())
    projector = [name for name, _ in parameters_of(model, "projector")]
    assert len(projector) == 4  # two linear layers, each a matrix and a bias
    assert all("multi_modal_projector" in name for name in projector)


def test_a_name_of_no_part_is_refused():
    with pytest.raises(ValueError, match=r"'model\.other\.weight' belongs to no part"):
        part_of("model.other.weight")


def test_a_tied_head_counts_once(model):
    apart = counts(model)
    vocabulary, width = model.lm_head.weight.shape
    model.lm_head.weight = model.model.language_model.embed_tokens.weight
    tied = counts(model)
    difference = sum(apart.trained.values()) - sum(tied.trained.values())
    assert difference == vocabulary * width
    assert "lm_head.weight" not in dict(parameters_of(model, "language_model"))


@pytest.mark.parametrize("train", [("projector",), ("encoder", "projector"), ("language_model",), PARTS])
def test_only_the_stages_parts_learn_and_are_in_training_mode(model, train):
    counted = set_trainable(model, stage(*train))
    for part in PARTS:
        sizes = sum(weight.numel() for _, weight in parameters_of(model, part))
        assert counted.trained[part] == (sizes if part in train else 0)
        assert counted.frozen[part] == (0 if part in train else sizes)
        assert {weight.requires_grad for _, weight in parameters_of(model, part)} == {part in train}
    dropouts = {"encoder": model.model.vision_tower.encoder, "projector": model.model.multi_modal_projector}
    for part, module in dropouts.items():
        assert {child.training for child in module.modules()} == {part in train}
    attention = [module for name, module in model.named_modules() if name.endswith("self_attn")]
    assert {module.training for module in attention} == {"language_model" in train}


def test_what_learns_is_float32_and_what_is_frozen_stays_as_it_was(model):
    model.bfloat16()
    set_trainable(model, stage("projector"))
    assert {weight.dtype for _, weight in parameters_of(model, "projector")} == {torch.float32}
    assert {weight.dtype for _, weight in parameters_of(model, "language_model")} == {torch.bfloat16}


def test_training_mode_comes_back_after_evaluation(model):
    settings = stage("encoder", "projector")
    set_trainable(model, settings)
    model.eval()
    training_mode(model, settings)
    assert model.model.vision_tower.encoder.training
    assert model.model.multi_modal_projector.training
    assert not model.model.language_model.training


def test_frozen_layers_checkpoint_their_activations_too(model):
    # the projector's gradient passes through them: without checkpoints each layer keeps what it computed
    chance = torch.Generator().manual_seed(0)
    words = torch.randint(3, 250, (1, 40), generator=chance)
    tokens = torch.cat([torch.full((1, 16), model.config.image_token_id), words], 1)
    pixels = torch.randn(1, 3, 56, 56, generator=chance)

    def pass_through() -> tuple[int, torch.Tensor]:
        kept = 0

        def count(tensor: torch.Tensor) -> torch.Tensor:
            nonlocal kept
            kept += tensor.numel() * (not isinstance(tensor, nn.Parameter))
            return tensor

        model.zero_grad()
        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            loss = model(input_ids=tokens, pixel_values=pixels, use_cache=False).logits.square().mean()
        loss.backward()
        return kept, model.model.multi_modal_projector.layers[0].weight.grad.clone()

    set_trainable(model, stage("projector"))
    whole, expected = pass_through()
    checkpoint_activations(model)
    set_trainable(model, stage("projector"))
    kept, found = pass_through()
    assert kept < whole / 2
    assert torch.equal(found, expected)


def test_a_frozen_language_model_is_held_in_bfloat16_and_remembered_as_it_was(model):
    model.lm_head.weight = model.model.language_model.embed_tokens.weight
    before = {name: value.clone() for name, value in model.state_dict().items()}
    set_trainable(model, stage("projector"))
    exact = hold_frozen_low(model)
    dtypes = {part: {weight.dtype for _, weight in parameters_of(model, part)} for part in PARTS}
    assert dtypes == {
        "encoder": {torch.float32},
        "projector": {torch.float32},
        "language_model": {torch.bfloat16},
    }
    assert model.lm_head.weight is model.model.language_model.embed_tokens.weight
    assert exact.keys() == {name for name in before if name.startswith(("model.language_model.", "lm_head."))}
    assert all(torch.equal(exact[name], before[name]) for name in exact)
    set_trainable(model, stage("language_model"))
    assert hold_frozen_low(model) == {}


def test_layers_are_the_language_models(model):
    assert decoder_layers(model) == list(model.model.language_model.layers)
