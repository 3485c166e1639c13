"""The fast engine: this project's own encoder and projector, and vLLM for the language model.

vLLM gets token ids with one placeholder a film and the film's image tokens, computed by the code that training ran; it
holds neither encoder nor projector. Its engine runs in this process, so that image tokens (42 MB a study with three
films of 1,369 tokens of width 5,120) are handed over, not copied through a socket.

Shape letters: T tokens, N image tokens of one image, D width of the language model.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from encoders.torchvision_shim import import_torchvision
from llava.dataset.example import Example
from llava.generate.engine import Answer, answer_room, end_token_ids, study_seed
from llava.generate.image_tokens import ImageTokens
from llava.generate.settings import Decoding, Place
from llava.processor import CxrLlavaProcessor


class VllmEngine:
    """An engine as long as the process lives.

    Args:
        folder: the model folder; layout: what `write_vllm_layout` made of it.
        gpu_memory: share of the GPU's memory for weights and cache.

    Raises:
        ValueError: vLLM is not installed, or encoder.json is of another encoder.
    """

    def __init__(
        self, folder: Path, layout: Path, processor: CxrLlavaProcessor, *, place: Place, gpu_memory: float
    ) -> None:
        require_vllm()
        self._processor = processor
        self._ends = end_token_ids(processor)
        self._image_tokens = ImageTokens(folder, place)  # first: vLLM then sees what memory is left
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        # on a CPU it warns at every step that threads are bound already
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR" if place.device == "cpu" else "WARNING")
        import_torchvision()
        self._vllm: Any = importlib.import_module("vllm")
        self._llm = self._vllm.LLM(
            str(layout),
            dtype=place.dtype,
            max_model_len=processor.max_tokens,
            gpu_memory_utilization=gpu_memory,
            limit_mm_per_prompt={"image": 0},
            enable_mm_embeds=True,
            mm_processor_cache_gb=0,
            enable_prefix_caching=False,  # films come first in a prompt: nothing is shared, and they would be hashed
            disable_log_stats=True,
            **(_on_cpu(processor.max_tokens) if place.device == "cpu" else {}),
        )

    def generate(self, examples: Sequence[Example], decoding: Decoding) -> list[Answer]:
        """As `Engine`; vLLM decides what is computed together."""
        tokens = iter(self._image_tokens.of([image for example in examples for image in example.images]))
        prompts = [
            {
                "prompt_token_ids": self._one_placeholder_a_film(example),
                "multi_modal_data": {"image": [next(tokens) for _ in example.images]},
            }
            for example in examples
        ]
        params = [
            self._vllm.SamplingParams(
                temperature=decoding.temperature,
                seed=study_seed(decoding.seed, example.study_id) if decoding.temperature else None,
                max_tokens=answer_room(example, self._processor, decoding),
                stop_token_ids=list(self._ends),
                ignore_eos=True,  # what else a model's own generation config stops at is not for reports
                detokenize=False,
            )
            for example in examples
        ]
        outputs = self._llm.generate(prompts, params, use_tqdm=False)
        return [self._answer(output.outputs[0]) for output in outputs]

    def _one_placeholder_a_film(self, example: Example) -> list[int]:
        """vLLM repeats a placeholder as often as the film has tokens."""
        left, kept = 0, []
        for token in example.input_ids_T.tolist():
            if token == self._processor.image_token_id:
                left = (left or self._processor.num_image_tokens) - 1
                if left != self._processor.num_image_tokens - 1:
                    continue
            kept.append(token)
        return kept

    def _answer(self, completion: Any) -> Answer:
        reason: Literal["stop", "length"] = "stop" if completion.finish_reason == "stop" else "length"
        return Answer(tuple(completion.token_ids), reason)


def require_vllm() -> None:
    """Raises:
    ValueError: vLLM is not installed.
    """
    if importlib.util.find_spec("vllm") is None:
        raise ValueError(
            "engine vllm needs the vllm package: pip install 'carina-cxr[train,vllm]'; without it "
            "generate-reports writes with --engine transformers"
        )


def _on_cpu(max_tokens: int) -> dict[str, Any]:
    """Nothing is compiled, and no prompt is read in pieces: where studies draw from generators of their own, vLLM 0.32
    turns those of unfinished prompts back, which torch's generators of a CPU cannot."""
    return {
        "enforce_eager": True,
        "enable_chunked_prefill": False,
        "max_num_batched_tokens": max(max_tokens, 4096),
    }


_ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_NO_USAGE_STATS": "1",  # nothing is sent anywhere
}
