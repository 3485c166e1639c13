"""What every encoder promises, on a tiny RAD-DINO."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch

from encoders.contract import Features, Norm, map_to_tokens, tokens_to_map
from encoders.families import rad_dino
from encoders.preprocessing.recipe import load_recipe
from tests.encoders import published_vit as published

SIZE_PX = 56  # a 4 x 4 grid


@pytest.fixture(scope="module")
def encoder() -> Any:
    return published.scramble(rad_dino.SPEC.build(rad_dino.SPEC, "tiny", SIZE_PX)).eval()


@pytest.fixture(scope="module")
def features(encoder: Any) -> Features:
    with torch.no_grad():
        result: Features = encoder.encode(published.pixels(SIZE_PX))
    return result


def test_tokens_lie_in_rows_from_the_top_left() -> None:
    tokens_BND = torch.arange(12.0).reshape(1, 6, 2)  # token i is (2i, 2i + 1)
    map_BCHW = tokens_to_map(tokens_BND, (2, 3))
    assert map_BCHW[0, 0].tolist() == [[0, 2, 4], [6, 8, 10]]
    assert map_BCHW.data_ptr() == tokens_BND.data_ptr()  # a view
    assert torch.equal(map_to_tokens(map_BCHW), tokens_BND)


def test_a_map_shows_a_patch_where_the_image_has_it(encoder: Any) -> None:
    pixels = published.pixels(SIZE_PX)
    changed = pixels.clone()
    changed[:, :, 28:42, 14:28] += 1  # row 2, column 1 of the patches
    with torch.no_grad():
        before, after = (encoder.encode(one, layers=[0]).layers([0])[0].map_BCHW for one in (pixels, changed))
    difference_HW = (after - before).abs().sum(dim=(0, 1))
    assert divmod(int(difference_HW.argmax()), 4) == (2, 1)


def test_patches_are_the_tokens_as_a_map_and_other_strides_are_refused(features: Features) -> None:
    found = features.patches()
    assert (found.stride_px, found.layer, found.norm) == (14, 11, Norm.FINAL)
    assert torch.equal(found.map_BCHW, tokens_to_map(features.tokens_BND, (4, 4)))
    assert features.patches(14) is found
    with pytest.raises(ValueError, match="no map of stride 16 px; this encoder has 14"):
        features.patches(16)


def test_layers_come_in_the_order_asked_for(features: Features) -> None:
    assert [one.layer for one in features.layers([11, 2, -2])] == [11, 2, 10]


def test_negative_layers_count_from_the_encoders_last_whatever_was_kept(encoder: Any) -> None:
    pixels = published.pixels(SIZE_PX)
    with torch.no_grad():
        features = encoder.encode(pixels, layers=[2, -2])
    assert sorted(features.kept) == [2, 10]
    assert features.layers([-2])[0].layer == 10
    with pytest.raises(ValueError, match="layer -1 was not kept; kept: 2, 10"):
        features.layers([-1])


def test_layers_not_kept_change_nothing_else(encoder: Any, features: Features) -> None:
    with torch.no_grad():
        none = encoder.encode(published.pixels(SIZE_PX), layers=())
    assert none.kept == {}
    assert torch.equal(none.global_BD, features.global_BD)
    assert torch.equal(none.tokens_BND, features.tokens_BND)
    with pytest.raises(ValueError, match="kept: none"):
        none.layers([0])


def test_the_final_norm_is_applied_when_asked_for(encoder: Any, features: Features) -> None:
    raw, normed = features.layers([5])[0], features.layers([5], norm="final")[0]
    assert (raw.norm, normed.norm) == (Norm.NONE, Norm.FINAL)
    weight, bias = encoder.trunk.norm.weight, encoder.trunk.norm.bias
    by_hand = torch.nn.functional.layer_norm(raw.map_BCHW.permute(0, 2, 3, 1), (32,), weight, bias, 1e-6)
    assert torch.allclose(normed.map_BCHW.permute(0, 2, 3, 1), by_hand, atol=1e-6)
    last = features.layers([-1], norm=Norm.FINAL)[0]
    assert torch.allclose(map_to_tokens(last.map_BCHW), features.tokens_BND, atol=1e-5)
    assert features.layers([5], norm="none")[0] is features.kept[5]


def test_a_norm_that_cannot_be_made_is_refused(features: Features) -> None:
    with pytest.raises(ValueError, match="layer 5 has norm 'none'; 'stage' cannot"):
        features.layers([5], norm="stage")
    with pytest.raises(ValueError, match="not a valid Norm"):
        features.layers([5], norm="last")


@pytest.mark.parametrize(
    ("pixels", "said"),
    [
        (torch.zeros(2, 3, 56, 42), r"pixels are \(2, 3, 56, 42\); rad_dino takes B, \(3, 56, 56\)"),
        (torch.zeros(3, 56, 56), r"pixels are \(3, 56, 56\)"),
        (torch.zeros(2, 1, 56, 56), r"pixels are \(2, 1, 56, 56\)"),
        (torch.zeros(2, 3, 56, 56, dtype=torch.uint8), r"pixels are torch.uint8"),
    ],
)
def test_pixels_of_another_shape_or_kind_are_refused(encoder: Any, pixels: torch.Tensor, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        encoder.encode(pixels)


@pytest.mark.parametrize("layer", [12, -13])
def test_a_layer_that_does_not_exist_is_refused(encoder: Any, layer: int) -> None:
    with pytest.raises(ValueError, match=rf"rad_dino has layers 0 to 11; asked for \[{layer}\]"):
        encoder.encode(published.pixels(SIZE_PX), layers=[3, layer])


def test_calling_the_module_gives_the_global_vector(encoder: Any, features: Features) -> None:
    with torch.no_grad():
        assert torch.equal(encoder(published.pixels(SIZE_PX)), features.global_BD)


def test_pixels_take_the_weights_dtype(encoder: Any) -> None:
    half = copy.deepcopy(encoder).to(torch.bfloat16)
    with torch.no_grad():
        features = half.encode(published.pixels(SIZE_PX), layers=[-1])
    assert features.global_BD.dtype is torch.bfloat16
    assert features.layers([-1], norm="final")[0].map_BCHW.dtype is torch.bfloat16


def test_gradients_reach_every_weight(encoder: Any) -> None:
    trained = copy.deepcopy(encoder).train()
    features = trained.encode(published.pixels(SIZE_PX), layers=[0])
    (features.global_BD.sum() + features.tokens_BND.square().sum() + features.kept[0].map_BCHW.sum()).backward()
    assert [name for name, weight in trained.named_parameters() if weight.grad is None or not weight.grad.any()] == []


def test_an_encoder_travels_to_another_process(encoder: Any) -> None:
    travelled = pickle.loads(pickle.dumps(encoder))
    pixels = published.pixels(SIZE_PX)
    with torch.no_grad():
        assert torch.equal(travelled.encode(pixels).global_BD, encoder.encode(pixels).global_BD)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 255.0, -40.0])
def test_pixels_that_no_recipe_gives_are_refused(encoder: Any, value: float) -> None:
    prepared = copy.deepcopy(encoder)
    prepared.recipe = load_recipe("rad_dino").at(SIZE_PX)  # black is -2.05, white 1.82: 8 times that is allowed
    pixels = published.pixels(SIZE_PX)
    assert prepared.encode(pixels).global_BD.isfinite().all()
    pixels[1, 2, 3, 4] = value
    with pytest.raises(ValueError, match="not normalised; prepare"):
        prepared.encode(pixels)
