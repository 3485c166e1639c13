"""Each guard stops its own mistake, lets a good film pass, and can be switched off by name."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from encoders.preprocessing.guards import Guard, PreprocessingError, check_film, check_levels
from encoders.preprocessing.prepare import prepare, prepare_file, to_levels
from encoders.preprocessing.recipe import Recipe, load_recipe
from studies.images import read_film
from tests.encoders.preprocessing.made_films import drawn_chest, film

RAD_DINO = load_recipe("rad_dino")
EXAMPLES = Path(__file__).parents[3] / "examples" / "images"


def guard_of(shown, *, skip=()):
    try:
        check_film(shown, skip=skip)
    except PreprocessingError as error:
        return error.guard
    return None


def with_pixels(pixels_HW, bits=8):
    return replace(film(drawn_chest()), pixels_HW=pixels_HW.astype(np.float32), bits=bits)


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("shape", [(518, 518), (301, 257), (2000, 1600), (32, 40)])
@pytest.mark.parametrize("view", ["PA", "AP", None])
def test_a_chest_passes_at_any_depth_and_size(bits, shape, view):
    assert guard_of(film(drawn_chest(bits, shape), bits, view=view)) is None


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.01, 1.01, 255.0])
def test_values_out_of_0_to_1_are_refused(value):
    pixels_HW = film(drawn_chest()).pixels_HW.copy()
    pixels_HW[100, 100] = value
    assert guard_of(with_pixels(pixels_HW)) is Guard.RANGE


@pytest.mark.parametrize("grey", [0, 77, 255])
def test_a_blank_film_is_refused(grey):
    assert guard_of(film(np.full((518, 518), grey))) is Guard.BLANK


@pytest.mark.parametrize("bits", [8, 12])
def test_seven_greys_are_nearly_constant_and_a_shallow_chest_of_many_is_not(bits):
    slope = np.arange(518 * 518).reshape(518, 518) * 7 // (518 * 518)
    assert guard_of(film(100 + slope, bits)) is Guard.CONSTANT
    assert guard_of(film(drawn_chest() // 6, 12)) is None  # 40 of 4096 greys: min-max makes a picture of it


def test_noise_or_specks_on_one_grey_are_nearly_constant():
    noise = np.random.default_rng(3).normal(2000, 40, (518, 518)).round().astype(int)
    assert guard_of(film(noise, 12)) is Guard.CONSTANT
    marked = np.full((518, 518), 2000)
    marked[20:50, 400:500] = 4095  # a side marker
    assert guard_of(film(marked, 12)) is Guard.CONSTANT


def test_16_and_10_bits_cut_to_8_are_refused():
    deep = np.maximum(drawn_chest(16) - 20 * 257, 0)
    assert guard_of(film(np.minimum(deep, 255))) is Guard.CLIPPED  # what PIL's convert("RGB") gives
    assert guard_of(film(np.minimum(deep >> 6, 255))) is Guard.CLIPPED
    assert guard_of(film(deep >> 8)) is None  # the right way


def test_a_large_white_box_that_was_found_is_no_clipping():
    boxed = drawn_chest()
    boxed[:, :300] = 255
    valid_HW = np.ones(boxed.shape, bool)
    valid_HW[:, :300] = False
    assert guard_of(film(boxed)) is Guard.CLIPPED
    assert guard_of(replace(film(boxed), valid_HW=valid_HW), skip=(Guard.POLARITY,)) is None


@pytest.mark.parametrize(
    ("view", "found"), [("PA", Guard.POLARITY), ("AP", Guard.POLARITY), (None, Guard.POLARITY), ("LATERAL", None)]
)
def test_a_negative_is_refused_unless_the_file_says_that_it_is_no_frontal_view(view, found):
    assert guard_of(film(255 - drawn_chest(), view=view)) is found


def test_the_message_says_what_was_done_to_the_polarity_and_names_the_guard():
    for inverted, said in ((True, "L was inverted on reading"), (False, "L was not inverted on reading")):
        with pytest.raises(PreprocessingError, match=rf"{said}.*\[guard: polarity\]"):
            check_film(film(255 - drawn_chest(), inverted=inverted))


def test_12_bits_stored_as_16_pass_as_a_film_and_are_refused_where_the_recipe_takes_the_full_range():
    shallow = film(drawn_chest(12), 16)
    check_film(shallow)
    prepare(shallow, RAD_DINO)  # min-max
    data = RAD_DINO.model_dump(mode="json")
    data["intensity"]["deep"] = "full_range"
    full_range = Recipe.model_validate(data)
    with pytest.raises(PreprocessingError, match=r"rad_dino would see 1\d of 255 grey levels") as caught:
        prepare(shallow, full_range)
    assert caught.value.guard is Guard.RANGE
    assert to_levels(shallow, full_range, skip_guards=(Guard.RANGE,)).max() <= 16


@pytest.mark.parametrize("levels", [31, 32])
def test_the_encoder_has_to_see_32_levels(levels):
    slope = (np.arange(518)[:, None] * (levels + 0.999) / 517).astype(np.uint8).repeat(518, axis=1)
    if levels == 32:
        slope[-20:] = 33  # so that percentile 99 is 33 and percentile 1 is 0 or 1
        check_levels(slope, RAD_DINO)
    else:
        with pytest.raises(PreprocessingError):
            check_levels(slope, RAD_DINO)


@pytest.mark.parametrize(
    ("guard", "broken"),
    [
        (Guard.RANGE, with_pixels(film(drawn_chest()).pixels_HW * 1.2)),
        (Guard.BLANK, film(np.full((64, 64), 9))),
        (Guard.CONSTANT, film(np.full((64, 64), 9) + np.arange(64) // 32)),
        (Guard.CLIPPED, film(np.minimum(drawn_chest() * 6, 255))),
        (Guard.POLARITY, film(255 - drawn_chest())),
    ],
)
def test_a_guard_is_switched_off_by_its_name_and_only_that_one(guard, broken):
    assert guard_of(broken) is guard
    assert guard_of(broken, skip=(guard,)) is not guard
    assert guard_of(broken, skip=tuple(Guard)) is None
    assert guard_of(broken, skip=[guard.value]) is not guard
    assert guard_of(broken, skip=set(Guard) - {guard}) is guard


def test_a_misspelt_guard_is_an_error():
    with pytest.raises(ValueError, match="polarty"):
        check_film(film(drawn_chest()), skip=("polarty",))


def test_an_error_survives_the_way_from_a_worker_process():
    with pytest.raises(PreprocessingError) as caught:
        check_film(film(np.zeros((64, 64), int)))
    back = pickle.loads(pickle.dumps(caught.value))
    assert (str(back), back.guard) == (str(caught.value), Guard.BLANK)


def test_a_film_is_read_with_its_window_just_where_the_recipe_wants_it():
    windowed = EXAMPLES / "ap_window_deflated.dcm"
    with_window, without = read_film(windowed), read_film(windowed, voi=False)
    assert (with_window.voi, without.voi) == (True, False)
    for recipe, right, wrong in ((RAD_DINO, without, with_window), (load_recipe("medsiglip"), with_window, without)):
        with pytest.raises(PreprocessingError, match=rf"read_film\(path, voi={right.voi}\)") as caught:
            prepare(wrong, recipe)
        assert caught.value.guard is Guard.WINDOW
        np.testing.assert_array_equal(prepare_file(windowed, recipe), prepare(right, recipe))
        assert not np.array_equal(prepare(wrong, recipe, skip_guards=[Guard.WINDOW]), prepare(right, recipe))


def test_a_film_without_a_window_may_be_read_either_way():
    plain = EXAMPLES / "pa_monochrome1_12bit_rle.dcm"
    assert (read_film(plain).voi, read_film(plain, voi=False).voi) == (None, None)
    np.testing.assert_array_equal(prepare(read_film(plain), RAD_DINO), prepare(read_film(plain, voi=False), RAD_DINO))


@pytest.mark.parametrize("stated", [("R", "F"), ("L", "H"), ("F", "R"), ("RF", "F")])
@pytest.mark.parametrize("view", ["PA", "AP"])
def test_a_frontal_film_that_its_file_calls_mirrored_or_turned_is_refused(stated, view):
    good = replace(film(drawn_chest(), view=view), orientation=("L", "F"))
    assert guard_of(good) is None
    assert guard_of(replace(good, orientation=("LH", "FR"))) is None  # a few degrees off
    assert guard_of(replace(good, orientation=stated)) is Guard.ORIENTATION
    assert guard_of(replace(good, orientation=stated), skip=[Guard.ORIENTATION]) is None


def test_a_lateral_leads_to_the_front_or_the_back():
    assert guard_of(replace(film(drawn_chest(), view="LATERAL"), orientation=("A", "F"))) is None
