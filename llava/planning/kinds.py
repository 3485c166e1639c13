"""The studies that a plan reckons with, by their number of images: counted in the table, or assumed.

Shape letters: N studies.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llava.config import TrainSettings

_TEXT_TOKENS = 450  # prompt, indication, comparison, prior report and findings: a usual study in all
_MOST_IMAGES = 3


class Assumed(NamedTuple):
    """What stands in for a table: so many studies, each of text_tokens and as many images. None takes the table's
    number, or without a table 1,000,000 studies of 450 tokens and 3 images."""

    studies: int | None = None
    text_tokens: int | None = None
    images: int | None = None


class Kind(NamedTuple):
    """Studies alike. images: of each. studies: how many; 0 of a kind that the data has none of, shown to compare.
    tokens, length2: of a study, mean, and of its square; longest: the most."""

    images: float
    studies: int
    tokens: float
    length2: float
    longest: int


def kinds_of(settings: TrainSettings, assumed: Assumed, image_tokens: int) -> tuple[list[Kind], bool]:
    """Studies by their number of images, and whether they were counted in the table."""
    path = settings.data.train
    if not path.exists() or None not in assumed:
        most = min(assumed.images or _MOST_IMAGES, _MOST_IMAGES)
        found = []
        for images in range(1, _MOST_IMAGES + 1):
            tokens = images * image_tokens + (assumed.text_tokens or _TEXT_TOKENS)
            studies = (assumed.studies or 1_000_000) if images == most else 0
            found.append(Kind(images, studies, tokens, tokens**2, tokens))
        return found, False
    from llava.dataset.table import StudyTable

    with tempfile.TemporaryDirectory() as passing:
        lasting = settings.output / "tables"  # where the trainer keeps its converted tables
        cache = lasting if lasting.is_dir() else Path(passing)
        table = StudyTable.open(path, cache=cache, need_findings=True, root=settings.data.root)
        tokens_N = table.estimated_tokens(image_tokens)
        images_N = np.array(table.images_N)
    if assumed.text_tokens is not None:
        tokens_N = images_N * image_tokens + assumed.text_tokens
    if assumed.images is not None:
        tokens_N = tokens_N + (assumed.images - images_N) * image_tokens
        images_N = np.full_like(images_N, assumed.images)
    scale = 1 if assumed.studies is None else assumed.studies / len(tokens_N)
    return [
        _kind(float(images), tokens_N[images_N == images].astype(np.float64), scale)
        for images in np.unique(images_N[images_N > 0])
    ], True


def _kind(images: float, tokens_N: NDArray[np.float64], scale: float) -> Kind:
    return Kind(
        images,
        max(1, round(len(tokens_N) * scale)),
        float(tokens_N.mean()),
        float((tokens_N**2).mean()),
        int(tokens_N.max()),
    )


def mixed(kinds: list[Kind]) -> Kind:
    """The mean study of all.

    Raises:
        ValueError: there is none.
    """
    if not any(kind.studies for kind in kinds):
        raise ValueError("data.train: none of its studies has a film, so there is nothing to plan")
    studies = sum(kind.studies for kind in kinds)
    there = [kind for kind in kinds if kind.studies]

    def mean(values: list[float]) -> float:
        return sum(kind.studies * value for kind, value in zip(there, values, strict=True)) / studies

    return Kind(
        mean([kind.images for kind in there]),
        studies,
        mean([kind.tokens for kind in there]),
        mean([kind.length2 for kind in there]),
        max(kind.longest for kind in there),
    )
