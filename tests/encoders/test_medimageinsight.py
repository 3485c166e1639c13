"""MedImageInsight against transformers' Florence-2 tower, from a file in the published layout."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from encoders.contract import Norm, Pooling
from encoders.families.medimageinsight import SPEC
from tests.encoders import published_hierarchical as published

TOLERANCE = 1e-4


@pytest.fixture
def mi2() -> published.Published:
    return published.medimageinsight("tiny")


@torch.no_grad()
@pytest.mark.parametrize("image_size_px", [70, 480, 518])
def test_features_equal_those_of_transformers_florence(mi2: published.Published, image_size_px: int, tmp_path: Path):
    encoder = published.load_published(SPEC, "tiny", image_size_px, mi2.state, tmp_path)
    pixels = published.made_pixels(image_size_px)
    features = encoder.encode(pixels)
    assert max(published.differences(features, mi2.run(pixels))) <= TOLERANCE
    torch.testing.assert_close(features.global_BD.norm(dim=-1), torch.ones(2))


def test_full_size_takes_exactly_the_published_keys_and_shapes():
    state = published.medimageinsight("full", "meta").state
    own, translated = published.full_size_shapes(SPEC, state)
    assert own == translated
    assert sum(key.startswith("image_encoder.") for key in state) == 402
    trunk = [shape.numel() for key, shape in own.items() if key.startswith("trunk.")]
    assert round(sum(trunk) / 1e6, 2) == 360.64
    assert own["image_projection"] == (2048, 1024)


def test_sizes_are_known_before_any_forward_pass():
    with torch.device("meta"):
        encoder = SPEC.build(SPEC, "full", SPEC.image_size_px)
    assert encoder.image_size_px == 480
    assert encoder.grids == {4: (120, 120), 8: (60, 60), 16: (30, 30), 32: (15, 15)}
    assert encoder.widths == {4: 256, 8: 512, 16: 1024, 32: 2048}
    assert (encoder.global_width, encoder.pooling) == (1024, Pooling.PROJECTED_MEAN)
    assert (encoder.num_tokens, encoder.token_width) == (225, 2048)
    assert (encoder.num_layers, encoder.default_stride_px) == (4, 16)


@pytest.mark.parametrize(("image_size_px", "sides"), [(518, (130, 65, 33, 17)), (224, (56, 28, 14, 7))])
def test_a_grid_is_the_size_by_the_stride_rounded_up(image_size_px: int, sides: tuple[int, ...]):
    encoder = SPEC.build(SPEC, "tiny", image_size_px)
    assert encoder.grids == {stride: (side, side) for stride, side in zip((4, 8, 16, 32), sides, strict=True)}
    assert encoder.num_tokens == sides[-1] ** 2


@torch.no_grad()
def test_maps_and_tokens_are_raw_and_the_same(mi2: published.Published, tmp_path: Path):
    features = published.load_published(SPEC, "tiny", 70, mi2.state, tmp_path).encode(published.made_pixels(70))
    assert {one.norm for one in features.maps.values()} == {features.tokens_norm} == {Norm.NONE}
    assert torch.equal(features.tokens_BND.transpose(1, 2).unflatten(2, (3, 3)), features.patches(32).map_BCHW)


def test_a_size_below_one_token_of_the_last_stage_is_refused():
    with pytest.raises(ValueError, match="32 px or more, not of 24"):
        SPEC.build(SPEC, "tiny", 24)


def test_a_missing_key_is_named(mi2: published.Published, tmp_path: Path):
    del mi2.state["image_encoder.norms.bias"]
    with pytest.raises(RuntimeError, match=r"Missing key.*trunk\.head\.norm\.bias"):
        published.load_published(SPEC, "tiny", 70, mi2.state, tmp_path)


def test_a_key_too_many_is_named(mi2: published.Published, tmp_path: Path):
    mi2.state["image_encoder.blocks.0.0.spatial_block.gate"] = torch.zeros(3)
    with pytest.raises(ValueError, match=r"image_encoder\.blocks\.0\.0\.spatial_block\.gate"):
        published.load_published(SPEC, "tiny", 70, mi2.state, tmp_path)


def test_a_tensor_of_another_shape_is_named(mi2: published.Published, tmp_path: Path):
    mi2.state["image_projection"] = mi2.state["image_projection"].T
    with pytest.raises(RuntimeError, match=re.escape("image_projection") + ".*" + re.escape("[32, 128]")):
        published.load_published(SPEC, "tiny", 70, mi2.state, tmp_path)


def test_gradients_reach_every_parameter(mi2: published.Published, tmp_path: Path):
    encoder = published.load_published(SPEC, "tiny", 70, mi2.state, tmp_path)
    encoder(published.made_pixels(70))[:, 0].sum().backward()
    assert [name for name, parameter in encoder.named_parameters() if parameter.grad is None] == []


@torch.no_grad()
def test_training_mode_drops_nothing(mi2: published.Published, tmp_path: Path):
    encoder = published.load_published(SPEC, "tiny", 70, mi2.state, tmp_path)
    pixels = published.made_pixels(70)
    assert torch.equal(encoder.eval()(pixels), encoder.train()(pixels))
