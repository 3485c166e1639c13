"""Swin Transformer on timm, with the projector that Ark+ puts behind it.

Shape letters: B batch, C channels, H rows, W columns, N patch tokens, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn

from encoders.backbones.hierarchical import STRIDES_PX, HierarchicalEncoder, Summary
from encoders.contract import Norm, Pooling
from encoders.spec import EncoderSpec
from encoders.torchvision_shim import import_torchvision

WINDOW = 12  # tokens


class SwinEncoder(HierarchicalEncoder):
    """Swin with 12 x 12 windows: the global vector is the mean of the last stage's tokens after the final LayerNorm.

    `project` gives the embedding that the published heads read. Maps are raw, tokens are after the final LayerNorm.
    """

    def __init__(
        self,
        spec: EncoderSpec,
        image_size_px: int,
        *,
        width: int,
        depths: Sequence[int],
        num_heads: Sequence[int],
        projection_width: int,
    ) -> None:
        """width: of the first stage; it doubles with each.

        Raises:
            ValueError: a size whose grids the windows do not tile. The published code has no answer for it, and the
                later ones differ: timm pads after the cyclic shift, Hugging Face before it.
        """
        step = STRIDES_PX[-1] * WINDOW
        if image_size_px < step or image_size_px % step:
            below = image_size_px - image_size_px % step
            nearest = " and ".join(str(size) for size in (below, below + step) if size)
            raise ValueError(
                f"{spec.name} takes sizes that are multiples of {step} px, whose every grid {WINDOW} x {WINDOW} "
                f"windows tile, not {image_size_px} px; nearest: {nearest} px"
            )
        widths = [width * 2**stage for stage in range(4)]
        super().__init__(
            spec,
            image_size_px,
            stage_widths=widths,
            global_width=widths[-1],
            pooling=Pooling.MEAN,
            maps_norm=Norm.NONE,
            tokens_norm=Norm.FINAL,
        )
        import_torchvision()
        from timm.models.swin_transformer import SwinTransformer, WindowAttention

        self.trunk = SwinTransformer(
            img_size=image_size_px,
            patch_size=STRIDES_PX[0],
            embed_dim=width,
            depths=tuple(depths),
            num_heads=tuple(num_heads),
            window_size=WINDOW,
            num_classes=0,
            drop_path_rate=0.0,
            norm_layer=nn.LayerNorm,  # eps 1e-5, as published
        )
        for module in self.trunk.modules():
            if isinstance(module, WindowAttention):
                module.fused_attn = True  # timm calls it experimental; the same numbers, a tenth faster
        self.projector = nn.Linear(widths[-1], projection_width)

    def project(self, global_BD: Tensor) -> Tensor:
        """The published embedding of the image, of `projector.out_features` numbers, from `Features.global_BD`."""
        return cast(Tensor, self.projector(global_BD))

    def _stage_maps(self, pixels_BCHW: Tensor) -> list[Tensor]:
        return cast(list[Tensor], self.trunk.forward_intermediates(pixels_BCHW, intermediates_only=True))

    def _summarise(self, last_BCHW: Tensor) -> Summary:
        tokens_BND = self.trunk.norm(last_BCHW.permute(0, 2, 3, 1)).flatten(1, 2)
        return Summary(tokens_BND.mean(1), tokens_BND)
