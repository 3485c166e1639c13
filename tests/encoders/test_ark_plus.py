"""Ark+ against transformers' Swin and timm's own key conversion, from a file in the published layout."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from encoders.backbones.swin import SwinEncoder
from encoders.contract import Norm, Pooling
from encoders.families.ark_plus import SPEC
from tests.encoders import published_hierarchical as published

TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def ark() -> published.Published:
    return published.ark_plus("tiny", 384)


def load(ark: published.Published, folder: Path) -> SwinEncoder:
    encoder = published.load_published(SPEC, "tiny", 384, ark.state, folder)
    assert isinstance(encoder, SwinEncoder)
    return encoder


@torch.no_grad()
@pytest.mark.parametrize("image_size_px", [384, 768])
def test_features_equal_those_of_transformers_swin(image_size_px: int, tmp_path: Path):
    ark = published.ark_plus("tiny", image_size_px)
    encoder = published.load_published(SPEC, "tiny", image_size_px, ark.state, tmp_path)
    pixels = published.made_pixels(image_size_px, batch=1)
    features, expected = encoder.encode(pixels), ark.run(pixels)
    assert max(published.differences(features, expected)) <= TOLERANCE
    assert isinstance(encoder, SwinEncoder)
    assert expected.extra is not None
    assert published.worst_difference(encoder.project(features.global_BD), expected.extra) <= TOLERANCE


@torch.no_grad()
def test_a_file_without_the_module_prefix_loads_the_same(ark: published.Published, tmp_path: Path):
    bare = {key.removeprefix("module."): tensor for key, tensor in ark.state.items()}
    pixels = published.made_pixels(384, batch=1)
    found = published.load_published(SPEC, "tiny", 384, bare, tmp_path).encode(pixels)
    assert torch.equal(found.global_BD, load(ark, tmp_path).encode(pixels).global_BD)


def test_translation_equals_timms_own(ark: published.Published):
    from timm.models.swin_transformer import checkpoint_filter_fn

    encoder = SPEC.build(SPEC, "tiny", 384)
    assert isinstance(encoder, SwinEncoder)
    bare = {key.removeprefix("module."): tensor for key, tensor in ark.state.items()}
    trunk = {key: bare[key] for key in bare if not key.startswith(("projector.", "omni_heads.", "head."))}
    expected = checkpoint_filter_fn(trunk, encoder.trunk)
    found = SPEC.layouts[0].translate(ark.state)
    assert {key for key in found if key.startswith("trunk.")} == {f"trunk.{key}" for key in expected}
    assert all(torch.equal(found[f"trunk.{key}"], tensor) for key, tensor in expected.items())


def test_full_size_takes_exactly_the_published_keys_and_shapes():
    own, translated = published.full_size_shapes(SPEC, published.ark_plus("full", 768, "meta").state)
    assert own == translated
    trunk = [shape.numel() for key, shape in own.items() if key.startswith("trunk.")]
    assert round(sum(trunk) / 1e6, 1) == 195.2
    assert own["projector.weight"] == (1376, 1536)


def test_sizes_are_known_before_any_forward_pass():
    with torch.device("meta"):
        encoder = SPEC.build(SPEC, "full", SPEC.image_size_px)
    assert encoder.image_size_px == 768
    assert encoder.grids == {4: (192, 192), 8: (96, 96), 16: (48, 48), 32: (24, 24)}
    assert encoder.widths == {4: 192, 8: 384, 16: 768, 32: 1536}
    assert (encoder.global_width, encoder.pooling) == (1536, Pooling.MEAN)
    assert (encoder.token_grid, encoder.num_tokens, encoder.token_width) == ((24, 24), 576, 1536)
    assert (encoder.num_layers, encoder.default_stride_px) == (4, 16)


@torch.no_grad()
def test_features_name_what_made_them(ark: published.Published, tmp_path: Path):
    features = load(ark, tmp_path).encode(published.made_pixels(384, batch=1), layers=[-1, 1])
    assert (features.pooling, features.tokens_norm) == (Pooling.MEAN, Norm.FINAL)
    assert [(one.layer, one.stride_px, one.norm) for one in features.layers([-1, 1])] == [
        (3, 32, Norm.NONE),
        (1, 8, Norm.NONE),
    ]
    assert features.patches().stride_px == 16
    assert sorted(features.kept) == [1, 3]
    with pytest.raises(ValueError, match="cannot be made of it"):
        features.layers([1], norm="final")


@pytest.mark.parametrize(
    ("image_size_px", "nearest"), [(224, "384 px"), (518, "384 and 768 px"), (800, "768 and 1152 px")]
)
def test_a_size_that_windows_do_not_tile_is_refused_with_the_nearest(image_size_px: int, nearest: str):
    with pytest.raises(ValueError, match=rf"multiples of 384 px.*not {image_size_px} px; nearest: {nearest}$"):
        SPEC.build(SPEC, "tiny", image_size_px)


def test_a_missing_key_is_named(ark: published.Published, tmp_path: Path):
    del ark.state["module.layers.1.downsample.norm.bias"]
    with pytest.raises(RuntimeError, match=r"Missing key.*trunk\.layers\.2\.downsample\.norm\.bias"):
        load(ark, tmp_path)


@pytest.fixture(autouse=True)
def _untouched(ark: published.Published):
    before = dict(ark.state)
    yield
    ark.state.clear()
    ark.state.update(before)


def test_a_key_too_many_is_named(ark: published.Published, tmp_path: Path):
    ark.state["module.layers.0.blocks.0.attn.extra"] = torch.zeros(3)
    with pytest.raises(ValueError, match=r"layers\.0\.blocks\.0\.attn\.extra"):
        load(ark, tmp_path)


def test_a_tensor_of_another_shape_is_named(ark: published.Published, tmp_path: Path):
    key = "layers.2.blocks.1.attn.relative_position_bias_table"
    ark.state[f"module.{key}"] = ark.state[f"module.{key}"][:169]  # of a 7 x 7 window
    with pytest.raises(RuntimeError, match=re.escape(key) + r".*169"):
        load(ark, tmp_path)


def test_gradients_reach_every_parameter_but_the_projector(ark: published.Published, tmp_path: Path):
    encoder = load(ark, tmp_path)
    encoder(published.made_pixels(384, batch=1)).square().sum().backward()
    without = {name for name, parameter in encoder.named_parameters() if parameter.grad is None}
    assert without == {"projector.weight", "projector.bias"}


@torch.no_grad()
def test_training_mode_drops_nothing(ark: published.Published, tmp_path: Path):
    encoder = load(ark, tmp_path)
    pixels = published.made_pixels(384, batch=1)
    assert torch.equal(encoder.eval()(pixels), encoder.train()(pixels))
