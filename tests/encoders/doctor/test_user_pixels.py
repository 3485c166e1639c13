"""Pixels come from files of five formats and from a user's own function, and what is no picture is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from encoders.doctor import load_user_tensor, run_user_pipeline
from encoders.preprocessing.recipe import load_recipe

PIXELS = np.random.default_rng(0).normal(size=(3, 6, 8)).astype(np.float32)
RECIPE = load_recipe("rad_dino")


@pytest.mark.parametrize("name", ["a.npy", "b.npz", "c.safetensors", "d.pt", "e.pth", "batch.npy", "half.pt"])
def test_a_tensor_is_read_from_each_format(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    tensor = torch.from_numpy(PIXELS)
    match name:
        case "a.npy":
            np.save(path, PIXELS)
        case "batch.npy":
            np.save(path, PIXELS[None].astype(np.float64))
        case "b.npz":
            np.savez(path, attention=np.zeros(3), pixel_values=PIXELS)
        case "c.safetensors":
            save_file({"anything": tensor}, path)
        case "half.pt":
            torch.save({"pixel_values": tensor.bfloat16()[None]}, path)
        case _:
            torch.save(tensor, path)
    found = load_user_tensor(path)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, PIXELS, atol=0.02 if name == "half.pt" else 0)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (PIXELS.transpose(1, 2, 0), r"channels last.*permute"),
        (PIXELS[:1], r"\(1, 6, 8\); one picture is 3,H,W"),
        (np.stack([PIXELS, PIXELS]), r"\(2, 3, 6, 8\)"),
        (np.where(PIXELS > 2, np.nan, PIXELS), "NaN or infinite"),
        (np.array(["a", "b"]), "not an array or tensor of numbers"),
    ],
)
def test_what_is_no_picture_is_refused(array: np.ndarray, message: str, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(ValueError, match=message):
        load_user_tensor(tmp_path / "x.npy")


def test_files_that_cannot_be_read_are_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not exist"):
        load_user_tensor(tmp_path / "none.npy")
    with pytest.raises(ValueError, match=r"not from \.csv"):
        load_user_tensor(tmp_path / "x.csv")
    (tmp_path / "x.pt").write_bytes(b"garbage")
    with pytest.raises(ValueError, match=r"cannot be read as \.pt"):
        load_user_tensor(tmp_path / "x.pt")
    np.savez(tmp_path / "two.npz", a=PIXELS, b=PIXELS)
    with pytest.raises(ValueError, match=r"2 tensors.*name the picture 'pixel_values'"):
        load_user_tensor(tmp_path / "two.npz")


class Trap:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("sprung"),))  # type: ignore[return-value]


def test_nothing_is_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save(tmp_path / "x.npy", np.array([Trap()], dtype=object), allow_pickle=True)
    torch.save({"pixels": Trap()}, tmp_path / "x.pt")
    for name in ("x.npy", "x.pt"):
        with pytest.raises(ValueError, match="cannot be read"):
            load_user_tensor(tmp_path / name)
    assert not (tmp_path / "sprung").exists()


PIPELINE = """
import numpy as np, torch
from PIL import Image
def array(path): return np.asarray(Image.open(path).convert("RGB")).transpose(2, 0, 1) / 255
def batch(path): return {"pixel_values": torch.from_numpy(array(path))[None]}
def image(path): return Image.open(path)
def deep(path): return Image.open(path).convert("I")
def broken(path): return 1 / 0
def words(path): return "done"
constant = 3
"""


@pytest.fixture
def film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "my_pipeline_of_tests.py").write_text(PIPELINE)
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.arange(48, dtype=np.uint8).reshape(6, 8) * 5).save(tmp_path / "film.png")
    return tmp_path / "film.png"


def test_a_users_function_is_run_on_the_file(film: Path) -> None:
    levels = np.arange(48).reshape(6, 8) * 5
    for name in ("array", "batch"):
        found = run_user_pipeline(f"my_pipeline_of_tests:{name}", film, RECIPE)
        np.testing.assert_allclose(found, np.stack([levels / 255] * 3), atol=1e-6)
    # An image still has to be normalised: by the recipe.
    found = run_user_pipeline("my_pipeline_of_tests:image", film, RECIPE)
    np.testing.assert_allclose(found, np.stack([(levels / 255 - 0.5307) / 0.2583] * 3), atol=1e-5)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("no_colon", "module:function"),
        ("no_such_module_here:f", "cannot be imported"),
        ("my_pipeline_of_tests:none", "has no function 'none'"),
        ("my_pipeline_of_tests:constant", "has no function 'constant'"),
        ("my_pipeline_of_tests:broken", "ZeroDivisionError"),
        ("my_pipeline_of_tests:words", "gave str"),
        ("my_pipeline_of_tests:deep", "mode I"),
    ],
)
def test_a_users_function_that_fails_is_told_in_words(film: Path, spec: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run_user_pipeline(spec, film, RECIPE)
