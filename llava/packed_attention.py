"""Attention over rows of several studies, each of which sees itself only: "packed_sdpa" of transformers.

A model loaded with attn_implementation="packed_sdpa" and called with the keywords of flash attention (`cu_seq_lens_q`:
where each study begins, and the row's length at the end) attends to one study after another with torch's
scaled_dot_product_attention. No study's keys are at hand when another's queries are, so nothing can leak whatever a
mask says; the work is the sum of t * t over studies, and no T x T mask is made. Without those keywords (generation) it
is transformers' "sdpa", masks included.

Shape letters: B batch, A attention heads, T tokens of a row, D width of a head, S studies.
"""

from __future__ import annotations

import functools
import weakref
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from encoders.torchvision_shim import import_torchvision

import_torchvision()  # transformers imports it with its models
from transformers import AttentionInterface, AttentionMaskInterface  # noqa: E402
from transformers.integrations.sdpa_attention import sdpa_attention_forward  # noqa: E402
from transformers.masking_utils import sdpa_mask  # noqa: E402

NAME = "packed_sdpa"


class LaterMask:
    """The mask of a row whose positions begin anew, made only if asked for: with `cu_seq_lens_q` it never is.

    transformers makes masks before any layer has said how it attends, and this one has T * T entries.
    """

    def __init__(self, arguments: dict[str, Any]) -> None:
        self._arguments = arguments

    @functools.cached_property
    def mask(self) -> Tensor | None:
        return sdpa_mask(**self._arguments)


def packed_mask(**arguments: Any) -> Tensor | LaterMask | None:
    """`sdpa_mask`, but for rows that may be packed: no padding, no cache, positions that begin anew (then transformers
    allows no skipping of the mask), and no pattern of the model's own (which it asks for with use_vmap)."""
    row_alone = (
        arguments.get("attention_mask") is None
        and "allow_is_bidirectional_skip" not in arguments
        and not arguments.get("allow_is_causal_skip", True)
        and not arguments.get("use_vmap", False)
        and arguments["batch_size"] == 1
        and arguments["q_length"] == arguments["kv_length"] > 1
    )
    return LaterMask(arguments) if row_alone else sdpa_mask(**arguments)


def packed_attention(
    module: nn.Module,
    query_BATD: Tensor,
    key_BATD: Tensor,
    value_BATD: Tensor,
    attention_mask: Tensor | LaterMask | None,
    cu_seq_lens_q: Tensor | None = None,
    **keywords: Any,
) -> tuple[Tensor, None]:
    """What transformers calls in every attention layer; B,T,A,D.

    Raises:
        ValueError: with `cu_seq_lens_q`: more than one row, a mask beside it, boundaries that are not the row's, or a
            study longer than the layer's sliding window.
    """
    if cu_seq_lens_q is None:
        mask = attention_mask.mask if isinstance(attention_mask, LaterMask) else attention_mask
        return _sdpa(module, query_BATD, key_BATD, value_BATD, mask, **keywords), None
    if len(query_BATD) != 1 or key_BATD.shape[2] != query_BATD.shape[2]:
        raise ValueError(
            f"packed rows come one at a time and without a cache; got {len(query_BATD)} rows of {query_BATD.shape[2]} "
            f"queries and {key_BATD.shape[2]} keys"
        )
    if isinstance(attention_mask, Tensor):
        raise ValueError(
            f"packed rows take no attention_mask, got one of {tuple(attention_mask.shape)}: cu_seq_lens_q says which "
            "tokens belong together; a model that needs a mask of its own cannot be trained on packed rows"
        )
    return _by_study(module, query_BATD, key_BATD, value_BATD, cu_seq_lens_q, keywords), None


# studies' lengths differ in every row: compiled, it would be compiled anew for each
@torch.compiler.disable  # type: ignore[untyped-decorator]
def _by_study(
    module: nn.Module, query_BATD: Tensor, key_BATD: Tensor, value_BATD: Tensor, boundaries: Tensor, keywords: Any
) -> Tensor:
    edges = _edges(boundaries)
    length = query_BATD.shape[2]
    if edges[0] != 0 or edges[-1] != length or any(begin >= end for begin, end in pairwise(edges)):
        raise ValueError(f"cu_seq_lens_q must rise from 0 to the row's {length} tokens, got {list(edges)}")
    window = keywords.get("sliding_window")
    longest = max(end - begin for begin, end in pairwise(edges))
    if window is not None and window < longest:
        raise ValueError(
            f"a study of {longest} tokens is longer than this layer's sliding window of {window}, which packed_sdpa "
            'does not apply; use attention = "flash_attention_2", or data.max_tokens of the window at most'
        )
    parts = [
        _sdpa(module, query_BATD[:, :, a:b], key_BATD[:, :, a:b], value_BATD[:, :, a:b], None, **keywords)
        for a, b in pairwise(edges)
    ]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


