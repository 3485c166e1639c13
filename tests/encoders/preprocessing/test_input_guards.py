"""A tensor that other code prepared: right ones pass in any precision, wrong ones are named."""

from __future__ import annotations

import numpy as np
import pytest

from encoders.preprocessing.guards import Guard, PreprocessingError
from encoders.preprocessing.input_guards import check_input
from encoders.preprocessing.prepare import normalize, prepare
from encoders.preprocessing.recipe import Recipe, load_recipe
from tests.encoders.preprocessing.made_films import drawn_chest, film

SIZE = 56
LEVELS = drawn_chest(shape=(SIZE, SIZE)).astype(np.uint8)


def small(name):
    return load_recipe(name).at(SIZE)


def inputs(name, levels_HW=LEVELS):
    return normalize(levels_HW, small(name))[None]


def guard_of(pixels_BCHW, recipe, *, skip=()):
    try:
        check_input(pixels_BCHW, recipe, skip=skip)
    except PreprocessingError as error:
        return error.guard
    return None


NAMES = ["rad_dino", "dinov2", "biomedclip", "chexagent"]  # one of each normalisation


@pytest.mark.parametrize("name", NAMES)
def test_what_prepare_gives_passes_in_every_precision(name):
    torch = pytest.importorskip("torch")
    pixels_BCHW = prepare(film(drawn_chest()), small(name))[None]
    check_input(pixels_BCHW, small(name))
    check_input(pixels_BCHW.astype(np.float16), small(name))
    check_input(torch.from_numpy(pixels_BCHW).bfloat16().float().numpy(), small(name))


@pytest.mark.parametrize("right", NAMES)
@pytest.mark.parametrize("wrong", NAMES)
def test_another_encoders_normalisation_is_recognised(right, wrong):
    expected = None if right == wrong else Guard.NORMALIZATION
    assert guard_of(inputs(wrong), small(right)) is expected
    assert guard_of(inputs(wrong).astype(np.float16), small(right)) is expected


@pytest.mark.parametrize("name", NAMES)
def test_values_that_were_never_normalised_are_recognised(name):
    three = np.stack([LEVELS] * 3)[None].astype(np.float32)
    for pixels_BCHW, said in ((three, r"0\.\.255, not normalised"), (three / 255, r"0\.\.1, not normalised")):
        with pytest.raises(PreprocessingError, match=said) as caught:
            check_input(pixels_BCHW, small(name))
        assert caught.value.guard is Guard.NORMALIZATION


def test_minus_1_to_1_without_whole_levels_is_recognised_by_its_ends():
    floats_HW = np.sqrt(LEVELS / LEVELS.max())
    floats_HW = (floats_HW - floats_HW.min()) / np.ptp(floats_HW)
    between = np.stack([floats_HW * 2 - 1] * 3)[None].astype(np.float32)
    with pytest.raises(PreprocessingError, match=r"mean \(0\.5, 0\.5, 0\.5\)"):
        check_input(between, small("rad_dino"))
    assert guard_of(between, small("chexagent")) is None


def test_the_message_names_the_place_in_the_batch_and_both_normalisations():
    batch = np.concatenate([inputs("rad_dino"), inputs("dinov2")])
    with pytest.raises(
        PreprocessingError, match=r"image 1 .* are normalised with .*0\.485.*rad_dino has mean \(0\.5307"
    ):
        check_input(batch, small("rad_dino"))


def test_colours_and_swapped_channels_are_refused():
    coloured = inputs("rad_dino")
    coloured[0, 2] += 0.1
    assert guard_of(coloured, small("rad_dino")) is Guard.CHANNELS
    assert guard_of(inputs("dinov2")[:, ::-1], small("dinov2")) is Guard.CHANNELS


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinities_are_refused(value):
    pixels_BCHW = inputs("rad_dino")
    pixels_BCHW[0, 1, 3, 3] = value
    assert guard_of(pixels_BCHW, small("rad_dino")) is Guard.RANGE


def test_a_blank_image_is_refused():
    assert guard_of(inputs("dinov2", np.full_like(LEVELS, 9)), small("dinov2")) is Guard.BLANK


def test_values_beyond_black_and_white_are_refused_but_for_a_cubic_kernels_overshoot():
    data = small("rad_dino").model_dump(mode="json")
    data["resize"]["kernel"] = "bilinear"
    bilinear = Recipe.model_validate(data)
    over = inputs("rad_dino")
    over[0, :, :2] = (1 + 30 / 255 - 0.5307) / 0.2583  # 30 levels above white
    assert guard_of(over, bilinear) is Guard.RANGE
    assert guard_of(over, small("rad_dino")) is None
    over[0, :, :2] = (1 + 70 / 255 - 0.5307) / 0.2583
    assert guard_of(over, small("rad_dino")) is Guard.RANGE


@pytest.mark.parametrize("shape", [(3, SIZE, SIZE), (1, 1, SIZE, SIZE), (1, 3, SIZE, SIZE + 1)])
def test_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match="rad_dino takes B, 3, 56, 56"):
        check_input(np.zeros(shape, np.float32), small("rad_dino"))


def test_each_guard_of_inputs_can_be_switched_off():
    nan = inputs("rad_dino")
    nan[0, 0, 0, 0] = np.nan
    coloured = inputs("rad_dino")
    coloured[0, 2] += 0.1
    blank = inputs("rad_dino", np.full_like(LEVELS, 9))
    for guard, broken in (
        (Guard.RANGE, nan),
        (Guard.CHANNELS, coloured),
        (Guard.BLANK, blank),
        (Guard.NORMALIZATION, inputs("chexagent")),
    ):
        assert guard_of(broken, small("rad_dino")) is guard
        assert guard_of(broken, small("rad_dino"), skip=(guard,)) is not guard
