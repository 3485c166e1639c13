"""A plan's figures against those reckoned for the paper's two generators, and what it warns of."""

import json
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from llava.config import ConfigError, StageSettings, TrainSettings, load_settings
from llava.dataset.table import StudyTable
from llava.planning.architecture import encoder_shape
from llava.planning.flops import LanguageModelShape, ModelShape
from llava.planning.kinds import Assumed
from llava.planning.memory import memory_per_gpu, trained_weights
from llava.planning.plan import plan

CONFIGS = Path(__file__).parents[3] / "llava" / "configs"
THREE_VIEWS = Assumed(studies=2_500_000, text_tokens=450, images=3)
SMALL = {
    "model_type": "llama",
    "vocab_size": 300,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 4096,
}


@pytest.fixture(scope="module", params=["rad_dino", "medimageinsight"])
def published(request):
    """The plan of a shipped configuration, for 2.5 million studies."""
    return request.param, plan(load_settings(CONFIGS / f"maira2_vicuna13b_{request.param}.toml"), THREE_VIEWS)


@pytest.fixture
def small(tmp_path):
    """Makes settings of a small language model and a tiny encoder of 196 tokens."""
    folder = tmp_path / "language_model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(SMALL))

    def make(**changes):
        values = {
            "output": tmp_path / "run",
            "encoder": {"name": "biomedclip", "weights": "tiny"},
            "language_model": {"path": str(folder)},
            "data": {"train": tmp_path / "studies.csv"},
            "stages": [{"name": "tune", "train": ["projector", "language_model"], "batch_studies": 4}],
        }
        return TrainSettings.model_validate(values | changes)

    return make


def write_table(path, rows):
    lines = ["study_id,frontal,lateral,prior_frontal,findings"]
    for number, (films, letters) in enumerate(rows):
        names = [f"{place}.png" if place < films else "" for place in range(3)]
        lines.append(f"s{number},{','.join(names)},{'x' * letters}")
    path.write_text("\n".join(lines) + "\n")


# The published pair


def test_tokens_of_one_two_and_three_films(published):
    name, found = published
    expected = {"rad_dino": [1819, 3188, 4557], "medimageinsight": [739, 1028, 1317]}[name]
    assert [cost.kind.tokens for cost in found.kinds] == expected


def test_gpu_hours_of_an_epoch(published):
    name, found = published
    expected = {"rad_dino": [247, 441, 644], "medimageinsight": [99, 138, 177]}[name]
    assert [cost.gpu_hours for cost in found.kinds] == pytest.approx(expected, rel=0.1)
    assert found.gpu_hours == pytest.approx(3 * expected[2], rel=0.1), "three epochs of three films each"
    assert found.mix.gpu_hours == found.kinds[2].gpu_hours


def test_petaflops_of_a_study(published):
    name, found = published
    assert found.mix.flops.useful == pytest.approx({"rad_dino": 0.381e15, "medimageinsight": 0.105e15}[name], rel=0.1)
    share = found.mix.flops.encoder / found.mix.flops.useful
    assert share == pytest.approx({"rad_dino": 0.0024, "medimageinsight": 0.021}[name], rel=0.1)


def test_state_of_the_whole_model_over_eight_gpus(published):
    _, found = published
    [stage] = found.stages
    assert 16 * sum(stage.trained.values()) == pytest.approx(208e9, rel=0.1)
    assert stage.memory.state == pytest.approx(26e9, rel=0.1)
    assert stage.memory.total < found.gpu.memory
    assert stage.saved_bytes == 12 * sum(stage.trained.values())


def test_cache_of_a_token_and_a_study(published):
    name, found = published
    assert found.model.language_model.kv_bytes() == pytest.approx(819e3, rel=0.001)
    assert found.mix.kv_bytes == pytest.approx({"rad_dino": 3.7e9, "medimageinsight": 1.1e9}[name], rel=0.02)


def test_scaled_context_holds_three_films_and_no_warning_is_given(published):
    _, found = published
    assert found.context == 6144
    assert found.warnings == []


