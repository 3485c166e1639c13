"""Vision transformers: one class for DINOv2, CLIP and SigLIP towers, on timm's VisionTransformer.

Shape letters: B batch, C channels, H rows, W columns, N patch tokens, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from encoders.contract import Encoder, FeatureMap, Features, Norm, Pooling, State, tokens_to_map

if TYPE_CHECKING:
    from timm.models.vision_transformer import VisionTransformer

    from encoders.spec import EncoderSpec, Size

_POSITIONS = "trunk.pos_embed"


@dataclass(frozen=True)
class ViT:
    """A published vision transformer's sizes; `build` is what its spec builds with.

    stored_grid: rows (= columns) of the published position embeddings; activation: timm's name of it;
    layer_scale: DINOv2's learnt factor on each residual branch; projection_width: of a bias-free linear map after the
    pooling, None without one. All have biases and LayerNorms with epsilon 1e-6; those that pool by attention have no
    class token, the others one.
    """

    width: int
    depth: int
    num_heads: int
    mlp_width: int
    patch_px: int
    stored_grid: int
    pooling: Pooling
    activation: str = "gelu"
    layer_scale: bool = False
    projection_width: int | None = None

    def build(self, spec: EncoderSpec, size: Size, image_size_px: int) -> ViTEncoder:
        """The encoder with random weights; "tiny" narrows it and keeps its depth, patches and grids.

        Raises:
            ValueError: the patches do not tile the image.
        """
        from encoders.torchvision_shim import import_torchvision

        rows, rest = divmod(image_size_px, self.patch_px)
        if rest or rows < 1:
            nearest = [count * self.patch_px for count in (rows, rows + 1) if count > 0]
            raise ValueError(
                f"{spec.name} has patches of {self.patch_px} px, which do not tile {image_size_px} px; "
                f"nearest: {' and '.join(map(str, nearest))} px"
            )
        import_torchvision()
        from timm.models.vision_transformer import VisionTransformer

        sizes = self if size == "full" else replace(self, width=32, num_heads=2, mlp_width=64)
        by_attention = self.pooling is Pooling.ATTENTION
        trunk = VisionTransformer(
            img_size=image_size_px,
            patch_size=self.patch_px,
            num_classes=0,
            global_pool="map" if by_attention else "token",
            embed_dim=sizes.width,
            depth=sizes.depth,
            num_heads=sizes.num_heads,
            mlp_ratio=(sizes.mlp_width + 0.5) / sizes.width,  # timm floors ratio * width
            init_values=1.0 if self.layer_scale else None,
            class_token=not by_attention,
            norm_layer=partial(nn.LayerNorm, eps=1e-6),
            act_layer=self.activation,
        )
        projection = None
        if self.projection_width is not None:
            projection = nn.Linear(sizes.width, self.projection_width if size == "full" else 16, bias=False)
        return ViTEncoder(spec, trunk, self.pooling, projection=projection, stored_grid=self.stored_grid)


class ViTEncoder(Encoder):
    """A timm VisionTransformer under the contract.

    global: the class token (or the attention pooling) of the normed last layer, projected where there is a projection;
    tokens and `patches()`: the patch tokens after the final norm (what MAIRA-2 reads of RAD-DINO); `layers()`: the
    blocks' raw outputs.
    """

    def __init__(
        self,
        spec: EncoderSpec,
        trunk: VisionTransformer,
        pooling: Pooling,
        *,
        projection: nn.Linear | None = None,
        stored_grid: int | None = None,
    ) -> None:
        """trunk: pools as `pooling` says, without a classifier; stored_grid: rows of published position embeddings
        that `adapt_state` may resample, None for none."""
        super().__init__()
        self.spec = spec
        self.trunk = trunk
        self.projection = projection
        self.pooling = pooling
        patch_px = trunk.patch_embed.patch_size[0]
        rows, columns = trunk.patch_embed.grid_size
        self.image_size_px = trunk.patch_embed.img_size[0]
        self.global_width = trunk.embed_dim if projection is None else projection.out_features
        self.token_width = trunk.embed_dim
        self.token_grid = (rows, columns)
        self.num_layers = len(trunk.blocks)
        self.default_stride_px = patch_px
        self.grids = {patch_px: self.token_grid}
        self.widths = {patch_px: trunk.embed_dim}
        self._stored_grid = stored_grid

    def adapt_state(self, state: State) -> State:
        """Resample published position embeddings to this encoder's grid; any other length is left as it is."""
        positions_1ND = state.get(_POSITIONS)
        grid = self._stored_grid
        if positions_1ND is None or grid is None or self.token_grid == (grid, grid):
            return state
        num_prefix = self.trunk.num_prefix_tokens
        if positions_1ND.ndim != 3 or positions_1ND.shape[1] != num_prefix + grid**2:
            return state
        return {**state, _POSITIONS: resample_positions(positions_1ND, num_prefix, self.token_grid)}

    def _encode(self, pixels_BCHW: Tensor, layers: tuple[int, ...]) -> Features:
        tokens_BND: Tensor
        raw: Sequence[Tensor]
        if layers:
            trunk: Any = self.trunk  # timm's type is a union over the options of this call
            tokens_BND, raw = trunk.forward_intermediates(pixels_BCHW, indices=list(layers), output_fmt="NLC")
        else:
            tokens_BND, raw = self.trunk.forward_features(pixels_BCHW), ()
        global_BD = self.trunk.forward_head(tokens_BND, pre_logits=True)
        if self.projection is not None:
            global_BD = self.projection(global_BD)
        patches_BND = tokens_BND[:, self.trunk.num_prefix_tokens :]
        stride = self.default_stride_px
        return Features(
            global_BD=global_BD,
            pooling=self.pooling,
            tokens_BND=patches_BND,
            tokens_norm=Norm.FINAL,
            default_stride_px=stride,
            maps={stride: self._map(patches_BND, self.num_layers - 1, Norm.FINAL)},
            kept={layer: self._map(raw_BND, layer, Norm.NONE) for layer, raw_BND in zip(layers, raw, strict=True)},
            num_layers=self.num_layers,
            final_norm=self.trunk.norm,
        )

    def _map(self, tokens_BND: Tensor, layer: int, norm: Norm) -> FeatureMap:
        return FeatureMap(tokens_to_map(tokens_BND, self.token_grid), layer, self.default_stride_px, norm)


def resample_positions(positions_1ND: Tensor, num_prefix: int, grid: tuple[int, int]) -> Tensor:
    """Position embeddings of a square grid for another grid; those of class and register tokens stay.

    Bicubic in float32, corners not aligned, no antialiasing: what transformers' `interpolate_pos_encoding` does for
    DINOv2 and SigLIP. (timm and open_clip antialias when they shrink: DINOv2's features at 224 px then differ by up to
    0.15.)
    """
    side = round((positions_1ND.shape[1] - num_prefix) ** 0.5)
    stored_1DHW = tokens_to_map(positions_1ND[:, num_prefix:].float(), (side, side))
    resampled_1DHW = functional.interpolate(stored_1DHW, size=grid, mode="bicubic", align_corners=False)
    resampled_1ND = resampled_1DHW.flatten(2).transpose(1, 2).to(positions_1ND.dtype)
    return torch.cat([positions_1ND[:, :num_prefix], resampled_1ND], dim=1)
