"""One's own timm and transformers models against the same models run by hand.

Shape letters: B batch, C channels, H rows, W columns, N patch tokens, T patch and other tokens, D width.
"""

from __future__ import annotations

import copy
import json
import pickle
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from encoders.contract import Norm, Pooling
from encoders.fingerprint import Kind, fingerprint, origin_of
from encoders.own_models import KeySettings, ModelSettings, load_own_model
from encoders.registry import load_encoder
from encoders.torchvision_shim import import_torchvision

import_torchvision()

ROOT = Path(__file__).parents[2]
VIT = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 3, "num_heads": 2}
TINY: dict[str, Any] = {"hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 2, "patch_size": 8}


def write(folder: Path, *, preprocessing: str = "segformer", keys: dict[str, Any] | None = None, **encoder: Any) -> str:
    """A TOML file of these settings; JSON's strings, numbers and lists are TOML's too."""
    args = encoder.pop("model_args", {})
    lines = [f"preprocessing = {json.dumps(preprocessing)}", "[encoder]"]
    told = {"name": "mine", "backend": "timm", "image_size_px": 32, "pooling": "cls", **encoder}
    lines += [f"{key} = {json.dumps(value)}" for key, value in told.items() if value is not None]
    lines += ["[encoder.model_args]", *(f"{key} = {json.dumps(value)}" for key, value in args.items())]
    if keys:
        lines += ["[keys]", *(f"{key} = {json.dumps(value)}" for key, value in keys.items())]
    path = folder / "mine.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    return str(path)


def randomised(model: nn.Module) -> nn.Module:
    """Every weight, norm, bias and statistic drawn, so that none is neutral."""
    generator = torch.Generator().manual_seed(3)
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            drawn = torch.randn(tensor.shape, generator=generator) * 0.2
            tensor.copy_(drawn.abs() + 0.5 if name.endswith("running_var") else drawn)
    return model.eval()


def timm_model(name: str, **args: Any) -> nn.Module:
    import timm

    model: nn.Module = randomised(timm.create_model(name, pretrained=False, num_classes=0, **args))
    return model


def pixels(size_px: int = 32) -> torch.Tensor:
    return torch.randn(2, 3, size_px, size_px, generator=torch.Generator().manual_seed(1))


def assert_close(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().max() <= 1e-5 * theirs.abs().max()


@torch.no_grad()
def test_a_timm_vit_gives_what_the_model_gives_by_hand(tmp_path):
    model = timm_model("vit_tiny_patch16_224", **VIT)
    save_file(model.state_dict(), tmp_path / "w.safetensors")
    path = write(tmp_path, model="vit_tiny_patch16_224", model_args=VIT)
    encoder = load_encoder(path, weights=tmp_path / "w.safetensors")
    features = encoder.encode(pixels())
    tokens_BTD = model.forward_features(pixels())
    assert_close(features.global_BD, tokens_BTD[:, 0])
    assert_close(features.tokens_BND, tokens_BTD[:, 1:])
    raw_BTD = model._pos_embed(model.patch_embed(pixels()))
    for layer, block in enumerate(model.blocks):
        raw_BTD = block(raw_BTD)
        kept = features.layers([layer])[0]
        assert_close(kept.map_BCHW, raw_BTD[:, 1:].transpose(1, 2).reshape(2, 24, 4, 4))
        assert (kept.layer, kept.stride_px, kept.norm) == (layer, 8, Norm.NONE)
    assert_close(features.layers([-1], norm="final")[0].map_BCHW, features.patches().map_BCHW)
    assert (features.tokens_norm, features.pooling) == (Norm.FINAL, Pooling.CLS)
    assert (encoder.global_width, encoder.token_width, encoder.token_grid, encoder.num_layers) == (24, 24, (4, 4), 3)
    assert (encoder.grids, encoder.widths, encoder.default_stride_px) == ({8: (4, 4)}, {8: 24}, 8)
    assert origin_of(encoder).kind is Kind.OWN


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("resnet18", {}),
        ("convnext_atto", {}),
        (
            "swin_tiny_patch4_window7_224",
            {"img_size": 64, "embed_dim": 16, "depths": [1, 1, 1, 1], "num_heads": [1] * 4},
        ),
    ],
)
def test_a_timm_hierarchy_gives_what_the_model_gives_by_hand(tmp_path, name, args):
    model = timm_model(name, **args)
    save_file(model.state_dict(), tmp_path / "w.safetensors")
    path = write(tmp_path, model=name, image_size_px=64, pooling="mean", stride_px=16, model_args=args)
    encoder = load_encoder(path, weights=tmp_path / "w.safetensors")
    features = encoder.encode(pixels(64))
    assert_close(features.global_BD, model(pixels(64)))  # without a classifier, timm's model gives the pooled vector
    theirs = model.forward_intermediates(pixels(64), intermediates_only=True)
    strides = [info["reduction"] for info in model.feature_info]
    for layer, (stride, map_BCHW) in enumerate(zip(strides, theirs, strict=True)):
        assert_close(features.patches(stride).map_BCHW, map_BCHW)
        assert_close(features.layers([layer])[0].map_BCHW, map_BCHW)
        assert encoder.grids[stride] == tuple(map_BCHW.shape[2:])
        assert encoder.widths[stride] == map_BCHW.shape[1]
    assert_close(features.tokens_BND, theirs[-1].flatten(2).transpose(1, 2))
    assert features.patches().stride_px == encoder.default_stride_px == 16
    assert encoder.encode(pixels(64), layers=()).kept == {}
    assert encoder.global_width == features.global_BD.shape[1]


