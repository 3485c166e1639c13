"""The shipped configurations of published recipes."""

import tomllib
from pathlib import Path

import pytest

from llava.config import ConfigError, load_settings
from llava.running import config_file

FOLDER = Path(__file__).parents[2] / "llava" / "configs"
FILES = sorted(FOLDER.glob("*.toml"))
PAIR = [FOLDER / f"maira2_vicuna13b_{encoder}.toml" for encoder in ("rad_dino", "medimageinsight")]


def test_the_pair_and_the_other_recipes_are_there():
    assert {file.stem for file in FILES} >= {
        "maira2_vicuna13b_rad_dino",
        "maira2_vicuna13b_medimageinsight",
        "llava15_vicuna13b",
        "llava_rad_lora_vicuna7b",
    }


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_each_loads(file):
    assert load_settings(file).output == Path("runs") / file.stem


def test_the_pair_differs_in_the_encoder_and_nothing_else():
    one, two = (load_settings(file).model_dump() for file in PAIR)
    assert {key for key in one if one[key] != two[key]} == {"encoder", "output"}
    assert {key for key in one["encoder"] if one["encoder"][key] != two["encoder"][key]} == {"name"}
    texts = [tomllib.loads(file.read_text()) for file in PAIR]
    assert texts[0].keys() == texts[1].keys(), "what is written, too, not only what it comes to"
    assert {key for key in texts[0] if texts[0][key] != texts[1][key]} == {"encoder", "output"}


def test_the_pair_is_trained_in_maira_2s_manner():
    settings = load_settings(PAIR[0])
    [stage] = settings.stages
    assert set(stage.train) == {"projector", "language_model"}
    assert stage.lora is None
    assert (stage.learning_rate, stage.schedule, stage.warmup_ratio) == (2e-5, "cosine", 0.03)
    assert (stage.epochs, stage.batch_studies) == (3, 128)
    assert settings.projector.num_layers == 4
    assert settings.encoder.image_size_px == 518
    assert settings.encoder.layers is None, "the last layer after its final norm, as the contract gives it"
    assert settings.language_model.rope.factor == 1.5
    assert settings.compute.parallel == "fsdp2"


def test_what_no_source_confirms_is_marked():
    for file in PAIR:
        lines = {line.partition(" =")[0]: line for line in file.read_text().splitlines() if " = " in line}
        for key in ("epochs", "batch_studies", "learning_rate", "schedule", "warmup_ratio", "parallel"):
            assert "unconfirmed" in lines[key], key
        for key in ("num_layers", "train", "image_size_px"):
            assert "unconfirmed" not in lines[key], key


def test_llava_15_is_two_stages_of_its_published_rates():
    settings = load_settings(FOLDER / "llava15_vicuna13b.toml")
    align, tune = settings.stages
    assert (align.train, align.learning_rate, align.batch_studies) == (("projector",), 1e-3, 256)
    assert (set(tune.train), tune.learning_rate, tune.batch_studies) == ({"projector", "language_model"}, 2e-5, 128)
    assert {stage.epochs for stage in settings.stages} == {1}
    assert (settings.projector.num_layers, settings.encoder.layers, settings.encoder.norm) == (2, (-2,), None)


def test_llava_rad_tunes_adapters():
    _, tune = load_settings(FOLDER / "llava_rad_lora_vicuna7b.toml").stages
    assert (tune.lora.alpha, tune.learning_rate, tune.epochs, tune.batch_studies) == (128, 1e-4, 3, 64)


def test_language_models_are_pinned_to_a_commit():
    for file in FILES:
        _, _, commit = load_settings(file).language_model.path.partition("@")
        assert len(commit) == 40, file.name


def test_shipped_file_is_found_by_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert config_file(Path("llava15_vicuna13b")) == FOLDER / "llava15_vicuna13b.toml"
    assert config_file(Path("llava15_vicuna13b.toml")) == FOLDER / "llava15_vicuna13b.toml"
    Path("llava15_vicuna13b.toml").write_text("")
    assert config_file(Path("llava15_vicuna13b.toml")) == Path("llava15_vicuna13b.toml"), "the user's own is first"
    with pytest.raises(ConfigError, match=r"mine does not exist; shipped are llava15_vicuna13b, .*rad_dino"):
        config_file(Path("mine"))
    with pytest.raises(ConfigError, match="does not exist"):
        config_file(Path("elsewhere/llava15_vicuna13b"))
