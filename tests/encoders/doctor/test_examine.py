"""The golden path in words, the verdicts, pairs of mistakes, and what the doctor does not know."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from encoders.contract import Encoder, FeatureMap, Features, Norm, Pooling, map_to_tokens
from encoders.doctor import Verdict, examine, render
from encoders.doctor.drift import Drift
from encoders.preprocessing.prepare import prepare
from encoders.preprocessing.recipe import Recipe, load_recipe
from encoders.registry import encoder_spec
from studies.images import ImageError, read_film

ROOT = Path(__file__).parents[3]
SIZE = 64
RAD_DINO = load_recipe("rad_dino").at(SIZE)  # crop, bicubic
MEDSIGLIP = load_recipe("medsiglip").at(SIZE)  # pad, bilinear
ARK = load_recipe("ark_plus").at(SIZE)  # squash, bicubic


@pytest.fixture
def film_path(tmp_path: Path) -> Path:
    """128 rows, 100 columns: a bright half on smooth noise, so that no turn or shift is itself."""
    rng = np.random.default_rng(4)
    coarse = Image.fromarray(rng.uniform(40, 160, (16, 13)).astype(np.float32))
    levels = np.asarray(coarse.resize((100, 128), Image.Resampling.BICUBIC)) + rng.normal(0, 6, (128, 100))
    levels[70:, 20:60] += 60
    path = tmp_path / "film.png"
    Image.fromarray(np.clip(levels, 3, 240).astype(np.uint8)).save(path)
    return path


def golden(path: Path, recipe: Recipe) -> NDArray[np.float32]:
    return prepare(read_film(path), recipe, skip_guards=["polarity"])  # type: ignore[list-item]


class Means(Encoder):
    """Tokens are the means of 8-px patches and of their squares; the global vector is their mean."""

    def __init__(self) -> None:
        super().__init__()
        self.spec, self.recipe, self.image_size_px, self.num_layers = encoder_spec("rad_dino"), RAD_DINO, SIZE, 1
        self.scale = nn.Parameter(torch.ones(1))

    def _encode(self, pixels_BCHW: Tensor, layers: tuple[int, ...]) -> Features:
        both = torch.cat([pixels_BCHW[:, :1], pixels_BCHW[:, :1] ** 2], dim=1) * self.scale
        map_ = nn.functional.avg_pool2d(both, 8)
        tokens = map_to_tokens(map_)
        kept = {k: FeatureMap(map_, k, 8, Norm.NONE) for k in layers}
        return Features(
            global_BD=tokens.mean(1), pooling=Pooling.MEAN, tokens_BND=tokens, tokens_norm=Norm.NONE,
            default_stride_px=8, maps={8: FeatureMap(map_, 0, 8, Norm.NONE)}, kept=kept, num_layers=1,
        )  # fmt: skip


def test_the_golden_input_itself_is_identical(film_path: Path) -> None:
    for recipe in (RAD_DINO, MEDSIGLIP, ARK):
        diagnosis = examine(film_path, recipe, golden(film_path, recipe))
        assert diagnosis.verdict is Verdict.IDENTICAL
        assert diagnosis.causes == diagnosis.explanations == ()
        assert "Your pixels: identical" in render(diagnosis)


def test_without_pixels_the_steps_are_told_with_their_numbers(film_path: Path) -> None:
    diagnosis = examine(film_path, RAD_DINO)
    assert diagnosis.verdict is Verdict.NOT_COMPARED
    steps = dict(diagnosis.steps)
    assert steps["file"] == "PNG, 100 x 128 px (width x height), 8 bits a pixel"
    assert steps["view"] == "not given by the file"
    # 128 rows at 64 / 100 are int(81.92) = 81; 64 of 81 rows are kept, and 1 - 64 / 81 = 21.0 %.
    assert steps["resize"] == (
        "100 x 128 -> 64 x 64, bicubic, antialias; crop: the middle of 64 x 81; "
        "0 px of width and 17 px of height are lost (21.0% of the film)"
    )
    assert steps["scale"].startswith("full range: black 0, white 1")
    pixels = golden(film_path, RAD_DINO)
    assert steps["input sha256"] == hashlib.sha256(pixels.tobytes()).hexdigest()
    assert f"mean {pixels.mean(dtype=float):.4f}, std {pixels.std(dtype=float):.4f}" in steps["input"]
    assert f"middle {pixels[0, 32, 32]:.4f}, quarter points {pixels[0, 16, 16]:.4f}" in steps["values"]
    assert render(diagnosis)[0] == "film.png for rad_dino"
    assert not any("Your pixels" in line for line in render(diagnosis))


def test_padding_and_squashing_are_told_with_their_numbers(film_path: Path) -> None:
    # Padded: 100 columns at 64 / 128 are 50, so 14 of 64 are black. Squashed: 0.64 against 0.5 is 1.28 times.
    assert (
        "pad: 14 px of black along the shorter side (21.9% of the input)"
        in dict(examine(film_path, MEDSIGLIP).steps)["resize"]
    )
    assert "squash: width is scaled 1.280 times as much as height" in dict(examine(film_path, ARK).steps)["resize"]


def test_guards_are_told_and_do_not_raise(tmp_path: Path) -> None:
    path = tmp_path / "faint.png"
    levels = (100 + np.add.outer(np.arange(80), np.arange(80)) // 60).astype(np.uint8)  # 100, 101 and 102
    Image.fromarray(levels).save(path)
    diagnosis = examine(path, RAD_DINO)
    assert any("nearly constant" in text for text in diagnosis.guards)
    assert any("nearly constant" in line for line in render(diagnosis))


def test_what_the_guards_say_of_the_users_pixels_is_told(film_path: Path) -> None:
    levels = (golden(film_path, RAD_DINO) * 0.2583 + 0.5307) * 255
    diagnosis = examine(film_path, RAD_DINO, levels.astype(np.float32))
    assert any("normalization" in text for text in diagnosis.user_guards)
    assert diagnosis.causes[0].name == "not normalised, 0 to 255"


@pytest.mark.parametrize(
    ("names", "change"),
    [
        ({"inverted", "left and right swapped"}, lambda x: ((1 - (x * 0.2583 + 0.5307))[:, :, ::-1] - 0.5307) / 0.2583),
        ({"not normalised, [0, 1]", "upside down"}, lambda x: (x * 0.2583 + 0.5307)[:, ::-1]),
        ({"rows and columns swapped", "normalised with 0.5 as mean and std"},
         lambda x: ((x * 0.2583 + 0.5307 - 0.5) / 0.5).transpose(0, 2, 1)),
        ({"bfloat16 pixels", "turned a quarter with the clock"},
         lambda x: torch.from_numpy(np.rot90(x, -1, (1, 2)).copy()).bfloat16().float().numpy()),
    ],
)  # fmt: skip
def test_two_mistakes_together_are_both_named(film_path: Path, names: set[str], change: object) -> None:
    user = np.ascontiguousarray(change(golden(film_path, RAD_DINO)), dtype=np.float32)  # type: ignore[operator]
    best = examine(film_path, RAD_DINO, user).causes[0]
    assert {cause.name for cause in best.causes} == names
    assert best.explained > 0.99


def test_an_unknown_mistake_is_called_unknown(film_path: Path) -> None:
    user = golden(film_path, RAD_DINO) + np.random.default_rng(0).normal(0, 0.2, (3, SIZE, SIZE)).astype(np.float32)
    diagnosis = examine(film_path, RAD_DINO, user)
    assert diagnosis.verdict is Verdict.DRIFT
    assert diagnosis.causes == ()
    assert any(line.startswith("No known cause") for line in render(diagnosis))


def test_mistakes_that_give_the_same_picture_are_both_named(tmp_path: Path) -> None:
    path = tmp_path / "symmetric.png"  # alike in left and right and in rows and columns
    y, x = np.mgrid[-40:40, -40:40] + 0.5
    Image.fromarray(np.clip(200 - (x**2 + y**2) / 20 + y, 0, 255).astype(np.uint8)).save(path)
    user = golden(path, RAD_DINO).transpose(0, 2, 1).copy()
    diagnosis = examine(path, RAD_DINO, user)
    assert {found.name for found in diagnosis.causes} == {
        "rows and columns swapped", "turned a quarter against the clock",
    } or {found.name for found in diagnosis.causes} == {
        "rows and columns swapped", "turned a quarter with the clock",
    }  # fmt: skip
    assert any("cannot be told apart on this film" in line for line in render(diagnosis))


def test_a_negative_file_is_suspected_before_the_users_pixels(tmp_path: Path) -> None:
    levels = np.asarray(Image.open(ROOT / "examples" / "images" / "pa_normal.png").convert("L"))
    path = tmp_path / "negative.png"
    Image.fromarray(255 - levels).save(path)
    Image.fromarray(levels).save(tmp_path / "right.png")
    diagnosis = examine(path, RAD_DINO, golden(tmp_path / "right.png", RAD_DINO))
    assert diagnosis.causes[0].name == "inverted"
    assert any("tag may be wrong, not your pixels" in line for line in render(diagnosis))


def test_drift_is_in_levels_of_255(film_path: Path) -> None:
    user = golden(film_path, RAD_DINO).copy()
    user += 2 / 255 / 0.2583  # 2 levels everywhere
    user[:, :8] += 8 / 255 / 0.2583  # and 8 more in an eighth of the rows
    drift = examine(film_path, RAD_DINO, user).drift
    assert drift is not None
    assert drift.mean == pytest.approx(3.0, abs=1e-3)
    assert drift.p99 == drift.max == pytest.approx(10.0, abs=1e-3)
    assert drift.correlation == pytest.approx(
        np.corrcoef(user.ravel(), golden(film_path, RAD_DINO).ravel())[0, 1], abs=1e-6
    )


def test_verdicts_follow_their_bounds() -> None:
    assert Drift(0.001, 0.004, 0.01, 1.0).verdict is Verdict.IDENTICAL
    assert Drift(0.001, 0.004, 0.02, 1.0).verdict is Verdict.CLOSE
    assert Drift(0.3, 3.0, 45.0, 1.0).verdict is Verdict.CLOSE
    assert Drift(0.31, 3.0, 45.0, 1.0).verdict is Verdict.DRIFT
    assert Drift(0.3, 3.1, 45.0, 1.0).verdict is Verdict.DRIFT


def test_features_are_compared_through_the_encoder(film_path: Path) -> None:
    pixels = golden(film_path, RAD_DINO)
    same = examine(film_path, Means().eval(), pixels).features
    assert same is not None
    assert same.global_cosine == pytest.approx(1)
    assert same.patch_cosine_min == pytest.approx(1)
    user = pixels[:, :, ::-1].copy()
    found = examine(film_path, Means().eval(), user).features
    assert found is not None

    def tokens(picture: NDArray[np.float32]) -> NDArray[np.float64]:
        blocks = picture[0].astype(float).reshape(8, 8, 8, 8)
        return np.stack([blocks.mean((1, 3)).ravel(), (blocks**2).mean((1, 3)).ravel()], axis=1)

    def cosine(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
        lengths = np.linalg.norm(one, axis=-1) * np.linalg.norm(other, axis=-1)
        return np.asarray((one * other).sum(-1) / lengths)

    patches = cosine(tokens(pixels), tokens(user))
    assert found.global_cosine == pytest.approx(1, abs=1e-5)  # a mirrored film has the same mean
    assert found.patch_cosine_mean == pytest.approx(patches.mean(), abs=1e-4)
    assert found.patch_cosine_min == pytest.approx(patches.min(), abs=1e-4)
    assert examine(film_path, RAD_DINO, user).features is None


def test_another_size_is_refused_with_both(film_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\(3, 32, 32\); rad_dino takes \(3, 64, 64\)"):
        examine(film_path, RAD_DINO, np.zeros((3, 32, 32), np.float32))


def test_a_file_that_is_no_film_is_an_image_error(tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_text("no picture")
    with pytest.raises(ImageError, match=r"notes\.png"):
        examine(tmp_path / "notes.png", RAD_DINO)


def test_dicom_mistakes_are_named_on_the_example_films() -> None:
    pydicom = pytest.importorskip("pydicom")
    path = ROOT / "examples" / "images" / "pa_monochrome1_12bit_rle.dcm"
    values = pydicom.dcmread(path).pixel_array.astype(float)  # as stored: MONOCHROME1, so high is dark

    def fed(levels: NDArray[np.floating]) -> NDArray[np.float32]:
        image = Image.fromarray(np.rint(levels).astype(np.uint8))
        ratio = SIZE / min(image.size)
        image = image.resize((int(image.width * ratio), int(image.height * ratio)), Image.Resampling.BICUBIC)
        left, top = (image.width - SIZE) // 2, (image.height - SIZE) // 2
        square = np.asarray(image.crop((left, top, left + SIZE, top + SIZE)))
        return np.repeat(((square / 255 - 0.5307) / 0.2583)[None], 3, axis=0).astype(np.float32)

    low, high = values.min(), values.max()
    right = examine(path, RAD_DINO, fed((high - values) / (high - low) * 255))
    assert right.verdict is Verdict.IDENTICAL
    wrong = examine(path, RAD_DINO, fed((values - low) / (high - low) * 255))
    assert wrong.causes[0].name == "not inverted (or twice)"
    window = ROOT / "examples" / "images" / "ap_window_deflated.dcm"
    file = pydicom.dcmread(window)
    centre, width = float(file.WindowCenter), float(file.WindowWidth)
    shown = np.clip((file.pixel_array - (centre - 0.5)) / (width - 1) + 0.5, 0, 1)  # PS3.3 C.11.2.1.2.1
    shown = (shown - shown.min()) / np.ptp(shown) * 255
    assert examine(window, RAD_DINO, fed(shown)).causes[0].name == "window applied"
