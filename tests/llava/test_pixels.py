"""Films normalised on the device against the one implementation of encoders."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from encoders.preprocessing.prepare import normalize
from encoders.preprocessing.recipe import known_recipes, load_recipe
from llava.pixels import pixels

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", known_recipes())
def test_pixels_are_those_of_normalize_to_the_last_bit(name):
    recipe = load_recipe(name)
    draw = np.random.default_rng(0)
    films = [draw.integers(0, 256, (9, 9)).astype(np.uint8) for _ in range(3)]
    if recipe.intensity.bit_depth != 8:
        films = [film.astype(np.float32) + np.float32(0.25) for film in films]
    made = pixels(films, recipe, CPU)
    assert made.dtype == torch.float32
    assert made.shape == (3, 3, 9, 9)
    assert np.array_equal(made.numpy(), np.stack([normalize(film, recipe) for film in films]))


def test_two_recipes_of_one_run_are_not_mixed_up():
    film = np.full((4, 4), 255, np.uint8)
    # white: (1 - 0.5307) / 0.2583 = 1.8169, and (1 - 0.485) / 0.229 = 2.2489 in the first channel of ImageNet's
    assert pixels([film], load_recipe("rad_dino"), CPU)[0, 0, 0, 0].item() == pytest.approx(1.81688, abs=1e-4)
    imagenet = load_recipe("rad_dino").model_copy(update={"normalize": load_recipe("dinov2").normalize})
    assert pixels([film], imagenet, CPU)[0, 0, 0, 0].item() == pytest.approx(2.24891, abs=1e-4)


def test_films_of_two_sizes_and_no_film_are_refused():
    recipe = load_recipe("rad_dino")
    with pytest.raises(ValueError, match=r"films of 2 sizes in one batch: \(4, 4\), \(5, 5\)"):
        pixels([np.zeros((4, 4), np.uint8), np.zeros((5, 5), np.uint8)], recipe, CPU)
    with pytest.raises(ValueError, match="no film"):
        pixels([], recipe, CPU)
