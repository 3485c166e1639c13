"""`python -m studies shrink`: folders of films to small PNG."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from studies.cli import app
from studies.images import read_film
from studies.resample import shrink_film

EXAMPLES = Path(__file__).parents[2] / "examples" / "images"


def shrink(*words):
    return CliRunner().invoke(app, ["shrink", *map(str, words)])


@pytest.fixture
def films(tmp_path):
    """Three films in a folder of a folder, a table, and a broken film."""
    folder = tmp_path / "in" / "deep"
    folder.mkdir(parents=True)
    for name in ("pa_normal.png", "ap_window_deflated.dcm"):
        (folder / name).write_bytes((EXAMPLES / name).read_bytes())
    (folder / "no_suffix").write_bytes((EXAMPLES / "pa_monochrome1_12bit_rle.dcm").read_bytes())
    (folder / "studies.csv").write_text("not a film")
    return tmp_path / "in"


def test_every_film_becomes_a_png_and_a_row_that_says_what_was_done(films, tmp_path):
    done = shrink(films, "-o", tmp_path / "out", "--shorter-side", 200)
    assert (done.exit_code, "3 films in" in done.stderr) == (0, True)
    rows = {row["image"]: row for row in csv.DictReader((tmp_path / "out" / "films.csv").open())}
    assert set(rows) == {"deep/pa_normal.png", "deep/ap_window_deflated.png", "deep/no_suffix.png"}
    inverted = rows["deep/no_suffix.png"]
    assert (inverted["inverted"], inverted["bits"], inverted["view"]) == ("True", "12", "PA")
    film = read_film(films / "deep/no_suffix")
    assert float(inverted["row_spacing_mm"]) == pytest.approx(film.spacing_mm[0] * 384 / 200)
    written = np.asarray(Image.open(tmp_path / "out/deep/no_suffix.png"))
    assert (written.shape, written.dtype, written.min(), written.max()) == ((200, 200), np.uint8, 0, 255)
    np.testing.assert_array_equal(written, shrink_film(film, shorter_side_px=200))


def test_the_window_is_applied_only_when_asked(films, tmp_path):
    for folder, words in (("plain", ()), ("windowed", ("--voi",))):
        shrink(films, "-o", tmp_path / folder, "--shorter-side", 64, *words)
        rows = {row["image"]: row["window"] for row in csv.DictReader((tmp_path / folder / "films.csv").open())}
        assert ("VOI window" in rows["deep/ap_window_deflated.png"]) is (folder == "windowed")
    plain, windowed = (
        np.asarray(Image.open(tmp_path / folder / "deep/ap_window_deflated.png")) for folder in ("plain", "windowed")
    )
    assert not np.array_equal(plain, windowed)


def test_a_broken_film_is_a_failure_and_the_others_go_on(films, tmp_path):
    whole = (films / "deep/pa_normal.png").read_bytes()
    (films / "cut.png").write_bytes(whole[: len(whole) // 2])
    done = shrink(films, "-o", tmp_path / "out", "--shorter-side", 64)
    assert done.exit_code == 3
    (failure,) = map(json.loads, (tmp_path / "out/failures.jsonl").read_text().splitlines())
    assert failure["image"].endswith("cut.png")
    assert "truncated" in failure["message"]
    assert len(list((tmp_path / "out").rglob("*.png"))) == 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: [folder / "nothing"], "does not exist"),
        (lambda folder: [folder / "deep/studies.csv", folder / "deep"], "would both be written"),
        (lambda folder: [folder.parent], "no DICOM, PNG or JPEG"),
    ],
)
def test_a_users_mistake_is_one_message(films, tmp_path, make, message):
    (films / "deep/studies.png").write_bytes((films / "deep/pa_normal.png").read_bytes())
    inputs = make(films)
    if message.startswith("no DICOM"):
        inputs = [tmp_path / "empty"]
        inputs[0].mkdir()
    done = shrink(*inputs, "-o", tmp_path / "out")
    assert done.exit_code == 2
    assert message in done.stderr


def test_a_folder_is_not_written_to_twice(films, tmp_path):
    assert shrink(films, "-o", tmp_path / "out", "--shorter-side", 64).exit_code == 0
    again = shrink(films, "-o", tmp_path / "out", "--shorter-side", 64)
    assert (again.exit_code, "holds films.csv already" in again.stderr) == (2, True)
