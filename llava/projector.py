"""Image tokens of an encoder into the width of a language model."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MlpProjector(nn.Module):
    """Linear layers with GELU between them, the first to the language model's width: MAIRA-2's projector, in its naming
    (`layers.0.weight`, `layers.2.weight`, ...), so that 4 layers are MAIRA-2's and 2 LLaVA-1.5's."""

    def __init__(self, in_width: int, out_width: int, num_layers: int, bias: bool = True) -> None:
        super().__init__()
        if num_layers < 1:
            raise ValueError(f"a projector of {num_layers} layers")
        layers: list[nn.Module] = [nn.Linear(in_width, out_width, bias=bias)]
        for _ in range(num_layers - 1):
            layers += [nn.GELU(), nn.Linear(out_width, out_width, bias=bias)]
        self.layers = nn.Sequential(*layers)

    def forward(self, tokens: Tensor) -> Tensor:
        """..., in_width -> ..., out_width, in the weights' dtype."""
        first = self.layers[0]
        assert isinstance(first, nn.Linear)
        projected: Tensor = self.layers(tokens.to(first.weight.dtype))
        return projected


def seeded_projector(in_width: int, out_width: int, num_layers: int, *, seed: int, bias: bool = True) -> MlpProjector:
    """A projector with torch's own first weights, drawn by the seed; the global random state is left alone.

    The same seed and sizes give the same weights, so that runs that differ in the encoder alone, of one width, begin
    alike.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return MlpProjector(in_width, out_width, num_layers, bias)
