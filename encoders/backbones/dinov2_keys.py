"""How DINOv2 checkpoints name their weights: transformers' names on the hub, and the names of DINOv2's own code."""

from __future__ import annotations

from functools import partial

from encoders.key_map import KeyMap, has_key
from encoders.spec import Layout

_HUB = r"(?:dinov2\.)?"  # with a head on top (Dinov2ForImageClassification) the names are prefixed
_HUB_BLOCK = _HUB + r"encoder\.layer\.(\d+)\."
_ORIGINAL = r"(?:module\.)?(?:backbone\.)?"  # training checkpoints prefix the names, released ones do not
_ORIGINAL_BLOCK = _ORIGINAL + r"blocks\.(?:\d+\.)?(\d+)\."  # blocks.CHUNK.BLOCK when trained in chunks (FSDP)

HUB = Layout(
    "transformers Dinov2Model",
    partial(has_key, _HUB + r"embeddings\.cls_token"),
    KeyMap(
        rename=(
            (_HUB + r"embeddings\.cls_token", "trunk.cls_token"),
            (_HUB + r"embeddings\.position_embeddings", "trunk.pos_embed"),
            (_HUB + r"embeddings\.patch_embeddings\.projection\.(weight|bias)", r"trunk.patch_embed.proj.\1"),
            (_HUB_BLOCK + r"(norm[12]|mlp\.fc[12])\.(weight|bias)", r"trunk.blocks.\1.\2.\3"),
            # transformers 5 renames attention in memory: a state dict saved by hand has the second name of each
            (_HUB_BLOCK + r"attention\.(?:attention\.query|q_proj)\.(weight|bias)", r"trunk.blocks.\1.attn.qkv.\2#0"),
            (_HUB_BLOCK + r"attention\.(?:attention\.key|k_proj)\.(weight|bias)", r"trunk.blocks.\1.attn.qkv.\2#1"),
            (_HUB_BLOCK + r"attention\.(?:attention\.value|v_proj)\.(weight|bias)", r"trunk.blocks.\1.attn.qkv.\2#2"),
            (_HUB_BLOCK + r"attention\.(?:output\.dense|o_proj)\.(weight|bias)", r"trunk.blocks.\1.attn.proj.\2"),
            (_HUB_BLOCK + r"layer_scale([12])\.lambda1", r"trunk.blocks.\1.ls\2.gamma"),
            (_HUB + r"layernorm\.(weight|bias)", r"trunk.norm.\1"),
        ),
        drop=(
            _HUB + r"embeddings\.mask_token",  # stands for hidden patches in pretraining only
            r"classifier\.(weight|bias)",  # a fine-tuned classifier's head
        ),
    ).translate,
)

ORIGINAL = Layout(
    "DINOv2's own",
    partial(has_key, _ORIGINAL + "cls_token"),
    KeyMap(
        rename=(
            (_ORIGINAL + "(cls_token|pos_embed)", r"trunk.\1"),
            (_ORIGINAL + r"patch_embed\.proj\.(weight|bias)", r"trunk.patch_embed.proj.\1"),
            (
                _ORIGINAL_BLOCK + r"(norm[12]|attn\.qkv|attn\.proj|mlp\.fc[12])\.(weight|bias)",
                r"trunk.blocks.\1.\2.\3",
            ),
            (_ORIGINAL_BLOCK + r"(ls[12])\.gamma", r"trunk.blocks.\1.\2.gamma"),
            (_ORIGINAL + r"norm\.(weight|bias)", r"trunk.norm.\1"),
        ),
        drop=(
            _ORIGINAL + "mask_token",  # stands for hidden patches in pretraining only
            r"(?:module\.)?(dino_head|ibot_head)\..*",  # pretraining's prototypes, in a teacher's checkpoint
        ),
    ).translate,
)
