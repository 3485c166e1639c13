"""The random language model that tests, demonstrations and trial runs take in place of a real one."""

from __future__ import annotations

import pytest
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from llava.tiny import tiny_language_model

TEXTS = ["There is a large left effusion .", "No pneumothorax. Naïve, 5 mm \u2265 3 mm; 胸.\n\n  Two blanks."]


def test_its_tokenizer_gives_every_text_back_as_it_was(tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(tiny_language_model(tmp_path / "m", TEXTS))
    for text in (*TEXTS, "words it never saw: Ωß 🫁"):
        ids = tokenizer(text)["input_ids"]
        assert ids[0] == tokenizer.bos_token_id == 1
        assert tokenizer.decode(ids, skip_special_tokens=True) == text


def test_the_same_arguments_write_the_same_model_and_another_seed_another(tmp_path):
    first, again, other = (
        load_file(tiny_language_model(tmp_path / name, TEXTS, seed=seed) / "model.safetensors")
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert all((first[name] == again[name]).all() for name in first)
    assert any((first[name] != other[name]).any() for name in first)


def test_it_has_the_size_that_is_asked_for(tmp_path):
    folder = tiny_language_model(
        tmp_path / "m", TEXTS, vocab_size=300, width=48, layers=3, heads=6, kv_heads=3, positions=128
    )
    config = AutoModelForCausalLM.from_pretrained(folder).config
    assert (config.hidden_size, config.num_hidden_layers, config.num_attention_heads) == (48, 3, 6)
    assert (config.num_key_value_heads, config.max_position_embeddings) == (3, 128)
    assert config.vocab_size == len(AutoTokenizer.from_pretrained(folder)) <= 300


@pytest.mark.parametrize("sizes", [{"vocab_size": 200}, {"width": 36}, {"kv_heads": 3}])
def test_sizes_that_cannot_be_are_refused(tmp_path, sizes):
    with pytest.raises(ValueError, match=r"need|must be a multiple"):
        tiny_language_model(tmp_path / "m", TEXTS, **sizes)
    assert not (tmp_path / "m").exists()


def test_a_model_that_is_there_is_not_written_over(tmp_path):
    tiny_language_model(tmp_path / "m", TEXTS)
    with pytest.raises(FileExistsError, match="holds a model already"):
        tiny_language_model(tmp_path / "m", TEXTS)
