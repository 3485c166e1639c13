"""Compiled layers against plain ones, and when Liger is taken. Liger's kernels themselves need a GPU."""

from __future__ import annotations

import sys
import types
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import llava.training.kernels
from llava.config import ComputeSettings, StageSettings
from llava.training.kernels import apply_liger, compile_layers, use_kernels
from llava.training.parts import checkpoint_activations, set_trainable

LENGTHS = [(20, 30), (40,), (25, 25, 31), (60, 22), (33,), (27, 29, 35, 41)]


@pytest.fixture
def model(make: Any) -> Any:
    import llava.packed_attention  # registers "packed_sdpa"

    made = make().model
    made.model.language_model.set_attn_implementation(llava.packed_attention.NAME)
    checkpoint_activations(made)
    set_trainable(made, StageSettings(name="s", train=("projector", "language_model")))
    return made


def loss_of(model: Any, lengths: tuple[int, ...]) -> Tensor:
    """Of a packed row of studies of these lengths, a film each."""
    chance = torch.Generator().manual_seed(sum(lengths))
    placeholder = torch.full((16,), model.config.image_token_id)
    studies = [torch.cat([placeholder, torch.randint(3, 250, (length - 16,), generator=chance)]) for length in lengths]
    tokens = torch.cat(studies)[None]
    boundaries = torch.tensor([0, *lengths]).cumsum(0).to(torch.int32)
    predicting = torch.arange(17, tokens.shape[1] - 1, 3)
    out = model(
        input_ids=tokens,
        pixel_values=torch.randn(len(lengths), 3, 56, 56, generator=chance),
        position_ids=torch.cat([torch.arange(length) for length in lengths])[None],
        cu_seq_lens_q=boundaries,
        cu_seq_lens_k=boundaries,
        max_length_q=max(lengths),
        max_length_k=max(lengths),
        use_cache=False,
        logits_to_keep=predicting,
    ).logits
    return nn.functional.cross_entropy(out[0], tokens[0, predicting + 1])


def gradients(model: Any, lengths: tuple[int, ...]) -> tuple[float, dict[str, Tensor]]:
    model.zero_grad()
    loss = loss_of(model, lengths)
    loss.backward()
    found = {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}
    return float(loss.detach()), found


def test_compiled_layers_give_the_same_and_are_compiled_once_for_all_rows(model):
    plain = [gradients(model, lengths) for lengths in LENGTHS]
    names = list(model.state_dict())
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    compile_layers(model)
    graphs = []
    for lengths, (expected, expected_gradients) in zip(LENGTHS, plain, strict=True):
        loss, found = gradients(model, lengths)
        assert loss == pytest.approx(expected, abs=1e-5)
        assert found.keys() == expected_gradients.keys()
        assert all((found[name] - expected_gradients[name]).abs().max() <= 1e-5 for name in found)
        graphs.append(torch._dynamo.utils.counters["stats"]["unique_graphs"])
    # one graph for all norms and one for all MLPs, of any length, in both layers
    assert graphs == [2] * len(LENGTHS)
    assert list(model.state_dict()) == names


def liger(kinds: set[str]) -> tuple[types.ModuleType, list[tuple[Any, dict[str, bool]]]]:
    """The part of Liger that is called, noting its calls."""
    calls: list[tuple[Any, dict[str, bool]]] = []
    fake: Any = types.ModuleType("liger_kernel.transformers.monkey_patch")
    fake.MODEL_TYPE_TO_APPLY_LIGER_FN = dict.fromkeys(kinds)
    fake._apply_liger_kernel_to_instance = lambda model, **options: calls.append((model, options))
    return fake, calls


def test_liger_is_given_the_language_model_and_keeps_its_hands_off_the_loss(model, monkeypatch):
    fake, calls = liger({"llama"})
    monkeypatch.setitem(sys.modules, "liger_kernel.transformers.monkey_patch", fake)
    monkeypatch.setattr(llava.training.kernels, "liger_version", lambda: "0.8.5")
    assert apply_liger(model) == "liger 0.8.5 (llama)"
    [(patched, options)] = calls
    assert patched is model.model.language_model
    assert options == {"cross_entropy": False, "fused_linear_cross_entropy": False}


def test_a_model_that_liger_does_not_know_is_left_alone(model, monkeypatch):
    fake, calls = liger({"mistral"})
    monkeypatch.setitem(sys.modules, "liger_kernel.transformers.monkey_patch", fake)
    monkeypatch.setattr(llava.training.kernels, "liger_version", lambda: "0.8.5")
    assert apply_liger(model) is None
    assert calls == []


@pytest.mark.parametrize(
    ("gpu", "version", "settings", "expected"),
    [
        (True, "0.8.5", {}, ["liger 0.8.5 (llama)"]),
        (True, "0.8.5", {"liger": "off"}, []),
        (True, None, {}, []),
        (True, "0.8.5", {"device": "cpu"}, []),
        (False, "0.8.5", {}, []),
    ],
    ids=["gpu", "off", "not installed", "told cpu", "no gpu"],
)
def test_liger_is_taken_where_it_is_installed_and_on_a_gpu(model, monkeypatch, gpu, version, settings, expected):
    fake, calls = liger({"llama"})
    monkeypatch.setitem(sys.modules, "liger_kernel.transformers.monkey_patch", fake)
    monkeypatch.setattr(llava.training.kernels, "liger_version", lambda: version)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    assert use_kernels(model, ComputeSettings(**settings)) == expected
    assert len(calls) == len(expected)


def test_compiling_is_named_in_what_was_done(model):
    assert use_kernels(model, ComputeSettings(device="cpu", compile=True)) == ["compile"]
    mlp = model.model.language_model.layers[0].mlp
    assert mlp._compiled_call_impl is not None
    assert model.model.language_model.layers[0].self_attn._compiled_call_impl is None
