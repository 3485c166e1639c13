"""What training begins with: vocabulary, rotary positions, first weights, and language models that are refused.

Shape letters: V tokens of the vocabulary, D width.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel, LlamaConfig

from llava.build import context_tokens
from llava.config import LanguageModelSettings, RopeSettings
from llava.language_model import load_language_model, scale_rope


def copied(source: Path, folder: Path) -> Path:
    shutil.copytree(source, folder)
    return folder


def edited(folder: Path, file: str, **changes: Any) -> None:
    path = folder / file
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def load(path: Path, **told: Any) -> Any:
    return load_language_model(LanguageModelSettings(path=str(path), **told))


@torch.no_grad()
def test_a_position_turns_as_two_thirds_of_it_did_before_scaling_by_one_and_a_half(make):
    scaled, plain = (make(factor=factor).model.model.language_model.rotary_emb for factor in (1.5, 1.0))
    seen = torch.zeros(1, 1, 64)
    for position, before in ((3, 2), (6, 4), (6000, 4000)):
        cos, sin = scaled(seen, torch.tensor([[position]]))
        cos_before, sin_before = plain(seen, torch.tensor([[before]]))
        # of 6,000 radians float32 keeps 6000 * 2**-24 = 4e-4
        assert (cos - cos_before).abs().max() < 1e-3
        assert (sin - sin_before).abs().max() < 1e-3
    # By hand: of a head's width 16 the second pair has the frequency 10000**(-2 / 16) = 0.31623
    _, sin = scaled(seen, torch.tensor([[3]]))
    assert sin[0, 0, 1].item() == pytest.approx(torch.tensor(3 / 1.5 * 10000 ** (-2 / 16)).sin().item(), abs=1e-6)


@torch.no_grad()
def test_scaling_is_saved_and_loaded_with_the_model(make, tmp_path):
    built = make(factor=1.5)
    built.model.save_pretrained(tmp_path)
    loaded = type(built.model).from_pretrained(tmp_path)
    before, after = (model.model.language_model.rotary_emb.inv_freq for model in (built.model, loaded))
    assert torch.equal(before, after)
    assert context_tokens(loaded.config) == 6144


def test_the_context_is_the_models_times_the_factor(make):
    stretched, plain = make(factor=1.5), make()
    assert context_tokens(stretched.model.config) == stretched.processor.max_tokens == 6144  # 4,096 * 1.5
    assert context_tokens(plain.model.config) == plain.processor.max_tokens == 4096
    assert stretched.model.config.text.max_position_embeddings == 4096
    other = LlamaConfig(max_position_embeddings=8192, rope_parameters={"rope_type": "dynamic", "factor": 2.0})
    assert context_tokens(other) == 8192  # not linear: as the model says


def test_a_model_that_scales_its_positions_already_is_refused_when_asked_to(language_model, tmp_path):
    folder = copied(language_model, tmp_path / "lm")
    edited(folder, "config.json", rope_parameters={"rope_type": "linear", "factor": 4.0, "rope_theta": 10000.0})
    with pytest.raises(ValueError, match=r"scales its rotary positions already \(linear, factor 4.0\)"):
        load(folder, rope=RopeSettings(factor=1.5))
    assert context_tokens(load(folder).model.config) == 4 * 4096  # as it is, it is taken
    with pytest.raises(ValueError, match="has no rotary positions"):
        scale_rope(GPT2Config(), RopeSettings(factor=1.5), "gpt2")


@torch.no_grad()
def test_new_tokens_are_the_mean_of_the_others_in_embedding_and_head(make, language_model):
    before = AutoModelForCausalLM.from_pretrained(language_model)
    built = make()
    tokenizer, old = built.processor.tokenizer, len(AutoTokenizer.from_pretrained(language_model))
    assert [tokenizer.convert_ids_to_tokens(place) for place in (old, old + 1)] == ["<image>", "<pad>"]
    assert len(tokenizer) == built.model.config.text.vocab_size == old + 2
    pairs = [
        (before.get_input_embeddings(), built.model.get_input_embeddings()),
        (before.get_output_embeddings(), built.model.get_output_embeddings()),
    ]
    for was, now in pairs:
        assert torch.equal(now.weight[:old], was.weight)
        mean_D = was.weight.double().mean(dim=0)
        for row_D in now.weight[old:]:
            assert (row_D - mean_D).abs().max() <= 1e-7


@torch.no_grad()
def test_rows_that_the_model_has_to_spare_are_set_too_and_count_in_no_mean(make, language_model, tmp_path):
    # Qwen's embeddings have hundreds of rows more than its tokenizer has tokens, of no trained value
    folder = copied(language_model, tmp_path / "lm")
    state = load_file(folder / "model.safetensors")
    old = len(state["lm_head.weight"])
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        state[name] = torch.cat([state[name], torch.full((10, 64), 9.0)])
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    edited(folder, "config.json", vocab_size=old + 10)
    table_VD = make(path=folder).model.get_input_embeddings().weight
    assert len(table_VD) == old + 10
    assert (table_VD[old : old + 2] - table_VD[:old].mean(dim=0)).abs().max() <= 1e-7
    assert (table_VD[old + 2 :] == 9.0).all()


def test_a_pad_that_is_the_end_token_is_replaced_and_any_other_kept(make, language_model, tmp_path):
    for pad, expected in (("</s>", "<pad>"), ("<unk>", "<unk>"), (None, "<pad>")):
        folder = copied(language_model, tmp_path / str(expected) / str(pad).strip("</>"))
        edited(folder, "tokenizer_config.json", pad_token=pad)
        tokenizer = make(path=folder).processor.tokenizer
        assert tokenizer.pad_token == expected
        assert tokenizer.pad_token_id != tokenizer.eos_token_id
        assert ("<pad>" in tokenizer.get_vocab()) == (expected == "<pad>")


def test_tokens_are_added_once_to_a_vocabulary_that_has_them(make, language_model, tmp_path):
    folder = copied(language_model, tmp_path / "lm")
    first = make()
    first.processor.tokenizer.save_pretrained(folder)
    again = make(path=folder)
    assert len(again.processor.tokenizer) == len(first.processor.tokenizer)
    assert again.model.config.image_token_id == first.model.config.image_token_id


def test_the_seed_decides_the_projector_and_nothing_else_is_drawn(make):
    torch.manual_seed(3)
    state = torch.get_rng_state()
    one, same, other = (make(seed=seed, fresh=True).model for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, same.state_dict()[name]), name
        alike = torch.equal(tensor, other.state_dict()[name])
        assert alike != name.startswith("model.multi_modal_projector"), name


def test_every_part_is_in_float32_in_evaluation_mode_and_in_memory(make):
    model = make(fresh=True).model
    assert {tensor.dtype for tensor in model.parameters()} == {torch.float32}
    assert not any(tensor.is_meta for tensor in [*model.parameters(), *model.buffers()])
    assert not any(part.training for part in model.modules())
    assert model.config.text is model.model.language_model.config  # one object: transformers sets attention by it
    assert model.config.vision is model.model.vision_tower.config


def test_generation_is_greedy_and_ends_where_answers_and_the_model_end(make, language_model, tmp_path):
    folder = copied(language_model, tmp_path / "lm")
    (folder / "generation_config.json").write_text(
        json.dumps({"do_sample": True, "temperature": 0.9, "top_p": 0.6, "eos_token_id": [2, 17]})
    )
    found = make(path=folder).model.generation_config
    assert not found.do_sample
    assert found.temperature in (None, 1.0)
    assert found.eos_token_id == [2, 17]
    assert found.pad_token_id not in found.eos_token_id


def test_half_precision_files_become_float32_with_the_same_values(make, language_model, tmp_path):
    folder = copied(language_model, tmp_path / "lm")
    half = AutoModelForCausalLM.from_pretrained(language_model, dtype=torch.bfloat16)
    half.save_pretrained(folder)
    model = make(path=folder).model
    expected = half.model.layers[0].mlp.up_proj.weight.float()
    assert model.model.language_model.layers[0].mlp.up_proj.weight.dtype == torch.float32
    assert torch.equal(model.model.language_model.layers[0].mlp.up_proj.weight, expected)


# -- language models that cannot be used


def test_a_missing_folder_or_configuration_says_what_to_give(tmp_path):
    with pytest.raises(ValueError, match=r"no language model at .*nowhere: give a folder .* or org/name@commit"):
        load(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"has no config\.json"):
        load(tmp_path)
    with pytest.raises(ValueError, match="is no full commit"):
        load_language_model(LanguageModelSettings(path="lab/model@main"))


def test_a_truncated_file_and_a_lost_one_are_told_apart_from_a_crash(language_model, tmp_path):
    folder = copied(language_model, tmp_path / "lm")
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[:-1000])
    with pytest.raises(ValueError, match=r"cannot be loaded as a language model .* missing or damaged"):
        load(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"cannot be loaded as a language model .* missing or damaged"):
        load(folder)


def test_a_broken_configuration_and_a_broken_tokenizer_are_told(language_model, tmp_path):
    folder = copied(language_model, tmp_path / "a")
    (folder / "config.json").write_text('{"model_type": "llama", "hidden_size"')
    with pytest.raises(ValueError, match="cannot be loaded as a language model"):
        load(folder)
    folder = copied(language_model, tmp_path / "b")
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(ValueError, match="cannot be loaded as a language model"):
        load(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("missing", r"1 missing: .*layers\.1\.mlp\.up_proj\.weight"),
        ("unexpected", r"1 unexpected: .*extra\.weight"),
        ("mismatched", r"1 mismatched: .*layers\.1\.mlp\.up_proj\.weight"),
    ],
)
def test_tensors_that_do_not_fit_are_refused_and_not_drawn_at_random(change, message, language_model, tmp_path):
    folder = copied(language_model, tmp_path / "lm")
    state = load_file(folder / "model.safetensors")
    name = "model.layers.1.mlp.up_proj.weight"
    if change == "missing":
        del state[name]
    elif change == "unexpected":
        state["model.extra.weight"] = torch.zeros(2)
    else:
        state[name] = state[name][:-1].contiguous()
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=message):
        load(folder)


def test_weights_that_are_not_finite_are_refused(language_model, tmp_path):
    folder = copied(language_model, tmp_path / "lm")
    state = load_file(folder / "model.safetensors")
    state["model.layers.1.mlp.up_proj.weight"][3, 3] = float("nan")
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match="not finite"):
        load(folder)


def written(folder: Path, model: Any, source: Path) -> Path:
    shutil.copytree(source, folder)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder)
    return folder


def test_a_head_that_is_more_than_a_matrix_is_refused(language_model, tmp_path):
    from transformers import Gemma2Config, Gemma2ForCausalLM, PhiConfig, PhiForCausalLM

    sizes = {
        "vocab_size": len(AutoTokenizer.from_pretrained(language_model)),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
    }
    torch.manual_seed(0)
    gemma = Gemma2ForCausalLM(Gemma2Config(**sizes, head_dim=16, final_logit_softcapping=0.5))
    with pytest.raises(ValueError, match=r"\(gemma2\) makes its logits by more than a matrix"):
        load(written(tmp_path / "gemma", gemma, language_model))
    phi = PhiForCausalLM(PhiConfig(**sizes))
    with pytest.raises(ValueError, match=r"\(phi\) makes its logits by more than a matrix"):
        load(written(tmp_path / "phi", phi, language_model))


def test_a_layout_that_llava_does_not_know_is_refused(make, language_model, tmp_path):
    torch.manual_seed(0)
    vocab_size = len(AutoTokenizer.from_pretrained(language_model))
    gpt2 = GPT2LMHeadModel(GPT2Config(vocab_size=vocab_size, n_embd=32, n_layer=2, n_head=2))
    folder = written(tmp_path / "gpt2", gpt2, language_model)
    with pytest.raises(ValueError, match=r"\(gpt2\) is laid out in a way that the Llava classes do not know"):
        make(path=folder)


@torch.no_grad()
def test_other_families_of_llamas_kind_are_taken(make, language_model, tmp_path):
    from transformers import MistralConfig, MistralForCausalLM, Qwen2Config, Qwen2ForCausalLM

    sizes = {
        "vocab_size": len(AutoTokenizer.from_pretrained(language_model)),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "max_position_embeddings": 4096,
    }
    for name, model in (
        ("qwen2", Qwen2ForCausalLM(Qwen2Config(**sizes, tie_word_embeddings=True))),
        ("mistral", MistralForCausalLM(MistralConfig(**sizes))),
    ):
        built = make(path=written(tmp_path / name, model, language_model))
        ids = torch.tensor([[1, 5, 6, 7]])
        alone = model.eval()(input_ids=ids).logits
        whole = built.model(input_ids=ids).logits
        assert (whole[..., : alone.shape[-1]] - alone).abs().max() <= 1e-6
