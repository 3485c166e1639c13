"""Ark+ (Arizona State University): a Swin-L taught by the labels of six chest X-ray data sets at once, at 768 px."""

from __future__ import annotations

from collections.abc import Collection

from encoders.backbones.swin import SwinEncoder
from encoders.key_map import KeyMap
from encoders.spec import EncoderSpec, Layout, Licence, Size, Source

# Saved by timm 0.5.4, where a stage ends with the downsampling; today's timm begins the next stage with it.
# DataParallel's "module." may be there or not.
_MODULE = r"(?:module\.)?"
_BLOCK = _MODULE + r"(layers\.\d+\.blocks\.\d+\.)"
_KEYS = KeyMap(
    rename=(
        (_MODULE + r"(patch_embed\.(?:proj|norm)\.(?:weight|bias))", r"trunk.\1"),
        (_BLOCK + r"((?:norm1|norm2|attn\.qkv|attn\.proj|mlp\.fc1|mlp\.fc2)\.(?:weight|bias))", r"trunk.\1\2"),
        (_BLOCK + r"(attn\.relative_position_bias_table)", r"trunk.\1\2"),
        *(
            (
                _MODULE + rf"layers\.{stage}\.(downsample\.(?:norm\.weight|norm\.bias|reduction\.weight))",
                rf"trunk.layers.{stage + 1}.\1",
            )
            for stage in range(3)
        ),
        (_MODULE + r"(norm\.(?:weight|bias))", r"trunk.\1"),
        (_MODULE + r"(projector\.(?:weight|bias))", r"\1"),
    ),
    drop=(
        _MODULE + r"omni_heads\.\d+\.(?:weight|bias)",  # the six data sets' classifiers
        _MODULE + r"head\.(?:weight|bias)",  # timm's own classifier, unused by Ark+
        # what follows from the window and the image size, and is computed when the encoder is built
        _BLOCK + r"(?:attn_mask|attn\.relative_position_index)",
    ),
)


def _is_published(keys: Collection[str]) -> bool:
    return any(f"{prefix}layers.0.downsample.reduction.weight" in keys for prefix in ("", "module."))


def _build(spec: EncoderSpec, size: Size, image_size_px: int) -> SwinEncoder:
    if size == "tiny":
        return SwinEncoder(
            spec, image_size_px, width=16, depths=(2, 2, 2, 2), num_heads=(1, 2, 4, 8), projection_width=24
        )
    return SwinEncoder(
        spec, image_size_px, width=192, depths=(2, 2, 18, 2), num_heads=(6, 12, 24, 48), projection_width=1376
    )


SPEC = EncoderSpec(
    name="ark_plus",
    title="Ark+ (Swin-L)",
    source=Source(url="https://github.com/jlianglab/Ark", file="Ark6_swinLarge768_ep50.pth.tar"),
    licence=Licence(
        "ASU research licence, non-commercial and revocable",
        "https://github.com/jlianglab/Ark/blob/main/LICENSE",
        must_accept=True,
        gated=True,
    ),
    image_size_px=768,
    build=_build,
    layouts=(Layout("Ark, the teacher's state (timm 0.5.4)", _is_published, _KEYS.translate),),
    citation="Ma et al., A fully open AI foundation model applied to chest radiography, Nature 2025",
    notes=(
        "The file is handed out on request, through a form that the repository names.",
        "The global vector is the mean of the normed tokens, 1536 wide; `encoder.project` makes the 1376 numbers that "
        "the published heads read of it.",
    ),
)
