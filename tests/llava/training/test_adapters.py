"""Adapters on the tiny generator of conftest: 16 image tokens of a tiny RAD-DINO, a Llama of two layers, width 64."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from llava.build import Built
from llava.config import LoraSettings, StageSettings
from llava.training.adapters import add_lora, has_adapters, load_adapter, merge_adapter, plain_state, save_adapter
from llava.training.parts import parameters_of, set_trainable

LORA = LoraSettings(rank=4, alpha=8, dropout=0.0)
STAGE = StageSettings(name="tune", train=("projector", "language_model"), lora=LORA)


@pytest.fixture
def model(make: Callable[..., Built]) -> Any:
    return make().model


def logits(model: Any) -> Tensor:
    """Of one study: a film and eight words."""
    chance = torch.Generator().manual_seed(0)
    words = torch.randint(3, 250, (1, 8), generator=chance)
    tokens = torch.cat([torch.full((1, 16), model.config.image_token_id), words], 1)
    pixels = torch.randn(1, 3, 56, 56, generator=chance)
    out: Tensor = model(input_ids=tokens, pixel_values=pixels, use_cache=False).logits
    return out


def learnt(model: Any, *, seed: int = 1) -> Any:
    """The model with adapters whose B is no longer 0."""
    torch.manual_seed(seed)
    add_lora(model, LORA)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if ".lora_B." in name:
                nn.init.normal_(weight, std=0.1)
    return model.eval()


def test_adapters_are_on_the_language_models_targets_and_nowhere_else(model):
    adapted = add_lora(model, LORA)
    expected = [
        f"model.language_model.layers.{layer}.{name}"
        for layer in range(2)
        for name in (
            *(f"self_attn.{which}_proj" for which in "qkvo"),
            *(f"mlp.{which}_proj" for which in ("gate", "up", "down")),
        )
    ]
    assert sorted(adapted) == sorted(expected)
    assert {name.split(".lora_")[0] for name, _ in model.named_parameters() if ".lora_" in name} == set(expected)


def test_a_target_that_the_encoder_has_too_stays_off_the_encoder(model):
    model.model.vision_tower.encoder.q_proj = nn.Linear(4, 4)
    model.model.multi_modal_projector.q_proj = nn.Linear(4, 4)
    adapted = add_lora(model, LORA.model_copy(update={"targets": ("q_proj",)}))
    assert adapted == [f"model.language_model.layers.{layer}.self_attn.q_proj" for layer in range(2)]
    assert type(model.model.vision_tower.encoder.q_proj) is nn.Linear
    assert type(model.model.multi_modal_projector.q_proj) is nn.Linear


@pytest.mark.parametrize("target", ["qkv_proj", "proj", "lm_head", "norm"])
def test_a_target_that_is_no_linear_layer_names_those_there_are(model, target):
    with pytest.raises(ValueError, match=rf"'{target}'.*down_proj, gate_proj, k_proj, o_proj, q_proj, up_proj, v_proj"):
        add_lora(model, LORA.model_copy(update={"targets": ("q_proj", target)}))
    assert not has_adapters(model)


def test_fresh_adapters_change_nothing_and_cannot_be_added_twice(model):
    before = logits(model)
    add_lora(model, LORA)
    assert torch.equal(logits(model), before)
    with pytest.raises(ValueError, match="has LoRA adapters already"):
        add_lora(model, LORA)


def test_the_effect_is_alpha_over_rank_times_b_times_a(model):
    plain = copy.deepcopy(model)
    learnt(model)
    with torch.no_grad():
        for name, layer in plain.model.language_model.named_modules():
            if isinstance(layer, nn.Linear):
                adapted = model.model.language_model.get_submodule(name)
                layer.weight += 8 / 4 * adapted.lora_B.default.weight @ adapted.lora_A.default.weight
    assert (logits(model) - logits(plain)).abs().max() <= 1e-5


def test_dropout_is_drawn_from_torchs_generator_in_training_only(model):
    torch.manual_seed(1)
    add_lora(model, LORA.model_copy(update={"dropout": 0.5}))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if ".lora_B." in name:
                nn.init.normal_(weight, std=0.1)
    set_trainable(model, STAGE)
    drawn = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        drawn.append(logits(model).detach())
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    model.eval()
    assert torch.equal(logits(model), logits(model))


def test_the_same_seed_makes_the_same_adapters(make):
    first, second, other = (learnt(make().model, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(logits(first), logits(second))
    assert not torch.equal(logits(first), logits(other))


def test_a_reloaded_adapter_gives_the_same_logits_bit_for_bit(make, tmp_path):
    model = learnt(make().model)
    save_adapter(model, tmp_path / "adapter")
    other = make().model
    assert not torch.equal(logits(other), logits(model))
    load_adapter(other, tmp_path / "adapter")
    assert torch.equal(logits(other), logits(model))
    assert not other.training


def test_peft_alone_reads_a_saved_adapter(make, tmp_path):
    from peft import PeftModel

    model = learnt(make().model)
    save_adapter(model, tmp_path)
    wrapped = PeftModel.from_pretrained(make().model, str(tmp_path))
    assert torch.equal(logits(wrapped), logits(model))


def test_an_adapter_is_saved_from_a_state_that_was_gathered(make, tmp_path):
    model = learnt(make().model)
    gathered = {name: value + 1 for name, value in model.state_dict().items()}
    save_adapter(model, tmp_path, gathered)
    other = make().model
    load_adapter(other, tmp_path)
    assert all(torch.equal(value, gathered[name]) for name, value in other.state_dict().items() if ".lora_" in name)


def test_merged_it_is_a_plain_model_of_the_same_logits(make):
    model = learnt(make().model)
    before = logits(model)
    assert merge_adapter(model) == 14
    assert (logits(model) - before).abs().max() <= 1e-5
    plain = make().model
    assert [name for name, _ in model.named_parameters()] == [name for name, _ in plain.named_parameters()]
    assert {type(module) for module in model.modules()} == {type(module) for module in plain.modules()}
    assert not hasattr(model, "peft_config")
    assert merge_adapter(model) == 0
    add_lora(model, LORA)  # a next stage may have its own


def test_a_plain_state_has_the_names_and_weights_from_before(make):
    model = learnt(make().model)
    before = make().model.state_dict()
    state = plain_state(model.state_dict())
    assert state.keys() == before.keys()
    assert all(torch.equal(state[name], before[name]) for name in state)


def test_a_damaged_or_foreign_adapter_is_refused(make, tmp_path):
    save_adapter(learnt(make().model), tmp_path)
    with pytest.raises(ValueError, match="cannot be loaded"):
        load_adapter(make().model, tmp_path / "nowhere")
    narrow = make().model
    narrow.model.language_model.layers = narrow.model.language_model.layers[:1]
    with pytest.raises(ValueError, match="is of another model: 14 tensors differ"):
        load_adapter(narrow, tmp_path)
    file = tmp_path / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ValueError, match="cannot be loaded"):
        load_adapter(make().model, tmp_path)


def test_an_edited_scale_of_an_adapter_is_refused(make, tmp_path):
    save_adapter(learnt(make().model), tmp_path)
    config = (tmp_path / "adapter_config.json").read_text()
    assert '"lora_alpha": 8' in config
    (tmp_path / "adapter_config.json").write_text(config.replace('"lora_alpha": 8', '"lora_alpha": 9'))
    with pytest.raises(ValueError, match=r"adapter_config\.json is damaged, or was edited"):
        load_adapter(make().model, tmp_path)


def test_a_lora_stage_trains_projector_and_adapters_and_needs_them(model):
    with pytest.raises(ValueError, match="no LoRA adapters"):
        set_trainable(model, STAGE)
    add_lora(model, LORA)
    counted = set_trainable(model, STAGE)
    # rank x (inputs + outputs) of each layer: q, o 64x64; k, v 64x32; gate, up 64x176; down 176x64
    one = 2 * (64 + 64) + 2 * (64 + 32) + 3 * (64 + 176)
    assert counted.trained["language_model"] == 2 * 4 * one
    assert counted.trained["projector"] == sum(weight.numel() for _, weight in parameters_of(model, "projector"))
    assert counted.trained["encoder"] == counted.frozen["projector"] == 0
    with pytest.raises(ValueError, match="merge them first"):
        set_trainable(model, StageSettings(name="whole", train=("language_model",)))
