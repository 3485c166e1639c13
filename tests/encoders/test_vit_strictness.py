"""A checkpoint that is not exactly the encoder's is refused by name; position embeddings alone may be resampled."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from encoders.backbones.vit import resample_positions
from encoders.families import biomedclip, chexagent, dinov2, medsiglip, rad_dino, siglip2
from encoders.spec import EncoderSpec
from tests.encoders import published_vit as published


def published_states() -> dict[str, tuple[EncoderSpec, dict[str, Tensor]]]:
    dino = published.hub_names(published.dinov2().state_dict())
    return {
        "rad_dino": (rad_dino.SPEC, dino),
        "rad_dino original": (rad_dino.SPEC, published.original_names(dino)),
        "dinov2": (dinov2.SPEC, dino),
        "chexagent": (chexagent.SPEC, dict(published.siglip("chexagent").state_dict())),
        "siglip2": (siglip2.SPEC, dict(published.siglip("siglip2", whole=True).state_dict())),
        "medsiglip": (medsiglip.SPEC, dict(published.siglip("medsiglip").state_dict())),
        "biomedclip": (biomedclip.SPEC, dict(published.open_clip_model().state_dict())),
    }


STATES = published_states()
NOT_OF_THE_IMAGE_TOWER = ("text", "logit", "mask_token", "embeddings.mask_token")


def load(spec: EncoderSpec, state: Mapping[str, Tensor]) -> Any:
    return published.load(spec, state, spec.image_size_px)


def is_looked_at(key: str) -> bool:
    """Keys of the image tower outside its repeated blocks, and of block 11 (the last of 12)."""
    block = re.search(r"(?:layers?|blocks)\.(\d+)\.", key)
    return not key.startswith(NOT_OF_THE_IMAGE_TOWER) and (block is None or block[1] == "11")


@pytest.mark.parametrize("name", ["rad_dino", "rad_dino original", "siglip2", "biomedclip"])
def test_each_missing_key_is_refused(name: str) -> None:
    spec, state = STATES[name]
    load(spec, state)
    encoder = spec.build(spec, "tiny", spec.image_size_px)
    tried = 0
    for key in filter(is_looked_at, state):
        rest = {other: tensor for other, tensor in state.items() if other != key}
        matching = [layout for layout in spec.layouts if layout.matches(rest)]
        if not matching:  # the key that tells the layout: refused before any translation
            continue
        with pytest.raises((ValueError, RuntimeError), match=r"parts of|Missing key"):
            encoder.load_state_dict(encoder.adapt_state(matching[0].translate(rest)))
        tried += 1
    assert tried >= 5 + 12  # outside the blocks (patches 2, norm 2, positions or projection 1) and in one


@pytest.mark.parametrize("name", STATES)
def test_a_missing_key_is_named(name: str) -> None:
    spec, state = STATES[name]
    (key,) = [one for one in state if one.endswith(("patch_embeddings.projection.bias", "patch_embedding.bias"))] or [
        one for one in state if one.endswith("patch_embed.proj.bias")
    ]
    with pytest.raises(RuntimeError, match=r"Missing key.*trunk\.patch_embed\.proj\.bias"):
        load(spec, {other: tensor for other, tensor in state.items() if other != key})


def test_a_missing_value_projection_is_told_by_the_parts_that_are_there() -> None:
    spec, state = STATES["rad_dino"]
    lost = "encoder.layer.3.attention.attention.value.weight"
    with pytest.raises(ValueError, match=r"2 of the 3 parts of 'trunk\.blocks\.3\.attn\.qkv\.weight'.*key\.weight"):
        load(spec, {key: tensor for key, tensor in state.items() if key != lost})


@pytest.mark.parametrize("name", STATES)
def test_an_unknown_key_is_named(name: str) -> None:
    spec, state = STATES[name]
    with pytest.raises((ValueError, RuntimeError), match=r"surprise\.weight"):
        load(spec, {**state, "visual.trunk.surprise.weight": torch.zeros(1)})


@pytest.mark.parametrize("name", STATES)
def test_a_block_too_many_is_named(name: str) -> None:
    spec, state = STATES[name]
    extra = {
        key.replace(".11.", ".40."): tensor for key, tensor in state.items() if ".11." in key and is_looked_at(key)
    }
    with pytest.raises(RuntimeError, match=r"Unexpected key.*trunk\.blocks\.40\."):
        load(spec, {**state, **extra})


@pytest.mark.parametrize("name", STATES)
def test_a_wrong_shape_is_named(name: str) -> None:
    spec, state = STATES[name]
    changed = {
        key: tensor[:-1] if key.endswith("mlp.fc1.bias") and is_looked_at(key) else tensor
        for key, tensor in state.items()
    }
    with pytest.raises(RuntimeError, match=r"size mismatch for trunk\.blocks\.11\.mlp\.fc1\.bias"):
        load(spec, changed)


def test_positions_of_no_known_grid_are_refused_not_resampled() -> None:
    spec, state = STATES["rad_dino"]
    changed = {**state, "embeddings.position_embeddings": torch.zeros(1, 1 + 20 * 20, 32)}
    for size_px in (518, 56):
        with pytest.raises(RuntimeError, match=r"size mismatch for trunk\.pos_embed"):
            published.load(spec, changed, size_px)


def test_a_checkpoint_of_another_family_is_in_no_layout() -> None:
    _, siglip_state = STATES["chexagent"]
    assert not any(layout.matches(siglip_state) for layout in (*rad_dino.SPEC.layouts, *biomedclip.SPEC.layouts))
    _, dino_state = STATES["rad_dino"]
    assert not any(layout.matches(dino_state) for layout in (*chexagent.SPEC.layouts, *biomedclip.SPEC.layouts))
    assert [layout.matches(dino_state) for layout in rad_dino.SPEC.layouts] == [True, False]


def test_resampling_keeps_the_class_position_and_follows_a_ramp() -> None:
    # rows of a 12x12 grid hold their own index; a grid of half the side samples pixel centres 0.5, 2.5, 4.5, ...
    ramp_1ND = torch.arange(12.0).repeat_interleave(12)[None, :, None]
    positions = torch.cat([torch.full((1, 1, 1), 7.0), ramp_1ND], dim=1)
    resampled = resample_positions(positions, 1, (6, 6))
    assert resampled.shape == (1, 37, 1)
    assert resampled[0, 0, 0] == 7
    rows = resampled[0, 1:, 0].reshape(6, 6)
    assert torch.allclose(rows[1:-1], torch.tensor([2.5, 4.5, 6.5, 8.5])[:, None].expand(4, 6), atol=1e-5)


def test_resampling_is_done_in_float32_and_keeps_the_dtype() -> None:
    positions = torch.randn(1, 17, 8, generator=torch.Generator().manual_seed(0))
    half = positions.to(torch.bfloat16)
    resampled = resample_positions(half, 1, (3, 3))
    assert resampled.dtype is torch.bfloat16
    assert torch.equal(resampled, resample_positions(half.float(), 1, (3, 3)).to(torch.bfloat16))
