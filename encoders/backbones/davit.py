"""DaViT (dual attention, over windows and over channels) on timm, with the projection of a text-image model behind it.

Shape letters: B batch, C channels, H rows, W columns, N patch tokens, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from encoders.backbones.hierarchical import HierarchicalEncoder, Summary
from encoders.contract import Norm, Pooling, map_to_tokens
from encoders.spec import EncoderSpec
from encoders.torchvision_shim import import_torchvision

WINDOW = 12  # tokens


class DaViTEncoder(HierarchicalEncoder):
    """Florence's DaViT: the global vector is the last map's mean, normed, projected and made of length 1.

    Maps and tokens are raw. Any size from 32 px is taken: windows are padded with zeros, as published.
    """

    def __init__(
        self,
        spec: EncoderSpec,
        image_size_px: int,
        *,
        widths: Sequence[int],
        depths: Sequence[int],
        num_heads: Sequence[int],
        projection_width: int,
    ) -> None:
        """num_heads: of a stage's window attention, and the number of groups of its channel attention."""
        super().__init__(
            spec,
            image_size_px,
            stage_widths=widths,
            global_width=projection_width,
            pooling=Pooling.PROJECTED_MEAN,
            maps_norm=Norm.NONE,
            tokens_norm=Norm.NONE,
        )
        import_torchvision()
        from timm.models.davit import DaVit

        self.trunk = DaVit(
            embed_dims=tuple(widths),
            depths=tuple(depths),
            num_heads=tuple(num_heads),
            window_size=WINDOW,
            down_kernel_size=3,
            channel_attn_v2=True,  # Florence's scale, 1 / sqrt(tokens)
            named_blocks=True,
            norm_eps=1e-5,
            num_classes=0,
            drop_path_rate=0.0,
        )
        self.image_projection = nn.Parameter(torch.randn(widths[-1], projection_width) * widths[-1] ** -0.5)

    def _stage_maps(self, pixels_BCHW: Tensor) -> list[Tensor]:
        return cast(list[Tensor], self.trunk.forward_intermediates(pixels_BCHW, intermediates_only=True))

    def _summarise(self, last_BCHW: Tensor) -> Summary:
        normed_BD = self.trunk.head(last_BCHW)  # without classes: the mean over places, then LayerNorm
        global_BD = functional.normalize(normed_BD @ self.image_projection, dim=-1)
        return Summary(global_BD, map_to_tokens(last_BCHW))