@torch.no_grad()
@pytest.mark.parametrize(("pooling", "theirs"), [("mean", "avg"), ("attention", "map")])
def test_pooling_is_timms_of_that_name(tmp_path, pooling, theirs):
    model = timm_model("vit_tiny_patch16_224", **VIT, global_pool=theirs)
    save_file(model.state_dict(), tmp_path / "w.safetensors")
    path = write(tmp_path, model="vit_tiny_patch16_224", pooling=pooling, model_args=VIT)
    features = load_encoder(path, weights=tmp_path / "w.safetensors").encode(pixels())
    assert_close(features.global_BD, model(pixels()))
    assert features.pooling.value == pooling
    # timm's mean has its norm behind the pooling, so that the tokens have none
    assert features.tokens_norm is (Norm.NONE if pooling == "mean" else Norm.FINAL)
    assert (features.final_norm is None) is (pooling == "mean")


def transformers_model(kind: str) -> nn.Module:
    import transformers as tf

    sizes = {**TINY, "image_size": 32}
    wide = {**sizes, "intermediate_size": 48}
    made: dict[str, Any] = {
        "vit": lambda: tf.ViTModel(tf.ViTConfig(**wide)),
        "dinov2": lambda: tf.Dinov2Model(tf.Dinov2Config(**sizes)),
        "registers": lambda: tf.Dinov2WithRegistersModel(tf.Dinov2WithRegistersConfig(**sizes, num_register_tokens=2)),
        "siglip": lambda: tf.SiglipVisionModel(tf.SiglipVisionConfig(**wide)),
        "clip": lambda: tf.CLIPVisionModel(tf.CLIPVisionConfig(**wide)),
    }
    return randomised(made[kind]())


