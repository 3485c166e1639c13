"""Studies of a packed row train as they would alone, and nothing of one reaches another.

Shape letters: T tokens, K supervised tokens, I images, V vocabulary, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from encoders.torchvision_shim import import_torchvision

import_torchvision()
from transformers import LlamaConfig, LlamaForCausalLM  # noqa: E402

from llava.build import Built  # noqa: E402
from llava.dataset.batching import pack_row  # noqa: E402
from llava.dataset.example import Example, PackedRow  # noqa: E402
from llava.packed_attention import NAME  # noqa: E402
from llava.pixels import pixels  # noqa: E402
from llava.training.objective import supervised_loss  # noqa: E402

CPU = torch.device("cpu")


def example(name: str, *, text: int, answer: int, images: int = 0, built: Built | None = None) -> Example:
    """Random tokens, drawn by the name's letters: placeholders and films, then `text` tokens, then the answer."""
    draw = np.random.default_rng([ord(letter) for letter in name])
    words_T = draw.integers(3, 90, text + answer)
    films: tuple[Any, ...] = ()
    if built is not None:
        processor = built.processor
        side = processor.recipe.resize.size_px
        films = tuple(draw.integers(0, 256, (side, side)).astype(np.uint8) for _ in range(images))
        words_T = np.concatenate([np.full(images * processor.num_image_tokens, processor.image_token_id), words_T])
    return Example(name, words_T.astype(np.int64), np.arange(len(words_T)) >= len(words_T) - answer, films)


def llama(attention: str, kv_heads: int) -> Any:
    config = LlamaConfig(
        vocab_size=97,
        hidden_size=48,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=6,
        num_key_value_heads=kv_heads,
        initializer_range=0.3,  # attention that picks and chooses, so that a leak is large
    )
    config._attn_implementation = attention
    torch.manual_seed(0)
    return LlamaForCausalLM(config)


def packed_call(row: PackedRow) -> dict[str, Any]:
    boundaries = torch.from_numpy(row.boundaries_S1)
    return {
        "input_ids": torch.from_numpy(row.input_ids_T)[None],
        "position_ids": torch.from_numpy(row.position_ids_T)[None],
        "cu_seq_lens_q": boundaries,
        "cu_seq_lens_k": boundaries,
        "max_length_q": row.longest,
        "max_length_k": row.longest,
        "use_cache": False,
    }


def llama_loss(model: Any, row: PackedRow) -> Tensor:
    logits_KV = model(**packed_call(row), logits_to_keep=torch.from_numpy(row.predicting_K)).logits[0]
    return torch.nn.functional.cross_entropy(logits_KV, torch.from_numpy(row.targets_K), reduction="sum")


def stock_loss(model: Any, one: Example) -> Tensor:
    """One study alone, as anybody would train transformers' model: labels, and its own mean times their number."""
    ids_1T = torch.from_numpy(one.input_ids_T)[None]
    labels_1T = torch.where(torch.from_numpy(one.supervised_T)[None], ids_1T, -100)
    loss: Tensor = model(input_ids=ids_1T, labels=labels_1T, use_cache=False).loss * int(one.supervised_T.sum())
    return loss


def gradients(model: Any, losses: Iterator[Tensor]) -> tuple[float, dict[str, Tensor]]:
    """The losses' sum, and of what it makes of every parameter that learns."""
    model.zero_grad()
    total = 0.0
    for loss in losses:
        loss.backward()
        total += loss.item()
    found = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    return total, found


def assert_same(found: tuple[float, dict[str, Tensor]], wanted: tuple[float, dict[str, Tensor]]) -> None:
    assert found[0] == pytest.approx(wanted[0], rel=1e-5)
    assert found[1].keys() == wanted[1].keys()
    for name, gradient in wanted[1].items():
        assert gradient.abs().max() > 0, name
        assert (found[1][name] - gradient).abs().max() <= 1e-5 * gradient.abs().max(), name


@pytest.mark.parametrize("kv_heads", [6, 2], ids=["multi_head", "grouped"])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_packed_row_of_text_has_the_gradients_of_its_studies_alone(kv_heads, checkpointing):
    studies = [example(name, text=text, answer=answer) for name, text, answer in TEXTS]
    stock, ours = llama("sdpa", kv_heads), llama(NAME, kv_heads)
    if checkpointing:
        ours.gradient_checkpointing_enable()
    ours.train()
    assert ours.is_gradient_checkpointing == checkpointing
    wanted = gradients(stock, (stock_loss(stock, one) for one in studies))
    assert_same(gradients(ours, iter([llama_loss(ours, pack_row(studies))])), wanted)


TEXTS = [("a", 5, 4), ("b", 1, 1), ("c", 30, 9), ("d", 8, 2)]


