"""A frozen language model in 4 bits, on which adapters learn (Dettmers et al. 2023, QLoRA, arXiv 2305.14314).

NF4 with doubly quantised constants, by bitsandbytes, which computes in bfloat16 or float32 on a GPU or a CPU. A model
is never saved in 4 bits: a folder has the matrices that the 4 bits stand for, those that the adapters were trained on,
and is read without bitsandbytes.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

_INSIDE = "model.language_model."


def quantize_language_model(model: nn.Module, *, precision: str, device: torch.device | str = "cpu") -> int:
    """Put 4-bit layers in place of the language model's linear layers, not of its head; gives how many.

    Args:
        precision: "bfloat16" or "float32", what they compute in.
        device: where the weights are quantised, one after another; they come back to where they were.

    Raises:
        ValueError: bitsandbytes is not installed.
    """
    bitsandbytes = _bitsandbytes()
    linear = [
        (name, module)
        for name, module in model.named_modules()
        if name.startswith(_INSIDE) and type(module) is nn.Linear
    ]
    for name, module in linear:
        with torch.device("meta"):
            small = bitsandbytes.nn.Linear4bit(
                module.in_features,
                module.out_features,
                bias=module.bias is not None,
                compute_dtype=getattr(torch, precision),
                compress_statistics=True,
                quant_type="nf4",
            )
        # off: a layout for generating on some CPUs, which a training step cannot read
        small.support_avx512bf16_for_cpu = False
        weight = bitsandbytes.nn.Params4bit(
            module.weight.data, requires_grad=False, compress_statistics=True, quant_type="nf4", module=small
        )
        small.weight = weight.to(device).to(module.weight.device)
        small.bias = module.bias
        small.train(module.training)
        parent, _, last = name.rpartition(".")
        setattr(model.get_submodule(parent), last, small)
    return len(linear)


def is_4bit(module: nn.Module) -> bool:
    return getattr(getattr(module, "weight", None), "quant_state", None) is not None


def dequantized(layer: Any) -> nn.Linear:
    """The plain float32 layer that a 4-bit layer stands for."""
    plain = nn.Linear(layer.in_features, layer.out_features, bias=False, device="meta")
    plain.weight = nn.Parameter(_matrix(layer), requires_grad=False)
    plain.bias = layer.bias
    return plain.train(layer.training)


def dequantized_state(model: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A model's state with each 4-bit weight as the float32 matrix it stands for, and without their constants."""
    found = dict(state)
    for name, module in model.named_modules():
        if is_4bit(module):
            for key in [key for key in found if key.startswith(f"{name}.weight.")]:
                del found[key]
            found[f"{name}.weight"] = _matrix(module).cpu()
    return found


def _matrix(layer: Any) -> Tensor:
    matrix: Tensor = _bitsandbytes().functional.dequantize_4bit(layer.weight.data, layer.weight.quant_state)
    return matrix.float()


def _bitsandbytes() -> Any:
    try:
        bitsandbytes: Any = importlib.import_module("bitsandbytes")
    except ImportError:
        raise ValueError(
            'language_model.quantize = "nf4" needs bitsandbytes, which is not installed: pip install bitsandbytes'
        ) from None
    return bitsandbytes
