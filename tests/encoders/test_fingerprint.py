"""Fingerprints: what changes them, what doesn't, and what they are made of.

Shape letters: B batch, C channels, H rows, W columns.
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from encoders.contract import Encoder
from encoders.fingerprint import Fingerprint, Probe, fingerprint, origin_of, probe_image, same_features, weights_sha256
from encoders.registry import load_encoder
from tests.encoders import made


@pytest.fixture
def encoder(tmp_path) -> Iterator[Encoder]:
    save_file(made.lab_state(), tmp_path / "lab.safetensors")
    with made.registered():
        yield load_encoder("made", weights=tmp_path / "lab.safetensors", preprocessing=made.RECIPE)


def test_weights_are_hashed_by_name_kind_shape_and_value_in_order_of_names(encoder):
    digest = hashlib.sha256()
    for name, tensor in sorted(encoder.state_dict().items()):
        value = tensor.numpy()
        kind = {"float32": "torch.float32", "int64": "torch.int64"}[str(value.dtype)]
        digest.update(f"{name} {kind} {value.shape}\n".encode() + np.ascontiguousarray(value).tobytes())
    assert weights_sha256(encoder) == digest.hexdigest()


def test_a_training_step_changes_the_fingerprint_and_a_frozen_pass_does_not(encoder):
    before = fingerprint(encoder)
    encoder.train()
    encoder(torch.ones(1, 3, 16, 16)).sum().backward()
    assert fingerprint(encoder) == before
    torch.optim.SGD(encoder.parameters(), lr=0.1).step()
    after = fingerprint(encoder)
    assert after.weights_sha256 != before.weights_sha256
    assert after.key != before.key
    assert not same_features(before, after)
    assert encoder.training  # the probe puts the mode back


def test_one_changed_bit_of_a_buffer_changes_the_fingerprint(encoder):
    before = weights_sha256(encoder)
    encoder.seen += 1
    assert weights_sha256(encoder) != before


def test_the_same_weights_in_two_layouts_and_files_have_one_fingerprint(encoder, tmp_path):
    torch.save({"model": made.hub_state()}, tmp_path / "hub.pth")
    other = load_encoder("made", weights=tmp_path / "hub.pth", preprocessing=made.RECIPE)
    ours, theirs = fingerprint(encoder), fingerprint(other)
    assert ours.model_copy(update={"origin": theirs.origin}) == theirs
    assert ours.origin.file_sha256 != theirs.origin.file_sha256
    assert ours.origin.file_sha256 == hashlib.sha256((tmp_path / "lab.safetensors").read_bytes()).hexdigest()


def test_size_preprocessing_weights_and_name_each_change_the_key(encoder, tmp_path):
    save_file(made.lab_state(1), tmp_path / "other.safetensors")
    lab = tmp_path / "lab.safetensors"
    with made.registered(name="made2"):
        renamed = load_encoder("made", weights=lab, preprocessing=made.RECIPE)
    others = [
        load_encoder("made", weights=tmp_path / "other.safetensors", preprocessing=made.RECIPE),
        load_encoder("made", weights=lab, preprocessing="siglip2"),
        load_encoder("made", weights=lab, image_size_px=32, preprocessing=made.RECIPE),
        renamed,
    ]
    keys = {fingerprint(one, probe=False).key for one in [encoder, *others]}
    assert len(keys) == 5


def test_a_twin_never_shares_its_key_with_weights_and_carries_a_note(encoder):
    twin = fingerprint(load_encoder("made", weights="twin", preprocessing=made.RECIPE))
    assert twin.note == "made has random weights (twin): its features mean nothing"
    assert fingerprint(encoder).note is None
    assert twin.key != fingerprint(encoder).key
    assert twin.origin.kind == "random twin"


def test_a_fingerprint_is_json(encoder):
    read = json.loads(fingerprint(encoder).model_dump_json())
    assert read["origin"] == {
        "kind": "published weights",
        "weights": "lab.safetensors",
        "file_sha256": fingerprint(encoder).origin.file_sha256,
        "inside": "",
        "layout": "the lab's",
        "model_sha256": None,
    }
    assert read["encoder"] == "made"
    assert len(read["probe"]["global_first"]) == 8
    assert Fingerprint.model_validate_json(fingerprint(encoder).model_dump_json()) == fingerprint(encoder)


def test_half_precision_of_half_precision_weights_is_the_same_encoder(encoder, tmp_path):
    state = {key: t.half() if t.is_floating_point() else t for key, t in made.lab_state().items()}
    save_file(state, tmp_path / "half.safetensors")
    whole = load_encoder("made", weights=tmp_path / "half.safetensors", preprocessing=made.RECIPE)
    half = copy.deepcopy(whole).half()
    assert fingerprint(half, probe=False).key == fingerprint(whole, probe=False).key
    assert fingerprint(half, probe=False).key != fingerprint(encoder, probe=False).key
    assert weights_sha256(copy.deepcopy(encoder).half()) != weights_sha256(encoder)  # those were rounded


def test_the_probe_image_is_three_channels_of_integer_arithmetic_in_the_range():
    image = probe_image(20)
    assert image.shape == (1, 3, 20, 20)
    for channel, row, column in [(0, 0, 0), (1, 3, 5), (2, 19, 19)]:
        level = (3 * row + 2 * column + row * column // 64 + 85 * channel) % 256
        assert image[0, channel, row, column].item() == pytest.approx(level / 127.5 - 1)
    assert probe_image(518).min() == -1
    assert probe_image(518).max() == 1


def test_the_probe_is_of_the_encoders_features_of_that_image(encoder):
    with torch.no_grad():
        features = encoder.encode(probe_image(16))
    values = features.global_BD[0].numpy()
    tokens = features.tokens_BND.numpy()
    probe = fingerprint(encoder).probe
    assert probe is not None
    assert probe.global_first == pytest.approx(values[:8].tolist())
    assert probe.global_norm == pytest.approx(float(np.linalg.norm(values)), rel=1e-6)
    assert probe.tokens_mean == pytest.approx(float(tokens.mean()), abs=1e-6)
    assert probe.tokens_std == pytest.approx(float(tokens.std(ddof=1)), rel=1e-6)


@pytest.mark.parametrize(("factor", "same"), [(1.0005, True), (1.002, False)])
@pytest.mark.parametrize("field", ["global_first", "global_norm", "tokens_mean", "tokens_std"])
def test_features_are_the_same_up_to_a_thousandth_of_their_size(encoder, factor, same, field):
    ours = fingerprint(encoder)
    probe = Probe((0.5, -1.0, *[0.25] * 6), 2.0, 1.0, 1.0)
    value = getattr(probe, field)
    moved = tuple(factor * one for one in value) if isinstance(value, tuple) else factor * value
    a = ours.model_copy(update={"probe": probe})
    b = ours.model_copy(update={"probe": replace(probe, **{field: moved})})
    assert same_features(a, b) is same
    assert same_features(a, b, rtol=1e-2)


def test_features_that_are_not_numbers_are_not_the_same(encoder):
    nan = Probe((math.nan,) * 8, math.nan, math.nan, math.nan)
    broken = fingerprint(encoder).model_copy(update={"probe": nan})
    assert not same_features(broken, broken)


def test_without_a_probe_there_is_nothing_to_compare(encoder):
    assert fingerprint(encoder, probe=False).probe is None
    with pytest.raises(ValueError, match="without its probe"):
        same_features(fingerprint(encoder, probe=False), fingerprint(encoder))


def test_an_encoder_that_was_not_loaded_has_no_fingerprint():
    bare = made.MadeEncoder(made.SPEC, "full", 16)
    with pytest.raises(ValueError, match="made was not loaded by load_encoder"):
        origin_of(bare)
