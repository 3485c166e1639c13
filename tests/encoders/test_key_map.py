"""Checkpoint names are translated strictly."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from encoders.key_map import KeyMap, has_key

KEYS = KeyMap(
    rename=(
        (r"layer\.(\d+)\.(?:query|q)", r"blocks.\1.qkv#0"),
        (r"layer\.(\d+)\.key", r"blocks.\1.qkv#1"),
        (r"layer\.(\d+)\.value", r"blocks.\1.qkv#2"),
        (r"layer\.(\d+)\.(\w+)", r"blocks.\1.\2"),
        (r"(cls|class)_token", "cls"),
    ),
    drop=(r"text\..*", "scale"),
)


def row(value: float, width: int = 2) -> torch.Tensor:
    return torch.full((1, width), value)


def test_names_change_and_parts_are_joined_in_their_order() -> None:
    state = {
        "layer.10.value": row(3),
        "layer.10.query": row(1),
        "layer.10.key": row(2),
        "layer.10.norm": row(4),
        "cls_token": row(5),
    }
    translated = KEYS.translate(state)
    assert list(translated) == ["blocks.10.qkv", "blocks.10.norm", "cls"]
    assert translated["blocks.10.qkv"][:, 0].tolist() == [1, 2, 3]
    assert translated["cls"] is state["cls_token"]  # nothing is copied that needs no joining


def test_the_first_rule_decides() -> None:
    # the fourth rule would fit layer.0.query too
    assert "blocks.0.query" not in KEYS.translate({f"layer.0.{part}": row(0) for part in ("query", "key", "value")})


def test_keys_of_other_parts_of_the_model_are_dropped_by_name_only() -> None:
    assert KEYS.translate({"text.a.b": row(0), "scale": row(0)}) == {}
    with pytest.raises(ValueError, match="1 checkpoint keys are unknown to this layout, first scale2"):
        KEYS.translate({"scale2": row(0)})


def test_all_unknown_keys_are_counted_and_the_first_named() -> None:
    with pytest.raises(ValueError, match=r"7 checkpoint keys .* first k0, k1, k2, k3, k4$"):
        KEYS.translate({f"k{number}": row(0) for number in range(7)})


def test_a_pattern_must_fit_the_whole_key() -> None:
    with pytest.raises(ValueError, match=r"first module\.cls_token"):
        KEYS.translate({"module.cls_token": row(0)})


@pytest.mark.parametrize("lost", ["query", "key", "value"])
def test_a_missing_part_is_an_error_whichever_it_is(lost: str) -> None:
    state = {f"layer.0.{part}": row(0) for part in ("query", "key", "value") if part != lost}
    with pytest.raises(ValueError, match=r"2 of the 3 parts of 'blocks\.0\.qkv': only layer\.0\."):
        KEYS.translate(state)


def test_parts_of_different_shapes_are_an_error() -> None:
    state = {"layer.0.query": torch.zeros(2, 2), "layer.0.key": torch.zeros(3, 2), "layer.0.value": torch.zeros(1, 2)}
    with pytest.raises(ValueError, match=r"different shapes: .*layer\.0\.key \(3, 2\)"):
        KEYS.translate(state)


@pytest.mark.parametrize("keys", [("cls_token", "class_token"), ("layer.0.query", "layer.0.q")])
def test_two_keys_for_one_place_are_an_error(keys: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match=f"'{keys[0]}' and '{keys[1]}' are both"):
        KEYS.translate({key: row(0) for key in keys})


def test_a_layout_is_told_by_one_whole_key() -> None:
    matches = partial(has_key, r"(?:x\.)?cls_token")
    assert matches({"a": 1, "x.cls_token": 2})
    assert not matches({"y.cls_token": 2})
