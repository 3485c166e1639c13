"""What every encoder promises: pixels in, features out, each named by the layer, stride and norm that made it.

Shape letters: B batch, C channels, H rows, W columns, N patch tokens, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import torch
from torch import Tensor, nn

from encoders.preprocessing.recipe import Recipe
from encoders.spec import EncoderSpec

State = dict[str, Tensor]


_FAR = 8  # times; noise and augmentation stay well within, levels of 0..255 do not


class Norm(StrEnum):
    """Which normalisation a feature map has been through."""

    NONE = "none"  # a block's output as it is (DINOv2's and timm's intermediate layers)
    STAGE = "stage"  # the norm that closes this stage (SegFormer)
    FINAL = "final"  # the encoder's last LayerNorm


class Pooling(StrEnum):
    """How the one vector of an image was made of its tokens."""

    CLS = "cls"  # the class token after the final norm
    PROJECTED_CLS = "projected_cls"  # the class token after the final norm, projected to the text-image space
    ATTENTION = "attention"  # SigLIP's attention pooling head (MAP), a learnt query over the normed tokens
    MEAN = "mean"  # mean of the last tokens after their norm
    PROJECTED_MEAN = "projected_mean"  # mean of the last tokens, normed, projected, of length 1


class FeatureMap(NamedTuple):
    """One map of patch features.

    map_BCHW: row 0 is the image's top, column 0 its left; layer: 0-based block of a ViT, or stage of a hierarchical
    encoder; stride_px: pixels of the input between neighbouring places; norm: what the map has been through.
    """

    map_BCHW: Tensor
    layer: int
    stride_px: int
    norm: Norm


@dataclass(frozen=True)
class Features:
    """What `Encoder.encode` gives of a batch.

    global_BD: one vector an image, made by `pooling`.
    tokens_BND: the patch tokens a language model reads, row by row from the top left, no class or register token.
    """

    global_BD: Tensor
    pooling: Pooling
    tokens_BND: Tensor
    tokens_norm: Norm
    default_stride_px: int
    maps: Mapping[int, FeatureMap]  # by stride
    kept: Mapping[int, FeatureMap]  # by layer, as their blocks gave them
    num_layers: int  # of the encoder, kept or not: negative layer indices count from it
    final_norm: Callable[[Tensor], Tensor] | None = None  # on B,H,W,C; None where it fits one layer only

    def patches(self, stride_px: int | None = None) -> FeatureMap:
        """The map at a stride; by default the encoder's own choice. Nothing is resampled.

        Raises:
            ValueError: the encoder has no map of that stride; the message lists those it has.
        """
        wanted = self.default_stride_px if stride_px is None else stride_px
        if wanted not in self.maps:
            raise ValueError(f"no map of stride {wanted} px; this encoder has {', '.join(map(str, sorted(self.maps)))}")
        return self.maps[wanted]

    def layers(self, indices: Sequence[int], *, norm: Norm | str | None = None) -> list[FeatureMap]:
        """The maps of these layers, in the order asked for.

        Args:
            indices: 0-based blocks (ViT) or stages (hierarchical); negative ones count from the last.
            norm: None leaves each as its block gave it (each map names its state); "final" applies the encoder's
                last LayerNorm to every one, as DINOv2's own evaluation does.

        Raises:
            ValueError: a layer was not kept (`encode(layers=...)`), or the final norm does not fit it.
        """
        found = []
        for index in indices:
            place = index + self.num_layers if index < 0 else index
            if place not in self.kept:
                kept = ", ".join(map(str, sorted(self.kept))) or "none"
                raise ValueError(f"layer {index} was not kept; kept: {kept}. Ask encode(pixels, layers=...) for it")
            found.append(self._normed(self.kept[place], norm))
        return found

    def _normed(self, kept: FeatureMap, norm: Norm | str | None) -> FeatureMap:
        if norm is None or Norm(norm) is kept.norm:
            return kept
        if Norm(norm) is not Norm.FINAL or self.final_norm is None or kept.norm is not Norm.NONE:
            raise ValueError(f"layer {kept.layer} has norm {kept.norm.value!r}; {norm!r} cannot be made of it")
        normed_BHWC = self.final_norm(kept.map_BCHW.permute(0, 2, 3, 1))
        return kept._replace(map_BCHW=normed_BHWC.permute(0, 3, 1, 2), norm=Norm.FINAL)


class Encoder(nn.Module):
    """An image encoder of known preprocessing and known sizes.

    A family's class sets the attributes below before any forward pass, and implements `_encode`. Gradients flow as the
    caller's context says: `encode` neither stops nor starts them.
    """

    spec: EncoderSpec
    recipe: Recipe  # its preprocessing, at image_size_px
    image_size_px: int
    global_width: int
    pooling: Pooling
    token_width: int
    token_grid: tuple[int, int]  # rows, columns of tokens_BND
    num_layers: int
    default_stride_px: int
    grids: Mapping[int, tuple[int, int]]  # stride -> rows, columns of patches(stride)
    widths: Mapping[int, int]  # stride -> channels of patches(stride)

    @property
    def num_tokens(self) -> int:
        return self.token_grid[0] * self.token_grid[1]

    @property
    def strides_px(self) -> tuple[int, ...]:
        return tuple(sorted(self.grids))

    def encode(self, pixels_BCHW: Tensor, *, layers: Sequence[int] | None = None) -> Features:
        """Features of a batch that `recipe` prepared.

        Args:
            pixels_BCHW: normalised pixels, C = 3, H = W = image_size_px; cast to the weights' dtype.
            layers: those to keep for `Features.layers`; None keeps all of them (all B,C,H,W: some memory),
                () none.

        Raises:
            ValueError: the pixels are integers, not finite, far beyond what `recipe` makes of black and white, or
                their shape is not the encoder's; or a layer does not exist.
        """
        if not pixels_BCHW.is_floating_point():
            raise ValueError(
                f"pixels are {pixels_BCHW.dtype}; {self.spec.name} takes normalised floats: prepare() them"
            )
        expected = (3, self.image_size_px, self.image_size_px)
        if pixels_BCHW.ndim != 4 or tuple(pixels_BCHW.shape[1:]) != expected:
            raise ValueError(f"pixels are {tuple(pixels_BCHW.shape)}; {self.spec.name} takes B, {expected}")
        self._refuse_unprepared(pixels_BCHW)
        weight = next(self.parameters())
        return self._encode(pixels_BCHW.to(weight.dtype), self._layer_places(layers))

    def forward(self, pixels_BCHW: Tensor) -> Tensor:
        """`encode(...).global_BD`, for tools that call modules."""
        return self.encode(pixels_BCHW, layers=()).global_BD

    def _refuse_unprepared(self, pixels_BCHW: Tensor) -> None:
        recipe: Recipe | None = getattr(self, "recipe", None)
        if recipe is None or pixels_BCHW.is_meta or torch.compiler.is_compiling():
            return
        ends = [
            abs(end - mean) / std
            for mean, std in zip(recipe.normalize.mean, recipe.normalize.std, strict=True)
            for end in (0, 1)
        ]
        largest = float(pixels_BCHW.detach().abs().amax()) if pixels_BCHW.numel() else 0.0
        if not largest <= _FAR * max(ends):  # NaN fails too
            raise ValueError(
                f"pixels reach {largest:.4g}, where black and white are at most {max(ends):.3g} for {self.spec.name}: "
                "not finite, or not normalised; prepare() them"
            )

    def _layer_places(self, layers: Sequence[int] | None) -> tuple[int, ...]:
        if layers is None:
            return tuple(range(self.num_layers))
        places = [index + self.num_layers if index < 0 else index for index in layers]
        wrong = [index for index, place in zip(layers, places, strict=True) if not 0 <= place < self.num_layers]
        if wrong:
            raise ValueError(f"{self.spec.name} has layers 0 to {self.num_layers - 1}; asked for {wrong}")
        return tuple(sorted(set(places)))

    def adapt_state(self, state: State) -> State:
        """A translated checkpoint, made to fit this encoder's image size; call it before the strict load.

        Only what depends on the image size (position embeddings) or on the user's own classes (a segmentation head) may
        change; a tensor of any other shape than the published one is left for `load_state_dict` to refuse.
        """
        return state

    def _encode(self, pixels_BCHW: Tensor, layers: tuple[int, ...]) -> Features:
        raise NotImplementedError


def tokens_to_map(tokens_BND: Tensor, grid: tuple[int, int]) -> Tensor:
    """B,N,D tokens in rows from the top left -> B,D,H,W."""
    return tokens_BND.transpose(1, 2).reshape(len(tokens_BND), -1, *grid)  # a view


def map_to_tokens(map_BCHW: Tensor) -> Tensor:
    """B,C,H,W -> B,N,C tokens in rows from the top left."""
    return map_BCHW.flatten(2).transpose(1, 2)
