"""Numbers of a step: what each process has of it, the row of one that has too little, and seeds.

Shape letters: T tokens of a row, S studies.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from llava.dataset.batching import pack_row
from llava.dataset.example import Example, PackedRow, StepBatch
from llava.processor import CxrLlavaProcessor


class StepShare(NamedTuple):
    """Counts of one process's share of a step, or of all of it. lengths2: squared lengths of studies, summed."""

    studies: int
    images: int
    supervised_tokens: int
    useful_tokens: int
    lengths2: int
    bad: int
    cut: int

    @classmethod
    def of(cls, batch: StepBatch) -> StepShare:
        lengths = [np.diff(row.boundaries_S1).astype(np.int64) for row in batch.rows]
        return cls(
            studies=batch.num_studies,
            images=sum(len(row.images) for row in batch.rows),
            supervised_tokens=batch.supervised_tokens,
            useful_tokens=sum(row.num_tokens for row in batch.rows),
            lengths2=sum(int((length_S**2).sum()) for length_S in lengths),
            bad=len(batch.bad),
            cut=batch.cut_studies,
        )


def idle_row(processor: CxrLlavaProcessor) -> PackedRow:
    """The cheapest row that goes through all of the model: a black film and an end token to predict.

    Processes that share a model must all compute equally many rows, and those with fewer compute this one, which then
    weighs nothing.
    """
    side = processor.recipe.resize.size_px
    ids_T = np.array([processor.image_token_id] * processor.num_image_tokens + [processor.end_token_id], np.int64)
    supervised_T = np.zeros(len(ids_T), np.bool_)
    supervised_T[-1] = True
    return pack_row([Example("", ids_T, supervised_T, (np.zeros((side, side), np.uint8),))])


def seed_of(seed: int, *place: int) -> int:
    """A seed of its own for each place (stage, step, process) of a run, of 63 bits."""
    return int(np.random.SeedSequence([seed, *place]).generate_state(1, np.uint64)[0]) >> 1
