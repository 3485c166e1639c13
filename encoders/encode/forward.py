"""The encoder at work: levels of a batch in, vectors and maps out.

Shape letters: B batch, C channels, H rows, W columns, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor

from encoders.contract import Encoder
from encoders.encode.maps import MapChoice
from encoders.encode.pixels import DevicePixels


class Outputs(NamedTuple):
    """global_BD: float32; maps: B,C,H,W by name, in the dtype they are kept in. Both may still be on their way from
    the device until `on_cpu`."""

    global_BD: Tensor
    maps: dict[str, Tensor]

    def on_cpu(self) -> Outputs:
        return Outputs(self.global_BD.cpu(), {name: one.cpu() for name, one in self.maps.items()})


class Forward:
    """An encoder on its device, in its dtype, compiled if wanted.

    Args:
        encoder: in evaluation mode; moved and cast in place.
        batch_size: the most films a call; a compiled encoder gets no other number (the last batch is filled up).
    """

    def __init__(
        self,
        encoder: Encoder,
        choice: MapChoice,
        *,
        device: torch.device,
        dtype: torch.dtype,
        maps_dtype: torch.dtype,
        batch_size: int,
        compiled: bool,
    ) -> None:
        self._encoder = encoder.to(device=device, dtype=dtype)
        self._choice = choice
        self._maps_dtype = maps_dtype
        self._fill_to = batch_size if compiled else 0
        self._pixels = DevicePixels(encoder.recipe, device)
        self._encode: Callable[[Tensor], tuple[Tensor, dict[str, Tensor]]] = self._features
        if compiled:
            self._encode = torch.compile(self._features, dynamic=False)

    def __call__(self, levels: Sequence[NDArray[Any]]) -> Outputs:
        """Features of these films' levels, each H,W."""
        with torch.inference_mode():
            pixels_BCHW = self.pixels(levels)
            count, missing = len(levels), self._fill_to - len(levels)
            if missing > 0:
                pixels_BCHW = torch.cat([pixels_BCHW, pixels_BCHW[:1].expand(missing, -1, -1, -1)])
            global_BD, maps = self._encode(pixels_BCHW)
            kept = {name: one[:count].to(self._maps_dtype).contiguous() for name, one in maps.items()}
            return Outputs(global_BD[:count].float(), kept)

    def pixels(self, levels: Sequence[NDArray[Any]]) -> Tensor:
        """B,C,H,W on the device, float32: to the last bit what `prepare` gives."""
        return self._pixels(levels)

    def _features(self, pixels_BCHW: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        features = self._encoder.encode(pixels_BCHW, layers=self._choice.layers)
        maps = self._choice.pick(features)
        return features.global_BD, {name: one.map_BCHW for name, one in maps.items()}