def _sdpa(module: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **keywords: Any) -> Tensor:
    # transformers' own, for what it does about grouped heads, scaling, dropout and odd devices
    attended_BTAD: Tensor = sdpa_attention_forward(module, query, key, value, mask, **keywords)[0]
    return attended_BTAD


_last: tuple[weakref.ref[Tensor], int, tuple[int, ...]] | None = None


def _edges(boundaries: Tensor) -> tuple[int, ...]:
    """The boundaries as numbers, remembered: reading them in every layer would have a GPU wait in every layer."""
    global _last
    version = 0 if boundaries.is_inference() else boundaries._version  # changed in place, it is another
    if _last is not None and _last[0]() is boundaries and _last[1] == version:
        return _last[2]
    edges = tuple(boundaries.tolist())
    _last = (weakref.ref(boundaries), version, edges)
    return edges


@torch.no_grad()
def check_isolation(model: nn.Module, device: torch.device | str) -> None:
    """Two short studies in one row: whatever the first one says, the second one's outputs must stay as they were, and
    be what they are alone. A trainer calls it once, before its first step, as it will call the model.

    Raises:
        RuntimeError: they do not, with this model and this attention.
    """
    config: Any = model.config
    text: Any = config.get_text_config()
    placeholder = getattr(config, "image_token_id", None)
    words = torch.tensor([token for token in range(min(text.vocab_size, 1000)) if token != placeholder])
    draw = torch.Generator().manual_seed(0)
    first_2T = words[torch.randint(len(words), (2, _FIRST), generator=draw)]
    second_T = words[torch.randint(len(words), (_SECOND,), generator=draw)]
    modes = [(module, module.training) for module in model.modules()]  # not one: frozen parts may be in another
    model.eval()
    try:
        one, other = (_logits(model, torch.cat([first_T, second_T]), [_FIRST, _SECOND], device) for first_T in first_2T)
        alone = _logits(model, second_T, [], device)
    finally:
        for module, training in modes:
            module.training = training
    moved, changed = _distance(other, one), _distance(one, alone)
    # rows of equal shape are computed alike whatever is in them; rows of another shape round otherwise
    if not moved <= _MOVED or not changed <= _CHANGED[one.dtype == torch.float32]:
        raise RuntimeError(
            f"attention {text._attn_implementation!r} does not keep studies of a packed row apart in "
            f"{type(model).__name__}: another first study moves the second one's outputs by {moved:.1e} of the largest "
            f"(at most {_MOVED:.0e} allowed), and packing itself by {changed:.1e}. Set compute.packing = false"
        )


_FIRST, _SECOND = 24, 12  # tokens
_MOVED = 1e-4  # of the largest logit
_CHANGED = {True: 1e-2, False: 1e-1}  # float32 may be TF32 on a GPU; else half precision


def _logits(model: nn.Module, tokens_T: Tensor, lengths: list[int], device: torch.device | str) -> Tensor:
    packed: dict[str, Any] = {}
    if lengths:
        boundaries = torch.tensor([0, *lengths]).cumsum(0).to(torch.int32).to(device)
        longest = max(lengths)
        positions = torch.cat([torch.arange(length) for length in lengths])
        packed = {"position_ids": positions[None].to(device), "cu_seq_lens_q": boundaries, "cu_seq_lens_k": boundaries}
        packed |= {"max_length_q": longest, "max_length_k": longest}
    kept = torch.arange(len(tokens_T) - _SECOND, len(tokens_T), device=device)
    output = model(input_ids=tokens_T[None].to(device), use_cache=False, logits_to_keep=kept, **packed)
    logits_1KV: Tensor = output.logits
    return logits_1KV


def _distance(logits: Tensor, reference: Tensor) -> float:
    scale = reference.float().abs().max()
    return float((logits.float() - reference.float()).abs().max() / scale)


AttentionInterface.register(NAME, packed_attention)
AttentionMaskInterface.register(NAME, packed_mask)
