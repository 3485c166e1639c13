"""BiomedCLIP's image tower: CLIP ViT-B/16 trained on figures and captions of biomedical articles (Microsoft)."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import nn

from encoders.backbones.vit import ViT, ViTEncoder
from encoders.contract import Pooling
from encoders.key_map import KeyMap, has_key
from encoders.preprocessing.recipe import load_recipe
from encoders.spec import EncoderSpec, Layout, Licence, Source

_VIT = ViT(
    width=768,
    depth=12,
    num_heads=12,
    mlp_width=3072,
    patch_px=16,
    stored_grid=14,
    pooling=Pooling.PROJECTED_CLS,
    projection_width=512,
)

_DDP = r"(?:module\.)?"  # open_clip's own training checkpoints prefix the names

OPEN_CLIP = Layout(
    "open_clip with a timm image tower",
    partial(has_key, _DDP + r"visual\.trunk\.cls_token"),
    KeyMap(
        rename=(
            (_DDP + r"visual\.(trunk\..+)", r"\1"),  # timm's own names
            (_DDP + r"visual\.head\.proj\.weight", "projection.weight"),
        ),
        drop=(
            _DDP + r"text\..*",
            _DDP + "logit_scale",  # of the image-text loss
        ),
    ).translate,
)

SPEC = EncoderSpec(
    name="biomedclip",
    title="BiomedCLIP, ViT-B/16",
    source=Source(
        url="https://huggingface.co/microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224",
        file="open_clip_pytorch_model.bin",
        hub_id="microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224",
        revision="9f341de24bfb00180f1b847274256e9b65a3a32e",  # as pinned by several public repositories
    ),
    licence=Licence("MIT", "https://huggingface.co/microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224"),
    image_size_px=224,
    build=_VIT.build,
    layouts=(OPEN_CLIP,),
    citation="Zhang et al., A multimodal biomedical foundation model trained from fifteen million image-text pairs, "
    "NEJM AI 2025",
    notes=("At other sizes than 224 its positions are resampled as for all encoders here; open_clip would antialias.",),
)

_POOLINGS = {  # (timm's global_pool, projected or not)
    ("token", True): Pooling.PROJECTED_CLS,
    ("token", False): Pooling.CLS,
    ("map", False): Pooling.ATTENTION,
}


def from_open_clip(model: nn.Module, spec: EncoderSpec = SPEC) -> ViTEncoder:
    """The image tower of an open_clip model, under the contract; its modules are shared, not copied.

    Args:
        model: `open_clip.create_model(...)` with a timm vision transformer as its image tower, which pools its class
            token or by attention, with a linear projection or none.
        spec: what the encoder calls itself and whose preprocessing it takes; give another model's its own.

    Raises:
        ValueError: an image tower of another kind.
    """
    from timm.models.vision_transformer import VisionTransformer

    visual: Any = getattr(model, "visual", None)
    trunk = getattr(visual, "trunk", None)
    if not isinstance(trunk, VisionTransformer):
        raise ValueError(f"the image tower is {type(trunk or visual).__name__}, not a timm VisionTransformer")
    if len(set(trunk.patch_embed.img_size)) > 1:
        raise ValueError(f"the image tower takes {trunk.patch_embed.img_size} px; only squares are known")
    head = {name: layer for name, layer in visual.head.named_children() if not isinstance(layer, nn.Dropout)}
    projection = head.pop("proj", None)
    pooling = _POOLINGS.get((trunk.global_pool, projection is not None))
    if head or pooling is None or trunk.num_classes:
        layers = ", ".join(name for name, _ in visual.head.named_children()) or "no layer"
        raise ValueError(
            f"the image tower pools by {trunk.global_pool!r}, with a head of {layers} and {trunk.num_classes} classes; "
            "known: the class token ('token'), projected or not, and attention ('map') without a projection"
        )
    encoder = ViTEncoder(spec, trunk, pooling, projection=projection)
    encoder.recipe = load_recipe(spec.name).at(encoder.image_size_px)
    return encoder
