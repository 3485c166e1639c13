"""Encoders by name: weights in any published layout, twins, licences, sizes and preprocessing.

Shape letters: B batch, C channels, H rows, W columns.
"""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional

from encoders.fingerprint import Kind, fingerprint, origin_of
from encoders.licences import LicenceNotAccepted
from encoders.registry import NAMES, known_encoders, load_encoder
from encoders.spec import Licence
from tests.encoders import made

ROOT = Path(__file__).parents[2]
BINDING = Licence("Lab licence", "https://lab.example/licence", must_accept=True, gated=True)


@pytest.fixture
def recipe() -> Iterator[str]:
    with made.registered():
        yield made.RECIPE


@pytest.fixture
def lab_file(tmp_path: Path) -> Path:
    save_file(made.lab_state(), tmp_path / "lab.safetensors")
    return tmp_path / "lab.safetensors"


def pixels(size_px: int, count: int = 2) -> torch.Tensor:
    return torch.randn(count, 3, size_px, size_px, generator=torch.Generator().manual_seed(1))


def test_the_known_encoders_are_the_nine_in_order_under_their_own_names():
    specs = known_encoders()
    assert tuple(spec.name for spec in specs) == NAMES
    assert len(set(NAMES)) == 9
    assert all(spec.layouts and spec.licence.url.startswith("https://") for spec in specs)


def test_listing_the_encoders_imports_no_model_library():
    code = (
        "import sys; from encoders.registry import known_encoders; known_encoders();"
        "print([name for name in ('timm', 'transformers', 'open_clip', 'torchvision') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"no encoder 'rad-dino'; known: rad_dino, dinov2, .*segformer"):
        load_encoder("rad-dino", weights="twin")


def test_loaded_features_are_those_of_the_published_weights_by_hand(recipe, lab_file):
    encoder = load_encoder("made", weights=lab_file, preprocessing=recipe)
    state = made.lab_state()
    x_BCHW = pixels(16)
    raw = functional.conv2d(x_BCHW, state["vision.proj.weight"], state["vision.proj.bias"], stride=4)
    tokens = raw.flatten(2).transpose(1, 2) + state["vision.pos"] + torch.linspace(0, 1, 8)
    normed = functional.layer_norm(tokens, (8,), state["vision.norm.weight"], state["vision.norm.bias"])
    with torch.no_grad():
        assert torch.allclose(encoder.encode(x_BCHW).global_BD, normed.mean(1), atol=1e-6)
    assert not encoder.training
    assert {tensor.device.type for tensor in [*encoder.parameters(), *encoder.buffers()]} == {"cpu"}
    assert all(p.requires_grad and p.dtype is torch.float32 for p in encoder.parameters())
    assert int(encoder.seen) == 7


def test_both_layouts_give_the_same_encoder_and_say_which_they_were(recipe, lab_file, tmp_path):
    torch.save({"model": made.hub_state()}, tmp_path / "hub.pth")
    lab = load_encoder("made", weights=lab_file, preprocessing=recipe)
    hub = load_encoder("made", weights=str(tmp_path / "hub.pth"), preprocessing=recipe)
    assert all(torch.equal(a, b) for a, b in zip(lab.parameters(), hub.parameters(), strict=True))
    assert (origin_of(lab).layout, origin_of(lab).inside) == ("the lab's", "")
    assert (origin_of(hub).layout, origin_of(hub).inside, origin_of(hub).weights) == ("the hub's", "model", "hub.pth")
    assert origin_of(hub).kind is Kind.PUBLISHED


def test_a_folder_gives_the_publishers_own_file(recipe, tmp_path):
    folder = tmp_path / "snapshot"
    folder.mkdir()
    save_file(made.lab_state(1), folder / "made.safetensors")
    save_file(made.lab_state(2), folder / "head.safetensors")
    encoder = load_encoder("made", weights=folder, preprocessing=recipe)
    assert torch.equal(encoder.proj.weight, made.lab_state(1)["vision.proj.weight"])


def test_weights_in_no_layout_show_their_first_names_and_the_layouts(recipe, tmp_path):
    save_file({"conv.w": torch.ones(1), "bn.w": torch.ones(1)}, tmp_path / "x.safetensors")
    with pytest.raises(ValueError, match=r"no layout known of made: its 2 tensors begin with bn\.w, conv\.w; known"):
        load_encoder("made", weights=tmp_path / "x.safetensors", preprocessing=recipe)


def test_weights_in_two_layouts_at_once_are_refused(recipe, tmp_path):
    save_file({**made.lab_state(), **made.hub_state()}, tmp_path / "x.safetensors")
    with pytest.raises(ValueError, match="in 2 layouts at once known of made"):
        load_encoder("made", weights=tmp_path / "x.safetensors", preprocessing=recipe)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vision.norm.bias": None}, r"the lab's\) does not fit: 1 missing: norm\.bias"),
        ({"vision.extra": torch.ones(1)}, r"1 unexpected: extra"),
        ({"vision.norm.bias": torch.ones(9)}, r"1 of another shape: norm\.bias \(9,\) for \(8,\)"),
        ({"vision.norm.bias": torch.ones(8, dtype=torch.int8)}, r"of another kind: norm\.bias torch\.int8"),
        ({"vision.norm.bias": torch.full((8,), torch.nan)}, r"not finite in 1 tensors: norm\.bias"),
        ({"audio.weight": torch.ones(1)}, r"lab\.safetensors \(the lab's\): 1 checkpoint keys are unknown"),
    ],
)
def test_a_checkpoint_that_does_not_fit_to_the_tensor_is_refused_by_name(recipe, lab_file, change, message):
    state = {**made.lab_state(), **change}
    save_file({key: tensor for key, tensor in state.items() if tensor is not None}, lab_file)
    with pytest.raises(ValueError, match=message):
        load_encoder("made", weights=lab_file, preprocessing=recipe)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_float_kinds_become_float32_by_value(recipe, lab_file, dtype):
    state = {key: t.to(dtype) if t.is_floating_point() else t for key, t in made.lab_state().items()}
    save_file(state, lab_file)
    encoder = load_encoder("made", weights=lab_file, preprocessing=recipe)
    assert torch.equal(encoder.proj.weight, state["vision.proj.weight"].float())


