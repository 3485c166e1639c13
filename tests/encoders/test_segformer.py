"""SegFormer, its decode head too, against transformers', from files in both layouts that a user can have."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from encoders.backbones.mit import MiTEncoder
from encoders.contract import Norm, Pooling
from encoders.families.segformer import SPEC
from tests.encoders import published_hierarchical as published

TOLERANCE = 1e-4


@pytest.fixture
def segformer() -> published.Published:
    return published.segformer("tiny")


def load(state: published.State, image_size_px: int, folder: Path) -> MiTEncoder:
    encoder = published.load_published(SPEC, "tiny", image_size_px, state, folder)
    assert isinstance(encoder, MiTEncoder)
    return encoder


@torch.no_grad()
@pytest.mark.parametrize("image_size_px", [70, 512])
def test_features_and_logits_equal_those_of_transformers(
    segformer: published.Published, image_size_px: int, tmp_path: Path
):
    encoder = load(segformer.state, image_size_px, tmp_path)
    pixels = published.made_pixels(image_size_px)
    expected = segformer.run(pixels)
    assert max(published.differences(encoder.encode(pixels), expected)) <= TOLERANCE
    assert expected.extra is not None
    assert expected.extra.shape == (2, 150, *encoder.grids[4])
    assert published.worst_difference(encoder.segment(pixels), expected.extra) <= TOLERANCE


@torch.no_grad()
def test_a_state_dict_saved_from_memory_loads_the_same(segformer: published.Published, tmp_path: Path):
    in_memory = segformer.model.state_dict()
    assert set(in_memory) != set(segformer.state)
    pixels = published.made_pixels(64)
    found = load(in_memory, 64, tmp_path).segment(pixels)
    assert torch.equal(found, load(segformer.state, 64, tmp_path).segment(pixels))


@torch.no_grad()
def test_a_fine_tuned_head_brings_its_own_classes(tmp_path: Path):
    tuned = published.segformer("tiny", num_classes=7)
    encoder = load(tuned.state, 64, tmp_path)
    pixels = published.made_pixels(64)
    expected = tuned.run(pixels).extra
    assert encoder.num_classes == 7
    assert expected is not None
    assert published.worst_difference(encoder.segment(pixels), expected) <= TOLERANCE


def test_full_size_takes_exactly_the_published_keys_and_shapes():
    model = published.segformer("full", device="meta")
    own, translated = published.full_size_shapes(SPEC, model.state)
    assert own == translated
    parameters = {key: shape.numel() for key, shape in own.items() if "running_" not in key and "num_" not in key}
    # 63.99 M is counted with two classes, transformers' default; ADE20K's 148 others add 148 x (768 + 1)
    assert round((sum(parameters.values()) - 148 * 769) / 1e6, 2) == 63.99
    assert own["decode_head.classifier.weight"] == (150, 768, 1, 1)


def test_sizes_are_known_before_any_forward_pass():
    with torch.device("meta"):
        encoder = SPEC.build(SPEC, "full", SPEC.image_size_px)
    assert encoder.image_size_px == 512
    assert encoder.grids == {4: (128, 128), 8: (64, 64), 16: (32, 32), 32: (16, 16)}
    assert encoder.widths == {4: 64, 8: 128, 16: 320, 32: 512}
    assert (encoder.global_width, encoder.pooling) == (512, Pooling.MEAN)
    assert (encoder.num_tokens, encoder.token_width) == (256, 512)
    assert (encoder.num_layers, encoder.default_stride_px) == (4, 16)


@pytest.mark.parametrize(("image_size_px", "sides"), [(518, (130, 65, 33, 17))])
def test_a_grid_is_the_size_by_the_stride_rounded_up(image_size_px: int, sides: tuple[int, ...]):
    encoder = SPEC.build(SPEC, "tiny", image_size_px)
    assert encoder.grids == {stride: (side, side) for stride, side in zip((4, 8, 16, 32), sides, strict=True)}
    assert encoder.num_tokens == sides[-1] ** 2


@torch.no_grad()
def test_maps_and_tokens_are_after_their_stages_norm(segformer: published.Published, tmp_path: Path):
    features = load(segformer.state, 64, tmp_path).encode(published.made_pixels(64))
    assert {one.norm for one in features.maps.values()} == {features.tokens_norm} == {Norm.STAGE}
    assert torch.allclose(features.global_BD, features.patches(32).map_BCHW.mean((2, 3)), atol=1e-6)


def test_the_licence_has_to_be_accepted():
    assert SPEC.licence.must_accept


def test_a_size_below_one_token_of_the_last_stage_is_refused():
    with pytest.raises(ValueError, match="32 px or more, not of 16"):
        SPEC.build(SPEC, "tiny", 16)


def test_a_missing_key_is_named(segformer: published.Published, tmp_path: Path):
    del segformer.state["decode_head.batch_norm.running_mean"]
    with pytest.raises(RuntimeError, match=r"Missing key.*decode_head\.batch_norm\.running_mean"):
        load(segformer.state, 64, tmp_path)


@pytest.mark.parametrize("part", ["key", "value"])
def test_half_of_keys_and_values_is_no_whole(segformer: published.Published, part: str, tmp_path: Path):
    del segformer.state[f"segformer.encoder.block.1.0.attention.self.{part}.weight"]
    with pytest.raises((RuntimeError, ValueError), match=r"trunk\.stages\.1\.blocks\.0\.attn\.kv\.weight"):
        load(segformer.state, 64, tmp_path)


def test_a_key_too_many_is_named(segformer: published.Published, tmp_path: Path):
    segformer.state["segformer.encoder.block.0.0.attention.self.gate"] = torch.zeros(3)
    with pytest.raises(ValueError, match=r"segformer\.encoder\.block\.0\.0\.attention\.self\.gate"):
        load(segformer.state, 64, tmp_path)


def test_a_tensor_of_another_shape_is_named(segformer: published.Published, tmp_path: Path):
    key = "decode_head.linear_fuse.weight"
    segformer.state[key] = segformer.state[key][:, :96]
    with pytest.raises(RuntimeError, match=re.escape(key) + r".*\[32, 96, 1, 1\]"):
        load(segformer.state, 64, tmp_path)


def test_gradients_reach_the_head_only_through_segment(segformer: published.Published, tmp_path: Path):
    encoder = load(segformer.state, 64, tmp_path)
    pixels = published.made_pixels(64)
    encoder(pixels).square().sum().backward()
    without = {name.partition(".")[0] for name, parameter in encoder.named_parameters() if parameter.grad is None}
    assert without == {"decode_head"}
    encoder.segment(pixels).square().sum().backward()
    assert all(parameter.grad is not None for parameter in encoder.parameters())


@torch.no_grad()
def test_training_mode_drops_nothing(segformer: published.Published, tmp_path: Path):
    encoder = load(segformer.state, 64, tmp_path)
    pixels = published.made_pixels(64)
    assert torch.equal(encoder.eval()(pixels), encoder.train()(pixels))
