"""Independent implementations of Ark+, MedImageInsight and SegFormer (transformers'), and their published key layouts.

Every parameter and buffer is random, biases and norms too, so that a wrong mapping changes a feature.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from encoders.contract import Encoder, Features, State
from encoders.spec import EncoderSpec, Size
from encoders.torchvision_shim import import_torchvision

if TYPE_CHECKING:
    from transformers import PreTrainedModel

import_torchvision()  # transformers imports it too


class Expected(NamedTuple):
    """What a published model gives of a batch; extra: Ark+'s projected embedding, SegFormer's logits."""

    global_BD: Tensor
    tokens_BND: Tensor
    maps: list[Tensor]
    extra: Tensor | None = None


class Published(NamedTuple):
    """A model under its published names, and what it gives; model: the independent implementation itself."""

    state: State
    run: Callable[[Tensor], Expected]
    model: nn.Module


def ark_plus(size: Size, image_size_px: int, device: str = "cpu") -> Published:
    """Hugging Face's Swin, renamed to what timm 0.5.4 saved for Ark, with all that the file holds besides."""
    from transformers import SwinConfig, SwinModel

    full = size == "full"
    torch.manual_seed(1)
    with torch.device(device):
        model = SwinModel(
            SwinConfig(
                image_size=image_size_px,
                embed_dim=192 if full else 16,
                depths=[2, 2, 18, 2] if full else [2, 2, 2, 2],
                num_heads=[6, 12, 24, 48] if full else [1, 2, 4, 8],
                window_size=12,
            )
        )
        projector = nn.Linear(1536 if full else 128, 1376 if full else 24)
        heads = nn.ModuleList(nn.Linear(projector.out_features, classes) for classes in (14, 14, 14, 3, 6, 1))
    for module in (model, projector, heads):
        randomise(module)
    state = {}
    for key, tensor in on_disk(model).items():
        new = key.replace("embeddings.patch_embeddings.projection", "patch_embed.proj")
        new = new.replace("embeddings.norm", "patch_embed.norm")
        new = new.replace("encoder.", "").replace("layernorm_before", "norm1").replace("layernorm_after", "norm2")
        new = new.replace("attention.self.relative", "attn.relative").replace("attention.output.dense", "attn.proj")
        new = new.replace("intermediate.dense", "mlp.fc1").replace("output.dense", "mlp.fc2")
        state[re.sub(r"^layernorm\.", "norm.", new)] = tensor
    for key in [key for key in state if ".attention.self.query." in key]:
        parts = [state.pop(key.replace("query", name)) for name in ("query", "key", "value")]
        state[key.replace("attention.self.query", "attn.qkv")] = torch.cat(parts)
    state |= {f"projector.{key}": tensor for key, tensor in projector.state_dict().items()}
    state |= {f"omni_heads.{key}": tensor for key, tensor in heads.state_dict().items()}
    for key in [key for key in state if key.endswith("attn.qkv.weight")]:
        block = key.removesuffix("attn.qkv.weight")
        state[block + "attn.relative_position_index"] = torch.zeros(144, 144, dtype=torch.int64, device=device)
        if block.endswith("blocks.1."):
            state[block + "attn_mask"] = torch.zeros(4, 144, 144, device=device)

    def run(pixels_BCHW: Tensor) -> Expected:
        embedded, grid = model.embeddings(pixels_BCHW)
        stages = model.encoder(
            embedded, grid, output_hidden_states=True, output_hidden_states_before_downsampling=True
        ).reshaped_hidden_states
        out = model(pixels_BCHW)
        return Expected(out.pooler_output, out.last_hidden_state, list(stages[1:]), projector(out.pooler_output))

    return Published({f"module.{key}": tensor for key, tensor in state.items()}, run, model)


def medimageinsight(size: Size, device: str = "cpu") -> Published:
    """Hugging Face's Florence-2 tower, renamed as MedImageInsight has it, with a last norm and a projection."""
    from transformers import Florence2VisionConfig
    from transformers.models.florence2.modeling_florence2 import Florence2VisionBackbone

    full = size == "full"
    heads = [8, 16, 32, 64] if full else [1, 2, 4, 8]
    widths = [256, 512, 1024, 2048] if full else [16, 32, 64, 128]
    torch.manual_seed(2)
    with torch.device(device):
        model = Florence2VisionBackbone(
            Florence2VisionConfig(
                embed_dim=widths,
                num_heads=heads,
                num_groups=heads,
                depths=[1, 1, 9, 1] if full else [1, 1, 2, 1],
                window_size=12,
            )
        )
        norms = nn.LayerNorm(widths[-1])
        projection = torch.randn(widths[-1], 1024 if full else 32)
    randomise(model)
    randomise(norms)
    state = {}
    for key, tensor in model.state_dict().items():
        new = re.sub(r"(convs\.\d+)\.conv\.", r"\1.proj.", key)
        new = re.sub(r"(block\.conv[12])\.", r"\1.fn.dw.", new)
        new = re.sub(r"(window|channel)_attn\.(qkv|proj)", r"\1_attn.fn.\2", new)
        new = re.sub(r"spatial_block\.norm1", "spatial_block.window_attn.norm", new)
        new = re.sub(r"channel_block\.norm1", "channel_block.channel_attn.norm", new)
        state["image_encoder." + new.replace("norm2", "ffn.norm").replace("ffn.fc", "ffn.fn.net.fc")] = tensor
    state |= {f"image_encoder.norms.{key}": tensor for key, tensor in norms.state_dict().items()}
    state |= {
        "image_projection": projection,
        "lang_projection": torch.zeros(8, 8),
        "logit_scale": torch.zeros(()),
        "lang_encoder.token_embedding.weight": torch.zeros(8, 8),
        "lang_encoder.resblocks.0.attn.in_proj_weight": torch.zeros(8, 8),
    }

    def run(pixels_BCHW: Tensor) -> Expected:
        maps, hidden = [], pixels_BCHW
        for conv, blocks in zip(model.convs, model.blocks, strict=True):
            hidden = conv(hidden)
            for block in blocks:
                hidden = block(hidden)
            maps.append(hidden)
        projected_BD = norms(hidden.mean((2, 3))) @ projection
        tokens_BND = hidden.flatten(2).transpose(1, 2)
        return Expected(projected_BD / projected_BD.norm(dim=-1, keepdim=True), tokens_BND, maps)

    return Published(state, run, model)


