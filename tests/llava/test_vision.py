"""Towers against the encoders inside them.

Shape letters: I images, C channels, H rows, W columns, N image tokens, D width.
"""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from encoders.contract import Encoder, Features, Norm, Pooling, map_to_tokens
from encoders.fingerprint import fingerprint, origin_of
from encoders.own_models import describe_own_model
from encoders.registry import NAMES, encoder_spec, load_encoder
from encoders.spec import EncoderSpec
from llava.vision import CxrVisionConfig, CxrVisionTower, encoder_of, tokens_of, vision_config

# Small inputs that each one's patches and windows allow: some larger than a window, so that windows shift.
SIZES_PX = {
    "rad_dino": 56,
    "dinov2": 56,
    "medimageinsight": 96,
    "ark_plus": 384,
    "biomedclip": 64,
    "chexagent": 64,
    "medsiglip": 56,
    "siglip2": 64,
    "segformer": 64,
}


def pixels(image_size_px: int, images: int = 2) -> Tensor:
    return torch.randn(images, 3, image_size_px, image_size_px, generator=torch.Generator().manual_seed(1))


def tower_of(encoder: Encoder, **told: Any) -> CxrVisionTower:
    """A tower as `llava.build` makes it: empty, then the encoder put in."""
    config = vision_config(encoder, **{"size": "tiny", **told})
    with torch.device("meta"):
        tower = CxrVisionTower(config)
    tower.encoder = encoder
    return tower.eval()


def tiny(name: str = "rad_dino") -> Encoder:
    return copy.deepcopy(_built(name))


@cache
def _built(name: str) -> Encoder:
    return load_encoder(name, weights="tiny", image_size_px=SIZES_PX[name])


def written(folder: Path, tower: CxrVisionTower) -> CxrVisionTower:
    """Saved, every free byte of memory made garbage, and loaded again."""
    tower.save_pretrained(folder)
    # transformers gives buffers that no checkpoint holds fresh memory: freed garbage shows what is not put back
    garbage = [torch.full((size,), float("nan")) for size in (2**8, 2**12, 2**16, 2**20) for _ in range(8)]
    del garbage
    loaded, report = CxrVisionTower.from_pretrained(folder, output_loading_info=True)
    assert not any(report.values())
    return loaded


@torch.no_grad()
@pytest.mark.parametrize("name", NAMES)
def test_features_are_the_same_bits_after_saving_and_loading(name, tmp_path):
    encoder = tiny(name)
    seen = pixels(encoder.image_size_px)
    expected = encoder.encode(seen, layers=()).tokens_BND
    tower = tower_of(encoder)
    assert torch.equal(tower(seen), expected)
    loaded = written(tmp_path, tower)
    assert torch.equal(loaded(seen), expected)
    for (key, buffer), (_, again) in zip(encoder.named_buffers(), loaded.encoder.named_buffers(), strict=True):
        assert torch.equal(buffer, again), key
    assert fingerprint(loaded.encoder, probe=False) == fingerprint(encoder, probe=False)
    assert loaded.config.num_tokens == expected.shape[1] == encoder.num_tokens
    assert loaded.config.hidden_size == expected.shape[2] == encoder.token_width


def own(folder: Path, backend: str, model: str, args: dict[str, Any], config: dict[str, Any] | None = None) -> str:
    if config is not None:
        (folder / model).mkdir()
        (folder / model / "config.json").write_text(json.dumps(config))
    path = folder / "mine.toml"
    path.write_text(
        f'preprocessing = "segformer"\n[encoder]\nname = "mine"\nbackend = "{backend}"\nmodel = "{model}"\n'
        f'image_size_px = 64\npooling = "mean"\n[encoder.model_args]\n'
        + "".join(f"{key} = {json.dumps(value)}\n" for key, value in args.items())
    )
    return str(path)


SMALL = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "patch_size": 8}
OWN: dict[str, tuple[str, str, dict[str, Any], dict[str, Any] | None]] = {
    "timm ViT": ("timm", "vit_tiny_patch16_224", {"img_size": 64, "depth": 2}, None),
    "timm EVA-02, whose rotary table is a buffer": (
        "timm",
        "eva02_tiny_patch14_224",
        {"img_size": 64, "patch_size": 8, "depth": 2, "ref_feat_shape": [8, 8]},
        None,
    ),
    "timm Swin, whose masks are buffers": (
        "timm",
        "swin_tiny_patch4_window7_224",
        {"img_size": 64, "window_size": 4, "embed_dim": 12, "depths": [2, 2], "num_heads": [2, 2]},
        None,
    ),
    "transformers CLIP": ("transformers", "m", {}, {"model_type": "clip_vision_model", "image_size": 64, **SMALL}),
    "transformers CLIP at another size": (
        "transformers",
        "m",
        {},
        {"model_type": "clip_vision_model", "image_size": 32, **SMALL},
    ),
    "transformers SigLIP": ("transformers", "m", {}, {"model_type": "siglip_vision_model", "image_size": 64, **SMALL}),
    "transformers DINOv2": ("transformers", "m", {}, {"model_type": "dinov2", "image_size": 64, **SMALL}),
}


