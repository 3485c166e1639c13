"""Names of reports, made of what makes them: with another model, prompt or setting a report has another name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llava.config import Control
from llava.generate.settings import Decoding
from prompts.report_prompt import FILMS
from studies.records import GenerationStudy

if TYPE_CHECKING:
    from llava.processor import CxrLlavaProcessor

_LENGTH = 16  # hexadecimal digits: 64 bits


def run_key(
    weights: str, processor: CxrLlavaProcessor, decoding: Decoding, *, engine: str, dtype: str, control: Control | None
) -> str:
    """Of all that decides a report but its study. What only rounds otherwise is left out: device, batch size, versions;
    engine and dtype, which round more, are in it."""
    made_by = {
        "weights": weights,
        "prompt": [processor.prompt.id, processor.prompt.sha256],
        "chat": [processor.chat, list(processor.frame)],
        "context": [processor.num_image_tokens, processor.max_tokens, processor.answer_tokens],
        "preprocessing": processor.recipe.sha256,
        "decoding": decoding._asdict() if decoding.temperature else {"max_new_tokens": decoding.max_new_tokens},
        "engine": engine,
        "dtype": dtype,
        "control": control,
    }
    return _digest(made_by)


def study_key(study: GenerationStudy, root: Path) -> str:
    """Of what a report is made of in a study's row, and of the sizes of its films: a film that is replaced under its
    name has, nearly always, another. (Reading 120,000 films for their hashes would take as long as a resumed run.)"""
    told: dict[str, Any] = study.model_dump(exclude={"findings", "patient_id"})
    told["sizes"] = [_size(root, getattr(study, film)) for film in FILMS]
    return _digest(told)


def _size(root: Path, film: str | None) -> int | None:
    try:
        return None if film is None else (root / film).stat().st_size
    except OSError:
        return None  # reading it will say why


def _digest(told: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:_LENGTH]
