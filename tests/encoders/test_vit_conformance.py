"""Features of published ViT checkpoints against transformers and open_clip, with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from encoders.contract import Encoder, Norm, Pooling, map_to_tokens
from encoders.families import biomedclip, chexagent, dinov2, medsiglip, rad_dino, siglip2
from tests.encoders import published_vit as published

TOLERANCE = 1e-5  # of the largest value; float32's rounding in another order of operations stays below 1e-6
SIGLIPS = {"chexagent": chexagent.SPEC, "siglip2": siglip2.SPEC, "medsiglip": medsiglip.SPEC}


def assert_equal_features(encoder: Encoder, reference: published.Reference, pixels: torch.Tensor) -> None:
    with torch.no_grad():
        features = encoder.encode(pixels)
    assert published.relative_error(features.global_BD, reference.global_BD) < TOLERANCE
    assert published.relative_error(features.tokens_BND, reference.tokens_BND) < TOLERANCE
    assert torch.equal(map_to_tokens(features.patches().map_BCHW), features.tokens_BND)
    assert len(features.kept) == len(reference.layers_BND) == encoder.num_layers
    for layer, theirs in enumerate(reference.layers_BND):
        kept = features.kept[layer]
        assert (kept.layer, kept.norm) == (layer, Norm.NONE)
        assert published.relative_error(map_to_tokens(kept.map_BCHW), theirs) < TOLERANCE
    # what was promised before the forward pass
    assert features.global_BD.shape == (2, encoder.global_width)
    assert features.tokens_BND.shape == (2, encoder.num_tokens, encoder.token_width)
    stride = encoder.default_stride_px
    assert features.patches().map_BCHW.shape == (2, encoder.widths[stride], *encoder.grids[stride])


@pytest.mark.parametrize(("spec", "size_px"), [(rad_dino.SPEC, 518), (rad_dino.SPEC, 56), (dinov2.SPEC, 224)])
def test_dinov2_families_equal_transformers(spec: Any, size_px: int, tmp_path: Path) -> None:
    model = published.scramble(published.dinov2())
    state = published.save(model, tmp_path)
    assert "encoder.layer.0.attention.attention.query.weight" in state  # the hub's names, not those in memory
    pixels = published.pixels(size_px)
    assert_equal_features(published.load(spec, state, size_px), published.run_transformers(model, pixels), pixels)


@pytest.mark.parametrize("size_px", [64, 512])
def test_chexagent_equals_transformers(size_px: int, tmp_path: Path) -> None:
    compare_siglip("chexagent", size_px, tmp_path)


@pytest.mark.parametrize("size_px", [64, 512])
def test_siglip2_equals_transformers(size_px: int, tmp_path: Path) -> None:
    compare_siglip("siglip2", size_px, tmp_path)


@pytest.mark.parametrize("size_px", [56, 448])
def test_medsiglip_equals_transformers(size_px: int, tmp_path: Path) -> None:
    compare_siglip("medsiglip", size_px, tmp_path)


def compare_siglip(name: str, size_px: int, folder: Path) -> None:
    # gelu_pytorch_tanh is SigLIP's default in transformers; that it matters is tested below
    model = published.scramble(published.siglip(name, whole=True))
    state = published.save(model, folder)
    assert "vision_model.head.probe" in state
    assert "text_model.head.weight" in state
    pixels = published.pixels(size_px)
    assert_equal_features(
        published.load(SIGLIPS[name], state, size_px), published.run_transformers(model, pixels), pixels
    )


def test_exact_gelu_would_be_seen(tmp_path: Path) -> None:
    model = published.scramble(published.siglip("medsiglip", hidden_act="gelu"))
    pixels = published.pixels(56)
    encoder = published.load(medsiglip.SPEC, published.save(model, tmp_path), 56)
    with torch.no_grad():
        ours = encoder.encode(pixels).global_BD
    assert published.relative_error(ours, published.run_transformers(model, pixels).global_BD) > 10 * TOLERANCE


@pytest.mark.parametrize("prefix", ["", "vision_model."])
def test_an_image_tower_saved_alone_loads(prefix: str, tmp_path: Path) -> None:
    model = published.scramble(published.siglip("chexagent"))
    saved = published.save(model, tmp_path)
    state = {prefix + key.removeprefix("vision_model."): tensor for key, tensor in saved.items()}
    state[prefix + "embeddings.position_ids"] = torch.arange(1024)[None]
    pixels = published.pixels(64)
    assert_equal_features(published.load(chexagent.SPEC, state, 64), published.run_transformers(model, pixels), pixels)


def dino_variants(hub: dict[str, torch.Tensor]) -> dict[str, dict[str, torch.Tensor]]:
    original = published.original_names(hub)
    return {
        "with a classifier": {f"dinov2.{key}": one for key, one in hub.items()}
        | {"classifier.weight": torch.zeros(2, 64), "classifier.bias": torch.zeros(2)},
        "original": original,
        "chunked": published.original_names(hub, chunk="3."),
        "a teacher": {f"backbone.{key}": one for key, one in original.items()}
        | {"dino_head.last_layer.weight_g": torch.zeros(1)},
    }


@pytest.mark.parametrize("variant", ["with a classifier", "original", "chunked", "a teacher", "by hand"])
def test_rad_dino_loads_from_every_naming(variant: str, tmp_path: Path) -> None:
    model = published.scramble(published.dinov2())
    hub = published.save(model, tmp_path)
    # transformers 5's names in memory, as torch.save(model.state_dict()) would leave them on disk
    state = dict(model.state_dict()) if variant == "by hand" else dino_variants(hub)[variant]
    assert published.hub_names(model.state_dict()).keys() == hub.keys()
    pixels = published.pixels(56)
    assert_equal_features(published.load(rad_dino.SPEC, state, 56), published.run_transformers(model, pixels), pixels)


def test_a_checkpoint_trained_at_the_size_asked_for_is_not_resampled(tmp_path: Path) -> None:
    model = published.scramble(published.dinov2(image_size_px=56))
    state = published.save(model, tmp_path)
    encoder = published.load(rad_dino.SPEC, state, 56)
    assert torch.equal(encoder.state_dict()["trunk.pos_embed"], state["embeddings.position_embeddings"])
    pixels = published.pixels(56)
    assert_equal_features(encoder, published.run_transformers(model, pixels), pixels)


def test_biomedclip_file_and_open_clip_itself_are_equal(tmp_path: Path) -> None:
    model = published.scramble(published.open_clip_model())
    torch.save(model.state_dict(), tmp_path / "open_clip_pytorch_model.bin")
    state = torch.load(tmp_path / "open_clip_pytorch_model.bin", weights_only=True)
    pixels = published.pixels(224)
    reference = published.run_open_clip(model, pixels)
    from_file = published.load(biomedclip.SPEC, state, 224)
    assert_equal_features(from_file, reference, pixels)
    wrapped = biomedclip.from_open_clip(model)
    assert_equal_features(wrapped, reference, pixels)
    assert wrapped.pooling is from_file.pooling is Pooling.PROJECTED_CLS
    assert wrapped.recipe.encoder == "biomedclip"
    assert wrapped.recipe.resize.size_px == wrapped.image_size_px == 224
    with torch.no_grad():
        assert torch.equal(wrapped.encode(pixels).global_BD, from_file.encode(pixels).global_BD)


def test_open_clip_checkpoints_of_a_training_run_load() -> None:
    model = published.scramble(published.open_clip_model())
    state = {f"module.{key}": tensor for key, tensor in model.state_dict().items()}
    pixels = published.pixels(224)
    assert_equal_features(published.load(biomedclip.SPEC, state, 224), published.run_open_clip(model, pixels), pixels)


def test_another_open_clip_model_pools_by_attention() -> None:
    model = published.scramble(
        published.open_clip_model(timm_model_name="vit_base_patch16_siglip_224", timm_pool="map", timm_proj="none")
    )
    pixels = published.pixels(224)
    encoder = biomedclip.from_open_clip(model, chexagent.SPEC)
    assert (encoder.pooling, encoder.spec.name) == (Pooling.ATTENTION, "chexagent")
    assert_equal_features(encoder, published.run_open_clip(model, pixels, num_prefix=0), pixels)


@pytest.mark.parametrize(
    ("vision", "said"),
    [
        ({"timm_proj": "mlp"}, "a head of mlp"),
        ({"timm_pool": "avg"}, "pools by 'avg'"),
        ({"timm_model_name": None, "layers": 1, "width": 64, "patch_size": 16}, "VisionTransformer, not a timm"),
    ],
)
def test_other_open_clip_towers_are_refused(vision: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        biomedclip.from_open_clip(published.open_clip_model(**vision))
