"""The reference engine: transformers' own `generate` on left-padded batches.

Left padding, because a decoder goes on from a row's last place; a static cache, because a growing one is copied whole
at every token (3.7 GB a study of 4,500 tokens of a 13B model).

Shape letters: B studies of a batch, T tokens of the longest prompt, V vocabulary.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor

from encoders.torchvision_shim import import_torchvision
from llava.dataset.example import Example
from llava.generate.engine import Answer, answer_room, cut_at_end, end_token_ids, study_seed
from llava.generate.settings import Decoding
from llava.pixels import pixels
from llava.processor import CxrLlavaProcessor

import_torchvision()
from transformers import GenerationConfig, LogitsProcessor  # noqa: E402


class TransformersEngine:
    """Generates with a loaded model, which is left as it was.

    Args:
        model: a `CxrLlavaForConditionalGeneration`, also one that is wrapped for training: called as it is.
        autocast: entered round every batch; of training, whose weights are float32.
        synced: other processes hold parts of the weights (FSDP2): each forward pass needs all of them, so that a
            process whose studies are done goes on until the last one's are.
    """

    def __init__(
        self,
        model: Any,
        processor: CxrLlavaProcessor,
        *,
        device: torch.device | str,
        autocast: Callable[[], AbstractContextManager[Any]] = contextlib.nullcontext,
        synced: bool = False,
    ) -> None:
        self._model = model
        self._processor = processor
        self._device = torch.device(device)
        self._autocast = autocast
        self._synced = synced
        self._ends = end_token_ids(processor)

    @torch.no_grad()
    def generate(self, examples: Sequence[Example], decoding: Decoding) -> list[Answer]:
        """As `Engine`; all of them in one batch."""
        rooms = [answer_room(example, self._processor, decoding) for example in examples]
        longest = max(example.num_tokens for example in examples)
        ids_BT = torch.full((len(examples), longest), self._processor.pad_token_id)
        mask_BT = torch.zeros_like(ids_BT)
        for row, example in enumerate(examples):
            ids_BT[row, longest - example.num_tokens :] = torch.from_numpy(example.input_ids_T)
            mask_BT[row, longest - example.num_tokens :] = 1
        images = [image for example in examples for image in example.images]
        # a synced process goes on until the last one is done, and its cache must have room for that
        most = decoding.max_new_tokens if self._synced else max(rooms)
        with _generation_config(self._model, self._config(most)), self._autocast():
            whole_BT: Tensor = self._model.generate(
                input_ids=ids_BT.to(self._device),
                attention_mask=mask_BT.to(self._device),
                pixel_values=pixels(images, self._processor.recipe, self._device),
                logits_processor=chance(examples, decoding),
                synced_gpus=self._synced,
            )
        rows = whole_BT[:, longest:].tolist()
        return [cut_at_end(row[:room], self._ends) for row, room in zip(rows, rooms, strict=True)]

    def _config(self, max_new_tokens: int) -> GenerationConfig:
        return GenerationConfig(  # type: ignore[no-untyped-call]
            max_new_tokens=max_new_tokens,
            do_sample=False,  # `OwnChance` makes the largest score a drawn one
            eos_token_id=list(self._ends),
            pad_token_id=self._processor.pad_token_id,
            cache_implementation="static",
            disable_compile=True,  # every batch has its own shape, and compiling one takes longer than decoding it
        )


def chance(examples: Sequence[Example], decoding: Decoding) -> list[LogitsProcessor]:
    """What makes greedy search a draw; nothing at temperature 0."""
    if decoding.temperature == 0:
        return []
    return [OwnChance([study_seed(decoding.seed, one.study_id) for one in examples], decoding.temperature)]


class OwnChance(LogitsProcessor):
    """Sampling as a search for the largest: scores / temperature + Gumbel noise have their largest value at a token
    with the token's probability (Gumbel 1954; Maddison et al. 2014, arXiv 1411.0030). Each row has its own noise."""

    def __init__(self, seeds: Sequence[int], temperature: float) -> None:
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self._temperature = temperature

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:  # noqa: ARG002  # transformers' signature
        """Scores B,V of a step."""
        noise_BV = torch.stack([torch.empty(scores.shape[1]).exponential_(generator=one) for one in self._generators])
        return scores / self._temperature - noise_BV.log().to(scores.device)


@contextlib.contextmanager
def _generation_config(model: Any, config: GenerationConfig) -> Iterator[None]:
    """A language model's own generation config (penalties, sampling of its makers') must not mix with ours, as it does
    with one that is an argument of `generate`."""
    kept, model.generation_config = model.generation_config, config
    try:
        yield
    finally:
        model.generation_config = kept
        # transformers makes each static cache as long as the longest before, for compiled code; ours is not compiled
        vars(model).pop("_previous_max_cache_length", None)