def segformer(size: Size, *, num_classes: int = 150, device: str = "cpu") -> Published:
    """Hugging Face's SegFormer, under the names that its save_pretrained writes: those of the hub."""
    from transformers import SegformerConfig, SegformerForSemanticSegmentation

    full = size == "full"
    torch.manual_seed(3)
    with torch.device(device):
        model = SegformerForSemanticSegmentation(
            SegformerConfig(
                hidden_sizes=[64, 128, 320, 512] if full else [16, 32, 40, 64],
                depths=[3, 8, 27, 3] if full else [1, 1, 2, 1],
                num_attention_heads=[1, 2, 5, 8],
                decoder_hidden_size=768 if full else 32,
                num_labels=num_classes,
            )
        )
    randomise(model)

    def run(pixels_BCHW: Tensor) -> Expected:
        out = model(pixels_BCHW, output_hidden_states=True)
        last = out.hidden_states[-1]
        return Expected(last.mean((2, 3)), last.flatten(2).transpose(1, 2), list(out.hidden_states), out.logits)

    return Published(on_disk(model), run, model)


def randomise(module: nn.Module) -> None:
    """Random values everywhere, of sizes that keep features finite and every parameter felt; evaluation mode."""
    module.eval().requires_grad_(False)
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if tensor.is_meta or not tensor.is_floating_point():
            continue
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
        elif tensor.ndim >= 2 and not name.endswith("bias_table"):
            tensor.normal_(0, tensor[0].numel() ** -0.5)
        else:
            tensor.normal_(1.0 if name.endswith("weight") else 0.0, 0.5)


def on_disk(model: PreTrainedModel) -> State:
    """The tensors that save_pretrained writes."""
    if model.device.type == "meta":
        from transformers.core_model_loading import revert_weight_conversion  # save_pretrained's own

        return revert_weight_conversion(model, model.state_dict())
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        return load_file(Path(folder) / "model.safetensors")


def load_published(spec: EncoderSpec, size: Size, image_size_px: int, state: State, folder: Path) -> Encoder:
    """The encoder of a file in a published layout: written, read, recognised by one layout, translated, loaded."""
    path = folder / "published.safetensors"
    save_file({key: tensor.contiguous() for key, tensor in state.items()}, path)
    read = load_file(path)
    (layout,) = [layout for layout in spec.layouts if layout.matches(read)]
    encoder = spec.build(spec, size, image_size_px).eval()
    encoder.load_state_dict(encoder.adapt_state(layout.translate(read)), strict=True)
    return encoder


def made_pixels(image_size_px: int, batch: int = 2) -> Tensor:
    """Smooth waves and noise, of a normalised film's range, different in every row, column and channel."""
    noise = torch.randn(batch, 3, image_size_px, image_size_px, generator=torch.Generator().manual_seed(4))
    ramp = torch.linspace(0, 9, image_size_px)
    return 0.3 * noise + torch.sin(ramp[:, None] + 0.5 * ramp**1.5) + torch.arange(3)[:, None, None] * 0.2


def worst_difference(found: Tensor, expected: Tensor) -> float:
    """max |found - expected| / max |expected|; the shapes have to be equal."""
    assert found.shape == expected.shape
    return float((found - expected).abs().max() / expected.abs().max())


def differences(features: Features, expected: Expected) -> list[float]:
    """Of the global vector, the tokens, and the map of each stride and each layer."""
    strides: Sequence[int] = sorted(features.maps)
    pairs = [(features.global_BD, expected.global_BD), (features.tokens_BND, expected.tokens_BND)]
    pairs += [(features.patches(s).map_BCHW, m) for s, m in zip(strides, expected.maps, strict=True)]
    pairs += [(kept.map_BCHW, m) for kept, m in zip(features.layers(range(4)), expected.maps, strict=True)]
    return [worst_difference(found, wanted) for found, wanted in pairs]


def full_size_shapes(spec: EncoderSpec, state: State) -> tuple[dict[str, torch.Size], dict[str, torch.Size]]:
    """Names and shapes of the full encoder's own state, and of a published state after translation."""
    (layout,) = [layout for layout in spec.layouts if layout.matches(state)]
    with torch.device("meta"):
        own = spec.build(spec, "full", spec.image_size_px).state_dict()
        translated = layout.translate(state)
    return {k: t.shape for k, t in own.items()}, {k: t.shape for k, t in translated.items()}