@torch.no_grad()
@pytest.mark.parametrize("kind", OWN)
def test_an_own_model_is_rebuilt_without_its_files(kind, tmp_path):
    backend, model, args, config = OWN[kind]
    (tmp_path / "described").mkdir()
    path = own(tmp_path / "described", backend, model, args, config)
    encoder = load_encoder(path, weights="twin")
    tower = tower_of(encoder, size="full", own_model=describe_own_model(path))
    expected = tower(pixels(64))
    for file in (tmp_path / "described").rglob("*.*"):
        file.unlink()
    loaded = written(tmp_path / "saved", tower)
    assert torch.equal(loaded(pixels(64)), expected)
    assert fingerprint(loaded.encoder, probe=False) == fingerprint(encoder, probe=False)


@torch.no_grad()
def test_trained_weights_come_back_and_not_those_of_the_name(tmp_path):
    # trainer.md, fact 10: LLaVA's loaders build the tower from its name again, with the weights it began with
    tower = tower_of(tiny())
    before = tower(pixels(56))
    for parameter in tower.parameters():
        parameter.mul_(1.25)
    trained = tower(pixels(56))
    assert (trained - before).abs().max() > 0.01
    assert torch.equal(written(tmp_path, tower)(pixels(56)), trained)


def test_loading_draws_nothing_and_building_alone_gives_a_tower_that_runs():
    config = vision_config(tiny(), size="tiny")
    alone = CxrVisionTower(config)  # as AutoModel.from_config does, with the encoder's own first weights
    assert not any(tensor.is_meta for tensor in [*alone.parameters(), *alone.buffers()])
    assert torch.isfinite(alone(pixels(56))).all()
    state = torch.get_rng_state()
    with torch.device("meta"):
        CxrVisionTower(config)
    assert torch.equal(torch.get_rng_state(), state)


@torch.no_grad()
def test_layers_are_joined_along_the_width_each_normed_if_asked():
    encoder = tiny()
    features = encoder.encode(pixels(56), layers=(3, -2))
    for norm in (None, "final"):
        maps = features.layers((3, -2), norm=norm)
        expected = torch.cat([map_to_tokens(one.map_BCHW) for one in maps], dim=-1)
        tower = tower_of(encoder, layers=(3, -2), norm=norm)
        assert torch.equal(tower(pixels(56)), expected)
        assert (tower.config.hidden_size, tower.config.num_tokens) == (64, 16)
    normed = tokens_of(encoder, pixels(56), [-1], "final")
    raw = tokens_of(encoder, pixels(56), [-1], None)
    assert torch.equal(normed, encoder.encode(pixels(56)).tokens_BND)
    assert (raw - normed).abs().max() > 0.1  # trainer.md, fact 3: the last layer's output is not its normed one


def test_layers_of_different_grids_are_refused_with_both_grids():
    encoder = tiny("segformer")
    with pytest.raises(ValueError, match=r"layers \[2, 3\] have grids of 2 x 2, 4 x 4; only those of one grid"):
        vision_config(encoder, size="tiny", layers=(2, 3))
    assert vision_config(encoder, size="tiny", layers=(2,)).num_tokens == 16


def test_a_layer_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match=r"has layers 0 to 11; asked for \[12\]"):
        vision_config(tiny(), size="tiny", layers=(12,))


def test_a_frozen_tower_has_no_graph_and_what_follows_still_learns():
    tower = tower_of(tiny()).requires_grad_(False)
    tokens = tower(pixels(56))
    assert not tokens.requires_grad
    weight = torch.ones(32, requires_grad=True)
    (tokens * weight).sum().backward()  # tokens of inference_mode could not be saved for this
    assert torch.allclose(weight.grad, tokens.sum((0, 1)))


