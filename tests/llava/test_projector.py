"""The projector against its layers by hand."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from llava.projector import MlpProjector, seeded_projector


def test_four_layers_are_maira_2s_names_and_arithmetic():
    projector = seeded_projector(3, 5, 4, seed=1)
    state = projector.state_dict()
    assert list(state) == [f"layers.{place}.{kind}" for place in (0, 2, 4, 6) for kind in ("weight", "bias")]
    assert state["layers.0.weight"].shape == (5, 3)
    assert all(state[f"layers.{place}.weight"].shape == (5, 5) for place in (2, 4, 6))
    tokens = torch.randn(2, 7, 3, generator=torch.Generator().manual_seed(0))
    by_hand = tokens
    for place in (0, 2, 4, 6):
        by_hand = by_hand @ state[f"layers.{place}.weight"].T + state[f"layers.{place}.bias"]
        by_hand = functional.gelu(by_hand) if place < 6 else by_hand
    assert torch.allclose(projector(tokens), by_hand, atol=1e-6)


def test_one_layer_is_a_linear_map_and_none_is_refused():
    assert list(MlpProjector(3, 5, 1, bias=False).state_dict()) == ["layers.0.weight"]
    with pytest.raises(ValueError, match="a projector of 0 layers"):
        MlpProjector(3, 5, 0)


def test_first_weights_hang_on_the_seed_alone():
    torch.manual_seed(11)
    before = torch.get_rng_state()
    one, same, other = (seeded_projector(3, 5, 2, seed=seed) for seed in (4, 4, 5))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(one.layers[0].weight, same.layers[0].weight)
    assert not torch.equal(one.layers[0].weight, other.layers[0].weight)


def test_tokens_of_another_dtype_are_cast_to_the_weights():
    projector = MlpProjector(3, 5, 2)
    assert projector(torch.zeros(1, 2, 3, dtype=torch.bfloat16)).dtype == torch.float32
    assert projector.bfloat16()(torch.zeros(1, 2, 3)).dtype == torch.bfloat16
