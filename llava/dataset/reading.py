"""Reads a study's films and makes its example; whatever is wrong with it becomes a row, not an end."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from encoders.preprocessing.guards import Guard
from encoders.preprocessing.intensity import Levels
from encoders.preprocessing.prepare import to_levels
from llava.dataset.example import BadStudy, BadStudyError, Example
from llava.dataset.table import StudyTable
from llava.text.study_tokens import StudyTokens, films_of
from studies.images import read_film
from studies.records import GenerationStudy
from studies.view import view_of_text

if TYPE_CHECKING:
    from llava.processor import CxrLlavaProcessor


class Studies(Protocol):
    """A `StudyTable`, or what stands in for one."""

    def __len__(self) -> int: ...

    def __getitem__(self, place: int, /) -> GenerationStudy: ...


class StudyReader:
    """Examples of a table's studies, for this process or, pickled, for another.

    Args:
        with_target: append the findings, which are then needed.
        skip_guards: checks of films that are not made (`encoders.preprocessing.guards`).
        root: of relative image paths; by default the table's.

    Raises:
        ValueError: there is no such guard, or no root.
    """

    def __init__(
        self,
        table: Studies,
        processor: CxrLlavaProcessor,
        *,
        with_target: bool,
        skip_guards: Collection[str] = (),
        root: Path | None = None,
    ) -> None:
        if root is None:
            if not isinstance(table, StudyTable):
                raise ValueError("root is needed: these studies come from no table")
            root = table.root
        self.table = table
        self.processor: StudyTokens = processor.study_tokens  # what another process imports in a fraction of the time
        self.with_target = with_target
        self.skip_guards = tuple(Guard(name) for name in skip_guards)
        self.root = root

    def __len__(self) -> int:
        return len(self.table)

    def read(self, place: int) -> Example | BadStudy:
        """The example of the study at this place of the table; never raises for the study's sake."""
        study = self.table[place]
        try:
            images = tuple(self._film(study, name) for name in films_of(study))
        except Exception as error:  # whatever a decoder makes of a file
            return BadStudy(study.study_id, type(error).__name__, str(error))
        try:
            return self.processor.example(study, images, with_target=self.with_target)
        except BadStudyError as error:
            return error.bad
        except Exception as error:  # a tokenizer's; its words might be the report's
            return BadStudy(study.study_id, type(error).__name__, "its texts cannot be made into tokens")

    def _film(self, study: GenerationStudy, name: str) -> Levels:
        recipe = self.processor.recipe
        film = read_film(self.root / getattr(study, name), voi=recipe.intensity.voi)
        stated = {"frontal": view_of_text(study.frontal_view or ""), "lateral": "LATERAL"}.get(name)
        return to_levels(replace(film, view=stated or film.view), recipe, skip_guards=self.skip_guards)