@torch.no_grad()
@pytest.mark.parametrize("size_px", [32, 48])
@pytest.mark.parametrize("kind", ["vit", "dinov2", "registers", "siglip", "clip"])
def test_a_transformers_tower_gives_what_the_model_gives_by_hand(tmp_path, kind, size_px):
    model = transformers_model(kind)
    model.save_pretrained(tmp_path / "saved")
    pooling = "attention" if kind == "siglip" else "cls"
    path = write(tmp_path, backend="transformers", model="saved", pooling=pooling)
    encoder = load_encoder(path, weights=tmp_path / "saved", image_size_px=size_px)
    features = encoder.encode(pixels(size_px))
    more = {"interpolate_pos_encoding": True} if size_px != 32 and kind in ("vit", "siglip", "clip") else {}
    theirs = model(pixel_values=pixels(size_px), output_hidden_states=True, **more)
    side = size_px // 8
    last_BTD = theirs.last_hidden_state
    if kind == "clip":  # its last hidden state is not normed, its pooled vector is
        last_BTD = model.post_layernorm(last_BTD)
    if kind in ("siglip", "clip"):
        assert_close(features.global_BD, theirs.pooler_output)
    else:
        assert_close(features.global_BD, last_BTD[:, 0])
    prefix = {"siglip": 0, "registers": 3}.get(kind, 1)
    assert_close(features.tokens_BND, last_BTD[:, prefix:])
    assert encoder.token_grid == (side, side)
    for layer in range(3):
        raw_BND = theirs.hidden_states[layer + 1][:, prefix:]
        assert_close(features.layers([layer])[0].map_BCHW, raw_BND.transpose(1, 2).reshape(2, 24, side, side))
    assert_close(features.layers([-1], norm="final")[0].map_BCHW, features.patches().map_BCHW)
    assert {p.dtype for p in encoder.parameters()} == {torch.float32}


@torch.no_grad()
def test_transformers_mean_pooling_is_of_the_normed_patches(tmp_path):
    model = transformers_model("dinov2")
    model.save_pretrained(tmp_path / "saved")
    path = write(tmp_path, backend="transformers", model="saved", pooling="mean")
    features = load_encoder(path, weights=tmp_path / "saved" / "model.safetensors").encode(pixels())
    assert_close(features.global_BD, model(pixel_values=pixels()).last_hidden_state[:, 1:].mean(1))


def test_of_a_configuration_of_two_towers_the_vision_one_is_built(tmp_path):
    model = transformers_model("siglip")
    model.save_pretrained(tmp_path / "saved")
    config = tmp_path / "saved" / "config.json"
    both = {"model_type": "siglip", "vision_config": json.loads(config.read_text()), "text_config": {"hidden_size": 8}}
    config.write_text(json.dumps(both))
    path = write(tmp_path, backend="transformers", model="saved", pooling="attention")
    encoder = load_encoder(path, weights=tmp_path / "saved")
    with torch.no_grad():
        assert_close(encoder(pixels()), model(pixel_values=pixels()).pooler_output)


def test_model_args_reach_the_transformers_class(tmp_path):
    transformers_model("vit").save_pretrained(tmp_path / "saved")
    state = load_file(tmp_path / "saved" / "model.safetensors")
    save_file({key: t for key, t in state.items() if "pooler" not in key}, tmp_path / "w.safetensors")
    path = write(tmp_path, backend="transformers", model="saved")
    with pytest.raises(ValueError, match=r"do not fit ViTModel: 2 missing: pooler\.dense\.bias, pooler\.dense\.weight"):
        load_encoder(path, weights=tmp_path / "w.safetensors")
    path = write(tmp_path, backend="transformers", model="saved", model_args={"add_pooling_layer": False})
    load_encoder(path, weights=tmp_path / "w.safetensors")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layernorm.weight": None}, r"1 missing: layernorm\.weight"),
        ({"extra.weight": torch.ones(1)}, r"1 unexpected: extra\.weight"),
        ({"layernorm.weight": torch.ones(7)}, r"1 mismatched: layernorm\.weight"),
    ],
)
def test_transformers_weights_that_do_not_fit_are_refused_by_name(tmp_path, change, message, capfd):
    transformers_model("dinov2").save_pretrained(tmp_path / "saved")
    capfd.readouterr()
    state = load_file(tmp_path / "saved" / "model.safetensors") | change
    save_file({key: tensor for key, tensor in state.items() if tensor is not None}, tmp_path / "w.safetensors")
    path = write(tmp_path, backend="transformers", model="saved")
    with pytest.raises(ValueError, match=message):
        load_encoder(path, weights=tmp_path / "w.safetensors")
    assert capfd.readouterr() == ("", "")  # transformers' own report and progress bar stay quiet


