"""The scores of a sweep's runs, as one table; a run without scores is a row that says why."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from llava.sweep.settings import RunSettings, SweepSettings


class Outcome(NamedTuple):
    """What became of a run. problem: "" where it was scored, else what went wrong and where it is told."""

    run: RunSettings
    problem: str = ""


class Score(NamedTuple):
    """One headline figure of `score-reports`, as in its scores.json; 0 to 1."""

    metric: str
    label: str
    point: float | None
    median: float | None
    low: float | None
    high: float | None


def scores_of(folder: Path) -> list[Score]:
    """The headline figures of a folder of score-reports.

    Raises:
        ValueError: it holds no scores.json of that kind.
    """
    file = folder / "scores.json"
    try:
        found = json.loads(file.read_text(encoding="utf-8"))["figures"]
        return [
            Score(*(one[key] for key in ("name", "label", "point", "median", "low", "high")))
            for one in found
            if one["group"] == "headline"
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file} is no scores.json of score-reports ({type(error).__name__})") from None


def scored_of(folder: Path) -> int:
    """How many studies a folder of score-reports is of."""
    return int(json.loads((folder / "scores.json").read_text(encoding="utf-8"))["counts"]["scored"])


_COLUMNS = ("run", "series", "encoder", "pretraining_studies", "problem", "scored", *Score._fields)


def write_table(sweep: SweepSettings, outcomes: Sequence[Outcome]) -> list[tuple[Outcome, list[Score]]]:
    """Write OUTPUT/table.csv, a row a run and metric, and give what is in it."""
    rows = [(one, [] if one.problem else scores_of(sweep.folder(one.run) / "scores")) for one in outcomes]
    part = sweep.output / "table.csv.part"
    with part.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(_COLUMNS)
        for outcome, scores in rows:
            run = outcome.run
            scored = "" if outcome.problem else scored_of(sweep.folder(run) / "scores")
            about = (run.name, run.series, run.encoder.name, run.pretraining_studies, outcome.problem, scored)
            figures: list[tuple[object, ...]] = [*scores] or [("",) * len(Score._fields)]
            table.writerows((*about, *one) for one in figures)
    part.replace(sweep.output / "table.csv")
    return rows