def test_encoder_is_frozen_and_the_rest_learns(published):
    _, found = published
    [stage] = found.stages
    assert stage.trained["encoder"] == stage.frozen["projector"] == stage.frozen["language_model"] == 0
    assert stage.trained["language_model"] == 13_015_864_320
    width = found.model.encoder.token_width
    assert stage.trained["projector"] == width * 5120 + 3 * 5120**2 + 4 * 5120
    assert found.host_bytes == pytest.approx(4 * (sum(stage.trained.values()) + stage.frozen["encoder"]))
    assert stage.memory.frozen == 4 * stage.frozen["encoder"] / 8  # float32, on 8 GPUs


# What it warns of


def test_three_films_alone_overflow_an_unscaled_context():
    settings = load_settings(CONFIGS / "maira2_vicuna13b_rad_dino.toml", {"language_model.rope.factor": 1.0})
    found = plan(settings, THREE_VIEWS)
    [warning] = found.warnings
    assert warning.startswith("3 images are 4,107 tokens, and the context is 4,096")


def test_reports_that_overflow_are_warned_of(small):
    found = plan(small(data={"train": "none.csv", "max_tokens": 1000}))  # 3 x 196 + 450 tokens
    warning, _of_random_weights = found.warnings
    assert "reach 1,038 tokens, and the context is 1,000" in warning


def test_memory_beyond_the_gpu_names_a_remedy():
    settings = load_settings(CONFIGS / "maira2_vicuna13b_medimageinsight.toml", {"compute.parallel": "ddp"})
    found = plan(settings, THREE_VIEWS)
    [warning] = found.warnings
    assert "stage tune needs" in warning
    assert warning.endswith('set compute.parallel = "fsdp2"')
    assert found.stages[0].memory.state == pytest.approx(209.7e9, rel=0.01), "whole on each GPU"


def test_random_weights_are_warned_of(small):
    [warning] = plan(small()).warnings
    assert 'encoder.weights = "tiny" is random' in warning
    assert plan(small(encoder={"name": "biomedclip", "weights": "mine.safetensors"})).warnings == []


def test_unknown_gpu_lists_those_known(small):
    with pytest.raises(ConfigError, match=r"cost\.gpu = 'h1000': known are a100-40gb, .*a6000"):
        plan(small(cost={"gpu": "h1000"}))


# Of a table


def test_mix_is_counted_in_the_table(small, tmp_path):
    settings = small()
    write_table(settings.data.train, [(1, 400)] * 2 + [(3, 800)] * 3)
    found = plan(settings)
    assert found.counted
    estimates = StudyTable.open(settings.data.train, cache=tmp_path / "cache", need_findings=True).estimated_tokens(196)
    tokens = {1: estimates[0], 3: estimates[2]}
    assert tokens[3] - tokens[1] == 2 * 196 + 100, "4 letters a token"
    assert [(cost.kind.images, cost.kind.studies, cost.kind.tokens) for cost in found.kinds] == [
        (1, 2, tokens[1]),
        (3, 3, tokens[3]),
    ]
    mix = found.mix.kind
    assert mix.tokens == pytest.approx((2 * tokens[1] + 3 * tokens[3]) / 5)
    assert mix.length2 == pytest.approx((2 * tokens[1] ** 2 + 3 * tokens[3] ** 2) / 5)
    assert (mix.images, mix.longest, mix.studies) == (11 / 5, tokens[3], 5)
    ones, threes = (cost.gpu_hours for cost in found.kinds)
    assert found.mix.gpu_hours == pytest.approx((2 * ones + 3 * threes) / 5)


def test_assumptions_win_over_the_table(small):
    settings = small()
    write_table(settings.data.train, [(1, 400), (3, 800)])
    assert plan(settings, Assumed(studies=1000)).mix.kind.studies == 1000
    assert plan(settings, Assumed(text_tokens=50)).mix.kind.tokens == 2 * 196 + 50
    assert plan(settings, Assumed(images=2)).mix.kind.images == 2
    assert not plan(settings, THREE_VIEWS).counted, "with all three assumed, the table is not read"


def test_planning_writes_nothing(small):
    settings = small()
    write_table(settings.data.train, [(1, 400)])
    plan(settings)
    assert not settings.output.exists()


# Stages


