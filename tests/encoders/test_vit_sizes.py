"""Sizes of the published ViT encoders, known without memory or a forward pass, and their checkpoints' keys."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch

from encoders.contract import Pooling
from encoders.families import biomedclip, chexagent, dinov2, medsiglip, rad_dino, siglip2
from tests.encoders import published_vit as published

SPECS = {module.SPEC.name: module.SPEC for module in (rad_dino, dinov2, chexagent, siglip2, medsiglip, biomedclip)}

# name: (input px, global width, pooling, token width, grid, layers, parameters in millions), of the publications
PUBLISHED: dict[str, tuple[int, int, Pooling, int, int, int, float]] = {
    "rad_dino": (518, 768, Pooling.CLS, 768, 37, 12, 86.6),
    "dinov2": (224, 768, Pooling.CLS, 768, 16, 12, 85.7),  # 86.6 with the 1,369 stored positions
    "biomedclip": (224, 512, Pooling.PROJECTED_CLS, 768, 14, 12, 86.2),
    "chexagent": (512, 1024, Pooling.ATTENTION, 1024, 32, 24, 316.7),
    "siglip2": (512, 1152, Pooling.ATTENTION, 1152, 32, 27, 428.8),
    "medsiglip": (448, 1152, Pooling.ATTENTION, 1152, 32, 27, 428.6),
}


@cache
def build(name: str, size: Any, image_size_px: int | None = None) -> Any:
    spec = SPECS[name]
    with torch.device("meta"):
        return spec.build(spec, size, spec.image_size_px if image_size_px is None else image_size_px)


@pytest.mark.parametrize("name", PUBLISHED)
def test_sizes_are_the_published_ones_before_any_forward_pass(name: str) -> None:
    size_px, global_width, pooling, token_width, side, num_layers, millions = PUBLISHED[name]
    encoder = build(name, "full")
    assert encoder.image_size_px == SPECS[name].image_size_px == size_px
    assert (encoder.global_width, encoder.pooling, encoder.token_width) == (global_width, pooling, token_width)
    assert (encoder.token_grid, encoder.num_tokens, encoder.num_layers) == ((side, side), side * side, num_layers)
    stride = size_px // side
    assert encoder.strides_px == (stride,)
    assert encoder.default_stride_px == stride
    assert encoder.grids == {stride: (side, side)}
    assert encoder.widths == {stride: token_width}
    assert round(sum(one.numel() for one in encoder.parameters()) / 1e6, 1) == millions


@pytest.mark.parametrize("name", PUBLISHED)
def test_tiny_twins_have_the_layers_and_grids_of_the_full_model(name: str) -> None:
    full, tiny = build(name, "full"), build(name, "tiny")
    assert tiny.state_dict().keys() == full.state_dict().keys()
    assert (tiny.grids, tiny.num_layers, tiny.pooling) == (full.grids, full.num_layers, full.pooling)
    assert tiny.token_width == 32
    assert tiny.global_width == (16 if name == "biomedclip" else 32)
    assert sum(one.numel() for one in tiny.parameters()) < 500_000


def published_state(name: str) -> dict[str, torch.Tensor]:
    """Keys and shapes of the full-size published checkpoint, from the independent implementation."""
    with torch.device("meta"):
        if name in ("rad_dino", "dinov2"):
            return published.hub_names(published.dinov2("full").state_dict())
        if name == "biomedclip":
            return dict(published.open_clip_model("full").state_dict())
        return dict(published.siglip(name, "full", whole=True).state_dict())


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_full_size_checkpoint_gives_every_key_and_shape(name: str) -> None:
    state = published_state(name)
    encoder = build(name, "full")
    (layout,) = [layout for layout in SPECS[name].layouts if layout.matches(state)]
    translated = encoder.adapt_state(layout.translate(state))
    ours = encoder.state_dict()
    assert {key: tuple(one.shape) for key, one in translated.items()} == {
        key: tuple(one.shape) for key, one in ours.items()
    }


def test_dinov2s_own_names_give_every_key_and_shape_at_full_size() -> None:
    state = published.original_names(published_state("dinov2"))
    assert "blocks.11.attn.qkv.weight" in state
    encoder = build("dinov2", "full", 518)
    (layout,) = [layout for layout in SPECS["dinov2"].layouts if layout.matches(state)]
    translated = layout.translate(state)
    assert {key: one.shape for key, one in translated.items()} == {
        key: one.shape for key, one in encoder.state_dict().items()
    }


@pytest.mark.parametrize(
    ("name", "size_px", "nearest"),
    [("rad_dino", 520, "518 and 532"), ("chexagent", 518, "512 and 528"), ("biomedclip", 8, "nearest: 16 px")],
)
def test_a_size_that_patches_do_not_tile_is_refused_with_the_nearest(name: str, size_px: int, nearest: str) -> None:
    with pytest.raises(ValueError, match=nearest):
        build(name, "full", size_px)


def test_another_image_size_changes_the_grid() -> None:
    assert build("rad_dino", "full", 1022).token_grid == (73, 73)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_source_names_a_file_and_a_full_commit_or_none(name: str) -> None:
    source = SPECS[name].source
    assert source.hub_id is not None
    assert source.url.endswith(source.hub_id)
    assert source.revision is None or (len(source.revision) == 40 and int(source.revision, 16) > 0)


def test_weights_whose_terms_bind_beyond_attribution_ask_for_consent() -> None:
    assert {name for name, spec in SPECS.items() if spec.licence.must_accept} == {"chexagent", "medsiglip"}
    assert {name for name, spec in SPECS.items() if spec.licence.gated} == {"medsiglip"}