def test_keys_unwrap_and_drop(tmp_path):
    model = timm_model("vit_tiny_patch16_224", **VIT)
    wrapped = {f"module.backbone.{key}": tensor for key, tensor in model.state_dict().items()}
    save_file({**wrapped, "module.head.weight": torch.ones(2, 24)}, tmp_path / "w.safetensors")
    keys = {"rename": [[r"module\.backbone\.(.+)", r"\1"]], "drop": [r"module\.head\..+"]}
    told = {"model": "vit_tiny_patch16_224", "model_args": VIT}
    encoder = load_encoder(write(tmp_path, keys=keys, **told), weights=tmp_path / "w.safetensors")
    assert torch.equal(encoder.model.norm.weight, model.norm.weight)
    with pytest.raises(ValueError, match=r"1 unexpected: model\.module\.head\.weight"):
        load_encoder(write(tmp_path, keys={"rename": keys["rename"]}, **told), weights=tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match=r"unexpected: model\.module\.backbone"):
        load_encoder(write(tmp_path, keys={"drop": keys["drop"]}, **told), weights=tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match=r"\[keys\] has a regular expression that is none"):
        load_encoder(write(tmp_path, keys={"drop": ["("]}, **told), weights=tmp_path / "w.safetensors")


def test_half_precision_in_the_configuration_still_gives_float32(tmp_path):
    transformers_model("vit").to(torch.bfloat16).save_pretrained(tmp_path / "saved")
    assert "bfloat16" in (tmp_path / "saved" / "config.json").read_text()
    encoder = load_encoder(write(tmp_path, backend="transformers", model="saved"), weights=tmp_path / "saved")
    assert {p.dtype for p in encoder.parameters()} == {torch.float32}


def test_what_changes_features_beside_the_weights_changes_the_fingerprint(tmp_path):
    def key(**change: Any) -> str:
        told = {"model": "vit_tiny_patch16_224", "model_args": VIT, **change}
        return fingerprint(load_encoder(write(tmp_path, **told), weights="twin"), probe=False).key

    more_heads = {**VIT, "num_heads": 4}  # the same tensors, other features
    keys = [key(), key(model_args=more_heads), key(preprocessing="dinov2"), key(name="other")]
    assert len(set(keys)) == 4
    assert key() == keys[0]


def test_a_transformers_fingerprint_follows_the_configuration_and_not_its_folder(tmp_path):
    transformers_model("vit").save_pretrained(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    shutil.copytree(tmp_path / "a", tmp_path / "c")
    config = json.loads((tmp_path / "c" / "config.json").read_text())
    (tmp_path / "c" / "config.json").write_text(json.dumps({**config, "hidden_act": "relu"}))
    sums = [load_own_model(Path(write(tmp_path, backend="transformers", model=name))).sha256 for name in "abc"]
    assert sums[0] == sums[1] != sums[2]


def test_an_own_encoder_can_be_copied_and_pickled(tmp_path):
    encoder = load_encoder(write(tmp_path, model="vit_tiny_patch16_224", model_args=VIT), weights="twin")
    for other in (copy.deepcopy(encoder), pickle.loads(pickle.dumps(encoder))):
        assert fingerprint(other) == fingerprint(encoder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "vit_enormous"}, "timm has no architecture 'vit_enormous'"),
        ({"model": "hf-hub:timm/vit_tiny"}, "timm has no architecture"),
        ({"model": "local-dir:/x"}, "timm has no architecture"),
        ({"pooling": "attention", "model": "resnet18", "model_args": {}}, "timm cannot build resnet18"),
        ({"model_args": {"no_such": 1}}, "cannot build vit_tiny_patch16_224.*no_such"),
        ({"model_args": {**VIT, "pretrained": True}}, "pretrained cannot be set"),
        ({"model_args": {"img_size": 224}}, r"for 32 px .*224"),
        ({"stride_px": 16}, r"no map of stride 16 px; it has \(8,\)"),
        ({"name": "rad_dino"}, "'rad_dino' is a published encoder's name"),
        ({"name": "My ViT"}, "name"),
        ({"pooling": "max"}, "pooling"),
        ({"image_size_px": 0}, "image_size_px"),
        ({"colour": "red"}, "colour"),
        ({"backend": "transformers", "model": "absent", "model_args": {}}, "no transformers configuration at"),
        ({"preprocessing": "absent"}, "no preprocessing of 'absent'"),
        ({"preprocessing": "absent.toml"}, r"preprocessing file .*absent\.toml does not exist"),
    ],
)
def test_a_description_that_cannot_be_is_refused(tmp_path, change, message):
    told = {"model": "vit_tiny_patch16_224", "model_args": VIT, **change}
    with pytest.raises(ValueError, match=message):
        load_encoder(write(tmp_path, **told), weights="twin")