def test_steps_and_studies_are_the_trainers(small):
    stages = [
        {"name": "align", "train": ["projector"], "batch_studies": 4, "epochs": 2},
        {"name": "tune", "train": ["projector", "language_model"], "batch_studies": 4, "max_steps": 2},
    ]
    found = plan(small(stages=stages), Assumed(studies=10))
    align, tune = found.stages
    assert (align.steps, align.studies) == (6, 20), "the last step of an epoch has what is left"
    assert (tune.steps, tune.studies) == (2, 8)
    assert found.dearest == "tune"
    assert align.trained["language_model"] == 0
    assert align.gpu_hours / 20 < tune.gpu_hours / 8, "no gradients of a frozen language model's weights"


def test_dollars_are_hours_times_their_price(small):
    priced = plan(small(cost={"gpu": "a100-80gb", "gpus": 2, "mfu": 0.5, "usd_per_gpu_hour": 3.0}))
    [stage] = priced.stages
    hours = stage.studies * priced.mix.flops.useful / (0.5 * 312e12) / 3600
    assert stage.gpu_hours == pytest.approx(hours)
    assert stage.usd == pytest.approx(3 * hours)
    assert plan(small()).stages[0].usd is None


def test_lora_learns_its_adapters_alone(small):
    lora = {"rank": 4, "targets": ["q_proj", "up_proj"]}
    [stage] = plan(small(stages=[{"name": "tune", "train": ["projector", "language_model"], "lora": lora}])).stages
    assert stage.trained["language_model"] == 2 * 4 * (32 + 32 + 32 + 48)  # layers x rank x (in + out)
    assert stage.frozen["language_model"] == LanguageModelShape.of(LlamaConfig(**SMALL)).weights


def test_four_bit_weights_take_a_quarter(small):
    lora_stage = [{"name": "tune", "train": ["language_model"], "lora": {"rank": 4}}]
    path = small().language_model.path
    whole = plan(small(stages=lora_stage)).stages[0].memory
    quarter = plan(small(stages=lora_stage, language_model={"path": path, "quantize": "nf4"})).stages[0].memory
    products = LanguageModelShape.of(LlamaConfig(**SMALL)).product_weights
    assert whole.frozen - quarter.frozen == pytest.approx((2 - 0.516) * products)


# Memory


def test_state_is_what_adamw_holds(small):
    settings = small(compute={"precision": "float32"})
    model = LlamaForCausalLM(LlamaConfig(**SMALL))
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.zeros(1, 4, dtype=torch.long)).logits.sum().backward()
    optimizer.step()
    held = sum(weight.nbytes + weight.grad.nbytes for weight in model.parameters())
    held += sum(value.nbytes for state in optimizer.state.values() for value in state.values() if value.dim())
    stage = StageSettings(name="s", train=("language_model",))
    shape = ModelShape(encoder_shape(settings.encoder), 4, LanguageModelShape.of(LlamaConfig(**SMALL)))
    memory = memory_per_gpu(shape, settings, stage, longest=10, images=0, supervised=0)
    assert memory.state == held
    assert trained_weights(shape, stage)["language_model"] == sum(one.numel() for one in model.parameters())


def test_activations_grow_with_the_row_and_shrink_with_checkpointing(small):
    shape = ModelShape(encoder_shape(small().encoder), 4, LanguageModelShape.of(LlamaConfig(**SMALL)))

    def activations(**compute):
        settings = small(compute=compute)
        [stage] = settings.stages
        return memory_per_gpu(shape, settings, stage, longest=100, images=0, supervised=0).activations

    # two layers' inputs, float32 under autocast, and one layer at work, of width 32 and 1,000 tokens
    assert activations(token_budget=1000) == 1000 * 32 * (2 * 4 + 34)
    assert activations(token_budget=2000) == 2 * activations(token_budget=1000)
    assert activations(token_budget=1000, gradient_checkpointing=False) == 1000 * 32 * (2 * 34)
    assert activations(token_budget=1000, packing=False) == activations(token_budget=1000) / 10, "the longest study"
    assert activations(token_budget=1000, parallel="fsdp2") == 1000 * 32 * (2 * 2 + 34), "FSDP2 casts the embeddings"


def test_a_table_without_a_film_is_told(small, tmp_path):
    write_table(tmp_path / "studies.csv", [(0, 40), (0, 40)])
    with pytest.raises(ValueError, match="none of its studies has a film"):
        plan(small(), Assumed())
