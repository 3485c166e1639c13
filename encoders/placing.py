"""Builds an encoder without drawing weights, and puts a checkpoint in place with nothing left over."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

from encoders.checkpoint import first_names

_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)  # float8 means nothing without its scales
_M = TypeVar("_M", bound=nn.Module)


def build_empty(build: Callable[[], _M]) -> _M:
    """A module whose parameters have shapes but no memory until `place_strictly`; the global random state is left
    alone. (Drawing first weights that a checkpoint then overwrites takes 20 s for SigLIP's so400m.)"""
    from accelerate import init_empty_weights

    with torch.random.fork_rng(devices=[]):
        with init_empty_weights(include_buffers=False):
            module = build()
        if all(hasattr(part, "init_non_persistent_buffers") for part in _with_meta_buffers(module)):
            return module
        return build()  # some buffer was computed beside a weight without memory, and cannot be computed again


def place_strictly(module: nn.Module, state: dict[str, Tensor], source: str) -> None:
    """Give a module copies of a translated checkpoint's tensors in its own dtypes, every one of both accounted for.

    Args:
        state: emptied on the way, so that the weights are in memory once.
        source: what the messages call the checkpoint.

    Raises:
        ValueError: tensors missing, unexpected, of another shape or kind (counts, and the first of each), or a value
            that is not finite.
    """
    own = module.state_dict()
    faults = _faults(own, state)
    if faults:
        raise ValueError(f"{source} does not fit: {'; '.join(faults)}")
    placed: dict[str, Tensor] = {}
    bad = []
    for name, tensor in own.items():
        placed[name] = state.pop(name).to(tensor.dtype, copy=True, memory_format=torch.contiguous_format)
        if not _is_finite(placed[name]):
            bad.append(name)
    if bad:
        raise ValueError(f"{source} holds values that are not finite in {len(bad)} tensors: {first_names(bad)}")
    module.load_state_dict(placed, strict=True, assign=True)
    compute_buffers(module)


def compute_buffers(module: nn.Module) -> None:
    """Give memory and values to the buffers that `build_empty` left without; they depend on sizes, not on weights."""
    for part in _with_meta_buffers(module):
        for name, buffer in part.named_buffers(recurse=False):
            if buffer.is_meta:
                setattr(part, name, torch.empty_like(buffer, device="cpu"))
        part.init_non_persistent_buffers()  # type: ignore[operator]


def _faults(own: dict[str, Tensor], state: dict[str, Tensor]) -> list[str]:
    shared = sorted(own.keys() & state.keys())
    kinds = {
        "missing": sorted(own.keys() - state.keys()),
        "unexpected": sorted(state.keys() - own.keys()),
        "of another shape": [
            f"{name} {tuple(state[name].shape)} for {tuple(own[name].shape)}"
            for name in shared
            if state[name].shape != own[name].shape
        ],
        "of another kind": [
            f"{name} {state[name].dtype} for {own[name].dtype}"
            for name in shared
            if (state[name].dtype in _FLOATS) != own[name].is_floating_point()
        ],
    }
    return [f"{len(names)} {kind}: {first_names(names)}" for kind, names in kinds.items() if names]


def _with_meta_buffers(module: nn.Module) -> list[nn.Module]:
    return [part for part in module.modules() if any(b.is_meta for b in part.buffers(recurse=False))]


def _is_finite(tensor: Tensor) -> bool:
    if not tensor.is_floating_point() or not tensor.numel():
        return True
    low, high = torch.aminmax(tensor)  # both carry NaN along; one pass, no copy
    return bool(torch.isfinite(low) and torch.isfinite(high))
