"""Batches are of like lengths, and read in order by whoever reads them."""

from __future__ import annotations

from pathlib import Path

from llava.build import Built
from llava.dataset.example import BadStudy, Example
from llava.dataset.table import StudyTable
from llava.generate.ahead import batches, read_ahead
from llava.generate.controls import ControlledReader, ControlledTable


def test_the_longest_come_first_and_every_place_once():
    lengths = [10, 50, 30, 50, 20, 40]
    assert batches(lengths, [0, 1, 2, 3, 5], 2) == [[1, 3], [5, 2], [0]]


def test_another_process_reads_the_same_in_the_same_order(table: Path, built: Built, tmp_path: Path):
    studies = StudyTable.open(table, cache=tmp_path / "cache", need_findings=False)
    (table.parent / "films" / "4_f.png").unlink()
    # seventy studies, so that processes are worth it
    some = ControlledTable([studies[place % 12] for place in range(70)], "blank_images", seed=0)
    reader = ControlledReader(some, built.processor, with_target=False, skip_guards=(), root=studies.root)
    groups = batches([place % 7 for place in range(70)], range(70), 16)

    found = list(read_ahead(reader, groups, workers=1))

    assert [len(some) for some in found] == [16, 16, 16, 16, 6]
    for group, read in zip(groups, found, strict=True):
        for place, one in zip(group, read, strict=True):
            assert one.study_id == studies[place % 12].study_id
            assert isinstance(one, BadStudy if place % 12 == 4 else Example)
            if isinstance(one, Example):
                assert one.images[0].min() == one.images[0].max()
