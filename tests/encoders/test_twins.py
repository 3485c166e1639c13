"""Random twins: reproducible, lively, finite."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from torch import nn

from encoders.contract import Encoder, Features
from encoders.placing import build_empty
from encoders.registry import NAMES, load_encoder
from encoders.twins import random_state


class Layers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 64, 8)
        self.norm = nn.BatchNorm2d(64)
        self.pos_embed = nn.Parameter(torch.zeros(1, 500, 64))
        self.gamma = nn.Parameter(1e-5 * torch.ones(64))


def test_a_twin_is_the_same_whatever_was_drawn_before_and_draws_nothing_itself():
    torch.manual_seed(1)
    first = random_state(Layers(), "a")
    torch.manual_seed(2)
    expected = torch.rand(1)
    torch.manual_seed(2)
    second = random_state(build_empty(Layers), "a")
    assert torch.equal(torch.rand(1), expected)
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_the_values_are_those_of_numpys_mersenne_twister():
    seed = int.from_bytes(hashlib.sha256(b"carina/weight").digest()[:7], "big") % 2**32
    raw = np.random.RandomState(seed).randint(0, 2**32, size=6, dtype=np.uint32)
    uniform = (raw % 2**24).astype(np.float32) / np.float32(2**24) - np.float32(0.5)
    expected = uniform * np.float32(12**0.5 * 2 / 3**0.5)
    assert random_state(nn.Linear(3, 2), "carina")["weight"].flatten().tolist() == expected.tolist()


def test_names_of_encoder_and_tensor_both_change_the_draw():
    a, b = random_state(Layers(), "a"), random_state(Layers(), "b")
    assert not torch.equal(a["conv.weight"], b["conv.weight"])
    assert not torch.equal(a["conv.bias"], a["norm.bias"])


def test_spreads_are_by_fan_in_and_norms_and_layer_scale_are_near_one():
    drawn = random_state(Layers(), "a")
    assert drawn["conv.weight"].std().item() == pytest.approx(2 / (3 * 8 * 8) ** 0.5, rel=0.03)
    assert drawn["pos_embed"].std().item() == pytest.approx(0.1, rel=0.03)
    for key in ("norm.weight", "norm.running_var", "gamma"):
        assert drawn[key].mean().item() == pytest.approx(1.0, abs=0.05)
        assert drawn[key].min() > 0.8
    for key in ("conv.bias", "norm.running_mean"):
        assert drawn[key].mean().item() == pytest.approx(0.0, abs=0.05)
        assert 0 < drawn[key].abs().max() < 0.2
    assert drawn["norm.num_batches_tracked"].item() == 0


@pytest.mark.parametrize("name", NAMES)
def test_a_tiny_twin_of_every_encoder_tells_images_and_patches_apart(name):
    encoder = load_encoder(name, weights="tiny")
    assert encoder.recipe.resize.size_px == encoder.image_size_px == encoder.spec.image_size_px
    first, second = encode_one(encoder, 1), encode_one(encoder, 2)
    assert cosine(first.global_BD, second.global_BD) < 0.9995
    tokens_ND = first.tokens_BND[0]
    assert torch.isfinite(tokens_ND).all()
    assert cosine(tokens_ND[:1], tokens_ND[len(tokens_ND) // 2 :]).mean() < 0.99


def encode_one(encoder: Encoder, seed: int) -> Features:
    """Features of a smooth picture: noise of 1/16 of the size, enlarged."""
    size_px = encoder.image_size_px
    coarse = torch.randn(1, 1, size_px // 16, size_px // 16, generator=torch.Generator().manual_seed(seed))
    picture = nn.functional.interpolate(coarse, size=(size_px, size_px), mode="bicubic")
    with torch.no_grad():
        return encoder.encode(picture.expand(1, 3, size_px, size_px), layers=())


def cosine(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return nn.functional.cosine_similarity(a, b, dim=-1)
