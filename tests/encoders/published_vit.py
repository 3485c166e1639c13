"""Published ViT checkpoints with random weights: other people's implementations, and the files they are published in.

Shape letters: B batch, C channels, H rows, W columns, N patch tokens, D width.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from encoders.contract import Encoder
from encoders.spec import EncoderSpec
from encoders.torchvision_shim import import_torchvision

import_torchvision()

TINY = {"hidden_size": 32, "num_attention_heads": 2}
SO400M = {"hidden_size": 1152, "num_hidden_layers": 27, "num_attention_heads": 16, "intermediate_size": 4304}
LARGE = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096}
SIGLIP_CONFIGS: dict[str, dict[str, Any]] = {  # of the published config.json files
    "chexagent": {**LARGE, "image_size": 512, "patch_size": 16},
    "siglip2": {**SO400M, "image_size": 512, "patch_size": 16},
    "medsiglip": {**SO400M, "image_size": 448, "patch_size": 14},
}
TEXT = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32, "vocab_size": 50}


class Reference(NamedTuple):
    """What the independent implementation gives; layers_BND: each block's raw output, without class token."""

    global_BD: Tensor
    tokens_BND: Tensor
    layers_BND: list[Tensor]


def dinov2(size: str = "tiny", image_size_px: int = 518) -> Any:
    """transformers' Dinov2Model in facebook/dinov2-base's (and microsoft/rad-dino's) configuration."""
    from transformers import Dinov2Config, Dinov2Model

    sizes: dict[str, Any] = {**TINY, "mlp_ratio": 2} if size == "tiny" else {}
    model: Any = Dinov2Model(Dinov2Config(image_size=image_size_px, patch_size=14, num_hidden_layers=12, **sizes))
    return model.eval()


def siglip(name: str, size: str = "tiny", *, whole: bool = False, **changes: Any) -> Any:
    """transformers' SiglipVisionModel of a published configuration; whole: its SiglipModel with a small text tower."""
    from transformers import SiglipConfig, SiglipModel, SiglipVisionConfig, SiglipVisionModel

    sizes = {**SIGLIP_CONFIGS[name], **({**TINY, "intermediate_size": 64} if size == "tiny" else {}), **changes}
    model: Any
    if whole:
        model = SiglipModel(SiglipConfig(vision_config=sizes, text_config=TEXT))
    else:
        model = SiglipVisionModel(SiglipVisionConfig(**sizes))
    return model.eval()


def open_clip_model(size: str = "tiny", **vision: Any) -> Any:
    """open_clip's model of BiomedCLIP's image configuration with a small text tower; tiny narrows timm's own model."""
    import timm
    from open_clip.model import CustomTextCLIP

    config = {
        "timm_model_name": "vit_base_patch16_224",
        "timm_model_pretrained": False,
        "timm_pool": "",
        "timm_proj": "linear",
        "image_size": 224,
        **vision,
    }
    text = {"context_length": 8, "vocab_size": 50, "width": 32, "heads": 2, "layers": 1}
    if size == "full":
        return CustomTextCLIP(512, config, text).eval()
    narrow = partial(timm.create_model, embed_dim=32, num_heads=2, mlp_ratio=2)
    with mock.patch.object(timm, "create_model", narrow):
        return CustomTextCLIP(16, config, text).eval()


