"""Scaling, resizing and normalising, each against numbers by hand or another library."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from encoders.preprocessing.guards import Guard
from encoders.preprocessing.intensity import scale_to_levels
from encoders.preprocessing.prepare import denormalize, gain_and_offset, normalize, prepare, to_levels
from encoders.preprocessing.recipe import Fit, Intensity, Kernel, Resize, Rounding, known_recipes, load_recipe
from encoders.preprocessing.resize import crop_shape, crop_start, to_square
from tests.encoders.preprocessing.made_films import drawn_chest, film, pattern


def intensity(**values):
    plain = {"polarity": "air_dark", "voi": True, "byte": "full_range", "deep": "full_range"}
    return Intensity.model_validate(plain | values)


ROW_OF_BYTES = np.arange(256)[None]


@pytest.mark.parametrize("rounding", Rounding)
def test_the_bytes_of_an_8_bit_file_come_back_whatever_the_rounding(rounding):
    levels_HW = scale_to_levels(film(ROW_OF_BYTES), intensity(rounding=rounding))
    assert levels_HW.dtype == np.uint8
    np.testing.assert_array_equal(levels_HW, ROW_OF_BYTES)


def test_deep_levels_round_to_the_nearest_or_down():
    # 257 * level is exact; half a level is 128.5, so 257 k + 129 is the first value nearer to k + 1.
    grey_HW = np.array([[0, 128, 129, 256, 257 * 7 + 128, 257 * 7 + 129, 65535]])
    nearest = scale_to_levels(film(grey_HW, 16), intensity())
    down = scale_to_levels(film(grey_HW, 16), intensity(rounding="down"))
    assert nearest.tolist() == [[0, 0, 1, 1, 7, 8, 255]]
    assert down.tolist() == [[0, 0, 0, 0, 7, 7, 255]]


def test_halves_go_to_the_even_level_and_white_is_255_even_rounded_down():
    exact = replace(film(np.zeros((1, 5), int), 12), pixels_HW=np.float32([[0, 1, 3, 5, 510]]) / np.float32(512))
    assert scale_to_levels(exact, intensity(deep="min_max")).tolist() == [[0, 0, 2, 2, 255]]  # 0, 0.5, 1.5, 2.5, 255
    # In float32, (52428 - 9362) / 65535 * gain is 254.99998 with the gain that makes it 255.
    ends = film(np.array([[9362, 52428]]), 16)
    assert scale_to_levels(ends, intensity(deep="min_max", rounding="down")).tolist() == [[0, 255]]


def test_min_max_and_percentiles_stretch_this_films_values_and_clip_the_rest():
    grey_HW = np.array([[100, 150, 201, 225, 300]])
    stretched = scale_to_levels(film(grey_HW, 12), intensity(deep="min_max"))
    assert stretched.tolist() == [[0, 64, 129, 159, 255]]  # (v - 100) * 255 / 200 = 0, 63.75, 128.8, 159.4, 255
    quarter = intensity(deep="percentile", percentiles=(25, 75))  # 150 and 225
    assert scale_to_levels(film(grey_HW, 12), quarter).tolist() == [
        [0, 0, 173, 255, 255]
    ]  # (201 - 150) * 255 / 75 = 173.4


def test_the_byte_scale_is_for_8_bits_and_the_deep_one_for_more():
    grey_HW = np.array([[50, 100]])
    both = intensity(byte="full_range", deep="min_max")
    assert scale_to_levels(film(grey_HW, 8), both).tolist() == [[50, 100]]
    assert scale_to_levels(film(grey_HW, 12), both).tolist() == [[0, 255]]


def test_a_burned_in_box_does_not_set_white():
    grey_HW = np.array([[0, 1000, 2000, 4095]])
    boxed = replace(film(grey_HW, 12), valid_HW=np.array([[True, True, True, False]]))
    assert scale_to_levels(boxed, intensity(deep="min_max")).tolist() == [[0, 128, 255, 255]]  # 127.5 to even
    all_boxed = replace(boxed, valid_HW=np.zeros((1, 4), bool))
    with pytest.raises(ValueError, match="no pixel is valid"):
        scale_to_levels(all_boxed, intensity(deep="min_max"))


def test_air_bright_gives_the_negative_and_floats_stay_floats():
    negative = intensity(polarity="air_bright")
    np.testing.assert_array_equal(scale_to_levels(film(ROW_OF_BYTES), negative), 255 - ROW_OF_BYTES)
    floats = scale_to_levels(film(np.array([[1, 2, 4095]]), 12), intensity(bit_depth=0))
    np.testing.assert_allclose(floats, [[255 / 4095, 510 / 4095, 255]], rtol=1e-6)
    assert floats.dtype == np.float32


def test_min_max_of_one_value_is_refused():
    with pytest.raises(ValueError, match="blank"):
        scale_to_levels(film(np.full((3, 3), 7), 12), intensity(deep="min_max"))


def test_films_larger_than_a_block_are_scaled_like_small_ones():
    grey_HW = pattern(12, (700, 300))
    whole = np.rint((grey_HW - grey_HW.min()) * 255 / np.ptp(grey_HW))
    ours = scale_to_levels(film(grey_HW, 12), intensity(deep="min_max"))
    assert np.abs(ours - whole).max() <= 1
    assert np.mean(ours != whole) < 1e-4  # ties that float32 sees on the other side


def test_the_longer_side_is_cut_down_and_margins_round_as_their_library_does():
    assert crop_shape((301, 257), 224) == (262, 224)  # 224 * 301 / 257 = 262.35
    assert crop_shape((257, 301), 224) == (224, 262)
    assert crop_shape((300, 300), 224) == (224, 224)
    assert [crop_start(224 + margin, 224, Rounding.DOWN) for margin in range(8)] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert [crop_start(224 + margin, 224, Rounding.EVEN) for margin in range(8)] == [0, 0, 1, 2, 2, 2, 3, 4]


def test_padding_is_black_and_the_odd_pixel_goes_to_the_end():
    square = to_square(np.full((3, 6), 9, np.uint8), Resize(size_px=6, fit=Fit.PAD, kernel=Kernel.BICUBIC), intensity())
    assert square[:, 0].tolist() == [0, 9, 9, 9, 0, 0]
    turned = to_square(np.full((6, 3), 9, np.uint8), Resize(size_px=6, fit=Fit.PAD, kernel=Kernel.BICUBIC), intensity())
    assert turned[0].tolist() == [0, 9, 9, 9, 0, 0]


@pytest.mark.parametrize("kernel", [Kernel.BILINEAR, Kernel.BICUBIC, Kernel.LANCZOS])
def test_floats_are_resized_by_pillows_float_mode(kernel):
    floats_HW = pattern(16, (90, 70)).astype(np.float32) / 257
    ours = to_square(floats_HW, Resize(size_px=40, fit=Fit.SQUASH, kernel=kernel), intensity(bit_depth=0))
    theirs = np.asarray(Image.fromarray(floats_HW).resize((40, 40), Image.Resampling[kernel.name]))
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("size", [37, 64, 150])
@pytest.mark.parametrize("kernel", ["bilinear", "bicubic"])
def test_without_antialias_it_is_torchs_interpolate(kernel, size):
    torch = pytest.importorskip("torch")
    floats_HW = pattern(16, (101, 87)).astype(np.float32) / 257
    resize = Resize(size_px=size, fit=Fit.SQUASH, kernel=Kernel(kernel), antialias=False)
    ours = to_square(floats_HW, resize, intensity(bit_depth=0))
    theirs = torch.nn.functional.interpolate(
        torch.from_numpy(floats_HW).double()[None, None], (size, size), mode=kernel, align_corners=False
    )
    np.testing.assert_allclose(ours, theirs[0, 0].numpy(), rtol=0, atol=1e-4)
    assert ours.dtype == np.float32


def test_without_antialias_bytes_are_rounded_as_the_recipe_says():
    steps = np.array([[0, 1, 2, 3, 4, 5]] * 6, np.uint8)  # halving takes the mean of two: 0.5, 2.5, 4.5
    resize = Resize(size_px=3, fit=Fit.SQUASH, kernel=Kernel.BILINEAR, antialias=False)
    assert to_square(steps, resize, intensity(rounding="down"))[0].tolist() == [0, 2, 4]
    assert to_square(steps + 1, resize, intensity(rounding="even"))[0].tolist() == [2, 4, 6]  # 1.5, 3.5, 5.5


@pytest.mark.parametrize("name", known_recipes())
def test_every_level_is_normalised_within_a_millionth_and_comes_back(name):
    recipe = load_recipe(name)
    levels_HW = np.arange(256, dtype=np.uint8)[None]
    pixels_CHW = normalize(levels_HW, recipe)
    exact = [
        [(level / 255 - mean) / std for level in range(256)]
        for mean, std in zip(recipe.normalize.mean, recipe.normalize.std, strict=True)
    ]
    assert pixels_CHW.dtype == np.float32
    np.testing.assert_allclose(pixels_CHW[:, 0], exact, rtol=0, atol=1e-6)
    np.testing.assert_allclose(denormalize(pixels_CHW, recipe), levels_HW, atol=1e-4)


def test_a_device_can_normalise_levels_to_the_same_bits():
    torch = pytest.importorskip("torch")
    for name in known_recipes():
        recipe = load_recipe(name)
        levels_HW = np.arange(256, dtype=np.uint8).reshape(16, 16)
        gain, offset = (torch.from_numpy(values)[:, None, None] for values in gain_and_offset(recipe))
        assert torch.equal(
            torch.from_numpy(levels_HW).float() * gain - offset, torch.from_numpy(normalize(levels_HW, recipe))
        )


def test_denormalize_refuses_what_is_no_input():
    with pytest.raises(ValueError, match=r"\(1, 4, 4\)"):
        denormalize(np.zeros((1, 4, 4), np.float32), load_recipe("rad_dino"))


def test_prepare_is_normalised_levels_and_leaves_the_film_alone():
    recipe = load_recipe("rad_dino")
    shown = film(drawn_chest())
    before = shown.pixels_HW.copy()
    pixels_CHW = prepare(shown, recipe)
    levels_HW = to_levels(shown, recipe)
    np.testing.assert_array_equal(levels_HW, drawn_chest())  # already 518 px: nothing is resampled
    np.testing.assert_array_equal(pixels_CHW, normalize(levels_HW, recipe))
    np.testing.assert_array_equal(shown.pixels_HW, before)
    assert (pixels_CHW.shape, pixels_CHW.dtype, pixels_CHW.flags.c_contiguous) == ((3, 518, 518), np.float32, True)


def test_a_guard_stops_prepare_until_it_is_switched_off():
    negative = film(255 - drawn_chest(), view="PA")
    with pytest.raises(ValueError, match=r"guard: polarity"):
        prepare(negative, load_recipe("rad_dino"))
    assert prepare(negative, load_recipe("rad_dino"), skip_guards=(Guard.POLARITY,)).shape == (3, 518, 518)
