"""MedImageInsight (Microsoft): a DaViT taught by images and texts of many medical domains, at 480 px."""

from __future__ import annotations

from collections.abc import Collection

from encoders.backbones.davit import DaViTEncoder
from encoders.key_map import KeyMap
from encoders.spec import EncoderSpec, Layout, Licence, Size, Source

_ENDS = r"(weight|bias)"
_BLOCK = r"image_encoder\.blocks\.(\d+)\.(\d+)\.(spatial_block|channel_block)\."
_OURS = r"trunk.stages.\1.blocks.\2.\3"
_KEYS = KeyMap(
    rename=(
        (r"image_encoder\.convs\.0\.proj\." + _ENDS, r"trunk.stem.conv.\1"),
        (r"image_encoder\.convs\.0\.norm\." + _ENDS, r"trunk.stem.norm.\1"),
        (r"image_encoder\.convs\.([1-3])\.proj\." + _ENDS, r"trunk.stages.\1.downsample.conv.\2"),
        (r"image_encoder\.convs\.([1-3])\.norm\." + _ENDS, r"trunk.stages.\1.downsample.norm.\2"),
        (_BLOCK + r"conv([12])\.fn\.dw\." + _ENDS, _OURS + r".cpe\4.proj.\5"),
        (_BLOCK + r"(?:window|channel)_attn\.norm\." + _ENDS, _OURS + r".norm1.\4"),
        (_BLOCK + r"(?:window|channel)_attn\.fn\.(qkv|proj)\." + _ENDS, _OURS + r".attn.\4.\5"),
        (_BLOCK + r"ffn\.norm\." + _ENDS, _OURS + r".norm2.\4"),
        (_BLOCK + r"ffn\.fn\.net\.(fc[12])\." + _ENDS, _OURS + r".mlp.\4.\5"),
        (r"image_encoder\.norms\." + _ENDS, r"trunk.head.norm.\1"),
        (r"image_projection", r"image_projection"),
    ),
    drop=(r"lang_encoder\..+", r"lang_projection", r"logit_scale"),  # the text half
)


def _is_published(keys: Collection[str]) -> bool:
    return "image_encoder.convs.0.proj.weight" in keys


def _build(spec: EncoderSpec, size: Size, image_size_px: int) -> DaViTEncoder:
    if size == "tiny":
        return DaViTEncoder(
            spec,
            image_size_px,
            widths=(16, 32, 64, 128),
            depths=(1, 1, 2, 1),
            num_heads=(1, 2, 4, 8),
            projection_width=32,
        )
    return DaViTEncoder(
        spec,
        image_size_px,
        widths=(256, 512, 1024, 2048),
        depths=(1, 1, 9, 1),
        num_heads=(8, 16, 32, 64),
        projection_width=1024,
    )


SPEC = EncoderSpec(
    name="medimageinsight",
    title="MedImageInsight (DaViT)",
    source=Source(
        url="https://huggingface.co/lion-ai/MedImageInsights",
        file="2024.09.27/vision_model/medimageinsigt-v1.0.0.pt",  # so misspelt; its content is safetensors
        hub_id="lion-ai/MedImageInsights",
    ),
    licence=Licence("MIT", "https://huggingface.co/lion-ai/MedImageInsights"),
    image_size_px=480,
    build=_build,
    layouts=(Layout("MedImageInsight, whole text-image model", _is_published, _KEYS.translate),),
    citation="Codella et al., MedImageInsight: An Open-Source Embedding Model for General Domain Medical Imaging, "
    "arXiv:2410.06542",
    notes=("The global vector is normed, projected and of length 1, as its text-image similarity reads it.",),
)
