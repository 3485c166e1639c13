"""Studies that cannot be used: an error, or a line in failures.jsonl and a count that may not grow too large."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from llava.config import DataSettings
from llava.dataset.example import BadStudy, BadStudyError
from llava.dataset.table import StudyTable
from llava.training.together import from_all

if TYPE_CHECKING:
    from llava.training.parallel import Parallel


class TooManyBadError(ValueError):
    """More studies cannot be used than data.max_bad_share allows."""


def check_table(table: StudyTable, data: DataSettings) -> None:
    """Refuse what the table alone shows to be too many, before anything is computed.

    Raises:
        TooManyBadError: studies without film or findings: any where on_bad_study is "error", else beyond max_bad_share.
    """
    lacking = {"no current film": table.without_film, "no findings": table.without_findings}
    allowed = 0.0 if data.on_bad_study == "error" else data.max_bad_share
    if max(lacking.values()) > allowed * len(table):
        said = ", ".join(f"{count:,} with {what}" for what, count in lacking.items() if count)
        raise TooManyBadError(
            f"{table.source}: of {len(table):,} studies {said}; on_bad_study = {data.on_bad_study!r} allows "
            f'{allowed:.2%}: leave them out of the table, or set on_bad_study = "skip" and max_bad_share'
        )


class BadStudies:
    """The bad studies of a run, each counted once however often its turn comes, in a file that a resumed run reads.

    All processes call `add` together, in steps in which any of them has one.
    """

    def __init__(self, path: Path, data: DataSettings, num_studies: int, parallel: Parallel) -> None:
        self._path = path
        self._data = data
        self._num_studies = num_studies
        self._parallel = parallel
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        whole, _, self._torn = text.rpartition("\n")  # of a write that a full disk cut short
        self._known = {json.loads(line)["study_id"] for line in whole.splitlines() if line.endswith("}")}

    def __len__(self) -> int:
        return len(self._known)

    def add(self, bad: Sequence[BadStudy], *, stage: str, step: int) -> None:
        """Note this process's bad studies of a step.

        Raises:
            BadStudyError: on_bad_study is "error".
            TooManyBadError: they are more than max_bad_share of the table.
        """
        found = from_all(self._parallel, bad)
        if self._data.on_bad_study == "error":
            raise BadStudyError(found[0])
        new = [one for one in found if one.study_id not in self._known]
        self._known |= {one.study_id for one in new}
        if self._parallel.is_main and new:
            with self._path.open("a", encoding="utf-8") as file:
                if self._torn:
                    file.write("\n")
                    self._torn = ""
                file.writelines(json.dumps({"stage": stage, "step": step, **one._asdict()}) + "\n" for one in new)
        if len(self._known) == self._num_studies:
            raise TooManyBadError(
                f"stage {stage}, step {step}: none of the {self._num_studies:,} studies can be used, so nothing is "
                f"learnt; {self._path} says why"
            )
        if len(self._known) > self._data.max_bad_share * self._num_studies:
            raise TooManyBadError(
                f"stage {stage}, step {step}: {len(self._known):,} of {self._num_studies:,} studies cannot be used, "
                f"more than data.max_bad_share = {self._data.max_bad_share:g} allows; {self._path} says which and why"
            )
