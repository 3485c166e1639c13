"""The generator: image tokens, cached or not; rows alone and in batches; one checkpoint through transformers' doors.

Shape letters: I images, C channels, H rows, W columns, N image tokens, B batch, T tokens, D width.
"""

from __future__ import annotations

import copy
import inspect
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForImageTextToText, LlamaConfig, LlamaForCausalLM
from transformers.modeling_outputs import BaseModelOutputWithPooling

from llava.build import Built
from llava.model import CxrLlavaConfig, CxrLlavaForConditionalGeneration
from llava.vision import CxrVisionConfig

N = 16  # tokens of a 56-px film in patches of 14


@pytest.fixture
def built(make: Any) -> Built:
    made: Built = make()
    return made


def films(count: int, seed: int = 1) -> Tensor:
    return torch.randn(count, 3, 56, 56, generator=torch.Generator().manual_seed(seed))


def prompt(built: Built, images: int, words: int) -> list[int]:
    """Begin token, then each image among a few words."""
    ids = [1]
    for image in range(images):
        ids += [5 + image, *[built.processor.image_token_id] * N]
    return [*ids, *range(20, 20 + words)]


@torch.no_grad()
def test_cached_image_tokens_give_the_same_bits_as_pixels(built):
    model = built.model
    ids = torch.tensor([prompt(built, 3, 9)])
    online = model(input_ids=ids, pixel_values=films(3)).logits
    cached = model.model.get_image_features(films(3))
    assert [tuple(one.shape) for one in cached.pooler_output] == [(N, 64)] * 3
    assert torch.equal(model(input_ids=ids, mm_encoder_outputs={"image": cached}).logits, online)
    told: dict[str, Any] = {"attention_mask": torch.ones_like(ids), "max_new_tokens": 12, "do_sample": False}
    from_pixels = model.generate(input_ids=ids, pixel_values=films(3), **told)
    if "mm_encoder_outputs" in inspect.signature(model.forward).parameters:  # generate() takes them since 5.20
        alone = BaseModelOutputWithPooling(pooler_output=[one.clone() for one in cached.pooler_output])
        assert torch.equal(model.generate(input_ids=ids, mm_encoder_outputs={"image": alone}, **told), from_pixels)
    assert from_pixels.shape[1] > ids.shape[1] + 3


@torch.no_grad()
def test_image_tokens_are_the_encoders_projected_in_the_order_of_the_images(built):
    model = built.model
    seen = films(2)
    tokens = model.model.vision_tower.encoder.encode(seen, layers=()).tokens_BND
    found = model.model.get_image_features(seen)
    assert torch.equal(found.last_hidden_state, tokens)
    expected = model.model.multi_modal_projector(tokens)
    assert all(torch.equal(one, each) for one, each in zip(found.pooler_output, expected, strict=True))
    # The embedding of the row holds exactly them at the placeholders: seen through a language model that does nothing.
    ids = torch.tensor([prompt(built, 2, 3)])
    model.model.language_model.layers = torch.nn.ModuleList()
    model.model.language_model.norm = torch.nn.Identity()
    row_TD = model.model(input_ids=ids, pixel_values=seen)[0][0]
    assert torch.equal(row_TD[ids[0] == built.processor.image_token_id], expected.flatten(0, 1))
    words = ids[0] != built.processor.image_token_id
    assert torch.equal(row_TD[words], model.get_input_embeddings()(ids[0][words]))


