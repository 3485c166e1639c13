"""Building without drawing weights, and placing a checkpoint without leaving anything over."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from encoders.placing import build_empty, place_strictly


class Drawn(nn.Module):
    """Weights drawn from the global generator, by a module and by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.token = nn.Parameter(torch.randn(4))
        self.frozen = nn.Parameter(torch.zeros(2), requires_grad=False)


class Leaning(nn.Module):
    """A buffer computed on its weight's device, as timm's Swin has; told how to compute it again or not."""

    def __init__(self, *, can_again: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3))
        self.register_buffer("index", torch.arange(3, device=self.weight.device), persistent=False)
        if can_again:
            self.init_non_persistent_buffers = lambda: self.index.copy_(torch.arange(3))


def test_building_takes_no_memory_for_weights_and_leaves_the_global_random_state():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    module = build_empty(Drawn)
    assert torch.equal(torch.rand(3), expected)
    assert all(p.is_meta for p in module.parameters())


def test_placing_gives_copies_in_the_modules_kind_and_keeps_what_trains():
    module = build_empty(Drawn)
    state = {key: torch.full(t.shape, 2.0, dtype=torch.float16) for key, t in module.state_dict().items()}
    token = state["token"]
    place_strictly(module, state, "x")
    assert not state  # emptied: nothing is held twice
    token.zero_()
    assert torch.equal(module.token, torch.full((4,), 2.0))
    assert [p.requires_grad for p in (module.linear.weight, module.token, module.frozen)] == [True, True, False]


@pytest.mark.parametrize("can_again", [True, False])
def test_buffers_computed_beside_weights_are_there_after_placing(can_again):
    module = build_empty(lambda: Leaning(can_again=can_again))
    assert module.index.is_meta is can_again  # else it was built in memory
    place_strictly(module, {"weight": torch.ones(3)}, "x")
    assert module.index.tolist() == [0, 1, 2]


def test_nothing_is_placed_when_a_value_is_not_finite():
    module = nn.Linear(2, 1)
    before = module.weight.clone()
    with pytest.raises(ValueError, match=r"x holds values that are not finite in 1 tensors: bias"):
        place_strictly(module, {"weight": torch.ones(1, 2), "bias": torch.tensor([torch.inf])}, "x")
    assert torch.equal(module.weight, before)


def test_a_value_too_large_for_float32_is_not_finite():
    with pytest.raises(ValueError, match="not finite"):
        place_strictly(nn.Linear(1, 1, bias=False), {"weight": torch.tensor([[1e300]], dtype=torch.float64)}, "x")


def test_all_faults_are_told_at_once_with_counts():
    state = {"weight": torch.ones(3), **{f"x{i}": torch.ones(1) for i in range(6)}}
    with pytest.raises(ValueError, match=r"1 missing: bias; 6 unexpected: x0, x1, x2, x3, \.\.\.; 1 of another shape"):
        place_strictly(nn.Linear(2, 1), state, "x")
