"""Reading: films as the encoder's recipe has them, and every fault of a study as a row."""

import multiprocessing

import numpy as np
import pydicom
import pytest
from PIL import Image

from encoders.preprocessing.prepare import to_levels
from encoders.preprocessing.recipe import load_recipe
from llava.dataset.example import BadStudy
from llava.dataset.reading import StudyReader
from llava.dataset.table import StudyTable
from llava.processor import CxrLlavaProcessor, add_tokens
from llava.tiny import tiny_language_model
from studies.images import read_film
from studies.records import GenerationStudy
from studies.synthetic import make_study
from studies.synthetic.dicom import write_dicom
from studies.synthetic.files import Photometric, write_png

RECIPE = load_recipe("rad_dino").at(56)


@pytest.fixture(scope="module")
def processor(tmp_path_factory):
    from transformers import AutoTokenizer

    folder = tiny_language_model(tmp_path_factory.mktemp("lm"), ["The heart is normal. ASSISTANT: USER:"] * 5)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    add_tokens(tokenizer)
    return CxrLlavaProcessor(tokenizer, RECIPE, 16, "findings", "vicuna", 1500)


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Files of one study of each kind, and broken ones."""
    folder = tmp_path_factory.mktemp("films")
    frontal = make_study(3, size_px=160, view="PA")
    write_png(folder / "frontal.png", frontal.pixels_HW)
    write_png(folder / "prior.png", make_study(4, size_px=160, view="PA").pixels_HW)
    write_png(folder / "lateral.png", make_study(5, size_px=160, view="LATERAL").pixels_HW)
    write_png(folder / "negative.png", 1 - frontal.pixels_HW)
    write_png(folder / "negative_lateral.png", 1 - make_study(5, size_px=160, view="LATERAL").pixels_HW)
    for photometric in Photometric:
        write_dicom(folder / f"{photometric.value}.dcm", frontal, photometric=photometric)
    write_dicom(folder / "window.dcm", frontal, window=(1500.0, 1200.0))
    wrong = pydicom.dcmread(folder / "MONOCHROME2.dcm")
    wrong.PhotometricInterpretation = "MONOCHROME1"  # tagged so, and stored the other way round
    wrong.save_as(folder / "wrong_tag.dcm")
    content = (folder / "frontal.png").read_bytes()
    (folder / "cut.png").write_bytes(content[: len(content) // 2])
    (folder / "text.png").write_text("no film")
    Image.fromarray(np.full((64, 64), 90, np.uint8)).save(folder / "blank.png")
    return folder


def reader(films, processor, tmp_path, *rows, with_target=True, **options):
    studies = [
        GenerationStudy(**{"study_id": str(place), "findings": "Clear."} | row) for place, row in enumerate(rows)
    ]
    path = tmp_path / "studies.jsonl"
    path.write_text("".join(study.model_dump_json() + "\n" for study in studies))
    table = StudyTable.open(path, cache=tmp_path / "cache", need_findings=with_target, root=films)
    return StudyReader(table, processor, with_target=with_target, **options)


def levels(path):
    return to_levels(read_film(path, voi=RECIPE.intensity.voi), RECIPE)


def test_films_are_the_recipe_s_levels_in_the_order_of_the_prompt(films, processor, tmp_path):
    names = {"prior_frontal": "prior.png", "lateral": "lateral.png", "frontal": "frontal.png"}
    example = reader(films, processor, tmp_path, names).read(0)
    assert example.study_id == "0"
    for image, name in zip(example.images, ("frontal.png", "lateral.png", "prior.png"), strict=True):
        assert image.dtype == np.uint8
        np.testing.assert_array_equal(image, levels(films / name))
    assert example.input_ids_T.tolist().count(processor.image_token_id) == 3 * 16


def test_both_polarities_of_a_dicom_give_one_picture(films, processor, tmp_path):
    found = reader(films, processor, tmp_path, {"frontal": "MONOCHROME1.dcm"}, {"frontal": "MONOCHROME2.dcm"})
    first, second = found.read(0).images[0], found.read(1).images[0]
    assert np.abs(first.astype(int) - second).max() <= 1
    np.testing.assert_array_equal(second, levels(films / "MONOCHROME2.dcm"))


def test_a_dicom_s_window_is_applied_where_the_recipe_wants_it_and_nowhere_else(films, processor, tmp_path):
    assert RECIPE.intensity.voi is False
    image = reader(films, processor, tmp_path, {"frontal": "window.dcm"}).read(0).images[0]
    np.testing.assert_array_equal(image, levels(films / "MONOCHROME2.dcm"))


@pytest.mark.parametrize(
    ("row", "error", "message"),
    [
        ({"frontal": "nowhere.png"}, "ImageError", "nowhere.png cannot be read: No such file"),
        ({"frontal": "cut.png"}, "ImageError", "broken or truncated PNG"),
        ({"frontal": "text.png"}, "ImageError", "text.png is"),
        ({"frontal": "blank.png"}, "ImageError", "is blank"),
        ({"frontal": "."}, "ImageError", "cannot be read"),
        ({"frontal": "a\0b.png"}, "ValueError", "null"),
        ({"frontal": "negative.png"}, "PreprocessingError", "air looks bright"),
        ({"frontal": "wrong_tag.dcm"}, "PreprocessingError", "its tag is wrong"),
        ({"frontal": "frontal.png", "prior_frontal": "cut.png"}, "ImageError", "cut.png"),
        ({"frontal": "frontal.png", "lateral": "cut.png"}, "ImageError", "cut.png"),
        ({"prior_frontal": "prior.png"}, "NoFilmError", "no current film"),
        ({}, "NoFilmError", "no current film"),
        ({"frontal": "frontal.png", "findings": " "}, "NoFindingsError", "missing or blank"),
        ({"frontal": "frontal.png", "findings": "Clear. " * 900}, "TooLongError", "the context has 1500"),
    ],
    ids=str,
)
def test_every_fault_of_a_study_is_a_row_that_says_it(films, processor, tmp_path, row, error, message):
    found = reader(films, processor, tmp_path, row, {"frontal": "frontal.png"})
    bad = found.read(0)
    assert isinstance(bad, BadStudy)
    assert (bad.study_id, bad.error) == ("0", error)
    assert message in bad.message
    assert "Clear" not in bad.message
    assert not isinstance(found.read(1), BadStudy)


def test_a_fault_of_the_tokenizer_tells_nothing_of_the_report(films, processor, tmp_path, monkeypatch):
    found = reader(films, processor, tmp_path, {"frontal": "frontal.png", "findings": "Secret."})

    def fails(text):
        raise TypeError(f"cannot encode {text}")

    monkeypatch.setattr(processor.study_tokens._text_ids, "encode", fails)
    assert found.read(0) == BadStudy("0", "TypeError", "its texts cannot be made into tokens")


def test_the_stated_view_decides_which_checks_a_film_has(films, processor, tmp_path):
    # A film that its file does not name is judged as if frontal; a lateral one is not judged for its polarity.
    found = reader(
        films,
        processor,
        tmp_path,
        {"lateral": "negative_lateral.png"},
        {"frontal": "negative.png", "frontal_view": "lat"},
        {"frontal": "negative.png", "frontal_view": "pa"},
    )
    assert [isinstance(found.read(place), BadStudy) for place in range(3)] == [False, False, True]


def test_a_guard_that_is_skipped_lets_its_films_through(films, processor, tmp_path):
    row = {"frontal": "negative.png"}
    assert isinstance(reader(films, processor, tmp_path, row).read(0), BadStudy)
    let = reader(films, processor, tmp_path, row, skip_guards=("polarity",)).read(0)
    assert let.images[0].shape == (56, 56)
    with pytest.raises(ValueError, match="polarities"):
        reader(films, processor, tmp_path, row, skip_guards=("polarities",))


def test_paths_are_relative_to_the_root_that_is_given(films, processor, tmp_path):
    row = {"frontal": "frontal.png"}
    assert isinstance(reader(films, processor, tmp_path, row, root=tmp_path).read(0), BadStudy)
    assert not isinstance(reader(films, processor, tmp_path, row, root=films).read(0), BadStudy)
    assert not isinstance(
        reader(films, processor, tmp_path, {"frontal": str(films / "frontal.png")}, root=tmp_path).read(0), BadStudy
    )
    with pytest.raises(ValueError, match="root is needed"):
        StudyReader([GenerationStudy(study_id="1")], processor, with_target=False)


def test_without_target_a_study_needs_no_findings(films, processor, tmp_path):
    found = reader(films, processor, tmp_path, {"frontal": "frontal.png", "findings": None}, with_target=False)
    assert not found.read(0).supervised_T.any()
    assert len(found) == 1


def test_a_new_process_reads_the_same(films, processor, tmp_path):
    found = reader(films, processor, tmp_path, {"frontal": "frontal.png", "prior_frontal": "prior.png"}, {})
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        example, bad = pool.map(found.read, [0, 1])
    here = found.read(0)
    assert example.input_ids_T.tolist() == here.input_ids_T.tolist()
    assert all(np.array_equal(a, b) for a, b in zip(example.images, here.images, strict=True))
    assert bad == found.read(1)
