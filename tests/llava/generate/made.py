"""Studies to write about, and a screen that remembers."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

NUM_STUDIES = 12


def rows() -> list[dict[str, Any]]:
    """Twelve studies of six patients: every third has one film, every third two, every third three."""
    made = []
    for number in range(NUM_STUDIES):
        row = {
            "study_id": f"s{number:02}",
            "patient_id": f"p{number // 2}",
            "frontal": f"films/{number}_f.png",
            "indication": "Cough. " * (number % 4),
            "findings": f"The heart is normal in study {number}.",
        }
        if number % 3:
            row["lateral"] = f"films/{number}_l.png"
        if number % 3 == 2:
            row |= {"prior_frontal": f"films/{number}_p.png", "prior_report": "FINDINGS: A right chest tube."}
        made.append(row)
    return made


def make_films(folder: Path) -> None:
    """Films of `rows`: smooth pictures, each another one."""
    rng = np.random.default_rng(0)
    (folder / "films").mkdir()
    for row in rows():
        for film in ("frontal", "lateral", "prior_frontal"):
            if film in row:
                # air, lung, spine, lung, air: a guard refuses what looks like a negative
                coarse_HW = np.array([20, 90, 190, 190, 90, 20]) + rng.integers(-15, 45, (6, 6))
                Image.fromarray(coarse_HW.astype(np.uint8)).resize((96, 96), Image.Resampling.BICUBIC).save(
                    folder / row[film]
                )


def write_table(path: Path, told: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in told), encoding="utf-8")
    return path


class Heard:
    """A screen that remembers what was said, and does `on_progress` at each batch."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.errors: list[str] = []
        self.on_progress: Callable[[int], None] = lambda _: None

    def say(self, message: str) -> None:
        self.said.append(message)

    def error(self, message: str) -> None:
        self.errors.append(message)

    @contextlib.contextmanager
    def progress(self, what: str, total: int) -> Iterator[Callable[[int], None]]:
        self.said.append(f"{what} {total}")
        yield lambda done: self.on_progress(done)
