"""4-bit weights under adapters, computed by bitsandbytes on the CPU."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from llava.build import Built
from llava.config import ComputeSettings, LoraSettings, StageSettings
from llava.training.adapters import add_lora, load_adapter, merge_adapter, plain_state, save_adapter
from llava.training.parallel import Parallel
from llava.training.parts import counts, set_trainable
from llava.training.quantization import quantize_language_model
from llava.training.state import States

LORA = LoraSettings(rank=4, alpha=8, dropout=0.0)
STAGE = StageSettings(name="tune", train=("projector", "language_model"), lora=LORA)


def inputs(model: Any) -> dict[str, Any]:
    chance = torch.Generator().manual_seed(0)
    words = torch.randint(3, 250, (1, 20), generator=chance)
    tokens = torch.cat([torch.full((1, 16), model.config.image_token_id), words], 1)
    return {"input_ids": tokens, "pixel_values": torch.randn(1, 3, 56, 56, generator=chance), "use_cache": False}


@torch.no_grad()
def logits(model: Any) -> Tensor:
    out: Tensor = model(**inputs(model)).logits
    return out


def quantized(make: Callable[..., Built], precision: str = "float32") -> Any:
    pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")
    model = make().model
    assert quantize_language_model(model, precision=precision) == 14
    return model


def test_linear_layers_of_the_language_model_take_half_a_byte_and_count_as_before(make):
    plain, model = make().model, quantized(make)
    before, after = counts(plain), counts(model)
    totals = [{part: found.trained[part] + found.frozen[part] for part in found.trained} for found in (before, after)]
    assert totals[0] == totals[1]
    layers = plain.model.language_model.layers
    matrices = sum(layer.weight.numel() for layer in layers.modules() if isinstance(layer, nn.Linear))
    held = model.model.language_model.layers
    packed = sum(layer.weight.nbytes for layer in held.modules() if isinstance(layer, nn.Linear))
    assert packed == matrices / 2
    assert type(model.lm_head) is nn.Linear
    assert {type(module) for module in model.model.vision_tower.modules()} == {
        type(module) for module in plain.model.vision_tower.modules()
    }


def test_a_weight_is_off_by_half_a_step_of_nf4_at_most(make):
    # NF4's widest step is from -1.0 to -0.6961928 (Dettmers et al. 2023, appendix E): half of it is 0.152 of the
    # largest weight of a block; the constants are rounded to 8 bits as well
    plain, model = make().model, quantized(make)
    state = Parallel(ComputeSettings(device="cpu")).full_state(model)
    assert state.keys() == plain.state_dict().keys()
    moved = 0
    for name, value in plain.state_dict().items():
        if "language_model.layers" in name and "proj" in name:
            blocks, found = value.reshape(-1, 64), state[name].reshape(-1, 64)
            assert ((found - blocks).abs().amax(1) <= 0.16 * blocks.abs().amax(1)).all()
            moved += not torch.equal(value, state[name])
        else:
            assert torch.equal(value, state[name])
    assert moved == 14


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_adapters_learn_on_4_bits_and_a_plain_model_takes_them_over(make, tmp_path, precision):
    model = quantized(make, precision)
    torch.manual_seed(0)
    add_lora(model, LORA)
    set_trainable(model, STAGE)
    parallel = Parallel(ComputeSettings(device="cpu", precision=precision))
    learning = [weight for weight in model.parameters() if weight.requires_grad]
    model, optimizer = parallel.prepare(model, torch.optim.AdamW(learning, lr=1e-2))
    frozen = {name: weight.clone() for name, weight in model.named_parameters() if not weight.requires_grad}
    losses = []
    for _ in range(12):
        given = inputs(model)
        with parallel.autocast():
            found = model(**given).logits[0, 16:-1].float()
        loss = nn.functional.cross_entropy(found, given["input_ids"][0, 17:])
        parallel.backward(loss, last=True)
        parallel.clip(model, 1.0)
        parallel.step(optimizer)
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] - 0.5
    assert all(torch.equal(weight, frozen[name]) for name, weight in model.named_parameters() if name in frozen)

    state = parallel.full_state(model)
    save_adapter(model, tmp_path, state)
    other = make().model
    other.load_state_dict(plain_state(state))
    load_adapter(other, tmp_path)
    model.eval()
    with parallel.autocast():
        expected, taken_over = logits(model).float(), logits(other).float()
    tolerance = 1e-5 if precision == "float32" else 2e-2
    assert (taken_over - expected).abs().max() <= tolerance * expected.abs().max()
    assert merge_adapter(model) == 14
    assert {type(module) for module in model.modules()} == {type(module) for module in make().model.modules()}


def test_a_training_state_of_4_bit_weights_is_loaded_again(make, tmp_path):
    parallel = Parallel(ComputeSettings(device="cpu", precision="float32"))
    found = []
    for seed in (0, 1):
        model = quantized(make)
        torch.manual_seed(seed)
        add_lora(model, LORA)
        set_trainable(model, STAGE)
        learning = [weight for weight in model.parameters() if weight.requires_grad]
        model, optimizer = parallel.prepare(model, torch.optim.AdamW(learning, lr=1e-2))
        states = States(tmp_path / "states", parallel)
        if seed == 0:
            model(**inputs(model)).logits.square().mean().backward()
            parallel.step(optimizer)
            states.save(1, model, optimizer)
        else:
            states.load(states.newest(), model, optimizer)
        found.append(parallel.full_state(model))
    assert all(torch.equal(value, found[1][name]) for name, value in found[0].items())


def test_quantising_twice_keeps_what_the_first_time_made(make):
    model = quantized(make)
    first = Parallel(ComputeSettings(device="cpu")).full_state(model)
    again = make().model
    again.load_state_dict(first)
    quantize_language_model(again, precision="float32")
    second = Parallel(ComputeSettings(device="cpu")).full_state(again)
    for name, value in first.items():
        # the same codes; the constants of blocks, rounded to 8 bits twice, differ by less than one of 256 levels
        assert (second[name] - value).abs().max() <= value.abs().max() / 100, name


def test_without_bitsandbytes_it_says_what_to_install(make, monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(ValueError, match="needs bitsandbytes, which is not installed: pip install bitsandbytes"):
        quantize_language_model(make().model, precision="float32")
