"""The recipes as data: what they hold, what they refuse, and that each option changes pixels."""

from __future__ import annotations

import numpy as np
import pytest

from encoders.preprocessing.guards import Guard
from encoders.preprocessing.prepare import prepare, to_levels
from encoders.preprocessing.recipe import Recipe, known_recipes, load_recipe
from tests.encoders.preprocessing.made_films import film, pattern

ENCODERS = {
    "ark_plus": 768,
    "biomedclip": 224,
    "chexagent": 512,
    "dinov2": 224,
    "medimageinsight": 480,
    "medsiglip": 448,
    "rad_dino": 518,
    "segformer": 512,
    "siglip2": 512,
}


def changed(name, section, **values):
    data = load_recipe(name).model_dump(mode="json")
    data[section] |= values
    return Recipe.model_validate(data)


def levels(recipe, bits=8, shape=(120, 96)):
    return to_levels(film(pattern(bits, shape), bits), recipe, skip_guards=tuple(Guard))


def test_every_encoder_has_a_recipe_of_its_published_size():
    assert {name: load_recipe(name).resize.size_px for name in known_recipes() if ":" not in name} == ENCODERS


@pytest.mark.parametrize("name", known_recipes())
def test_a_recipe_is_named_as_its_file_and_cites_a_source_for_each_section(name):
    recipe = load_recipe(name)
    assert (recipe.encoder, recipe.variant) == ((*name.split(":"), None)[0], (*name.split(":"), None)[1])
    assert all(len(recipe.sources[section]) > 20 for section in ("intensity", "resize", "normalize"))


def test_variants_of_an_encoder_differ_in_hash_and_pixels():
    variants = [load_recipe(name) for name in known_recipes() if name.startswith("medsiglip")]
    assert len({recipe.sha256 for recipe in variants}) == 3
    pictures = [levels(recipe) for recipe in variants]
    assert not np.array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[1], pictures[2])


@pytest.mark.parametrize(
    ("name", "bits", "section", "values"),
    [
        ("dinov2", 8, "intensity", {"polarity": "air_bright"}),
        ("dinov2", 8, "intensity", {"byte": "percentile", "percentiles": (5, 95)}),
        ("dinov2", 12, "intensity", {"deep": "full_range"}),
        ("dinov2", 12, "intensity", {"deep": "percentile", "percentiles": (5, 95)}),
        ("medimageinsight", 12, "intensity", {"percentiles": (2, 99)}),
        ("dinov2", 12, "intensity", {"rounding": "down"}),
        ("dinov2", 8, "intensity", {"bit_depth": 0}),
        ("dinov2", 8, "resize", {"fit": "squash", "shorter_side_px": None, "crop_offset": None}),
        ("dinov2", 8, "resize", {"fit": "pad", "shorter_side_px": None, "crop_offset": None}),
        ("dinov2", 8, "resize", {"kernel": "bilinear"}),
        ("dinov2", 8, "resize", {"kernel": "lanczos"}),
        ("dinov2", 8, "resize", {"antialias": False}),
        ("dinov2", 8, "resize", {"shorter_side_px": 224}),
        ("dinov2", 8, "resize", {"crop_offset": "even", "shorter_side_px": 227}),
        ("dinov2", 8, "resize", {"size_px": 196}),
    ],
)
def test_each_option_changes_the_levels_and_the_hash(name, bits, section, values):
    base, other = load_recipe(name), changed(name, section, **values)
    if values.get("crop_offset") == "even":  # at a margin of 3
        base = changed(name, section, shorter_side_px=227)
    shown = pattern(bits, (120, 96)) * 3 // 4 + 7  # so that full range and min-max differ
    one, two = (to_levels(film(shown, bits), recipe, skip_guards=tuple(Guard)) for recipe in (base, other))
    assert one.shape != two.shape or not np.array_equal(one, two)
    assert base.sha256 != other.sha256


