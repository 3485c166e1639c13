"""Air dark or air bright, from the picture: on a drawn chest, its turned and bordered copies, and on real films."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from encoders.preprocessing.guards import Guard, PreprocessingError, check_film
from encoders.preprocessing.polarity import Verdict, judge_polarity
from studies.images import read_film
from tests.encoders.preprocessing.made_films import drawn_chest, film

IMAGES = Path(__file__).parents[3].parent / "shared" / "data" / "images"


def sample(levels_HW):
    return levels_HW[::4, ::4].astype(np.float32)


def test_a_chest_is_normal_and_its_negative_inverted_by_the_same_score():
    normal, inverted = judge_polarity(sample(drawn_chest())), judge_polarity(sample(255 - drawn_chest()))
    assert (normal.verdict, inverted.verdict) == (Verdict.NORMAL, Verdict.INVERTED)
    assert normal.score > 0.8
    assert inverted.score == pytest.approx(-normal.score)
    assert inverted.margin == pytest.approx(normal.margin)


def test_brightness_and_contrast_do_not_matter():
    as_drawn = judge_polarity(sample(drawn_chest()))
    assert judge_polarity(sample(drawn_chest()) / 4096 + 0.5) == as_drawn
    assert judge_polarity((sample(drawn_chest()) / 255) ** 3).verdict is Verdict.NORMAL


@pytest.mark.parametrize("border", [0, 255])
def test_a_border_of_either_colour_is_left_out(border):
    for grey, verdict in ((drawn_chest(), Verdict.NORMAL), (255 - drawn_chest(), Verdict.INVERTED)):
        framed = np.full((900, 1000), border)
        framed[300:818, 50:568] = grey
        assert judge_polarity(sample(framed)).verdict is verdict


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_chest_on_its_side_is_not_called_inverted(quarters):
    assert judge_polarity(sample(np.rot90(drawn_chest(), quarters))).verdict is not Verdict.INVERTED


def test_noise_slopes_and_flat_pictures_leave_it_unsure():
    noise = np.random.default_rng(0).normal(size=(128, 128)).astype(np.float32)
    column_slope = np.arange(128, dtype=np.float32)[None].repeat(128, axis=0)
    for picture in (noise, column_slope, np.zeros((128, 128), np.float32)):
        assert judge_polarity(picture).verdict is Verdict.UNSURE


def test_a_margin_asked_for_is_required():
    negative = sample(255 - drawn_chest())
    margin = judge_polarity(negative).margin
    assert judge_polarity(negative, min_margin=margin - 0.01).verdict is Verdict.INVERTED
    assert judge_polarity(negative, min_margin=margin + 0.01).verdict is Verdict.UNSURE


def real_films():
    if not IMAGES.is_dir():
        pytest.skip(f"shared data is not here: {IMAGES}")
    return [read_film(path) for path in sorted((IMAGES / "png").iterdir())]


def test_real_frontal_films_pass_every_guard_and_their_negatives_do_not():
    for shown in real_films():
        check_film(shown)
        negative = film(np.rint(255 - 255 * shown.pixels_HW.astype(float)).astype(int), view="PA")
        with pytest.raises(PreprocessingError) as caught:
            check_film(negative)
        assert caught.value.guard is Guard.POLARITY


def test_a_film_falsely_tagged_monochrome1_is_caught_and_the_truly_tagged_ones_pass():
    pytest.importorskip("pydicom")
    if not IMAGES.is_dir():
        pytest.skip(f"shared data is not here: {IMAGES}")
    falsely = read_film(IMAGES / "dicom" / "fake_mono1_siim_tagged.dcm")
    assert falsely.inverted
    with pytest.raises(PreprocessingError, match="MONOCHROME1 was inverted on reading"):
        check_film(falsely)
    for name in ("siim_1.2.276...850819_mono2_8bit_jpeg.dcm", "RG1_J2KI_chest_pa_mono1_15bit.dcm"):
        check_film(read_film(IMAGES / "dicom" / name))
