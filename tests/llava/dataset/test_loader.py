"""Steps as the loader gives them: the same for any number of processes, which read them ahead.

Readers are classes of this file, so that reading processes can unpickle them.
"""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass, fields
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from llava.dataset.example import BadStudy, Example, PackedRow, StepBatch
from llava.dataset.loader import step_batches

STUDIES = 23


@dataclass
class Made:
    """Studies of 2 to 12 tokens whose ids and film tell which one they are. log: a file a line a study read."""

    bad: tuple[int, ...] = ()
    broken: tuple[int, ...] = ()
    deadly: tuple[int, ...] = ()
    log: Path | None = None

    def read(self, place: int, /) -> Example | BadStudy:
        if self.log is not None:
            with self.log.open("a") as file:
                file.write(f"{place}\n")
        if place in self.bad:
            return BadStudy(f"s{place}", "ImageError", f"film {place}.png is no image; mend it")
        if place in self.broken:
            raise FileNotFoundError("studies.parquet went away")
        if place in self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        length = 2 + place * 7 % 11
        ids = 1000 * place + np.arange(length, dtype=np.int64)
        film = np.full((40, 40), place % 256, np.uint8)
        return Example(f"s{place}", ids, np.arange(length) >= length - 1, (film,), cut_tokens=place % 2)


def batches(reader: Any, last_step: int = 9, **more: Any) -> list[StepBatch]:
    # 23 studies in batches of 5: steps of 5, 5, 5, 5, 3 an epoch
    settings = {"batch_studies": 5, "seed": 3, "token_budget": 16} | more
    return list(step_batches(reader, np.full(STUDIES, 7), last_step=last_step, **settings))


def told(steps: list[StepBatch]) -> list[Any]:
    """All that is in them, to compare."""
    return [(step.step, step.bad, step.cut_studies, [_told(row) for row in step.rows]) for step in steps]


def _told(row: PackedRow) -> list[Any]:
    values = [getattr(row, field.name) for field in fields(row)]
    return [value.tolist() if isinstance(value, np.ndarray) else value for value in values[:-1]] + [
        (film.dtype, film.tolist()) for film in row.images
    ]


def ids(steps: list[StepBatch]) -> list[list[str]]:
    return [sorted(study for row in step.rows for study in row.study_ids) for step in steps]


def test_an_epoch_has_every_study_once_and_the_next_one_too():
    steps = batches(Made(), last_step=10)
    everyone = sorted(f"s{place}" for place in range(STUDIES))
    assert [step.step for step in steps] == list(range(10))
    assert [step.num_studies for step in steps] == [5, 5, 5, 5, 3] * 2
    assert sorted(chain(*ids(steps)[:5])) == everyone
    assert sorted(chain(*ids(steps)[5:])) == everyone
    assert ids(steps)[:5] != ids(steps)[5:]


def test_rows_hold_what_their_studies_hold():
    for step in batches(Made()):
        for row in step.rows:
            assert row.num_tokens <= 16
            for number, study in enumerate(row.study_ids):
                place = int(study.removeprefix("s"))
                begin, end = row.boundaries_S1[number : number + 2]
                assert row.input_ids_T[begin:end].tolist() == [1000 * place + k for k in range(2 + place * 7 % 11)]
                assert (row.images[number] == place).all()
        assert step.cut_studies == sum(int(study[1:]) % 2 for row in step.rows for study in row.study_ids)


def test_reading_processes_change_nothing():
    state = torch.get_rng_state()
    wanted = batches(Made(bad=(4, 9)), batch_studies=19)
    found = batches(Made(bad=(4, 9)), batch_studies=19, workers=2)
    assert told(found) == told(wanted)
    assert sum(len(step.bad) for step in wanted) >= 8  # two of them in each of 4 epochs
    assert torch.equal(torch.get_rng_state(), state)  # dropout draws from it


def test_processes_of_a_run_share_each_step():
    alone = ids(batches(Made()))
    for world_size in (2, 3, 7):
        shares = [ids(batches(Made(), rank=rank, world_size=world_size)) for rank in range(world_size)]
        assert [sorted(chain(*step)) for step in zip(*shares, strict=True)] == alone
    assert any(not share for share in shares[-1])  # 7 processes and 5 studies: a step without rows is a step


def test_estimated_lengths_even_the_shares_out_and_exact_ones_pack():
    lengths = np.where(np.arange(STUDIES) % 5 == 0, 90, 1)
    settings: dict[str, Any] = {"batch_studies": STUDIES, "seed": 0, "token_budget": 16, "last_step": 1}
    shares = [
        next(step_batches(Made(), lengths, rank=rank, world_size=5, **settings)) for rank in range(5)
    ]  # five studies are long by estimate: one for each
    for share in shares:
        assert sum(int(study) % 5 == 0 for row in share.rows for study in (name[1:] for name in row.study_ids)) == 1
        assert all(row.num_tokens <= 16 for row in share.rows)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_resumed_run_reads_nothing_that_was_before(tmp_path, workers):
    log = tmp_path / "read"
    whole = batches(Made())
    rest = batches(Made(log=log), first_step=6, workers=workers)
    assert told(rest) == told(whole[6:])
    assert len(log.read_text().split()) == 5 + 5 + 5  # steps 6, 7, 8


def test_without_packing_a_row_is_a_study():
    steps = batches(Made(), packing=False)
    assert all(len(row.study_ids) == 1 for step in steps for row in step.rows)
    assert ids(steps) == ids(batches(Made()))
    assert any(len(row.study_ids) > 1 for step in batches(Made()) for row in step.rows)


def test_a_skipped_study_is_counted_at_its_step():
    place = int(ids(batches(Made()))[3][0][1:])
    steps = batches(Made(bad=(place,)), last_step=5)
    assert [len(step.bad) for step in steps] == [0, 0, 0, 1, 0]
    assert steps[3].num_studies == 4
    assert steps[3].bad[0].study_id == f"s{place}"


def test_a_step_of_bad_studies_only_is_a_step():
    (step,) = batches(Made(bad=tuple(range(STUDIES))), last_step=1)
    assert step.rows == ()
    assert len(step.bad) == 5


@pytest.mark.parametrize("workers", [0, 1])
def test_what_breaks_beside_a_study_is_told_without_another_processes_traceback(workers):
    with pytest.raises(
        RuntimeError, match=r"at place \d+ of the table: FileNotFoundError: studies.parquet went away"
    ) as caught:
        batches(Made(broken=tuple(range(STUDIES))), workers=workers)
    assert "Traceback" not in str(caught.value)


def test_a_reading_process_that_dies_is_told():
    with pytest.raises(RuntimeError, match=r"a process that reads studies died .*data.workers = 1") as caught:
        batches(Made(deadly=(0, 1, 2, 3, 4, 5, 6)), workers=1)
    assert "\n" not in str(caught.value)


def test_reading_ahead_is_bounded(tmp_path):
    # 2,000 studies in steps of 20: without a bound the process would read on through all of them
    log = tmp_path / "read"
    steps = step_batches(
        Made(log=log),
        np.full(2000, 7),
        batch_studies=20,
        seed=0,
        token_budget=16,
        last_step=100,
        workers=1,
    )
    next(steps)
    seen, before = -1, -2
    while seen != before:
        time.sleep(0.5)
        seen, before = len(log.read_text().split()), seen
    assert 20 < seen <= 20 + 4 * 8  # a step, and about one more
    steps.close()