@pytest.mark.parametrize("kv_heads", [6, 2], ids=["multi_head", "grouped"])
def test_no_output_of_a_study_depends_on_another(kv_heads):
    # the derivative by each token's embedding, of which those of other studies are exactly nothing
    model = llama(NAME, kv_heads)
    row = pack_row([example(name, text=text, answer=answer) for name, text, answer in TEXTS])
    call = packed_call(row)
    embedded_1TD = model.model.embed_tokens(call.pop("input_ids")).detach().requires_grad_()
    logits_TV = model(inputs_embeds=embedded_1TD, **call).logits[0]
    for begin, end in pairwise(row.boundaries_S1.tolist()):
        logits_TV[begin:end].square().sum().backward(retain_graph=True)
        assert embedded_1TD.grad is not None
        touched_T = embedded_1TD.grad[0].abs().amax(-1) > 0
        assert touched_T.nonzero().flatten().tolist() == list(range(begin, end))
        embedded_1TD.grad = None


LEAKS: list[dict[str, Any]] = [
    {"use_cache": None},  # transformers' default: with a cache it asks no more whether positions begin anew
    {"attention_mask": "ones"},  # what a tokenizer gives: nor with a mask
]


def second_study_moves(model: Any, rows: Sequence[PackedRow], **keywords: Any) -> float:
    """How far the last study's outputs move from the first row to the second, of the largest of them."""
    outputs = []
    for row in rows:
        call = packed_call(row) | keywords
        if keywords.get("attention_mask") == "ones":
            call["attention_mask"] = torch.ones_like(call["input_ids"])
        with torch.no_grad():
            outputs.append(model(**call).logits[0, int(row.boundaries_S1[-2]) :])
    return float((outputs[1] - outputs[0]).abs().max() / outputs[0].abs().max())


@pytest.mark.parametrize("keywords", LEAKS)
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_transformers_own_attention_leaks_where_it_is_known_to(attention, keywords):
    # if this fails, transformers has mended it: good news, and the reason for "packed_sdpa" is then speed alone
    first, other, second = (example(name, text=20, answer=4) for name in ("first", "other", "second"))
    rows = [pack_row([first, second]), pack_row([other, second])]
    assert second_study_moves(llama(attention, 2), rows, **keywords) > 0.1
    assert second_study_moves(llama(attention, 2), rows) <= 1e-6  # without a cache and a mask it does not


@pytest.mark.parametrize("keywords", [{}, *LEAKS])
def test_ours_does_not_leak_however_it_is_called(keywords):
    first, other, second = (example(name, text=20, answer=4) for name in ("first", "other", "second"))
    rows = [pack_row([first, second]), pack_row([other, second])]
    assert second_study_moves(llama(NAME, 2), rows, **keywords) == 0


def generator(make: Callable[..., Built], attention: str) -> Built:
    built = make()
    built.model.model.language_model.set_attn_implementation(attention)
    return built


def studies_with_films(built: Built) -> list[Example]:
    sizes = [("a", 6, 5, 1), ("b", 12, 3, 3), ("c", 2, 8, 2)]
    return [example(name, text=t, answer=k, images=i, built=built) for name, t, k, i in sizes]


@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_packed_row_with_films_has_the_gradients_of_its_studies_alone(make, checkpointing):
    stock, ours = generator(make, "sdpa"), generator(make, NAME)
    if checkpointing:
        ours.model.gradient_checkpointing_enable()
        ours.model.train()
    assert ours.model.is_gradient_checkpointing == checkpointing
    studies = studies_with_films(ours)

    def losses(built: Built, rows: Sequence[PackedRow]) -> Iterator[Tensor]:
        return (supervised_loss(built.model, row, built.processor.recipe, CPU) for row in rows)

    wanted = gradients(stock.model, losses(stock, [pack_row([one]) for one in studies]))
    found = gradients(ours.model, losses(ours, [pack_row(studies)]))
    assert {name.split(".")[1] for name in wanted[1] if name.startswith("model.")} == {
        "vision_tower",
        "multi_modal_projector",
        "language_model",
    }
    assert_same(found, wanted)


def test_neither_words_nor_films_of_a_study_reach_the_next(make):
    built = generator(make, NAME)
    first, second = studies_with_films(built)[:2]
    other = example("other", text=6, answer=5, images=1, built=built)
    assert len(other.input_ids_T) == len(first.input_ids_T)

    def outputs(*studies: Example) -> Tensor:
        row = pack_row(studies)
        with torch.no_grad():
            logits_TV: Tensor = built.model(
                **packed_call(row), pixel_values=pixels(row.images, built.processor.recipe, CPU)
            ).logits[0]
        return logits_TV[int(row.boundaries_S1[-2]) :]

    kept = outputs(first, second)
    assert torch.equal(outputs(other, second), kept)
    assert torch.allclose(outputs(second), kept, atol=1e-5)
    assert (outputs(first, Example("x", second.input_ids_T, second.supervised_T, other.images * 3)) - kept).any()
