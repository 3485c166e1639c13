"""What an engine is: prompts with films in, tokens out; and how chance, where it is asked for, is a study's own.

Shape letters: B studies of a batch, V vocabulary.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from llava.dataset.example import Example
from llava.generate.settings import Decoding

if TYPE_CHECKING:
    from llava.processor import CxrLlavaProcessor


class Answer(NamedTuple):
    """token_ids: what was generated, with the end token where it came. finish_reason: "length" where it did not, so
    that the report is cut off."""

    token_ids: tuple[int, ...]
    finish_reason: Literal["stop", "length"]


class Engine(Protocol):
    """An answer for each example, in their order, whatever else is in the batch."""

    def generate(self, examples: Sequence[Example], decoding: Decoding) -> list[Answer]: ...


def end_token_ids(processor: CxrLlavaProcessor) -> tuple[int, ...]:
    """Tokens that end an answer: the chat frame's, which training taught, and the tokenizer's own end of text."""
    ends = {processor.end_token_id, processor.tokenizer.eos_token_id} - {None}
    return tuple(sorted(int(end) for end in ends))


def answer_room(example: Example, processor: CxrLlavaProcessor, decoding: Decoding) -> int:
    """How many tokens may be generated: max_new_tokens, or what the context has left."""
    return min(decoding.max_new_tokens, processor.max_tokens - example.num_tokens)


def cut_at_end(token_ids: Sequence[int], ends: Collection[int]) -> Answer:
    """The answer in what a batch generated: up to its first end token; behind it is padding."""
    for place, token in enumerate(token_ids):
        if token in ends:
            return Answer(tuple(token_ids[: place + 1]), "stop")
    return Answer(tuple(token_ids), "length")


def study_seed(seed: int, study_id: str) -> int:
    """A seed of 63 bits that is the study's own, whatever batch or run it is in."""
    return int.from_bytes(hashlib.sha256(f"{seed} {study_id}".encode()).digest()[:8], "big") >> 1
