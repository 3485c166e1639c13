"""A model that one process has read and the others have in outline: a host needs memory for one, not for one a process.

An outline has the model's names, shapes and settings, its parameters on torch's meta device, where they take no memory.
FSDP2 alone begins so: its processes need a share of the weights each.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from llava.config import StageSettings
from llava.model import CxrLlavaConfig, CxrLlavaForConditionalGeneration
from llava.training.adapters import add_lora
from llava.training.parts import set_trainable


class Outline(NamedTuple):
    """What another process needs of a model to have its outline.

    values: by module, the tensors that are no parameters (tables of positions, running means).
    """

    config: CxrLlavaConfig
    generation_config: Any
    values: dict[str, dict[str, Tensor]]


def outline_of(model: CxrLlavaForConditionalGeneration) -> Outline:
    """Of a model on the CPU."""
    values = {
        path: {name: tensor for name, tensor in _values(module) if tensor is not None}
        for path, module in model.named_modules()
    }
    return Outline(model.config, model.generation_config, {path: found for path, found in values.items() if found})


def outlined(outline: Outline, stage: StageSettings) -> CxrLlavaForConditionalGeneration:
    """The model of a stage without its weights, as `stage_model` has it with them."""
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        model = CxrLlavaForConditionalGeneration(copy.deepcopy(outline.config))
        if stage.lora is not None:
            add_lora(model, stage.lora)
    model.generation_config = outline.generation_config
    for path, values in outline.values.items():
        module = model.get_submodule(path)
        for name, tensor in values.items():
            setattr(module, name, tensor)
    set_trainable(model, stage)
    return model


def hand_out(modules: nn.Module | list[nn.Module], device: torch.device) -> None:
    """Give these modules the first process's weights, whole, on the device; all processes call it.

    A parameter that is in pieces already is left alone. Outlines get new parameters, a tied one staying tied.
    """
    given: dict[int, nn.Parameter] = {}
    for module in modules if isinstance(modules, list) else [modules]:
        for part in module.modules():
            for name, parameter in part._parameters.items():
                if parameter is None or hasattr(parameter, "full_tensor"):
                    continue
                if id(parameter) not in given:
                    given[id(parameter)] = _received(parameter, device)
                part._parameters[name] = given[id(parameter)]


def _received(parameter: nn.Parameter, device: torch.device) -> nn.Parameter:
    if parameter.is_meta:
        parameter = nn.Parameter(torch.empty_like(parameter, device=device), requires_grad=parameter.requires_grad)
    else:
        parameter.data = parameter.data.to(device)
    torch.distributed.broadcast(parameter.data, 0)
    return parameter


def _values(module: nn.Module) -> Iterator[tuple[str, Tensor | None]]:
    """Its own buffers, and tensors that it has as plain attributes."""
    yield from module._buffers.items()
    yield from ((name, value) for name, value in vars(module).items() if isinstance(value, Tensor))