@torch.no_grad()
def test_a_row_alone_is_the_row_of_a_left_padded_batch(built):
    model, pad = built.model, built.processor.tokenizer.pad_token_id
    rows = [prompt(built, images, words) for images, words in ((1, 4), (3, 2), (2, 11))]
    told: dict[str, Any] = {"max_new_tokens": 16, "min_new_tokens": 16, "do_sample": False}
    seen = list(films(6).split([1, 3, 2]))
    alone = [
        model.generate(
            input_ids=torch.tensor([row]), attention_mask=torch.ones(1, len(row)).long(), pixel_values=own, **told
        )[0, len(row) :]
        for row, own in zip(rows, seen, strict=True)
    ]
    longest = max(map(len, rows))
    ids = torch.tensor([[pad] * (longest - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
    together = model.generate(input_ids=ids, attention_mask=mask, pixel_values=torch.cat(seen), **told)[:, longest:]
    assert torch.equal(together, torch.stack(alone))
    logits = model(input_ids=ids, attention_mask=mask, pixel_values=torch.cat(seen)).logits
    for place, (row, own) in enumerate(zip(rows, seen, strict=True)):
        single = model(input_ids=torch.tensor([row]), pixel_values=own).logits[0]
        assert (logits[place, -len(row) :] - single).abs().max() <= 1e-5


@torch.no_grad()
def test_beams_keep_the_images_of_their_study_together(built):
    rows = [prompt(built, 2, 3), prompt(built, 1, 3)]
    told: dict[str, Any] = {"max_new_tokens": 6, "num_beams": 3, "do_sample": False}
    pad = built.processor.tokenizer.pad_token_id
    longest = len(rows[0])
    ids = torch.tensor([[pad] * (longest - len(row)) + row for row in rows])
    mask = (ids != pad).long()
    both = built.model.generate(input_ids=ids, attention_mask=mask, pixel_values=films(3), **told)
    first = built.model.generate(input_ids=ids[:1], attention_mask=mask[:1], pixel_values=films(3)[:2], **told)
    assert torch.equal(both[0, longest : first.shape[1]], first[0, longest:])


def test_placeholders_and_image_tokens_that_are_not_as_many_are_refused_with_both_numbers(built):
    ids = torch.tensor([prompt(built, 2, 3)])
    with pytest.raises(ValueError, match=r"32 placeholders in input_ids and 16 image tokens \(1 images of 16\)"):
        built.model(input_ids=ids, pixel_values=films(1))
    with pytest.raises(ValueError, match="32 placeholders in input_ids and 48 image tokens"):
        built.model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), pixel_values=films(3), max_new_tokens=2
        )
    with pytest.raises(ValueError, match="32 placeholders in input_ids, and neither pixel_values nor cached"):
        built.model(input_ids=ids)
    with pytest.raises(ValueError, match="give no inputs_embeds with images"):
        built.model(inputs_embeds=torch.zeros(1, N, 64), pixel_values=films(1))
    cached = built.model.model.get_image_features(films(2))
    with pytest.raises(ValueError, match="are both given"):
        built.model(input_ids=ids, pixel_values=films(2), mm_encoder_outputs={"image": cached})


@torch.no_grad()
def test_text_without_images_is_the_language_model_alone(built):
    ids = torch.tensor([[1, 5, 6, 7]])
    hidden = built.model.model.language_model(input_ids=ids)[0]
    assert torch.equal(built.model(input_ids=ids).logits, built.model.lm_head(hidden))


def test_the_head_on_supervised_rows_alone_gives_the_same_loss_and_gradients(built):
    # trainer.md 4.1: cross-entropy of logits_to_keep's rows is the shifted loss of all rows
    ids = torch.tensor([prompt(built, 1, 8)])
    labels = ids.clone()
    labels[:, :-5] = -100
    results = []
    for kept in (False, True):
        model = copy.deepcopy(built.model)
        if kept:
            predicting = torch.arange(ids.shape[1] - 6, ids.shape[1] - 1)
            logits = model(input_ids=ids, pixel_values=films(1), use_cache=False, logits_to_keep=predicting).logits
            assert logits.shape[1] == 5
            loss = torch.nn.functional.cross_entropy(logits[0], ids[0, predicting + 1])
        else:
            loss = model(input_ids=ids, pixel_values=films(1), use_cache=False, labels=labels).loss
        loss.backward()
        results.append((loss, model.model.multi_modal_projector.layers[0].weight.grad))
    assert abs(results[0][0] - results[1][0]) <= 1e-6
    assert (results[0][1] - results[1][1]).abs().max() <= 1e-5 * results[0][1].abs().max()


def test_a_frozen_encoder_and_language_model_let_the_projector_learn(built):
    model = built.model
    model.requires_grad_(False)
    model.model.multi_modal_projector.requires_grad_(True)
    ids = torch.tensor([prompt(built, 1, 8)])
    model(input_ids=ids, pixel_values=films(1), labels=ids).loss.backward()
    assert all(
        one.grad is not None and one.grad.abs().max() > 0 for one in model.model.multi_modal_projector.parameters()
    )
    assert all(one.grad is None for one in model.model.vision_tower.parameters())


def test_gradient_checkpointing_gives_the_same_gradients(built):
    ids = torch.tensor([prompt(built, 1, 8)])
    gradients = []
    for checkpointing in (False, True):
        model = copy.deepcopy(built.model).train()
        if checkpointing:
            model.gradient_checkpointing_enable()
            assert model.model.vision_tower.gradient_checkpointing
            assert model.model.language_model.gradient_checkpointing
        model(input_ids=ids, pixel_values=films(1), labels=ids, use_cache=False).loss.backward()
        gradients.append([one.grad for one in model.parameters() if one.grad is not None])
    assert len(gradients[0]) == len(gradients[1])
    for plain, saved in zip(*gradients, strict=True):
        assert (plain - saved).abs().max() <= 1e-5 * plain.abs().max().clamp(min=1e-4)


@torch.no_grad()
def test_the_saved_checkpoint_loads_through_the_auto_class_to_the_same_bits(built, tmp_path):
    ids = torch.tensor([prompt(built, 2, 5)])
    expected = built.model(input_ids=ids, pixel_values=films(2)).logits
    built.model.save_pretrained(tmp_path)
    loaded = AutoModelForImageTextToText.from_pretrained(tmp_path)
    assert type(loaded) is CxrLlavaForConditionalGeneration
    assert torch.equal(loaded(input_ids=ids, pixel_values=films(2)).logits, expected)
    prefixes = {".".join(key.split(".")[:2]) for key in loaded.state_dict()}
    assert prefixes == {"model.vision_tower", "model.multi_modal_projector", "model.language_model", "lm_head.weight"}


def test_configurations_come_back_as_they_were(built, tmp_path):
    built.model.config.save_pretrained(tmp_path)
    read = AutoConfig.from_pretrained(tmp_path)
    assert isinstance(read, CxrLlavaConfig)
    assert isinstance(read.vision, CxrVisionConfig)
    assert read.vision.to_dict() == built.model.config.vision.to_dict()
    assert read.text.to_dict() == built.model.config.text.to_dict()
    for name in ("projector_num_layers", "prompt_id", "encoder_key", "image_token_id", "image_seq_length"):
        assert getattr(read, name) == getattr(built.model.config, name), name
    assert (read.projector_num_layers, read.image_seq_length) == (2, N)
    assert CxrLlavaConfig().vision.num_tokens == 1369  # transformers makes one without arguments to save differences


def test_the_attention_of_the_language_model_can_be_chosen_and_the_encoders_stays(built):
    ids = torch.tensor([prompt(built, 1, 5)])
    with torch.no_grad():
        sdpa = built.model(input_ids=ids, pixel_values=films(1)).logits
        tokens = built.model.model.vision_tower(films(1))
        built.model.set_attn_implementation("eager")
        assert built.model.model.language_model.config._attn_implementation == "eager"
        eager = built.model(input_ids=ids, pixel_values=films(1)).logits
        assert torch.equal(built.model.model.vision_tower(films(1)), tokens)
    assert 0 < (sdpa - eager).abs().max() < 1e-5


def tied(folder: Path, source: Path) -> Path:
    """A language model whose head is its embedding, as SmolLM2's."""
    shutil.copytree(source, folder)
    config = LlamaConfig.from_pretrained(folder, tie_word_embeddings=True)
    torch.manual_seed(0)
    (folder / "model.safetensors").unlink()
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@torch.no_grad()
def test_tied_embeddings_stay_one_tensor_built_saved_and_loaded(make, language_model, tmp_path):
    built = make(path=tied(tmp_path / "lm", language_model))
    assert built.model.lm_head.weight is built.model.get_input_embeddings().weight
    ids = torch.tensor([prompt(built, 1, 5)])
    expected = built.model(input_ids=ids, pixel_values=films(1)).logits
    built.model.save_pretrained(tmp_path / "saved")
    loaded, report = CxrLlavaForConditionalGeneration.from_pretrained(tmp_path / "saved", output_loading_info=True)
    assert not any(report.values())
    assert loaded.lm_head.weight is loaded.get_input_embeddings().weight
    assert torch.equal(loaded(input_ids=ids, pixel_values=films(1)).logits, expected)
