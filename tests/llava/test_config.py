"""Settings of a training run: what is read, what is refused, and in which words."""

from pathlib import Path

import pytest

from llava.config import ConfigError, StageSettings, load_settings

LEAST = """
output = "runs/a"
[encoder]
name = "rad_dino"
weights = "hub"
[language_model]
path = "vicuna"
[data]
train = "train.parquet"
[[stages]]
name = "align"
train = ["projector"]
[[stages]]
name = "tune"
train = ["projector", "language_model"]
learning_rates = { projector = 1e-4 }
"""


@pytest.fixture
def write(tmp_path):
    def written(text=LEAST, *, without="", adding=""):
        file = tmp_path / "run.toml"
        file.write_text(text.replace(without, "") + adding)
        return file

    return written


def refused(file, match, overrides=None):
    with pytest.raises(ConfigError, match=match) as caught:
        load_settings(file, overrides)
    assert "\n" not in str(caught.value), "one line for a user"


def test_least_config_has_llava_15s_defaults(write):
    settings = load_settings(write())
    assert settings.output == Path("runs/a")
    tune = settings.stages[1]
    assert (tune.learning_rate, tune.warmup_ratio, tune.batch_studies, tune.epochs) == (2e-5, 0.03, 128, 1)
    assert settings.compute.packing
    assert settings.data.on_bad_study == "error"


def test_rate_of_a_part_is_its_own_or_the_stages(write):
    tune = load_settings(write()).stages[1]
    assert (tune.rate_of("projector"), tune.rate_of("language_model")) == (1e-4, 2e-5)


def test_flags_win_over_the_file(write):
    settings = load_settings(write(), {"output": "b", "seed": 3, "compute.compile": True, "cost.gpus": None})
    assert (settings.output, settings.seed, settings.compute.compile, settings.cost.gpus) == (Path("b"), 3, True, 8)


@pytest.mark.parametrize("stage", ["1", "tune"])
def test_stage_is_named_by_name_or_number(write, stage):
    settings = load_settings(write(), {f"stages.{stage}.max_steps": 7})
    assert [one.max_steps for one in settings.stages] == [None, 7]


def test_override_may_open_a_table_that_the_file_lacks(write):
    settings = load_settings(write(), {"language_model.rope.factor": 1.5, "stages.tune.lora.rank": 4})
    assert settings.language_model.rope.factor == 1.5
    assert settings.stages[1].lora.rank == 4


@pytest.mark.parametrize(
    ("overrides", "match"),
    [
        ({"stages.tone.max_steps": 1}, "no stage 'tone'"),
        ({"stages": 1}, "stages = 1"),
        ({"stages.tune.learning_rat": 1.0}, r"learning_rat is no setting; did you mean learning_rate\?"),
        ({"colour": "red"}, "colour is no setting"),
        ({"stages.tune.learning_rate": 0}, r"stages\.1\.learning_rate = 0: .*greater than 0"),
        ({"stages.tune.learning_rate": "fast"}, r"learning_rate = 'fast'"),
        ({"compute.precision": "float16"}, r"compute\.precision = 'float16': .*'bfloat16' or 'float32'"),
        ({"data.max_bad_share": 1.5}, r"data\.max_bad_share = 1\.5"),
        ({"encoder.norm": "final"}, "norm needs layers"),
        ({"encoder.layers": []}, "layers is empty"),
        ({"language_model.rope.factor": 0.5}, r"language_model\.rope\.factor = 0\.5"),
        ({"language_model.quantize": "nf4"}, "quantize needs lora in stage tune"),
        ({"stages.align.lora.rank": 8}, 'lora needs "language_model" among train'),
        ({"stages.tune.train": ["projector", "projector"]}, "names a part twice"),
        (
            {"stages.align.learning_rates.encoder": 1e-5},
            "learning_rates names encoder, which this stage does not train",
        ),
        ({"stages.tune.name": "align"}, "two stages of one name"),
        ({"stages.tune.name": "Tune it"}, r"stages\.1\.name = 'Tune it'"),
        ({"validation.controls": ["upside_down"]}, r"validation\.controls\.0 = 'upside_down'"),
        ({"seed": -1}, r"seed = -1"),
        ({"checkpoints.every_steps": 40, "validation.every_steps": 60}, r"every_steps = 60 is no multiple of .* = 40"),
        ({"seed": 2**63}, r"seed = 9223372036854775808: .*less than"),
        ({"stages.tune.learning_rate": float("inf")}, r"learning_rate = inf: .*finite"),
        ({"stages.tune.weight_decay": float("inf")}, r"weight_decay = inf: .*finite"),
        ({"language_model.rope.factor": float("inf")}, r"rope\.factor = inf: .*finite"),
        ({"stages.tune.betas": [1.5, 0.9]}, r"betas\.0 = 1\.5: .*less than 1"),
        ({"stages.tune.lora.dropout": 1.0}, r"lora\.dropout = 1\.0: .*less than 1"),
        ({"stages.tune.lora.targets": []}, r"lora\.targets = \[\]"),
    ],
)
def test_wrong_settings_are_named_with_what_is_allowed(write, overrides, match):
    refused(write(), match, overrides)


def test_missing_setting_is_named(write):
    refused(write(without='weights = "hub"'), r"encoder\.weights not given")


def test_config_that_is_no_toml(write):
    refused(write("output = \n"), r"run\.toml: .*line 1")


def test_config_that_is_not_there(tmp_path):
    refused(tmp_path / "none.toml", "none.toml")


def test_config_of_another_encoding(tmp_path):
    (tmp_path / "latin.toml").write_bytes('output = "läufe"'.encode("latin-1"))
    refused(tmp_path / "latin.toml", r"latin\.toml")


def test_several_faults_are_told_at_once(write):
    refused(write(), r"seed.*; .*cost\.gpus", {"seed": -1, "cost.gpus": 0})


def test_settings_survive_json():
    stage = StageSettings(name="a", train=("projector",), learning_rates={"projector": 1e-3})
    assert StageSettings.model_validate_json(stage.model_dump_json()) == stage
