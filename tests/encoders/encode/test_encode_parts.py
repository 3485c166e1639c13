"""The pieces of `encode-images` alone: what the encoder is fed, how films are addressed, how tables are made."""

import contextlib
from dataclasses import replace
from pathlib import Path
from unittest import mock

import duckdb
import numpy as np
import pytest
import torch

from encoders.config import EncodeSettings
from encoders.console import size
from encoders.encode.address import Keys, code_sha256, pixels_sha256
from encoders.encode.card import describe, request_sha256
from encoders.encode.films import Reading
from encoders.encode.forward import Forward
from encoders.encode.inputs import Row, stated_views
from encoders.encode.maps import MapChoice
from encoders.encode.store import FilmFacts, LockError, Store, locked, whole_file
from encoders.encode.table import Line, write_vectors
from encoders.preprocessing.guards import Guard
from encoders.preprocessing.prepare import prepare, to_levels
from encoders.preprocessing.recipe import load_recipe
from studies.images import Film, read_film
from tests.encoders.encode.bench import write_dicom, write_film
from tests.encoders.encode.fake import load_fake


def _forward(encoder):
    kinds = {"dtype": torch.float32, "maps_dtype": torch.float32}
    return Forward(encoder, MapChoice(), device=torch.device("cpu"), batch_size=4, compiled=False, **kinds)


@pytest.mark.parametrize("recipe", ["rad_dino", "dinov2", "medsiglip", "biomedclip", "ark_plus", "medimageinsight"])
def test_the_encoder_is_fed_what_prepare_gives_to_the_last_bit(tmp_path, recipe):
    encoder = load_fake("fake", weights="twin", preprocessing=recipe)
    films = [read_film(write_film(tmp_path / f"{seed}.png", seed)) for seed in range(3)]
    films.append(read_film(write_dicom(tmp_path / "12bit.dcm", 9)))
    fed_BCHW = _forward(encoder).pixels([to_levels(film, encoder.recipe) for film in films])
    expected_BCHW = np.stack([prepare(film, encoder.recipe) for film in films])
    assert fed_BCHW.dtype is torch.float32
    assert np.array_equal(fed_BCHW.numpy().view(np.int32), expected_BCHW.view(np.int32))


def test_a_recipe_of_floats_is_fed_as_floats(tmp_path):
    encoder = load_fake("fake", weights="twin")
    intensity = encoder.recipe.intensity.model_copy(update={"bit_depth": 0})
    encoder.recipe = encoder.recipe.model_copy(update={"intensity": intensity})
    film = read_film(write_dicom(tmp_path / "12bit.dcm", 9))
    levels_HW = to_levels(film, encoder.recipe)
    assert levels_HW.dtype == np.float32
    assert np.array_equal(_forward(encoder).pixels([levels_HW]).numpy()[0], prepare(film, encoder.recipe))


def test_films_are_the_same_by_their_pixels_and_bits_and_masks_alone():
    pixels_HW = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    film = Film(Path("a.png"), pixels_HW, 8, "png", "L", inverted=False, window="full range")
    moved = replace(film, path=Path("b.dcm"), kind="dicom", photometric="MONOCHROME1", inverted=True, view="AP")
    assert pixels_sha256(moved) == pixels_sha256(film)
    mask_HW = np.ones((3, 4), dtype=np.bool_)
    hole_HW = mask_HW.copy()
    hole_HW[0, 0] = False
    others = [
        replace(film, pixels_HW=np.nextafter(pixels_HW, np.float32(2))),
        replace(film, pixels_HW=pixels_HW.reshape(4, 3)),
        replace(film, bits=12),  # deep films have another intensity scale
        replace(film, valid_HW=mask_HW),
        replace(film, valid_HW=hole_HW),
    ]
    assert len({pixels_sha256(one) for one in [film, *others]}) == 6


def test_the_way_of_reading_is_part_of_a_films_address():
    recipe = load_recipe("rad_dino")
    ways = [
        Reading(recipe),
        Reading(recipe, (Guard.POLARITY,)),
        Reading(recipe.at(224)),
        Reading(load_recipe("siglip2")),
        Reading(recipe, views={"a.png": "LATERAL"}),
    ]
    assert len({way.address("f", "a.png") for way in ways}) == 5
    assert Reading(recipe, (Guard.POLARITY, Guard.BLANK)).address("f", "a.png") == Reading(
        recipe, (Guard.BLANK, Guard.POLARITY)
    ).address("f", "a.png")


def test_the_guards_take_the_view_that_the_table_states():
    # A film whose polarity looks wrong is refused as a frontal, and not judged as a lateral.
    frontal = Path(__file__).parents[3] / "examples" / "images" / "pa_normal.png"
    negative = replace(read_film(frontal), pixels_HW=1 - read_film(frontal).pixels_HW)
    with mock.patch("encoders.encode.films.read_film", return_value=negative):
        recipe, path = load_recipe("rad_dino"), str(frontal)
        assert "[guard: polarity]" in Reading(recipe).read(0, path).message
        assert "[guard: polarity]" in Reading(recipe, views={path: "PA"}).read(0, path).message
        assert Reading(recipe, views={path: "LATERAL"}).read(0, path).levels_HW.shape == (518, 518)


def test_a_tables_words_for_views_are_understood_and_two_for_one_film_are_none():
    words = {"a": ["pa"], "b": ["LL"], "c": ["PA", "Lateral"], "d": ["frontal"], "e": ["AP", "ap"], "f": [None]}
    rows = [Row(path, path, view=view) for path, views in words.items() for view in views]
    assert stated_views(rows) == {"a": "PA", "b": "LATERAL", "e": "AP"}


