"""The same weights for vLLM: a second configuration over a checkpoint's own shards.

vLLM's Llava knows few encoders and a projector of two layers. With images limited to 0 and embeddings allowed it builds
neither, skips their tensors, and takes image tokens as they are given (`llava.generate.engine_vllm`). So the second
config.json says Llava, with this language model and an encoder that is a stub of as many tokens. Tried with vLLM 0.32.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from pathlib import Path
from typing import Any

from llava import checksums
from llava.model import CxrLlavaConfig

_STUB_PATCH_PX = 14
# what the second folder has of its own, or does without
_OWN = {"config.json", "processor_config.json", "prompt.json", "encoder.json", "run.json", checksums.FILE}


def write_vllm_layout(folder: Path, target: Path) -> None:
    """Make `target`, which must not exist: what vLLM loads; weights are links to those of `folder`, all else is small.

    Links are relative where the target is inside the folder, so that both can be moved together.

    Raises:
        ValueError: 4-bit weights.
        OSError: the target cannot be written, or the file system has no links.
    """
    config: CxrLlavaConfig = CxrLlavaConfig.from_pretrained(folder)
    if getattr(config, "quantization_config", None) is not None:
        raise ValueError(f"{folder} has 4-bit weights, whose names vLLM does not take; generate with transformers")
    target.mkdir(parents=True)
    inside = folder.resolve() in target.resolve().parents
    for file in sorted(folder.iterdir()):
        if not file.is_file() or file.name in _OWN:
            continue
        if file.suffix == ".safetensors":
            source = os.path.relpath(file.resolve(), target.resolve()) if inside else file.resolve()
            (target / file.name).symlink_to(source)
        else:
            shutil.copyfile(file, target / file.name)
    for name, value in _files(config).items():
        (target / name).write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def _files(config: CxrLlavaConfig) -> dict[str, Any]:
    tokens = config.vision.num_tokens
    side_px = _STUB_PATCH_PX * math.ceil(math.sqrt(tokens))
    vision = {
        "model_type": "clip_vision_model",
        "image_size": side_px,
        "patch_size": _STUB_PATCH_PX,
        "hidden_size": 64,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
    }
    text = config.get_text_config()
    return {
        "config.json": {
            "architectures": ["LlavaForConditionalGeneration"],
            "model_type": "llava",
            "image_token_index": config.image_token_id,
            "image_seq_length": tokens,
            "multimodal_projector_bias": True,
            "projector_hidden_act": "gelu",
            "vision_feature_layer": -1,
            "vision_feature_select_strategy": "default",
            "tie_word_embeddings": bool(config.tie_word_embeddings),
            "dtype": str(config.dtype or "float32").removeprefix("torch."),
            "vision_config": vision,
            "text_config": text.to_dict(),
        },
        "processor_config.json": {
            "processor_class": "LlavaProcessor",
            "image_token": "<image>",
            "patch_size": _STUB_PATCH_PX,
            "vision_feature_select_strategy": "default",
            "num_additional_image_tokens": 1,
        },
        "preprocessor_config.json": {
            "image_processor_type": "CLIPImageProcessor",
            "size": {"shortest_edge": side_px},
            "crop_size": {"height": side_px, "width": side_px},
        },
    }
