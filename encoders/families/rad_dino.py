"""RAD-DINO: DINOv2 ViT-B/14 trained on 882,775 chest X-rays (Microsoft)."""

from __future__ import annotations

from encoders.backbones.dinov2_keys import HUB, ORIGINAL
from encoders.families.dinov2 import VIT_B_14
from encoders.spec import EncoderSpec, Licence, Source

SPEC = EncoderSpec(
    name="rad_dino",
    title="RAD-DINO, ViT-B/14",
    source=Source(
        url="https://huggingface.co/microsoft/rad-dino",
        file="model.safetensors",
        hub_id="microsoft/rad-dino",
        # as pinned by several public repositories, which give model.safetensors' SHA-256 there as dbfb9f54…fb91ae
        revision="110cbc18d5133582e320b43d53bf5c44e410c936",
    ),
    licence=Licence("MIT", "https://huggingface.co/microsoft/rad-dino"),
    image_size_px=518,
    build=VIT_B_14.build,
    layouts=(HUB, ORIGINAL),
    citation="Pérez-García et al., Exploring scalable medical image encoders beyond text supervision, "
    "Nature Machine Intelligence 2025",
    notes=("The original DINOv2 names are backbone_compatible.safetensors in the same repository.",),
)
