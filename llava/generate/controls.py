"""Blind controls: the same studies with what a model should look at taken away.

A model whose reports score alike with other patients' films does not look at them, however good they read.

- shuffled_images: each study has the films of another patient, of the same views. Films that real patients have, so
  that nothing but the match is missing.
- blank_images: films of one grey, the mean of the encoder's normalisation, which becomes 0 in every pixel. Black or
  white would be as empty, but at the ends of what the encoder knows; this is the middle of it.
- no_prior_report: the prior report is "N/A", as it is where there is none; the prior film stays.

Everything that a study is asked (indication, comparison, ...) stays its own.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from encoders.preprocessing.intensity import Levels
from encoders.preprocessing.recipe import Recipe
from llava.config import Control
from llava.dataset.example import BadStudy, Example
from llava.dataset.reading import StudyReader
from prompts.report_prompt import FILMS
from studies.records import GenerationStudy

if TYPE_CHECKING:
    from llava.processor import CxrLlavaProcessor

logger = logging.getLogger(__name__)

_TRIES = 50  # random donors before all are looked at


class ControlledTable:
    """Some studies of a table, under a control: what `StudyReader` takes in place of a `StudyTable`.

    Held in memory: texts of 40,000 studies are some 100 MB. refused: places of studies that this control cannot be made
    for: no other patient has a film of one of their views.
    """

    def __init__(self, studies: Sequence[GenerationStudy], control: Control | None, *, seed: int) -> None:
        self.control = control
        self.refused: frozenset[int] = frozenset()
        if control == "shuffled_images":
            if unknown := sum(study.patient_id is None for study in studies):
                logger.warning(
                    "shuffled_images: %d of %d studies have no patient_id, so that they may be given films of their "
                    "own patient: the control is then less blind than it says",
                    unknown,
                    len(studies),
                )
            donors = shuffled(studies, seed=seed)
            self.refused = frozenset(place for place, films in enumerate(donors) if films is None)
            studies = [
                study.model_copy(update=_NO_FILMS if films is None else films._asdict())
                for study, films in zip(studies, donors, strict=True)
            ]
        elif control == "no_prior_report":
            studies = [study.model_copy(update={"prior_report": None}) for study in studies]
        self._studies = list(studies)

    def __len__(self) -> int:
        return len(self._studies)

    def __getitem__(self, place: int, /) -> GenerationStudy:
        return self._studies[place]


class ControlledReader:
    """`StudyReader` of studies under a control, for any process.

    Args: as `StudyReader`'s.
    """

    def __init__(
        self,
        studies: ControlledTable,
        processor: CxrLlavaProcessor,
        *,
        with_target: bool,
        skip_guards: Collection[str],
        root: Path,
    ) -> None:
        self._studies = studies
        self._reader = StudyReader(studies, processor, with_target=with_target, skip_guards=skip_guards, root=root)

    def read(self, place: int) -> Example | BadStudy:
        """Films are read even where they are then blanked, so that the same studies fail under every control."""
        if place in self._studies.refused:
            message = "no other patient has films of its views; more studies would help, or leave shuffled_images out"
            return BadStudy(self._studies[place].study_id, "ControlError", message)
        found = self._reader.read(place)
        if self._studies.control != "blank_images" or isinstance(found, BadStudy):
            return found
        recipe = self._reader.processor.recipe
        return replace(found, images=tuple(blank(image, recipe) for image in found.images))


def blank(levels_HW: Levels, recipe: Recipe) -> Levels:
    """A film of one grey, H,W: the level whose normalised value is nearest to 0 (the mean over channels of their
    means)."""
    grey = 255 * float(np.mean(recipe.normalize.mean))
    whole = np.issubdtype(levels_HW.dtype, np.integer)
    return np.full_like(levels_HW, round(grey) if whole else grey)


class Films(NamedTuple):
    """Films of a study by `FILMS`, and the view of the frontal one."""

    frontal: str | None
    lateral: str | None
    prior_frontal: str | None
    frontal_view: str | None


_NO_FILMS = dict.fromkeys(Films._fields)


def shuffled(studies: Sequence[GenerationStudy], *, seed: int) -> list[Films | None]:
    """Films of another patient for each study, of the views that it has itself.

    Within the studies of the same views each one's films are given away once. Where that cannot be (few studies of
    these views, or more than half of them of one patient), a study gets films that others get too, at last film by
    film; None where no other patient has a film of a view. Studies without a patient id count as a patient each.
    """
    rng = np.random.default_rng(seed)
    patients = [study.patient_id or f"\0{study.study_id}" for study in studies]
    groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for place, study in enumerate(studies):
        groups[_views(study)].append(place)
    found: dict[int, Films | None] = {}
    for views, places in sorted(groups.items()):
        donors = _exchange(places, patients, rng)
        for place in places:
            whole = donors.get(place)
            found[place] = (
                _films(studies[whole], views) if whole is not None else _borrowed(place, studies, patients, rng)
            )
    return [found[place] for place in range(len(studies))]


def _exchange(places: list[int], patients: Sequence[str], rng: np.random.Generator) -> dict[int, int]:
    """Who gives films to whom within a group, each giving once; {} where that cannot be.

    Patients stand side by side in a row, and everyone gets from whoever is as many places on as the largest patient
    has studies: no one of the same patient, as long as that is half of the row or less.
    """
    of_patient: dict[str, list[int]] = defaultdict(list)
    for place in rng.permutation(places).tolist():
        of_patient[patients[place]].append(place)
    row = [place for some in of_patient.values() for place in some]
    step = max(len(some) for some in of_patient.values())
    if 2 * step > len(row):
        return {}
    return {place: row[(at + step) % len(row)] for at, place in enumerate(row)}


def _borrowed(
    place: int, studies: Sequence[GenerationStudy], patients: Sequence[str], rng: np.random.Generator
) -> Films | None:
    """Films of these views of any other patients."""
    views = _views(studies[place])
    donor = _other(place, views, studies, patients, rng)
    if donor is not None:
        return _films(studies[donor], views)
    mixed = Films(None, None, None, None)
    for view in views:
        donor = _other(place, (view,), studies, patients, rng)
        if donor is None:
            return None
        one = _films(studies[donor], (view,))
        mixed = Films(*(mine if mine is not None else theirs for mine, theirs in zip(mixed, one, strict=True)))
    return mixed


def _other(
    place: int,
    views: Sequence[str],
    studies: Sequence[GenerationStudy],
    patients: Sequence[str],
    rng: np.random.Generator,
) -> int | None:
    """A study of another patient with at least these views."""

    def fits(one: int) -> bool:
        return patients[one] != patients[place] and all(getattr(studies[one], view) for view in views)

    for one in rng.integers(len(studies), size=_TRIES).tolist():
        if fits(one):
            return int(one)
    return next((int(one) for one in rng.permutation(len(studies)) if fits(int(one))), None)


def _views(study: GenerationStudy) -> tuple[str, ...]:
    return tuple(film for film in FILMS if getattr(study, film))


def _films(study: GenerationStudy, views: Sequence[str]) -> Films:
    shown = {view: getattr(study, view) for view in views}
    view = study.frontal_view if "frontal" in views else None
    return Films(**{film: shown.get(film) for film in FILMS}, frontal_view=view)
