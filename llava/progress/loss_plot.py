"""loss.png: what a run's losses and learning rates did, drawn from its log.jsonl alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from llava.config import PARTS
from llava.progress.journal import LOG_NAME, read_log

PLOT_NAME = "loss.png"
_SPAN = 0.03  # of the steps that are drawn, which a smoothed value is about the mean of
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")  # Okabe and Ito's, told apart by all eyes


class _Stage(NamedTuple):
    """first: steps of the run before it. steps: of the stage's plan."""

    name: str
    first: int
    steps: int
    rows: list[dict[str, Any]]
    validated: list[dict[str, Any]]


def plot_losses(output: Path) -> Path:
    """Draw OUTPUT/loss.png of OUTPUT/log.jsonl, and give its path.

    Raises:
        ValueError: no log there, or no step in it.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    log = output / LOG_NAME
    if not log.is_file():
        raise ValueError(f"{log} does not exist; {output} is no output folder of train-llava")
    stages = _stages(read_log(log))
    if not stages:
        raise ValueError(f"{log}: no step is done yet")
    figure = Figure(figsize=(9, 6), layout="constrained")
    FigureCanvasAgg(figure)  # no window, and no state shared with the caller's plots
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    for number, stage in enumerate(stages):
        for axes in (above, below):
            axes.axvspan(stage.first, stage.first + stage.steps, color="0.93" if number % 2 else "0.97", lw=0)
        height = 3 + 11 * (number % 2)  # points above; the names of short stages would meet
        above.annotate(
            stage.name,
            (stage.first, 1),
            xycoords=("data", "axes fraction"),
            xytext=(0, height),
            textcoords="offset points",
        )
        _draw_losses(above, stage, labelled=number == 0)
        _draw_rates(below, stage)
    above.set_ylabel("loss (nats a supervised token)")
    below.set_ylabel("learning rate")
    below.set_xlabel("optimiser steps")
    peaks = [max(rate for row in stage.rows for rate in row["learning_rates"].values()) for stage in stages]
    if learning := [peak for peak in peaks if peak > 0]:
        below.set_yscale("log")  # stages may differ a hundredfold
        below.set_ylim(bottom=min(learning) / 100)  # a cosine's end is far below
    _legends(above, below)
    path = output / PLOT_NAME
    part = path.with_name(PLOT_NAME + ".part")
    figure.savefig(part, format="png", dpi=120)
    part.replace(path)
    return path


def smoothed(values: NDArray[np.float64], span: float) -> NDArray[np.float64]:
    """Exponential mean of about `span` values, each begun without bias towards 0 (as Adam's moments are); NaN is passed
    over."""
    keep = 1 - 1 / max(span, 1.0)
    total = weight = 0.0
    means = np.full(len(values), np.nan)
    for place, value in enumerate(values):
        if np.isfinite(value):
            total, weight = keep * total + (1 - keep) * value, keep * weight + (1 - keep)
        if weight:
            means[place] = total / weight
    return means


def _stages(rows: list[dict[str, Any]]) -> list[_Stage]:
    stages: list[_Stage] = []
    first = 0
    for name in dict.fromkeys(row["stage"] for row in rows):
        own = [row for row in rows if row["stage"] == name]
        done = [row for row in own if row["event"] == "step"]
        steps = max((row["steps"] for row in own if row["event"] == "stage_started"), default=0)
        if done:
            validated = {row["step"]: row for row in own if row["event"] == "validated"}
            stages.append(_Stage(name, first, steps, done, list(validated.values())))
        first += steps
    return stages


def _draw_losses(axes: Any, stage: _Stage, *, labelled: bool) -> None:
    steps = np.array([stage.first + row["step"] for row in stage.rows])
    losses = np.array([row["loss"] for row in stage.rows], np.float64)  # None, where there was none, becomes NaN

    def label(text: str) -> str:
        return text if labelled else "_"

    axes.plot(steps, losses, color=_COLORS[0], alpha=0.3, lw=0.8, label=label("training, each step"))
    mean = smoothed(losses, _SPAN * len(losses))
    axes.plot(steps, mean, color=_COLORS[0], lw=1.8, label=label("training, smoothed"))
    if stage.validated:
        at = [stage.first + row["step"] for row in stage.validated]
        axes.plot(at, [row["loss"] for row in stage.validated], "o-", color=_COLORS[1], ms=4, label="validation")


def _draw_rates(axes: Any, stage: _Stage) -> None:
    steps = [stage.first + row["step"] for row in stage.rows]
    for part in stage.rows[0]["learning_rates"]:
        rates = [row["learning_rates"][part] or None for row in stage.rows]  # a logarithm has no 0
        look = PARTS.index(part)
        axes.plot(steps, rates, color=_COLORS[look], ls=("-", "--", ":")[look], lw=1.4, label=part)


def _legends(*axes: Any) -> None:
    for one in axes:
        handles, labels = one.get_legend_handles_labels()
        unique = dict(zip(labels, handles, strict=True))
        one.legend(unique.values(), unique.keys(), frameon=False, fontsize=8)
