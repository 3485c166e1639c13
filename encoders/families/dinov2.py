"""DINOv2 ViT-B/14, trained on natural images (Meta): what RAD-DINO started from."""

from __future__ import annotations

from encoders.backbones.dinov2_keys import HUB, ORIGINAL
from encoders.backbones.vit import ViT
from encoders.contract import Pooling
from encoders.spec import EncoderSpec, Licence, Source

VIT_B_14 = ViT(
    width=768,
    depth=12,
    num_heads=12,
    mlp_width=3072,
    patch_px=14,
    stored_grid=37,
    pooling=Pooling.CLS,
    layer_scale=True,
)

SPEC = EncoderSpec(
    name="dinov2",
    title="DINOv2, ViT-B/14",
    source=Source(
        url="https://huggingface.co/facebook/dinov2-base",
        file="model.safetensors",
        hub_id="facebook/dinov2-base",
        revision="f9e44c814b77203eaa57a6bdbbd535f21ede1415",  # as pinned by several public repositories
    ),
    licence=Licence("Apache-2.0", "https://huggingface.co/facebook/dinov2-base"),
    image_size_px=224,
    build=VIT_B_14.build,
    layouts=(HUB, ORIGINAL),
    citation="Oquab et al., DINOv2: Learning robust visual features without supervision, TMLR 2024",
    notes=(
        "The stored position embeddings are of 518 px (37x37) and resampled to 224 px as transformers does it.",
        "Meta's dinov2_vitb14_pretrain.pth loads too.",
    ),
)
