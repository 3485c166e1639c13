"""Any timm architecture under the encoder's contract: columns of blocks (ViT-like) and hierarchies of stages.

Shape letters: B batch, C channels, H rows, W columns, N patch tokens, T patch and other tokens, D width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from encoders.contract import Encoder, FeatureMap, Features, Norm, Pooling, map_to_tokens, tokens_to_map

if TYPE_CHECKING:
    from encoders.own_models import ModelSettings
    from encoders.spec import EncoderSpec

_POOLS = {"cls": "token", "mean": "avg", "attention": "map"}  # timm's names
_OURS = ("pretrained", "checkpoint_path", "num_classes", "global_pool", "features_only")  # what model_args may not set


class TimmEncoder(Encoder):
    """A timm model without its classifier.

    global: timm's own pooling (`forward_head(pre_logits=True)`), with the norm that its head has; tokens: of a ViT
    the patch tokens of `forward_features`, of a hierarchy the last stage's map; layers: blocks or stages, raw.
    """

    def __init__(self, spec: EncoderSpec, settings: ModelSettings, image_size_px: int) -> None:
        """Sizes are learnt from a pass without memory.

        Raises:
            ValueError: timm cannot build it, or it does not take images of that size.
        """
        super().__init__()
        self.spec = spec
        self.image_size_px = image_size_px
        self.pooling = Pooling(settings.pooling)
        try:
            with torch.device("meta"), torch.no_grad():
                sized: Any = _create(settings).eval()
                last, maps = sized.forward_intermediates(torch.empty(1, 3, image_size_px, image_size_px))
                global_BD = sized.forward_head(last, pre_logits=True)
            self.model: Any = _create(settings)
        except (TypeError, ValueError, AttributeError, AssertionError, RuntimeError, NotImplementedError) as error:
            raise ValueError(
                f"timm cannot build {settings.model} for {image_size_px} px with pooling {settings.pooling!r} and "
                f"model_args {settings.model_args}: {str(error) or type(error).__name__}"
            ) from None
        grids = [(one.shape[2], one.shape[3]) for one in maps]
        strides = [int(info["reduction"]) for info in sized.feature_info]
        self._num_prefix = int(getattr(sized, "num_prefix_tokens", 0))
        rows, columns = grids[-1]
        self._is_column = len(set(grids)) == 1 and last.ndim == 3 and last.shape[1] == self._num_prefix + rows * columns
        self._strides = strides
        self.num_layers = len(maps)
        self.global_width = global_BD.shape[-1]
        self.token_grid = grids[-1]
        self.token_width = maps[-1].shape[1]
        self.grids = dict(zip(strides, grids, strict=True))
        self.widths = {stride: one.shape[1] for stride, one in zip(strides, maps, strict=True)}
        self.default_stride_px = settings.stride_px or strides[-1]
        if self.default_stride_px not in self.grids:
            raise ValueError(f"{spec.name} has no map of stride {settings.stride_px} px; it has {self.strides_px}")

    def _encode(self, pixels_BCHW: Tensor, layers: tuple[int, ...]) -> Features:
        wanted = layers or (self.num_layers - 1,)
        taken = wanted if self._is_column else tuple(range(self.num_layers))
        last, maps = self.model.forward_intermediates(pixels_BCHW, indices=list(taken))
        found = {
            layer: FeatureMap(one_BCHW, layer, self._strides[layer], Norm.NONE)
            for layer, one_BCHW in zip(taken, maps, strict=True)
        }
        final_norm = None
        if self._is_column:
            final_norm = None if isinstance(self.model.norm, nn.Identity) else self.model.norm
            tokens_BND = last[:, self._num_prefix :]
            norm = Norm.NONE if final_norm is None else Norm.FINAL
            stride = self._strides[-1]
            strided = {
                stride: FeatureMap(tokens_to_map(tokens_BND, self.token_grid), self.num_layers - 1, stride, norm)
            }
        else:
            tokens_BND, norm = map_to_tokens(found[self.num_layers - 1].map_BCHW), Norm.NONE
            strided = {one.stride_px: one for one in found.values()}  # of two stages of one stride, the later
        return Features(
            global_BD=self.model.forward_head(last, pre_logits=True),
            pooling=self.pooling,
            tokens_BND=tokens_BND,
            tokens_norm=norm,
            default_stride_px=self.default_stride_px,
            maps=strided,
            kept={layer: found[layer] for layer in layers},
            num_layers=self.num_layers,
            final_norm=final_norm,
        )


def _create(settings: ModelSettings) -> nn.Module:
    from encoders.torchvision_shim import import_torchvision

    import_torchvision()
    import timm

    set_here = sorted(set(_OURS) & settings.model_args.keys())
    if set_here:
        raise ValueError(
            f"{', '.join(set_here)} cannot be set: no weights are taken from elsewhere, pooling says the rest"
        )
    if not timm.is_model(settings.model.partition(".")[0]):  # which also keeps out timm's "hf-hub:" and "local-dir:"
        near = timm.list_models(f"*{settings.model[:12]}*")[:5]
        raise ValueError(f"timm has no architecture {settings.model!r}; near it: {', '.join(near) or 'none'}")
    model: nn.Module = timm.create_model(
        settings.model,
        pretrained=False,
        num_classes=0,
        global_pool=_POOLS[settings.pooling],
        **settings.model_args,
    )
    return model