def test_a_tower_that_learns_gets_the_same_gradients_with_checkpointing():
    gradients = []
    for checkpointing in (False, True):
        tower = tower_of(tiny())
        tower.train()
        if checkpointing:
            tower.gradient_checkpointing_enable()
            assert tower.gradient_checkpointing
        tower(pixels(56)).square().sum().backward()
        gradients.append([parameter.grad for parameter in tower.parameters() if parameter.grad is not None])
    assert len(gradients[0]) == len(gradients[1]) > 100
    for plain, saved in zip(*gradients, strict=True):
        assert (plain - saved).abs().max() <= 1e-5 * plain.abs().max().clamp(min=1e-3)


def test_checkpointing_keeps_fewer_activations():
    kept = {}
    for checkpointing in (False, True):
        tower = tower_of(tiny())
        if checkpointing:
            tower.gradient_checkpointing_enable()
        sizes: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(lambda one, sizes=sizes: sizes.append(one.numel()), lambda _: _):
            tower(pixels(56))
        kept[checkpointing] = sum(sizes)
    assert kept[True] < kept[False] / 10


def test_a_frozen_tower_stays_in_evaluation_mode():
    tower = tower_of(tiny())
    assert tower.train().encoder.training
    assert not tower.requires_grad_(False).train().encoder.training


def test_an_encoder_alone_is_read_from_a_state_and_told_what_it_began_as():
    encoder = tiny()
    config = vision_config(encoder, size="tiny")
    alone = encoder_of(config, dict(encoder.state_dict()))
    assert fingerprint(alone) == fingerprint(encoder)
    assert origin_of(alone) == origin_of(encoder)
    short = dict(encoder.state_dict())
    del short["trunk.norm.weight"]
    with pytest.raises(ValueError, match=r"the encoder \(rad_dino\) of this checkpoint does not fit: 1 missing"):
        encoder_of(config, short)


def test_a_configuration_of_no_size_that_there_is_is_refused():
    with pytest.raises(ValueError, match=r"vision_config\.size is 'huge'"):
        CxrVisionTower(CxrVisionConfig(size="huge"))


class Counting(Encoder):
    """Tokens that are the places themselves, from a buffer that is counted when it is built."""

    def __init__(self, spec: EncoderSpec, _: Any, image_size_px: int) -> None:
        super().__init__()
        self.spec, self.image_size_px, self.pooling = spec, image_size_px, Pooling.MEAN
        self.token_grid, self.token_width, self.num_layers = (20, 20), 1, 1
        self.scale = torch.nn.Parameter(torch.ones(1))
        self.register_buffer("places", torch.stack(list(accumulate([torch.ones(1)] * 400)))[None], persistent=False)

    def _encode(self, pixels_BCHW: Tensor, _: tuple[int, ...]) -> Features:
        tokens_BND = self.places.expand(len(pixels_BCHW), -1, -1) * self.scale
        return Features(tokens_BND.mean(1), self.pooling, tokens_BND, Norm.NONE, 1, {}, {}, 1)


@torch.no_grad()
def test_what_is_counted_for_half_precision_is_counted_in_float32(monkeypatch, tmp_path):
    # bfloat16 counts to 256 and no further: 256 + 1 rounds to 256
    spec = replace(encoder_spec("segformer"), build=Counting)
    monkeypatch.setattr("llava.vision.encoder_spec", lambda _: spec)
    CxrVisionTower(CxrVisionConfig(encoder="counting", image_size_px=20)).save_pretrained(tmp_path)
    half = CxrVisionTower.from_pretrained(tmp_path, dtype=torch.bfloat16)
    assert half.encoder.places.dtype == torch.bfloat16
    assert half(pixels(20, 1)).float()[0, -1, 0] == 400


@torch.no_grad()
@pytest.mark.parametrize("kind", [kind for kind in OWN if "buffer" in kind])
def test_half_precision_rounds_what_was_computed_in_float32(kind, tmp_path):
    backend, model, args, config = OWN[kind]
    path = own(tmp_path, backend, model, args, config)
    encoder = load_encoder(path, weights="twin")
    tower = tower_of(encoder, size="full", own_model=describe_own_model(path))
    tower.save_pretrained(tmp_path / "saved")
    half = CxrVisionTower.from_pretrained(tmp_path / "saved", dtype=torch.bfloat16)
    encoder.bfloat16()
    for (name, wanted), given in zip(encoder.named_parameters(), half.encoder.parameters(), strict=True):
        assert torch.equal(given, wanted), name
    for (name, wanted), given in zip(encoder.named_buffers(), half.encoder.buffers(), strict=True):
        assert torch.equal(given, wanted), name
    assert torch.equal(half(pixels(64)), encoder.encode(pixels(64), layers=()).tokens_BND)
