"""The three parts of a model by the names of their parameters, and which of them learn."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from encoders.torchvision_shim import import_torchvision
from llava.config import PARTS, Part, StageSettings

import_torchvision()
from transformers.modeling_layers import GradientCheckpointingLayer  # noqa: E402

_PREFIXES: Mapping[Part, tuple[str, ...]] = {
    "encoder": ("model.vision_tower.",),
    "projector": ("model.multi_modal_projector.",),
    "language_model": ("model.language_model.", "lm_head."),
}
_LORA = ".lora_"  # peft's own names: lora_A, lora_B


class Counts(NamedTuple):
    """Numbers of weights by part; a 4-bit weight counts as one."""

    trained: dict[str, int]
    frozen: dict[str, int]


def part_of(name: str) -> Part:
    """The part that a parameter of this full name belongs to.

    Raises:
        ValueError: it belongs to none.
    """
    for part, prefixes in _PREFIXES.items():
        if name.startswith(prefixes):
            return part
    raise ValueError(f"parameter {name!r} belongs to no part; parts begin {_PREFIXES}")


def parameters_of(model: nn.Module, part: Part) -> list[tuple[str, nn.Parameter]]:
    """Full names and parameters of a part; a head tied to the embeddings is there once, as the embeddings."""
    return [(name, parameter) for name, parameter in model.named_parameters() if part_of(name) == part]


def module_of(model: nn.Module, part: Part) -> nn.Module:
    """A part's module; the language model's has no head."""
    return model.get_submodule(_PREFIXES[part][0].rstrip("."))


def decoder_layers(model: nn.Module) -> list[nn.Module]:
    """The language model's layers, first to last; none where its class does not say what they are."""
    language_model: Any = module_of(model, "language_model")
    names = set(language_model._no_split_modules or ())
    return [module for module in language_model.modules() if type(module).__name__ in names]


def set_trainable(model: nn.Module, stage: StageSettings) -> Counts:
    """Let this stage's parts learn, in float32, and nothing else; then `training_mode`.

    Of a language model with LoRA the adapters learn alone. Frozen weights keep the precision they were loaded in.

    Raises:
        ValueError: the stage has LoRA and the model has no adapters, or the other way round.
    """
    has_lora = any(_LORA in name for name, _ in model.named_parameters())
    if "language_model" in stage.train and has_lora != (stage.lora is not None):
        raise ValueError(
            f"stage {stage.name}: the model has no LoRA adapters; add_lora first"
            if stage.lora is not None
            else f"stage {stage.name} trains the whole language model, which still has LoRA adapters; merge them first"
        )
    for name, parameter in model.named_parameters():
        part = part_of(name)
        learns = part in stage.train and (part != "language_model" or stage.lora is None or _LORA in name)
        if learns and parameter.dtype != torch.float32:
            parameter.data = parameter.data.float()  # the optimiser's weights; computing may be in bfloat16
        parameter.requires_grad_(learns)
    training_mode(model, stage)
    return counts(model)


def training_mode(model: nn.Module, stage: StageSettings) -> None:
    """Training mode for the parts that learn; evaluation mode, so no dropout or drop path, for those that don't."""
    model.eval()
    for part in stage.train:
        module_of(model, part).train()
    for module in module_of(model, "language_model").modules():
        # transformers checkpoints a layer's activations in training mode only, and gradients to the projector pass
        # through frozen layers too. The flag of the layer alone does that: its dropouts have flags of their own.
        if isinstance(module, GradientCheckpointingLayer):
            module.training = True


def checkpoint_activations(model: nn.Module) -> None:
    """Keep only what enters each layer of the language model, and each film that enters an encoder that learns; the
    rest is computed again in the backward pass.

    Raises:
        ValueError: the language model's class cannot.
    """
    language_model: Any = module_of(model, "language_model")
    if not getattr(language_model, "supports_gradient_checkpointing", False):
        raise ValueError(
            f"{type(language_model).__name__} cannot checkpoint activations; set compute.gradient_checkpointing = false"
        )
    new_name = getattr(language_model, "activation_checkpointing_enable", None)  # since transformers 5.24
    if new_name is not None:
        new_name({"use_reentrant": False})
    else:
        language_model.gradient_checkpointing_enable({"use_reentrant": False})
    tower: Any = module_of(model, "encoder")
    tower.gradient_checkpointing = True  # it does nothing while frozen


def hold_frozen_low(model: nn.Module) -> dict[str, Tensor]:
    """Keep the language model's frozen weights in bfloat16, which halves them; gives them, by name, as they were.

    For a model folder must have the weights that were loaded, and a float16 Vicuna loses bits in bfloat16. Weights that
    learn stay float32, and so does the encoder.
    """
    exact: dict[str, Tensor] = {}
    before: dict[int, Tensor] = {}  # of a tied head both names are given
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if id(parameter) in before:
            exact[name] = before[id(parameter)]
        elif _held_low(name, parameter):
            exact[name] = before[id(parameter)] = parameter.data
            parameter.data = parameter.data.to(torch.bfloat16)
    return exact


def _held_low(name: str, parameter: nn.Parameter) -> bool:
    frozen = part_of(name) == "language_model" and not parameter.requires_grad
    return frozen and parameter.is_floating_point() and parameter.dtype != torch.bfloat16


def counts(model: nn.Module) -> Counts:
    """Weights that learn and that don't, of every part."""
    found = Counts(dict.fromkeys(PARTS, 0), dict.fromkeys(PARTS, 0))
    for name, parameter in model.named_parameters():
        (found.trained if parameter.requires_grad else found.frozen)[part_of(name)] += _size(parameter)
    return found


def _size(parameter: nn.Parameter) -> int:
    packed = getattr(parameter, "quant_state", None)  # bitsandbytes: two weights a byte
    return parameter.numel() if packed is None else math.prod(packed.shape)
