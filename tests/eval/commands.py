"""`score-reports` and `compare-scores` in this process, as a user types them, and a few invented studies for them."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import jinja2
import pytest
import typer
import typer.main

from eval import cli

ROOT = Path(__file__).parents[2]


class Study(NamedTuple):
    study_id: str
    patient_id: str
    sex: str
    prediction: str
    reference: str


# ROUGE-L F1 by hand, 2 LCS / (tokens of both):
ROUGE_L = {"s1": 1.0, "s2": 4 / 7, "s3": 2 / 3, "s4": 3 / 4, "s5": 1.0, "s6": 0.0}
STUDIES = (
    Study("s1", "p1", "F", "No pneumothorax.", "No pneumothorax."),
    Study("s2", "p1", "F", "The heart is enlarged.", "Heart is normal."),  # 2 of 4 and 3 tokens
    Study("s3", "p2", "M", "Small pleural effusions.", "Small pleural effusion."),  # alike when stemmed
    Study("s4", "p2", "M", "Right chest tube kinked.", "Left chest tube kinked."),  # a hit, but not by side
    Study("s5", "p3", "F", "Right chest tube kinked.", "Right chest tube kinked."),  # a hit
    Study("s6", "p3", "F", "No pneumothorax.", "Left chest tube kinked."),  # a miss
)


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_predictions(path: Path, studies: Iterable[Study] = STUDIES) -> Path:
    return write_rows(path, ({"study_id": one.study_id, "prediction": one.prediction} for one in studies))


def write_references(path: Path, studies: Iterable[Study] = STUDIES) -> Path:
    """With the patient and the sex of each study."""
    return write_rows(
        path,
        (
            {"study_id": one.study_id, "patient_id": one.patient_id, "sex": one.sex, "reference": one.reference}
            for one in studies
        ),
    )


class Done(NamedTuple):
    exit_code: int
    stdout: str
    stderr: str


def score(*arguments: object) -> Done:
    return run_command("score-reports", cli.score_reports, arguments)


def compare(*arguments: object) -> Done:
    return run_command("compare-scores", cli.compare_scores, arguments)


def run_command(name: str, command: Any, arguments: Iterable[object]) -> Done:
    """What the command raises is raised: a user would see a traceback."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("OPENAI_")}
    with (
        contextlib.redirect_stdout(io.StringIO()) as stdout,
        contextlib.redirect_stderr(io.StringIO()) as stderr,
        mock.patch.dict(os.environ, clean, clear=True),
        mock.patch.object(jinja2.Environment, "compile", _compile_once),
        pytest.raises(SystemExit) as end,
    ):
        _parser(name, command).main([*map(str, arguments)], prog_name=name)
    return Done(int(end.value.code or 0), stdout.getvalue(), stderr.getvalue())


@functools.cache
def _parser(name: str, command: Any) -> Any:
    app = typer.Typer()
    app.command(name)(command)
    return typer.main.get_command(app)


_COMPILE, _compiled = jinja2.Environment.compile, {}


def _compile_once(environment: jinja2.Environment, source: Any, *arguments: Any, **more: Any) -> Any:
    """Compiling the page is half of a small run's time, and the same every time."""
    if source not in _compiled:
        _compiled[source] = _COMPILE(environment, source, *arguments, **more)
    return _compiled[source]


def read_scores(folder: Path) -> dict[str, Any]:
    """scores.json, read as strictly as other programs read JSON."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    found: dict[str, Any] = json.loads((folder / "scores.json").read_text(encoding="utf-8"), parse_constant=refuse)
    return found


def figure(scores: Mapping[str, Any], name: str) -> dict[str, Any]:
    (found,) = (one for one in scores["figures"] if one["name"] == name)
    return dict(found)
