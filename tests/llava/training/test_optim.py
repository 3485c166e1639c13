from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from encoders.torchvision_shim import import_torchvision
from llava.config import StageSettings
from llava.training.optim import build_optimizer, learning_rates, set_rates, share_of_rate, undecayed_names

import_torchvision()
from transformers import (  # noqa: E402
    LlamaConfig,
    LlamaForCausalLM,
    Trainer,
    get_constant_schedule_with_warmup,
    get_cosine_schedule_with_warmup,
)


class Tower(nn.Module):
    """Names and classes that a rule by name or by class alone would miss one of."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(3, 3)
        self.ln_pre = nn.LayerNorm(3)  # a norm by class
        self.scale_norm = nn.Linear(3, 3, bias=False)  # a norm by name
        self.table = nn.Embedding(4, 3)


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Module()
        self.model.vision_tower = Tower()
        self.model.multi_modal_projector = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 4))
        config = LlamaConfig(hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2)
        self.model.language_model = LlamaForCausalLM(config).model
        self.lm_head = nn.Linear(8, 5, bias=False)


@pytest.mark.parametrize(("schedule", "theirs"), [("cosine", True), ("constant", False)])
@pytest.mark.parametrize(("steps", "ratio"), [(1, 0.03), (7, 0.0), (40, 0.03), (101, 0.1), (5, 1.0)])
def test_the_schedule_is_that_of_transformers(schedule, theirs, steps, ratio):
    # its Trainer takes ceil(steps * warmup_ratio) steps to warm up (TrainingArguments.get_warmup_steps)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    warmup = math.ceil(steps * ratio)
    scheduler = (
        get_cosine_schedule_with_warmup(optimizer, warmup, steps)
        if theirs
        else get_constant_schedule_with_warmup(optimizer, warmup)
    )
    expected = []
    for _ in range(steps):
        expected.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    found = [share_of_rate(step, steps, schedule=schedule, warmup_ratio=ratio) for step in range(steps)]
    assert found == pytest.approx(expected, abs=1e-12)


def test_each_part_has_its_rate_times_the_share_of_the_step():
    stage = StageSettings(
        name="s",
        train=("language_model", "encoder"),
        learning_rate=2e-5,
        learning_rates={"encoder": 2e-6},
        warmup_ratio=0.5,
    )
    # 4 steps, of which 2 warm up: 0, 1/2, then half a cosine over 2 steps: 1, 1/2
    assert [learning_rates(stage, step, 4)["language_model"] for step in range(4)] == pytest.approx(
        [0, 1e-5, 2e-5, 1e-5]
    )
    assert learning_rates(stage, 1, 4) == pytest.approx({"encoder": 1e-6, "language_model": 1e-5})


def test_what_does_not_decay_is_what_the_trainer_of_transformers_lets_be():
    model = Model()
    decayed = set(Trainer.get_decay_parameter_names(None, model))  # reads nothing of the trainer itself
    assert undecayed_names(model) == {name for name, _ in model.named_parameters()} - decayed
    assert "model.vision_tower.ln_pre.weight" in undecayed_names(model)
    assert "model.vision_tower.scale_norm.weight" in undecayed_names(model)
    assert "model.language_model.embed_tokens.weight" not in undecayed_names(model)


def test_groups_hold_what_learns_of_the_stages_parts_and_nothing_else():
    model = Model()
    stage = StageSettings(name="s", train=("encoder", "projector"), weight_decay=0.1)
    for weight in model.model.language_model.parameters():
        weight.requires_grad_(False)
    model.model.vision_tower.table.weight.requires_grad_(False)
    optimizer = build_optimizer(model, stage)
    sizes = {(group["part"], group["weight_decay"]): len(group["params"]) for group in optimizer.param_groups}
    # encoder: dense.weight | dense.bias, ln_pre.weight, ln_pre.bias, scale_norm.weight; projector: 2 weights | 2 biases
    assert sizes == {("encoder", 0.1): 1, ("encoder", 0.0): 4, ("projector", 0.1): 2, ("projector", 0.0): 2}
    set_rates(optimizer, {"encoder": 0.5, "projector": 0.25})
    assert {(group["part"], group["lr"]) for group in optimizer.param_groups} == {("encoder", 0.5), ("projector", 0.25)}


def test_a_step_moves_a_part_by_its_own_rate():
    # AdamW's first step moves every weight by rate * g / (|g| + eps), so by the rate itself where nothing decays
    model = Model()
    stage = StageSettings(name="s", train=("encoder", "projector"), betas=(0.9, 0.95), epsilon=1e-12)
    optimizer = build_optimizer(model, stage)
    for group in optimizer.param_groups:
        for weight in group["params"]:
            weight.grad = torch.full_like(weight, 3.0)
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    set_rates(optimizer, {"encoder": 1e-3, "projector": 1e-2})
    optimizer.step()
    moved = {name: (before[name] - weight).abs().max().item() for name, weight in model.named_parameters()}
    assert moved["model.vision_tower.dense.weight"] == pytest.approx(1e-3, rel=1e-3)
    assert moved["model.multi_modal_projector.0.bias"] == pytest.approx(1e-2, rel=1e-3)
    assert moved["lm_head.weight"] == 0
    assert {(group["betas"], group["eps"]) for group in optimizer.param_groups} == {((0.9, 0.95), 1e-12)}
