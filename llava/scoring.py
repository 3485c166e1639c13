"""Scores of generated reports through `score-reports`, in a process of its own: `eval` is never imported here.

What goes wrong there (a metric that is not installed, a label model that is missing) is said and written down, and
ends no training.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

logger = logging.getLogger(__name__)

TROUBLE_NAME = "scores.error.txt"
# of a launcher's processes, which the scorer is none of
_OF_LAUNCHERS = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def score_reports(
    predictions: Mapping[str, Path], references: Path, folder: Path, metrics: str
) -> dict[str, dict[str, float]]:
    """Headline figures of each file of predictions by its name, each a point estimate; {} for what could not be scored.

    Args:
        predictions: files by name; what `score-reports` writes of each goes to folder/NAME.
        metrics: as its --metrics.
    """
    folder.mkdir(parents=True, exist_ok=True)
    trouble = folder.with_name(TROUBLE_NAME)
    trouble.unlink(missing_ok=True)
    found: dict[str, dict[str, float]] = {}
    for name, path in predictions.items():
        command = [sys.executable, "-m", "eval", "score", str(path), str(references), "-o", str(folder / name)]
        command += ["--metrics", metrics, "--allow-missing"]  # an empty report is scored as one that says nothing
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", env=_environment(), check=False
        )
        scores = folder / name / "scores.json"
        if done.returncode == 0 and scores.is_file():
            found[name] = _headlines(scores)
            continue
        with trouble.open("a", encoding="utf-8") as file:
            file.write(f"{' '.join(command)}\nexit code {done.returncode}\n{done.stderr}\n")
        logger.warning("reports (%s) could not be scored, exit code %d: %s says why", name, done.returncode, trouble)
    return found


def _headlines(path: Path) -> dict[str, float]:
    figures = json.loads(path.read_text(encoding="utf-8"))["figures"]
    return {one["name"]: one["point"] for one in figures if one["group"] == "headline" and one["point"] is not None}


def _environment() -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if name not in _OF_LAUNCHERS}
    return ours | {"CUDA_VISIBLE_DEVICES": ""}  # the GPU's memory is the trainer's
