"""Our one implementation against the publishers' own: frozen, on every machine; live and whole, where they import."""

from __future__ import annotations

import json
from importlib.util import find_spec

import numpy as np
import pytest

from encoders.preprocessing.guards import Guard
from encoders.preprocessing.prepare import prepare, to_levels
from encoders.preprocessing.recipe import known_recipes, load_recipe
from tests.encoders.preprocessing.made_films import SHAPES, film, pattern
from tests.encoders.preprocessing.make_golden import FILMS, GOLDEN, describe, describe_reference, made
from tests.encoders.preprocessing.references import IMAGENET, bit_processor, picture, references

NO_CHEST = tuple(Guard)
# A whole level is cut off where float32 and float64 fall on two sides of it; everything else agrees bit by bit.
CUT_IN_FLOAT32 = {"medsiglip:eval"}
NEEDS = {"biomedclip": "open_clip", "medimageinsight": "torchvision"}


def need_publishers_code(name):
    for module in ("transformers", NEEDS.get(name, "torch")):
        if find_spec(module) is None:
            pytest.skip(f"{module} is not installed")


def test_every_shipped_recipe_has_golden_inputs_and_a_reference():
    assert set(json.loads(GOLDEN.read_text())) == set(known_recipes()) == set(references())


@pytest.mark.parametrize("name", known_recipes())
@pytest.mark.parametrize("key", FILMS)
def test_an_input_is_the_frozen_one_of_the_publishers_code(name, key):
    golden, recipe = json.loads(GOLDEN.read_text())[name][key], load_recipe(name)
    grey_HW, bits = made(key)
    pixels_CHW = prepare(film(grey_HW, bits), recipe, skip_guards=NO_CHEST)
    ours = describe(pixels_CHW, to_levels(film(grey_HW, bits), recipe, skip_guards=NO_CHEST))
    assert pixels_CHW.dtype == np.float32
    assert ours["size_px"] == golden["size_px"]
    for figure in ("values", "mean", "std"):
        np.testing.assert_allclose(ours[figure], golden[figure], rtol=0, atol=1e-6)
    if name not in CUT_IN_FLOAT32:
        assert ours["levels_sha256"] == golden["levels_sha256"]


@pytest.mark.parametrize("name", known_recipes())
def test_the_publishers_code_gives_the_frozen_inputs_here_too(name):
    need_publishers_code(name)
    key = "8-bit landscape"
    made_here, golden = describe_reference(name, key, references()[name]), json.loads(GOLDEN.read_text())[name][key]
    for figure in ("values", "mean", "std"):
        np.testing.assert_allclose(made_here[figure], golden[figure], rtol=0, atol=1e-6)
    assert made_here["levels_sha256"] == golden["levels_sha256"]


@pytest.mark.parametrize("name", known_recipes())
@pytest.mark.parametrize(("bits", "shape"), [(8, "portrait"), (12, "landscape")])
def test_a_whole_input_equals_the_publishers_within_a_millionth(name, bits, shape):
    need_publishers_code(name)
    grey_HW = pattern(bits, SHAPES[shape])
    ours = prepare(film(grey_HW, bits), load_recipe(name), skip_guards=NO_CHEST)
    theirs = references()[name](grey_HW, bits)
    apart = np.abs(ours.astype(np.float64) - theirs)
    if name in CUT_IN_FLOAT32:  # one level of 255 is 2/255 under mean and std 0.5
        assert apart.max() < 2 / 255 + 1e-6
        assert np.mean(apart > 1e-6) < 1e-4
    else:
        assert apart.max() <= 1e-6


@pytest.mark.parametrize("shape", [(300, 255), (257, 257), (1023, 767), (224, 227), (231, 224), (640, 224)])
def test_sizes_and_margins_are_the_publishers_at_every_parity(shape):
    # Margins of 3 (227 - 224) and 7 are cut 1 | 2 and 3 | 4 by transformers, 2 | 1 and 4 | 3 by torchvision.
    need_publishers_code("biomedclip")
    grey_HW = pattern(8, shape)
    for name in ("biomedclip", "dinov2"):
        recipe = load_recipe(name)
        if name == "dinov2":  # without the enlargement to 256, to get at the small margins
            recipe = recipe.model_copy(update={"resize": recipe.resize.model_copy(update={"shorter_side_px": None})})
        ours = prepare(film(grey_HW), recipe, skip_guards=NO_CHEST)
        theirs = (
            bit_processor(picture(grey_HW, 8), shorter=224, crop=224, **IMAGENET)
            if name == "dinov2"
            else references()[name](grey_HW, 8)
        )
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)