def test_the_code_that_reads_films_is_part_of_a_films_address(monkeypatch):
    recipe = load_recipe("rad_dino")
    before = Reading(recipe).address("f", "a.png")
    assert code_sha256("studies/*.py") != code_sha256("studies/*.py", "encoders/preprocessing/*.py") != code_sha256()
    monkeypatch.setattr("encoders.encode.films._READING", ("studies/*.py",))
    assert Reading(recipe).address("f", "a.png") != before


def test_the_code_and_the_libraries_that_make_features_are_part_of_their_key(monkeypatch):
    card = describe(load_fake("fake", weights="twin", image_size_px=64), MapChoice(strides=(4,)))
    asked = {"dtype": "float32", "maps_dtype": "float16"}
    keys = [Keys.of(card, **asked)]
    with monkeypatch.context() as other:
        other.setattr("encoders.encode.address._FEATURES", ("encoders/preprocessing/*.py",))
        keys.append(Keys.of(card, **asked))
    with monkeypatch.context() as other:
        other.setattr("encoders.encode.address.metadata.version", lambda name: "0" if name == "timm" else "1")
        keys.append(Keys.of(card, **asked))
    assert len({one.setting for one in keys}) == len({one.maps_setting for one in keys}) == 3
    assert Keys.of(card, **asked) == keys[0]


def test_an_index_of_shards_is_never_taken_for_its_weights(tmp_path):
    for name in ("model.safetensors.index.json", "model.safetensors"):
        (tmp_path / name).write_text("{}")
    asked = {"inputs": ("a.png",), "output": tmp_path, "encoder": "rad_dino"}
    assert request_sha256(EncodeSettings(**asked, weights=str(tmp_path / "model.safetensors.index.json"))) is None
    assert request_sha256(EncodeSettings(**asked, weights=str(tmp_path))) is None
    one = request_sha256(EncodeSettings(**asked, weights=str(tmp_path / "model.safetensors")))
    commits = [request_sha256(EncodeSettings(**asked, weights="hub", revision=digit * 40)) for digit in "ab"]
    assert None not in (one, *commits)
    assert len({one, *commits}) == 3


def test_a_card_has_the_shapes_without_running_the_encoder():
    encoder = load_fake("fake", weights="twin", image_size_px=64)
    card = describe(encoder, MapChoice(strides=(0, 4), layers=(-1,), norm="final"))
    assert {name: (one.shape, one.norm) for name, one in card.maps.items()} == {
        "stride8": ((6, 8, 8), "none"),
        "stride4": ((4, 16, 16), "none"),
        "layer1": ((6, 8, 8), "final"),
    }
    assert {parameter.device.type for parameter in encoder.parameters()} == {"cpu"}


def _store_of(folder, count, width):
    store = Store(folder)
    vectors_ND = np.random.default_rng(0).standard_normal((count, width)).astype(np.float32)
    for part, start in enumerate(range(0, count, 700)):
        keys = {f"key{place}": vectors_ND[place] for place in range(start, min(start + 700, count))}
        store.write_part(part, {}, keys, [], None)
    return store, vectors_ND


def _line(place):
    return Line(f"{place}.png", None, "p", None, None, "pixels", f"key{place}", "fake", "mean", None, None)


def test_a_long_table_keeps_its_order_and_its_floats(tmp_path):
    store, vectors_ND = _store_of(tmp_path, 9000, 3)
    order = np.random.default_rng(1).permutation(9000)
    assert write_vectors(tmp_path / "vectors.parquet", map(_line, order), store) == 9000
    with duckdb.connect() as db:
        found = db.execute("SELECT image, key, global FROM read_parquet(?)", [str(tmp_path / "vectors.parquet")])
        rows = found.fetchall()
    assert [row[0] for row in rows] == [f"{place}.png" for place in order]
    assert np.array_equal(np.array([row[2] for row in rows], dtype=np.float32), vectors_ND[order])
    assert not list(store.folder.glob("rows-*")), "the pieces are gone"


def test_a_store_read_again_has_what_was_written(tmp_path):
    store, vectors_ND = _store_of(tmp_path, 800, 2)
    store.write_part(7, {"address": FilmFacts("pixels", "AP", None)}, {}, ["maps"], lambda path: path.write_bytes(b"m"))
    again = Store(tmp_path).load()
    assert again.films == {"address": FilmFacts("pixels", "AP", None)}
    assert (again.vectors, again.maps, again.damaged, again.next_part) == (store.vectors, {"maps": 7}, {}, 8)
    part, row = again.vectors["key750"]
    assert np.array_equal(again.vectors_of(part)[row], vectors_ND[750])
    assert again.holds("key1", None)
    assert again.holds("key1", "maps")
    assert not again.holds("key1", "others")
    assert not again.holds("key", None)


def test_only_one_holds_a_folder(tmp_path):
    with locked(tmp_path), pytest.raises(LockError, match="another encode-images"), locked(tmp_path):
        pass
    with locked(tmp_path):
        pass


def test_a_file_that_was_not_finished_is_not_there(tmp_path):
    path = tmp_path / "deep" / "a"
    with contextlib.suppress(KeyboardInterrupt), whole_file(path) as part:
        part.write_text("half")
        raise KeyboardInterrupt
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("count", "said"), [(999, "999 bytes"), (1000, "1.0 KB"), (2_100_000, "2.1 MB"), (29.4e12, "29.4 TB")]
)
def test_sizes_are_said_in_decimal_units(count, said):
    assert size(count) == said
