"""How SigLIP checkpoints name the weights of their image tower: transformers' names, with or without the text tower."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from torch import Tensor

from encoders.key_map import KeyMap, has_key
from encoders.spec import Layout

_TOWER = r"(?:vision_model\.)?"  # a SiglipVisionModel that transformers 5 saved has no prefix
_BLOCK = _TOWER + r"encoder\.layers\.(\d+)\."

_KEYS = KeyMap(
    rename=(
        (_TOWER + r"embeddings\.patch_embedding\.(weight|bias)", r"trunk.patch_embed.proj.\1"),
        (_TOWER + r"embeddings\.position_embedding\.weight", "trunk.pos_embed"),
        (_BLOCK + r"layer_norm([12])\.(weight|bias)", r"trunk.blocks.\1.norm\2.\3"),
        (_BLOCK + r"self_attn\.q_proj\.(weight|bias)", r"trunk.blocks.\1.attn.qkv.\2#0"),
        (_BLOCK + r"self_attn\.k_proj\.(weight|bias)", r"trunk.blocks.\1.attn.qkv.\2#1"),
        (_BLOCK + r"self_attn\.v_proj\.(weight|bias)", r"trunk.blocks.\1.attn.qkv.\2#2"),
        (_BLOCK + r"self_attn\.out_proj\.(weight|bias)", r"trunk.blocks.\1.attn.proj.\2"),
        (_BLOCK + r"mlp\.(fc[12])\.(weight|bias)", r"trunk.blocks.\1.mlp.\2.\3"),
        (_TOWER + r"post_layernorm\.(weight|bias)", r"trunk.norm.\1"),
        (_TOWER + r"head\.probe", "trunk.attn_pool.latent"),
        (_TOWER + r"head\.attention\.in_proj_(weight|bias)", r"in_proj.\1"),
        (_TOWER + r"head\.attention\.out_proj\.(weight|bias)", r"trunk.attn_pool.proj.\1"),
        (_TOWER + r"head\.layernorm\.(weight|bias)", r"trunk.attn_pool.norm.\1"),
        (_TOWER + r"head\.mlp\.(fc[12])\.(weight|bias)", r"trunk.attn_pool.mlp.\1.\2"),
    ),
    drop=(
        r"text_model\..*",
        r"logit_scale|logit_bias",  # of the image-text loss
        _TOWER + r"embeddings\.position_ids",  # 0, 1, 2, ...: older versions of transformers stored them
    ),
)


def _translate(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    translated = _KEYS.translate(state)
    if "trunk.pos_embed" in translated:
        translated["trunk.pos_embed"] = translated["trunk.pos_embed"][None]  # an embedding table has no batch
    for kind in ("weight", "bias"):  # the pooling's query, key and value in one; timm keeps the query apart
        joined = translated.pop(f"in_proj.{kind}", None)
        if joined is not None:
            width = len(joined) // 3
            translated[f"trunk.attn_pool.q.{kind}"] = joined[:width].clone()
            translated[f"trunk.attn_pool.kv.{kind}"] = joined[width:].clone()
    return translated


HUB = Layout(
    "transformers SiglipModel", partial(has_key, _TOWER + r"embeddings\.position_embedding\.weight"), _translate
)
