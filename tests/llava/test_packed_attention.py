"""Attention by study against a softmax written out, and against transformers' own where nothing is packed.

Shape letters: B batch, A attention heads, T tokens, D width of a head, V vocabulary.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from encoders.torchvision_shim import import_torchvision

import_torchvision()
from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM  # noqa: E402
from transformers.masking_utils import create_causal_mask  # noqa: E402

from llava.packed_attention import LaterMask, check_isolation, packed_attention  # noqa: E402

VOCABULARY = 97


def tiny(attention: str, *, kv_heads: int = 2, model: Any = LlamaForCausalLM, **more: Any) -> Any:
    """The same weights for the same shapes, whatever the attention."""
    config = (MistralConfig if model is MistralForCausalLM else LlamaConfig)(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=kv_heads,
        pad_token_id=0,
        **more,
    )
    config._attn_implementation = attention
    torch.manual_seed(0)
    return model(config).eval()


def packed_call(lengths: list[int]) -> dict[str, Any]:
    boundaries = torch.tensor([0, *lengths]).cumsum(0).to(torch.int32)
    positions = torch.cat([torch.arange(length) for length in lengths])[None]
    longest = max(lengths)
    return {
        "position_ids": positions,
        "cu_seq_lens_q": boundaries,
        "cu_seq_lens_k": boundaries,
        "max_length_q": longest,
        "max_length_k": longest,
        "use_cache": False,
    }


def tokens(length: int, seed: int = 1) -> Tensor:
    return torch.randint(1, VOCABULARY, (1, length), generator=torch.Generator().manual_seed(seed))


def written_out(query: Tensor, key: Tensor, value: Tensor, lengths: list[int]) -> Tensor:
    """softmax(q k / sqrt(D)) v with minus infinity wherever a key is later or of another study; B,T,A,D."""
    groups = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    study_T = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    place_T = torch.arange(len(study_T))
    seen_TT = (study_T[:, None] == study_T[None]) & (place_T[:, None] >= place_T[None])
    scores = (query.double() @ key.double().mT) / query.shape[-1] ** 0.5
    return (scores.masked_fill(~seen_TT, -torch.inf).softmax(-1) @ value.double()).transpose(1, 2)


@pytest.mark.parametrize(
    ("kv_heads", "width", "dtype", "allowed"),
    [
        (4, 16, torch.float32, 1e-6),
        (2, 16, torch.float32, 1e-6),
        (1, 80, torch.float32, 1e-6),
        (4, 256, torch.bfloat16, 2e-2),
        (1, 16, torch.bfloat16, 2e-2),
    ],
)
def test_each_study_attends_to_its_own_past_and_nothing_else(kv_heads, width, dtype, allowed):
    lengths = [5, 1, 12, 3]
    draw = torch.Generator().manual_seed(0)
    query, key, value = (
        torch.randn(1, heads, sum(lengths), width, generator=draw).to(dtype) for heads in (4, kv_heads, kv_heads)
    )
    layer = nn.Module()
    layer.num_key_value_groups = 4 // kv_heads
    attended, _ = packed_attention(layer, query, key, value, None, packed_call(lengths)["cu_seq_lens_q"])
    expected = written_out(query, key, value, lengths)
    assert attended.shape == (1, 21, 4, width)
    assert attended.dtype == dtype
    assert (attended.double() - expected).abs().max() <= allowed


def test_scaling_and_dropout_reach_the_kernel():
    query = torch.randn(1, 4, 6, 8, generator=torch.Generator().manual_seed(0))
    edges = packed_call([4, 2])["cu_seq_lens_q"]
    layer = nn.Module()
    nothing, _ = packed_attention(layer, query, query, query, None, edges, dropout=1.0)
    assert not nothing.any()
    # scaling 0: every key weighs the same, so a study's last token attends to the mean of its values
    mean, _ = packed_attention(layer, query, query, query, None, edges, scaling=0.0)
    assert torch.allclose(mean[0, 3], query[0, :, :4].mean(1), atol=1e-6)
    assert torch.allclose(mean[0, 5], query[0, :, 4:].mean(1), atol=1e-6)


def test_no_square_mask_is_made_of_a_packed_row():
    # 300,000 tokens: a mask of T x T booleans would be 90 GB
    length = 300_000
    positions = torch.cat([torch.arange(length // 2), torch.arange(length // 2)])[None]
    mask = create_causal_mask(
        SimpleNamespace(_attn_implementation="packed_sdpa", is_causal=True),
        torch.empty(1, length, 1),
        None,
        None,
        positions,
    )
    assert isinstance(mask, LaterMask)


def test_without_boundaries_a_row_of_new_beginnings_is_masked_as_sdpa_does():
    call = {"input_ids": tokens(9), "position_ids": torch.tensor([[0, 1, 2, 3, 0, 1, 2, 0, 1]]), "use_cache": False}
    with torch.no_grad():
        ours, theirs = (tiny(name)(**call).logits for name in ("packed_sdpa", "sdpa"))
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize("cache", [None, "static"])
@pytest.mark.parametrize("kv_heads", [1, 2, 4])
def test_generating_for_a_left_padded_batch_is_what_sdpa_does(cache, kv_heads):
    mask = torch.tensor([[0, 0, 0, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1, 1]])
    call = {"input_ids": tokens(14).view(2, 7) * mask, "attention_mask": mask, "max_new_tokens": 6, "do_sample": False}
    call |= {"output_logits": True, "return_dict_in_generate": True, "cache_implementation": cache}
    ours, theirs = (tiny(name, kv_heads=kv_heads).generate(**call) for name in ("packed_sdpa", "sdpa"))
    assert torch.equal(ours.sequences, theirs.sequences)
    assert all(torch.equal(a, b) for a, b in zip(ours.logits, theirs.logits, strict=True))


def test_a_padded_batch_in_training_is_what_sdpa_does():
    mask = torch.tensor([[1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1]])
    call = {"input_ids": tokens(12).view(2, 6) * mask, "attention_mask": mask, "labels": tokens(12, 2).view(2, 6)}
    losses = []
    for name in ("packed_sdpa", "sdpa"):
        model = tiny(name)
        model(**call).loss.backward()
        losses.append([parameter.grad for parameter in model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*losses, strict=True))


def test_rows_of_equal_length_have_boundaries_of_their_own():
    model = tiny("packed_sdpa")
    row = tokens(10)
    with torch.no_grad():
        for lengths in ([4, 6], [6, 4], [10], [1, 8, 1]):
            packed = model(input_ids=row, **packed_call(lengths)).logits[0]
            alone = [model(input_ids=study).logits[0] for study in row.split(lengths, dim=1)]
            assert torch.allclose(packed, torch.cat(alone), atol=1e-6)


def test_boundaries_changed_in_place_count():
    layer, edges = nn.Module(), torch.tensor([0, 2, 6], dtype=torch.int32)
    query = torch.randn(1, 2, 6, 8, generator=torch.Generator().manual_seed(0))
    packed_attention(layer, query, query, query, None, edges)
    edges[1] = 5
    attended, _ = packed_attention(layer, query, query, query, None, edges)
    assert torch.allclose(attended[0, 5], query[0, :, 5], atol=1e-6)  # alone, it attends to itself


def test_inference_mode_is_no_obstacle():
    model = tiny("packed_sdpa")
    with torch.inference_mode():
        packed = model(input_ids=tokens(10), **packed_call([4, 6])).logits
    assert torch.isfinite(packed).all()


def test_two_rows_at_once_are_refused():
    with pytest.raises(ValueError, match="2 rows of 5 queries"):
        tiny("packed_sdpa")(input_ids=tokens(10).view(2, 5), **packed_call([2, 3]))


@pytest.mark.parametrize("edges", [[0, 4, 9], [0, 4, 4, 10], [1, 10], [0, 7, 4, 10]])
def test_boundaries_that_are_not_the_rows_are_refused(edges):
    call = packed_call([4, 6]) | {"cu_seq_lens_q": torch.tensor(edges, dtype=torch.int32)}
    with pytest.raises(ValueError, match="must rise from 0 to the row's 10 tokens"):
        tiny("packed_sdpa")(input_ids=tokens(10), **call)


def test_a_mask_beside_the_boundaries_is_refused():
    call = packed_call([4, 6]) | {"attention_mask": torch.tensor([[0] + [1] * 9])}
    with pytest.raises(ValueError, match="packed rows take no attention_mask"):
        tiny("packed_sdpa")(input_ids=tokens(10), **call)


def test_a_sliding_window_shorter_than_a_study_is_refused_and_a_longer_one_changes_nothing():
    def model(window: int | None) -> Any:
        return tiny("packed_sdpa", model=MistralForCausalLM, sliding_window=window)

    with torch.no_grad():
        wide, none = (model(window)(input_ids=tokens(10), **packed_call([4, 6])).logits for window in (6, None))
        assert torch.equal(wide, none)
        with pytest.raises(ValueError, match="study of 6 tokens is longer than this layer's sliding window of 5"):
            model(5)(input_ids=tokens(10), **packed_call([4, 6]))


def test_compiled_layers_attend_as_uncompiled_ones_do():
    model = tiny("packed_sdpa")
    call = {"input_ids": tokens(10), **packed_call([4, 6])}
    with torch.no_grad():
        expected = model(**call).logits
        for layer in model.model.layers:
            layer.compile(backend="eager")
        assert torch.allclose(model(**call).logits, expected, atol=1e-6)
        other = packed_call([3, 7])  # the graph made for [4, 6] must not have remembered it
        alone = model(input_ids=tokens(10)[:, 3:], use_cache=False).logits
        assert torch.allclose(model(**(call | other)).logits[:, 3:], alone, atol=1e-6)


class Changed(nn.Module):
    """A model called with other keywords than it was given: how the leak comes about."""

    def __init__(self, model: Any, **keywords: Any) -> None:
        super().__init__()
        self.model, self.keywords, self.config = model, keywords, model.config
        self.ids: list[Tensor] = []

    def forward(self, **call: Any) -> Any:
        self.ids.append(call["input_ids"])
        if self.keywords.get("attention_mask") == "ones":
            call["attention_mask"] = torch.ones_like(call["input_ids"])
        if "use_cache" in self.keywords:
            call["use_cache"] = self.keywords["use_cache"]
        return self.model(**call)


LEAKS = [{"use_cache": None}, {"use_cache": True}, {"attention_mask": "ones"}]


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("keywords", LEAKS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_check_finds_the_leak_of_transformers_own_attention(attention, keywords, dtype):
    with pytest.raises(RuntimeError, match=f"attention '{attention}' does not keep studies"):
        check_isolation(Changed(tiny(attention).to(dtype), **keywords), "cpu")


@pytest.mark.parametrize("keywords", [{}, *LEAKS])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kv_heads", [1, 4])
def test_the_check_passes_ours_however_it_is_called(keywords, dtype, kv_heads):
    check_isolation(Changed(tiny("packed_sdpa", kv_heads=kv_heads).to(dtype), **keywords), "cpu")


def test_the_check_finds_a_model_that_counts_positions_over_the_row():
    class Onward(Changed):
        def forward(self, **call: Any) -> Any:
            if "position_ids" in call:
                call["position_ids"] = torch.arange(call["input_ids"].shape[1])[None] * 40
            return self.model(**call)

    check_isolation(tiny("packed_sdpa", initializer_range=0.5), "cpu")
    with pytest.raises(RuntimeError, match=r"moves the second one's outputs by 0.0e\+00 .* packing itself by"):
        check_isolation(Onward(tiny("packed_sdpa", initializer_range=0.5)), "cpu")


def test_the_check_finds_a_leak_of_a_thousandth():
    class Leaking(Changed):
        def forward(self, **call: Any) -> Any:
            output = self.model(**call)
            if "cu_seq_lens_q" in call:
                output.logits += 1e-3 * output.logits.abs().max() * call["input_ids"][0, :5].float().mean() / VOCABULARY
            return output

    with pytest.raises(RuntimeError, match="moves the second one's outputs"):
        check_isolation(Leaking(tiny("packed_sdpa")), "cpu")


def test_the_check_leaves_a_model_as_it_was_and_asks_for_no_image():
    model = Changed(tiny("packed_sdpa"))
    model.config.image_token_id = 5
    model.train()
    model.model.lm_head.eval()
    check_isolation(model, "cpu")
    assert [module for module in model.modules() if not module.training] == [model.model.lm_head]
    assert all((ids != 5).all() for ids in model.ids)
    assert all(parameter.grad is None for parameter in model.parameters())
