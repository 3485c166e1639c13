"""Encoders of four stages (Swin, DaViT, MiT): a stage is a layer, and its output a map of stride 4, 8, 16 or 32 px.

Shape letters: B batch, C channels, H rows, W columns, N patch tokens, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from encoders.contract import Encoder, FeatureMap, Features, Norm, Pooling
from encoders.spec import EncoderSpec

STRIDES_PX = (4, 8, 16, 32)


class Summary(NamedTuple):
    """What an encoder makes of its last stage's map: one vector an image, and the patch tokens."""

    global_BD: Tensor
    tokens_BND: Tensor


class HierarchicalEncoder(Encoder):
    """Sizes and features of a four-stage encoder; a backbone gives the stages' maps and the summary of the last one.

    A stage's map is as the stage gave it, before the next one's downsampling. A grid is ceil(size / stride): every
    backbone pads what its stride does not divide. `Features.layers(norm="final")` is refused: the norm that closes
    such an encoder has the last stage's width and fits no other.
    """

    maps_norm: Norm
    tokens_norm: Norm

    def __init__(
        self,
        spec: EncoderSpec,
        image_size_px: int,
        *,
        stage_widths: Sequence[int],
        global_width: int,
        pooling: Pooling,
        maps_norm: Norm,
        tokens_norm: Norm,
    ) -> None:
        if image_size_px < STRIDES_PX[-1]:
            raise ValueError(f"{spec.name} takes images of {STRIDES_PX[-1]} px or more, not of {image_size_px}")
        super().__init__()
        self.spec = spec
        self.image_size_px = image_size_px
        self.global_width = global_width
        self.pooling = pooling
        self.maps_norm = maps_norm
        self.tokens_norm = tokens_norm
        self.num_layers = len(STRIDES_PX)
        # 16 px in all of them: nearest to a ViT's grid, and better than 32 px for segmentation by Ark+ and
        # MedImageInsight (Li et al., Feature Quality and Adaptability of Medical Foundation Models, figure S8).
        self.default_stride_px = 16
        self.grids = {stride: (-(-image_size_px // stride),) * 2 for stride in STRIDES_PX}
        self.widths = dict(zip(STRIDES_PX, stage_widths, strict=True))
        self.token_grid = self.grids[STRIDES_PX[-1]]
        self.token_width = self.widths[STRIDES_PX[-1]]

    def _encode(self, pixels_BCHW: Tensor, layers: tuple[int, ...]) -> Features:
        stages = self._stage_maps(pixels_BCHW)
        global_BD, tokens_BND = self._summarise(stages[-1])
        maps = [
            FeatureMap(map_BCHW, layer, stride_px, self.maps_norm)
            for layer, (map_BCHW, stride_px) in enumerate(zip(stages, STRIDES_PX, strict=True))
        ]
        return Features(
            global_BD=global_BD,
            pooling=self.pooling,
            tokens_BND=tokens_BND,
            tokens_norm=self.tokens_norm,
            default_stride_px=self.default_stride_px,
            maps={one.stride_px: one for one in maps},
            kept={layer: maps[layer] for layer in layers},
            num_layers=self.num_layers,
        )

    def _stage_maps(self, pixels_BCHW: Tensor) -> list[Tensor]:
        """The four stages' maps, B,C,H,W each, finest first."""
        raise NotImplementedError

    def _summarise(self, last_BCHW: Tensor) -> Summary:
        raise NotImplementedError
