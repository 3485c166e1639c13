"""MedSigLIP So400m/14 at 448 px, trained on medical images and text (Google)."""

from __future__ import annotations

from encoders.backbones.siglip_keys import HUB
from encoders.backbones.vit import ViT
from encoders.contract import Pooling
from encoders.spec import EncoderSpec, Licence, Source

_VIT = ViT(
    width=1152,
    depth=27,
    num_heads=16,
    mlp_width=4304,
    patch_px=14,
    stored_grid=32,
    pooling=Pooling.ATTENTION,
    activation="gelu_tanh",
)

SPEC = EncoderSpec(
    name="medsiglip",
    title="MedSigLIP, ViT-So400m/14",
    source=Source(
        url="https://huggingface.co/google/medsiglip-448",
        file="model.safetensors",
        hub_id="google/medsiglip-448",
        revision="9cea28a1a1195f665105faa6e8544c112fd960a4",  # as pinned by several public repositories
    ),
    licence=Licence(
        "Health AI Developer Foundations terms of use",
        "https://developers.google.com/health-ai-developer-foundations/terms",
        must_accept=True,
        gated=True,
    ),
    image_size_px=448,
    build=_VIT.build,
    layouts=(HUB,),
    citation="Sellergren et al., MedGemma technical report, arXiv:2507.05201",
)