def scramble(model: Any, seed: int = 0) -> Any:
    """Random values for every weight, biases, norms and layer scales included, so that each wrong place shows."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            if weight.ndim < 2:
                weight.add_(0.3 * noise)
            elif "embedding" in name or "embed" in name or "token" in name or "probe" in name or "latent" in name:
                weight.copy_(0.5 * noise)
            else:
                weight.copy_(noise * (weight[0].numel() ** -0.5))
    return model


def pixels(image_size_px: int, seed: int = 1) -> Tensor:
    """Two images, B,C,H,W."""
    return torch.randn(2, 3, image_size_px, image_size_px, generator=torch.Generator().manual_seed(seed))


def run_transformers(model: Any, pixels_BCHW: Tensor) -> Reference:
    """Features of a Dinov2Model or SiglipVisionModel (or a SiglipModel's image tower)."""
    tower = getattr(model, "vision_model", model)
    is_siglip = hasattr(tower, "post_layernorm")
    blocks = tower.encoder.layers if is_siglip else tower.encoder.layer
    raw = _record(blocks)
    options = {"interpolate_pos_encoding": True} if is_siglip else {}
    with torch.no_grad():
        out = tower(pixels_BCHW, **options)
    prefix = 0 if is_siglip else 1
    return Reference(out.pooler_output, out.last_hidden_state[:, prefix:], [one[:, prefix:] for one in raw])


def run_open_clip(model: Any, pixels_BCHW: Tensor, num_prefix: int = 1) -> Reference:
    raw = _record(model.visual.trunk.blocks)
    with torch.no_grad():
        global_BD = model.encode_image(pixels_BCHW)
        tokens_BND = model.visual.trunk.norm(raw[-1])
    return Reference(global_BD, tokens_BND[:, num_prefix:], [one[:, num_prefix:] for one in raw])


def _record(blocks: Any) -> list[Tensor]:
    """A list that the next forward pass fills with the blocks' outputs."""
    raw: list[Tensor] = []

    def keep(module: nn.Module, inputs: Any, output: Any) -> None:
        del module, inputs
        raw.append(output[0] if isinstance(output, tuple) else output)

    for block in blocks:
        block.register_forward_hook(keep)
    return raw


def hub_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The hub's names of a Dinov2Model's weights (transformers 5 has other names for attention in memory)."""
    renames = {"q_proj": "attention.query", "k_proj": "attention.key", "v_proj": "attention.value"}
    renames["o_proj"] = "output.dense"
    named = {}
    for key, tensor in state.items():
        for new, old in renames.items():
            key = key.replace(f".attention.{new}.", f".attention.{old}.")
        named[key] = tensor
    return named


def original_names(hub: Mapping[str, Tensor], *, chunk: str = "") -> dict[str, Tensor]:
    """DINOv2's own names of weights that have the hub's: query, key and value in one, and a mask token."""
    swaps = {
        "embeddings.cls_token": "cls_token",
        "embeddings.mask_token": "mask_token",
        "embeddings.position_embeddings": "pos_embed",
        "embeddings.patch_embeddings.projection": "patch_embed.proj",
        "encoder.layer.": f"blocks.{chunk}",
        "attention.output.dense": "attn.proj",
        "layer_scale1.lambda1": "ls1.gamma",
        "layer_scale2.lambda1": "ls2.gamma",
        "layernorm.": "norm.",
    }
    named = {}
    for key, tensor in hub.items():
        if ".attention.attention." in key:
            if ".query." in key:
                parts = [hub[key.replace(".query.", f".{part}.")] for part in ("query", "key", "value")]
                tensor = torch.cat(parts)
                key = key.replace("attention.attention.query", "attn.qkv")
            else:
                continue
        for old, new in swaps.items():
            key = key.replace(old, new)
        named[key] = tensor
    return named


def save(model: Any, folder: Path) -> dict[str, Tensor]:
    """The tensors of the file that `save_pretrained` writes."""
    model.save_pretrained(folder)
    return load_file(folder / "model.safetensors")


def load(spec: EncoderSpec, state: Mapping[str, Tensor], image_size_px: int) -> Encoder:
    """The tiny encoder of a published checkpoint, loaded as the registry does it."""
    (layout,) = [layout for layout in spec.layouts if layout.matches(state)]
    encoder = spec.build(spec, "tiny", image_size_px)
    encoder.load_state_dict(encoder.adapt_state(layout.translate(state)), strict=True)
    return encoder.eval()


def relative_error(ours: Tensor, theirs: Tensor) -> float:
    assert ours.shape == theirs.shape
    return float((ours - theirs).abs().max() / theirs.abs().max())
