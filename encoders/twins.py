"""Random weights of a published architecture: the same on every machine, lively enough to test with, meaning nothing.

Each tensor has a generator of its own, seeded by the encoder's and the tensor's name, and takes uniform values that no
processor rounds differently. Weights have the variance 4 / fan-in, norms and LayerScale are near 1: features then stay
finite at any depth, and different images, and different patches of one, get clearly different ones (with 1 / fan-in,
attention averages deep ViTs' patches to nearly one: measured cosines 0.93 to 0.98).
"""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor, nn

_GAIN = 2.0
_TO_UNIT = 12**0.5  # uniform in -1/2..1/2 has the variance 1/12
_SMALL = 0.1  # standard deviation of biases, of norms about 1, and of tokens, position embeddings and other tables


def random_state(module: nn.Module, name: str) -> dict[str, Tensor]:
    """A state dict for a module (which may be without memory), from the encoder's name alone.

    Floating tensors are drawn; counters and indices are the module's own. Global random state is neither read nor
    changed.
    """
    return {
        key: _draw(name, key, tensor.shape) if tensor.is_floating_point() else tensor.clone()
        for key, tensor in module.state_dict().items()
    }


def _draw(name: str, key: str, shape: torch.Size) -> Tensor:
    seed = int.from_bytes(hashlib.sha256(f"{name}/{key}".encode()).digest()[:7], "big")
    drawn = torch.empty(shape).uniform_(generator=torch.Generator().manual_seed(seed)).sub_(0.5)
    if len(shape) < 2:
        around_zero = key.endswith(("bias", "running_mean"))
        return drawn.mul_(_TO_UNIT * _SMALL).add_(0.0 if around_zero else 1.0)
    spread = _GAIN * shape[1:].numel() ** -0.5 if key.endswith("weight") else _SMALL
    return drawn.mul_(_TO_UNIT * spread)