@pytest.mark.parametrize(
    ("config", "settings", "message"),
    [
        ({"model_type": "evil", "auto_map": {"AutoModel": "code.Evil"}}, {}, "of type 'evil'; known: .*No code"),
        ({"model_type": "vit", **TINY, "image_size": [32, 16]}, {}, "no squares"),
        ({"model_type": "vit", **TINY}, {"image_size_px": 36}, "patches of 8 px, which do not tile 36 px"),
        ({"model_type": "vit", **TINY}, {"pooling": "attention"}, r"has no 'attention' pooling; it has cls, mean"),
        ({"model_type": "siglip_vision_model", **TINY}, {}, r"has no 'cls' pooling; it has mean, attention"),
        ({"model_type": "vit", **TINY}, {"stride_px": 4}, "no map of stride 4 px; it has 8"),
        ({"model_type": "vit", **TINY}, {"model_args": {"no_such": 1}}, "takes no model_args"),
    ],
)
def test_a_transformers_configuration_that_cannot_be_is_refused(tmp_path, config, settings, message):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=message):
        load_encoder(write(tmp_path, backend="transformers", model="m", **settings), weights="twin")


def test_an_own_model_has_no_tiny_twin_and_needs_its_file(tmp_path):
    path = write(tmp_path, model="vit_tiny_patch16_224", model_args=VIT)
    with pytest.raises(ValueError, match="mine is your own model, which has no tiny twin"):
        load_encoder(path, weights="tiny")
    with pytest.raises(ValueError, match="are not on the hub"):
        load_encoder(path, weights="hub")
    with pytest.raises(ValueError, match=r"encoder file absent\.toml does not exist"):
        load_encoder("absent.toml", weights="twin")
    Path(path).write_text("[encoder", encoding="utf-8")
    with pytest.raises(ValueError, match="encoder file"):
        load_encoder(path, weights="twin")


def test_preprocessing_can_be_a_file_beside_the_description(tmp_path):
    shipped = (ROOT / "encoders" / "preprocessing" / "dinov2.toml").read_text(encoding="utf-8")
    (tmp_path / "prep.toml").write_text(shipped, encoding="utf-8")
    path = write(tmp_path, model="vit_tiny_patch16_224", model_args=VIT, preprocessing="prep.toml")
    assert load_encoder(path, weights="twin").recipe.normalize.mean == (0.485, 0.456, 0.406)


def test_the_example_loads_its_checkpoint_and_names_every_setting(tmp_path):
    example = ROOT / "examples" / "own_encoder.toml"
    model = timm_model("vit_small_patch16_224", img_size=384)
    wrapped = {f"module.backbone.{key}": tensor for key, tensor in model.state_dict().items()}
    save_file({**wrapped, "module.head.bias": torch.ones(2)}, tmp_path / "w.safetensors")
    encoder = load_encoder(str(example), weights=tmp_path / "w.safetensors")
    assert (encoder.num_tokens, encoder.global_width, encoder.recipe.resize.size_px) == (576, 384, 384)
    text = example.read_text(encoding="utf-8")
    told = tomllib.loads(text.replace("# stride_px", "stride_px"))
    assert told["encoder"].keys() == ModelSettings.model_fields.keys()
    assert told["keys"].keys() == KeySettings.model_fields.keys()
