"""Opens the engine that a run asks for; vLLM only after it was held against transformers."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from llava.dataset.example import Example
from llava.generate.controls import ControlledReader
from llava.generate.parity import Parity, measure, reference_answers
from llava.generate.settings import Place

if TYPE_CHECKING:
    from llava.generate.engine import Engine
    from llava.processor import CxrLlavaProcessor


def open_transformers(folder: Path, place: Place) -> Engine:
    """The reference engine on a model folder.

    Raises:
        ValueError: the checkpoint is damaged or not what it says.
    """
    from llava.generate.engine_transformers import TransformersEngine
    from llava.generate.loading import load_merged

    loaded = load_merged(folder, place)
    return TransformersEngine(loaded.model, loaded.processor, device=place.device)


def open_vllm(
    folder: Path,
    processor: CxrLlavaProcessor,
    place: Place,
    *,
    gpu_memory: float,
    held: contextlib.ExitStack,
    sample: list[Example],
    say: Callable[[str], None],
) -> tuple[Engine, Parity | None]:
    """vLLM on a model folder, and how far it agrees with transformers on a sample; None of an empty one.

    transformers comes first and is gone before vLLM begins: both may not fit on one GPU. The parity is not judged here.

    Raises:
        ValueError: vLLM is not installed, or the checkpoint is damaged or not what it says.
    """
    from llava.generate.engine_vllm import VllmEngine, require_vllm
    from llava.generate.loading import require_merged
    from llava.generate.vllm_layout import write_vllm_layout

    require_vllm()
    require_merged(folder)
    reference = None
    if sample:
        say(f"parity: transformers writes the first tokens of {len(sample):,} reports")
        reference = reference_answers(folder, sample, place)
    layout = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="carina-vllm-"))) / "model"
    write_vllm_layout(folder, layout)
    engine = VllmEngine(folder, layout, processor, place=place, gpu_memory=gpu_memory)
    if reference is None:
        return engine, None
    found = measure(reference, engine, sample)
    say(f"parity: vLLM agrees in {found.first_token:.1%} of first tokens, {found.prefix:.1%} of the first 32")
    return engine, found


def sample_of(reader: ControlledReader, count: int, wanted: int) -> list[Example]:
    """Examples of about `wanted` studies, evenly over `count` places; those that cannot be used are left out."""
    step = max(1, count // wanted) if wanted else 1
    places = range(0, count, step)[:wanted]
    return [found for place in places if isinstance(found := reader.read(place), Example)]
