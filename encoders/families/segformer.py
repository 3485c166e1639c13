"""SegFormer-B4 (NVIDIA): a segmentation baseline taught on everyday scenes (ADE20K), at 512 px."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from encoders.backbones.mit import MiTEncoder
from encoders.key_map import KeyMap
from encoders.spec import EncoderSpec, Layout, Licence, Size, Source

if TYPE_CHECKING:
    from torch import Tensor

NUM_CLASSES = 150  # ADE20K's

_ENDS = r"(weight|bias)"
_BLOCK = r"segformer\.encoder\.block\.(\d+)\.(\d+)\."
_OURS = r"trunk.stages.\1.blocks.\2"
# The hub's files, and what save_pretrained of every transformers version writes.
_HUB_KEYS = KeyMap(
    rename=(
        (r"segformer\.encoder\.patch_embeddings\.0\.proj\." + _ENDS, r"trunk.patch_embed.proj.\1"),
        (r"segformer\.encoder\.patch_embeddings\.0\.layer_norm\." + _ENDS, r"trunk.patch_embed.norm.\1"),
        (r"segformer\.encoder\.patch_embeddings\.([1-3])\.proj\." + _ENDS, r"trunk.stages.\1.downsample.proj.\2"),
        (r"segformer\.encoder\.patch_embeddings\.([1-3])\.layer_norm\." + _ENDS, r"trunk.stages.\1.downsample.norm.\2"),
        (_BLOCK + r"layer_norm_([12])\." + _ENDS, _OURS + r".norm\3.\4"),
        (_BLOCK + r"attention\.self\.query\." + _ENDS, _OURS + r".attn.q.\3"),
        (_BLOCK + r"attention\.self\.key\." + _ENDS, _OURS + r".attn.kv.\3#0"),
        (_BLOCK + r"attention\.self\.value\." + _ENDS, _OURS + r".attn.kv.\3#1"),
        (_BLOCK + r"attention\.self\.sr\." + _ENDS, _OURS + r".attn.sr.\3"),
        (_BLOCK + r"attention\.self\.layer_norm\." + _ENDS, _OURS + r".attn.norm.\3"),
        (_BLOCK + r"attention\.output\.dense\." + _ENDS, _OURS + r".attn.proj.\3"),
        (_BLOCK + r"mlp\.dense([12])\." + _ENDS, _OURS + r".mlp.fc\3.\4"),
        (_BLOCK + r"mlp\.dwconv\.dwconv\." + _ENDS, _OURS + r".mlp.dwconv.\3"),
        (r"segformer\.encoder\.layer_norm\.(\d+)\." + _ENDS, r"trunk.stages.\1.norm.\2"),
        (r"decode_head\.linear_c\.(\d+)\.proj\." + _ENDS, r"decode_head.linear_c.\1.\2"),
        (r"decode_head\.(linear_fuse\.weight|classifier\.weight|classifier\.bias)", r"decode_head.\1"),
        (
            r"decode_head\.(batch_norm\.(?:weight|bias|running_mean|running_var|num_batches_tracked))",
            r"decode_head.\1",
        ),
    )
)

_STAGE = r"segformer\.stages\.(\d+)\."
_STATE_BLOCK = _STAGE + r"blocks\.(\d+)\."
_HUB_BLOCK = r"segformer.encoder.block.\1.\2."
# The state dict of a model in memory under transformers 5, as torch.save and trainers write it -> the hub's names.
_STATE_KEYS = KeyMap(
    rename=(
        (_STAGE + r"patch_embeddings\.(.+)", r"segformer.encoder.patch_embeddings.\1.\2"),
        (_STAGE + r"layer_norm\.(.+)", r"segformer.encoder.layer_norm.\1.\2"),
        (_STATE_BLOCK + r"layernorm_before\.(.+)", _HUB_BLOCK + r"layer_norm_1.\3"),
        (_STATE_BLOCK + r"layernorm_after\.(.+)", _HUB_BLOCK + r"layer_norm_2.\3"),
        (_STATE_BLOCK + r"attention\.q_proj\.(.+)", _HUB_BLOCK + r"attention.self.query.\3"),
        (_STATE_BLOCK + r"attention\.k_proj\.(.+)", _HUB_BLOCK + r"attention.self.key.\3"),
        (_STATE_BLOCK + r"attention\.v_proj\.(.+)", _HUB_BLOCK + r"attention.self.value.\3"),
        (_STATE_BLOCK + r"attention\.o_proj\.(.+)", _HUB_BLOCK + r"attention.output.dense.\3"),
        (
            _STATE_BLOCK + r"attention\.sequence_reduction\.sequence_reduction\.(.+)",
            _HUB_BLOCK + r"attention.self.sr.\3",
        ),
        (
            _STATE_BLOCK + r"attention\.sequence_reduction\.layer_norm\.(.+)",
            _HUB_BLOCK + r"attention.self.layer_norm.\3",
        ),
        (_STATE_BLOCK + r"mlp\.fc([12])\.(.+)", _HUB_BLOCK + r"mlp.dense\3.\4"),
        (_STATE_BLOCK + r"mlp\.dwconv\.(.+)", _HUB_BLOCK + r"mlp.dwconv.\3"),
        (r"decode_head\.linear_projections\.(.+)", r"decode_head.linear_c.\1"),
        (r"(decode_head\..+)", r"\1"),
    )
)


def _from_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return _HUB_KEYS.translate(_STATE_KEYS.translate(state))


def _is_hub(keys: Collection[str]) -> bool:
    return "segformer.encoder.patch_embeddings.0.proj.weight" in keys


def _is_state(keys: Collection[str]) -> bool:
    return "segformer.stages.0.patch_embeddings.proj.weight" in keys


def _build(spec: EncoderSpec, size: Size, image_size_px: int) -> MiTEncoder:
    if size == "tiny":
        return MiTEncoder(
            spec,
            image_size_px,
            widths=(16, 32, 40, 64),
            depths=(1, 1, 2, 1),
            num_heads=(1, 2, 5, 8),
            decoder_width=32,
            num_classes=NUM_CLASSES,
        )
    return MiTEncoder(
        spec,
        image_size_px,
        widths=(64, 128, 320, 512),
        depths=(3, 8, 27, 3),
        num_heads=(1, 2, 5, 8),
        decoder_width=768,
        num_classes=NUM_CLASSES,
    )


SPEC = EncoderSpec(
    name="segformer",
    title="SegFormer-B4 (MiT)",
    source=Source(
        url="https://huggingface.co/nvidia/segformer-b4-finetuned-ade-512-512",
        file="pytorch_model.bin",
        hub_id="nvidia/segformer-b4-finetuned-ade-512-512",
    ),
    licence=Licence(
        "NVIDIA Source Code License for SegFormer, non-commercial",
        "https://github.com/NVlabs/SegFormer/blob/master/LICENSE",
        must_accept=True,
    ),
    image_size_px=512,
    build=_build,
    layouts=(
        Layout("SegFormer as on the hub", _is_hub, _HUB_KEYS.translate),
        Layout("SegFormer's state dict in transformers 5", _is_state, _from_state),
    ),
    citation="Xie et al., SegFormer: Simple and Efficient Design for Semantic Segmentation with Transformers, "
    "NeurIPS 2021",
    notes=(
        "The published model has no global vector: ours is the mean of the last map.",
        "`encoder.segment` gives the decode head's logits: 150 ADE20K classes, or those of a user's fine-tuned file.",
    ),
)
