"""MiT (the Mix Transformer of SegFormer) and its all-MLP segmentation head, on timm.

MiT is PVTv2 with an MLP ratio of 4 in every stage: the same overlapping patches, reduced keys and depthwise
convolution in the MLP, so timm's PVTv2 computes it.

Shape letters: B batch, C channels, H rows, W columns, K classes, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from encoders.backbones.hierarchical import STRIDES_PX, HierarchicalEncoder, Summary
from encoders.contract import Norm, Pooling, State, map_to_tokens
from encoders.spec import EncoderSpec
from encoders.torchvision_shim import import_torchvision


class AllMLPHead(nn.Module):
    """SegFormer's decoder: every stage to one width, up to the finest grid, fused, classified."""

    def __init__(self, stage_widths: Sequence[int], width: int, num_classes: int) -> None:
        super().__init__()
        self.linear_c = nn.ModuleList(nn.Linear(stage_width, width) for stage_width in stage_widths)
        self.linear_fuse = nn.Conv2d(width * len(stage_widths), width, 1, bias=False)
        self.batch_norm = nn.BatchNorm2d(width)
        self.classifier = nn.Conv2d(width, num_classes, 1)

    def forward(self, stages: Sequence[Tensor]) -> Tensor:
        """The stages' maps, finest first -> logits B,K,H,W on the finest grid."""
        # The fusing convolution (1 x 1, its input the stages from coarsest to finest) runs before the upsampling:
        # both are linear, so the sum is the same, at a third of the work.
        weights_by_stage = reversed(self.linear_fuse.weight.chunk(len(stages), dim=1))
        fused_BDHW: Tensor | None = None
        for stage_BCHW, linear, weight in zip(stages, self.linear_c, weights_by_stage, strict=True):
            mapped_BDHW = linear(stage_BCHW.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
            part_BDHW = functional.conv2d(mapped_BDHW, weight)
            if fused_BDHW is None:
                fused_BDHW = part_BDHW
            else:
                size = fused_BDHW.shape[-2:]
                fused_BDHW = fused_BDHW + functional.interpolate(part_BDHW, size, mode="bilinear")
        return cast(Tensor, self.classifier(functional.relu(self.batch_norm(fused_BDHW))))


class MiTEncoder(HierarchicalEncoder):
    """MiT: maps and tokens are after their stage's LayerNorm. Any size from 32 px is taken.

    The published model has no global vector: ours is the mean of the last map.
    """

    def __init__(
        self,
        spec: EncoderSpec,
        image_size_px: int,
        *,
        widths: Sequence[int],
        depths: Sequence[int],
        num_heads: Sequence[int],
        decoder_width: int,
        num_classes: int,
    ) -> None:
        super().__init__(
            spec,
            image_size_px,
            stage_widths=widths,
            global_width=widths[-1],
            pooling=Pooling.MEAN,
            maps_norm=Norm.STAGE,
            tokens_norm=Norm.STAGE,
        )
        import_torchvision()
        from timm.models.pvt_v2 import PyramidVisionTransformerV2

        self.trunk = PyramidVisionTransformerV2(
            embed_dims=tuple(widths),
            depths=tuple(depths),
            num_heads=tuple(num_heads),
            sr_ratios=(8, 4, 2, 1),
            mlp_ratios=(4.0, 4.0, 4.0, 4.0),
            linear=False,
            norm_layer=nn.LayerNorm,  # eps 1e-5, as transformers runs it: layer_norm_eps of its config is not read
            num_classes=0,
            drop_path_rate=0.0,
        )
        self.decode_head = AllMLPHead(widths, decoder_width, num_classes)

    @property
    def num_classes(self) -> int:
        return self.decode_head.classifier.out_channels

    def adapt_state(self, state: State) -> State:
        """The checkpoint as it is: the classifier is made anew for its number of classes (a user's fine-tuned head)."""
        weight, own = state.get("decode_head.classifier.weight"), self.decode_head.classifier.weight
        if weight is not None and weight.ndim == 4 and len(weight) != self.num_classes:
            self.decode_head.classifier = nn.Conv2d(own.shape[1], len(weight), 1, device=own.device, dtype=own.dtype)
        return state

    def segment(self, pixels_BCHW: Tensor) -> Tensor:
        """Logits B,K,H,W of the checkpoint's own classes on the 4-px grid, of a batch that `recipe` prepared."""
        maps = self.encode(pixels_BCHW, layers=()).maps
        return cast(Tensor, self.decode_head([maps[stride].map_BCHW for stride in STRIDES_PX]))

    def _stage_maps(self, pixels_BCHW: Tensor) -> list[Tensor]:
        return cast(list[Tensor], self.trunk.forward_intermediates(pixels_BCHW, intermediates_only=True))

    def _summarise(self, last_BCHW: Tensor) -> Summary:
        tokens_BND = map_to_tokens(last_BCHW)
        return Summary(tokens_BND.mean(1), tokens_BND)
