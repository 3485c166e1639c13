"""The 518-px conversion, against scipy's filters one after another, and SimpleITK's numbers."""

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from studies.images import Film
from studies.resample import resize_bspline, shrink_film


def noise(height, width, seed=0):
    return np.random.default_rng(seed).random((height, width)).astype(np.float32)


def film(pixels_HW, valid_HW=None):
    return Film(Path("a"), pixels_HW, 8, "png", "L", inverted=False, window="full range", valid_HW=valid_HW)


def by_scipy(pixels_HW, height, width):
    """Step by step: Gaussian of sqrt(factor^2 - 1) / 2.3548, then cubic B-spline at the new pixels' centres."""
    factors = pixels_HW.shape[0] / height, pixels_HW.shape[1] / width
    sigmas = [max(factor**2 - 1, 0) ** 0.5 / 2.354820045 for factor in factors]
    smooth = ndimage.gaussian_filter(pixels_HW.astype(np.float64), sigmas, mode="nearest")
    places = [(np.arange(size) + 0.5) * factor - 0.5 for size, factor in zip((height, width), factors, strict=True)]
    return ndimage.map_coordinates(smooth, np.meshgrid(*places, indexing="ij"), order=3, mode="mirror")


@pytest.mark.parametrize(
    ("size", "new"),
    [((700, 560), (128, 102)), ((60, 50), (128, 107)), ((300, 300), (299, 120)), ((5, 4), (3, 7)), ((40, 1), (9, 1))],
)
def test_one_matrix_an_axis_does_what_the_filters_do(size, new):
    pixels = noise(*size)
    resized = resize_bspline(pixels, height_px=new[0], width_px=new[1])
    assert resized.dtype == np.float32
    np.testing.assert_allclose(resized, by_scipy(pixels, *new), atol=2e-6)


def test_the_same_size_changes_nothing():
    pixels = noise(37, 41)
    np.testing.assert_allclose(resize_bspline(pixels, height_px=37, width_px=41), pixels, atol=1e-6)


def test_a_ramp_stays_a_ramp_at_the_new_pixels_centres():
    # Columns 0 .. 199 to 50: the new column j lies at 4 (j + .5) - .5
    ramp = np.tile(np.arange(200, dtype=np.float32), (40, 1))
    resized = resize_bspline(ramp, height_px=10, width_px=50)
    np.testing.assert_allclose(resized[5, 5:-5], 4 * (np.arange(5, 45) + 0.5) - 0.5, atol=1e-3)


def test_fine_stripes_do_not_alias():
    # Stripes of 2 pixels sampled every 4.9 would come out as slow waves; the Gaussian leaves a flat grey.
    stripes = np.tile((np.arange(490) % 2).astype(np.float32), (49, 1))
    resized = resize_bspline(stripes, height_px=10, width_px=100)
    assert np.ptp(resized[:, 3:-3]) < 0.01
    unfiltered = ndimage.map_coordinates(stripes, np.mgrid[5:6, 0:490:4.9], order=3)
    assert np.ptp(unfiltered) > 0.9


def test_the_shorter_side_is_518_and_the_bytes_reach_from_0_to_255():
    small = shrink_film(film(noise(600, 750) * 0.5 + 0.2))
    assert (small.shape, small.dtype) == ((518, 648), np.uint8)  # 750 x 518 / 600 = 647.5
    assert (small.min(), small.max()) == (0, 255)
    assert shrink_film(film(noise(600, 750)), shorter_side_px=100).shape == (100, 125)


def test_burned_in_pixels_do_not_set_black_and_white():
    pixels = np.tile(np.linspace(0.2, 0.6, 400, dtype=np.float32), (300, 1))
    boxed, valid = pixels.copy(), np.ones(pixels.shape, bool)
    boxed[:60, :100], valid[:60, :100] = 1, False
    plain = shrink_film(film(pixels), shorter_side_px=100).astype(int)
    masked = shrink_film(film(boxed, valid), shorter_side_px=100).astype(int)
    assert (masked[:15, :25] == 255).all()
    assert np.abs(masked - plain)[30:].max() <= 1
    ignored = shrink_film(film(boxed), shorter_side_px=100).astype(int)
    assert np.abs(ignored - plain)[30:].max() > 50


def test_nothing_to_see_is_refused():
    with pytest.raises(ValueError, match="a: 0 pixels are valid"):
        shrink_film(film(noise(60, 60), np.zeros((60, 60), bool)), shorter_side_px=30)
