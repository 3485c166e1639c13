"""The figure of a run's losses."""

import json

import numpy as np
import pytest
from PIL import Image

from llava.progress.loss_plot import plot_losses, smoothed


def write_log(folder, *, losses=(3.0, 2.0, 1.0), validated=True, stages=("align", "tune")):
    rows = []
    for stage in stages:
        rows.append({"event": "stage_started", "stage": stage, "steps": len(losses)})
        for step, loss in enumerate(losses, 1):
            rates = {"projector": 1e-3 / step, "language_model": 2e-5}
            rows.append({"event": "step", "stage": stage, "step": step, "loss": loss, "learning_rates": rates})
        if validated:
            rows.append({"event": "validated", "stage": stage, "step": 2, "loss": 2.5})
    (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def picture(folder, **log):
    write_log(folder, **log)
    return np.asarray(Image.open(plot_losses(folder)).convert("RGB"), int)


def test_figure_is_written_beside_the_log(tmp_path):
    pixels = picture(tmp_path)
    assert (tmp_path / "loss.png").is_file()
    assert pixels.shape == (720, 1080, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.jsonl", "loss.png"]


def colored(pixels, color):
    return int((np.abs(pixels - np.array(color)).max(-1) < 12).sum())


def test_validation_is_drawn_where_there_is_one(tmp_path):
    orange = (0xD5, 0x5E, 0x00)  # of validation above, and of the second part's rate below
    with_it, without = picture(tmp_path), picture(tmp_path, validated=False)
    assert colored(with_it, orange) > colored(without, orange) + 30


def test_losses_change_the_figure(tmp_path):
    assert not np.array_equal(picture(tmp_path), picture(tmp_path, losses=(1.0, 2.0, 3.0)))


def test_every_stage_is_shaded(tmp_path):
    shades = [(0xF7,) * 3, (0xED,) * 3]
    two, one = picture(tmp_path), picture(tmp_path, stages=("align",))
    assert all(colored(two[:300], shade) for shade in shades)
    spread = [int((np.abs(image[200] - 0xED).max(-1) < 2).sum()) for image in (two, one)]
    assert spread[0] > 300
    assert spread[1] < 30


def test_step_without_a_loss_leaves_a_gap(tmp_path):
    picture(tmp_path, losses=(3.0, None, 1.0))


def test_folder_without_a_log_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"log\.jsonl does not exist.*is no output folder of train-llava"):
        plot_losses(tmp_path)


def test_log_without_a_step_is_an_error(tmp_path):
    (tmp_path / "log.jsonl").write_text(json.dumps({"event": "stage_started", "stage": "a", "steps": 5}) + "\n")
    with pytest.raises(ValueError, match="no step is done yet"):
        plot_losses(tmp_path)


def test_smoothing_by_hand():
    # span 2 keeps a half: (1/2 x 4) / (1/2) = 4, then (1/4 x 4 + 1/2 x 1) / (3/4) = 2
    np.testing.assert_allclose(smoothed(np.array([4.0, 1.0]), 2), [4.0, 2.0])


def test_smoothing_passes_over_what_is_no_number():
    np.testing.assert_allclose(smoothed(np.array([np.nan, 4.0, np.nan, 1.0]), 2), [np.nan, 4.0, 4.0, 2.0])


def test_span_of_one_smooths_nothing():
    values = np.array([3.0, 1.0, 2.0])
    np.testing.assert_array_equal(smoothed(values, 1), values)
