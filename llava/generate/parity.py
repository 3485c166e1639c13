"""The gate before a long run: vLLM must write what transformers writes, on some studies first.

Both engines decode greedily, and round differently: a near tie may fall the other way, and from there on two reports
part. A wrong film, prompt or weight shows in most studies and at once.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from llava.dataset.example import Example
from llava.generate.engine import Answer, Engine
from llava.generate.settings import Decoding, Place

PREFIX_TOKENS = 32
_BATCH = 8


class ParityError(ValueError):
    """The engines do not agree."""


class Parity(NamedTuple):
    """How far two engines agree.

    first_token: share of studies whose first token is the same. prefix: mean over studies of the share of the first
    32 tokens before the first difference.
    """

    studies: int
    first_token: float
    prefix: float

    def check(self, place: Place) -> None:
        """Raises:
        ParityError: they agree less than the precision explains.
        """
        least = _LEAST[place.dtype]
        if self.first_token < least.first_token or self.prefix < least.prefix:
            raise ParityError(
                f"vLLM and transformers disagree on {self.studies} studies: first token the same in "
                f"{self.first_token:.1%} (at least {least.first_token:.0%} in {place.dtype}), the first "
                f"{PREFIX_TOKENS} tokens in {self.prefix:.1%} (at least {least.prefix:.0%}). Generate with --engine "
                "transformers, or look for what differs with python -m llava parity --dtype float32"
            )


class _Least(NamedTuple):
    first_token: float
    prefix: float


# Set by judgement, not measured on a large model: in float32 tiny models agreed in every token; bfloat16 has 8 bits of
# a number, and two kernels' sums part reports at near ties (vLLM issues 4831 and 19841 tell of such).
_LEAST = {"float32": _Least(0.99, 0.95), "bfloat16": _Least(0.95, 0.70)}


def compare(reference: Sequence[Answer], other: Sequence[Answer]) -> Parity:
    """Agreement over studies, at least one."""
    pairs = [
        (one.token_ids[:PREFIX_TOKENS], two.token_ids[:PREFIX_TOKENS])
        for one, two in zip(reference, other, strict=True)
    ]
    first = [one[:1] == two[:1] for one, two in pairs]
    prefix = [_same(one, two) / max(len(one), len(two)) for one, two in pairs]
    return Parity(len(pairs), sum(first) / len(pairs), sum(prefix) / len(pairs))


def reference_answers(folder: Path, examples: Sequence[Example], place: Place) -> list[Answer]:
    """What transformers writes, 32 tokens a study; its memory is free again when this returns."""
    import torch

    from llava.generate.engine_transformers import TransformersEngine
    from llava.generate.loading import load_merged

    loaded = load_merged(folder, place)
    engine = TransformersEngine(loaded.model, loaded.processor, device=place.device)
    answers = _in_batches(engine, examples)
    del loaded, engine
    gc.collect()
    if place.device == "cuda":
        torch.cuda.empty_cache()
    return answers


def measure(reference: Sequence[Answer], engine: Engine, examples: Sequence[Example]) -> Parity:
    """How far an engine agrees with `reference_answers` of the same examples."""
    return compare(reference, engine.generate(examples, Decoding(PREFIX_TOKENS)))


def _in_batches(engine: Engine, examples: Sequence[Example]) -> list[Answer]:
    order = sorted(range(len(examples)), key=lambda place: -examples[place].num_tokens)
    found: dict[int, Answer] = {}
    for begin in range(0, len(order), _BATCH):
        some = order[begin : begin + _BATCH]
        found.update(
            zip(some, engine.generate([examples[place] for place in some], Decoding(PREFIX_TOKENS)), strict=True)
        )
    return [found[place] for place in range(len(examples))]


def _same(one: Sequence[int], two: Sequence[int]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, two, strict=False)))