def test_loaded_weights_no_longer_hang_on_the_file(recipe, lab_file):
    encoder = load_encoder("made", weights=lab_file, preprocessing=recipe)
    before = fingerprint(encoder).weights_sha256
    with lab_file.open("r+b") as file:  # in place: a mapping of the file would see it
        file.seek(-400, 2)
        file.write(b"\xff" * 400)
    assert fingerprint(encoder).weights_sha256 == before


def test_another_image_size_adapts_positions_and_recipe(recipe, lab_file):
    encoder = load_encoder("made", weights=lab_file, image_size_px=32, preprocessing=recipe)
    assert (encoder.image_size_px, encoder.recipe.resize.size_px, encoder.num_tokens) == (32, 32, 64)
    published = made.lab_state()["vision.pos"].view(4, 4, 8)
    doubled = published.repeat_interleave(2, 0).repeat_interleave(2, 1).reshape(1, 64, 8)
    assert torch.equal(encoder.pos, doubled)
    assert load_encoder("made", weights=lab_file, preprocessing=recipe).recipe.resize.size_px == 16
    with pytest.raises(ValueError, match="image_size_px is 0, not positive"):
        load_encoder("made", weights=lab_file, image_size_px=0, preprocessing=recipe)


def test_preprocessing_is_the_encoders_own_unless_another_is_given():
    own = load_encoder("dinov2", weights="tiny").recipe
    other = load_encoder("dinov2", weights="tiny", preprocessing="segformer").recipe
    assert (own.encoder, other.encoder) == ("dinov2", "segformer")
    assert own.resize.size_px == other.resize.size_px == 224
    assert own.sha256 != other.sha256


def test_no_file_says_where_the_weights_are_published(recipe):
    with pytest.raises(ValueError, match=r"no weights at absent\.pt; made is published at https://lab\.example/made"):
        load_encoder("made", weights="absent.pt", preprocessing=recipe)


def test_binding_terms_must_be_accepted_before_weights_are_even_looked_for(tmp_path, monkeypatch):
    monkeypatch.delenv("CARINA_ACCEPT_LICENCE", raising=False)
    save_file(made.lab_state(), tmp_path / "x.safetensors")
    with made.registered(licence=BINDING):
        for weights in ("absent.pt", "hub", tmp_path / "x.safetensors"):
            with pytest.raises(
                LicenceNotAccepted, match=r"Lab licence.*lab\.example/licence.*lab\.example/made.*agree"
            ):
                load_encoder("made", weights=weights, preprocessing=made.RECIPE)
        load_encoder("made", weights=tmp_path / "x.safetensors", accept_licence=True, preprocessing=made.RECIPE)
        monkeypatch.setenv("CARINA_ACCEPT_LICENCE", "ark_plus")
        with pytest.raises(LicenceNotAccepted):
            load_encoder("made", weights=tmp_path / "x.safetensors", preprocessing=made.RECIPE)
        monkeypatch.setenv("CARINA_ACCEPT_LICENCE", "ark_plus, made")
        load_encoder("made", weights=tmp_path / "x.safetensors", preprocessing=made.RECIPE)


def test_twins_need_no_licence_and_warn_that_their_features_mean_nothing(caplog):
    with made.registered(licence=BINDING), caplog.at_level(logging.WARNING):
        encoder = load_encoder("made", weights="tiny", preprocessing=made.RECIPE)
    assert "made: random weights (tiny), so its features mean nothing" in caplog.text
    assert origin_of(encoder).kind is Kind.TWIN
    assert encoder.global_width == 4


def test_the_full_twin_has_the_published_size(recipe):
    assert load_encoder("made", weights="twin", preprocessing=recipe).global_width == 8


def test_a_revision_is_refused_where_there_is_no_hub(recipe, lab_file):
    for weights in ("twin", "tiny", lab_file):
        with pytest.raises(ValueError, match="revision 'main' is for weights on the hub"):
            load_encoder("made", weights=weights, revision="main", preprocessing=recipe)