def test_mean_and_std_change_the_input_and_the_hash():
    shown = film(pattern(8, (120, 96)))
    base = load_recipe("dinov2")
    for values in ({"mean": (0.5, 0.5, 0.5)}, {"std": (0.5, 0.5, 0.5)}):
        other = changed("dinov2", "normalize", **values)
        pictures = [prepare(shown, recipe, skip_guards=tuple(Guard)) for recipe in (base, other)]
        assert not np.array_equal(*pictures)
        assert base.sha256 != other.sha256


def test_voi_changes_the_hash_for_it_changes_what_is_read():
    assert changed("dinov2", "intensity", voi=False).sha256 != load_recipe("dinov2").sha256


def test_sources_and_names_do_not_change_the_hash():
    recipe = load_recipe("dinov2")
    assert recipe.model_copy(update={"encoder": "mine", "sources": {}}).sha256 == recipe.sha256


def test_another_size_keeps_the_margin_in_proportion():
    larger = load_recipe("dinov2").at(518)
    assert (larger.resize.size_px, larger.resize.shorter_side_px) == (518, 592)  # 256 * 518 / 224
    assert levels(larger).shape == (518, 518)
    assert load_recipe("rad_dino").at(224).resize.shorter_side_px is None
    with pytest.raises(ValueError, match="size_px"):
        larger.at(0)


@pytest.mark.parametrize(
    ("section", "values", "said"),
    [
        ("intensity", {"gamma": 1.0}, "gamma"),
        ("intensity", {"bit_depth": 16}, "bit_depth"),
        ("intensity", {"deep": "percentile"}, "percentiles are missing"),
        ("intensity", {"percentiles": (1, 99)}, "neither byte nor deep"),
        ("intensity", {"deep": "percentile", "percentiles": (99, 1)}, "do not rise"),
        ("intensity", {"deep": "percentile", "percentiles": (1, 101)}, "100"),
        ("resize", {"fit": "squash", "shorter_side_px": None}, "crop_offset"),
        ("resize", {"crop_offset": None}, "crop_offset"),
        ("resize", {"shorter_side_px": 200}, "shorter_side_px 200"),
        ("resize", {"fit": "pad", "crop_offset": None}, "shorter_side_px 256"),
        ("resize", {"kernel": "lanczos", "antialias": False}, "antialias"),
        ("resize", {"kernel": "nearest"}, "kernel"),
        ("resize", {"size_px": 0}, "size_px"),
        ("normalize", {"std": (0.2, 0.0, 0.2)}, "std"),
    ],
)
def test_a_recipe_that_cannot_be_meant_is_refused(section, values, said):
    with pytest.raises(ValueError, match=said):
        changed("dinov2", section, **values)


def test_ones_own_file_is_read_and_its_mistakes_are_named(tmp_path):
    own = tmp_path / "mine.toml"
    own.write_text(
        'encoder = "mine"\n[intensity]\npolarity = "air_bright"\nvoi = true\nbyte = "full_range"\ndeep = "min_max"\n'
        '[resize]\nsize_px = 64\nfit = "squash"\nkernel = "lanczos"\n'
        "[normalize]\nmean = [0.5, 0.5, 0.5]\nstd = [0.5, 0.5, 0.5]\n"
        '[sources]\nintensity = "me"\nresize = "me"\nnormalize = "me"\n'
    )
    assert load_recipe(own).resize.size_px == load_recipe(str(own)).resize.size_px == 64
    own.write_text(own.read_text().replace('resize = "me"\n', ""))
    with pytest.raises(ValueError, match=r"mine\.toml.*\[sources\] says nothing of resize"):
        load_recipe(own)
    own.write_text("size_px = = 3")
    with pytest.raises(ValueError, match=r"mine\.toml"):
        load_recipe(own)
    with pytest.raises(ValueError, match="does not exist"):
        load_recipe(tmp_path / "none.toml")


@pytest.mark.parametrize("name", ["rad-dino", "medsiglip.squash", "../recipe", ""])
def test_an_unknown_name_lists_the_known_ones(name):
    with pytest.raises(ValueError, match=r"known: ark_plus, .*medsiglip:squash"):
        load_recipe(name)
