"""A sweep's scores against pretraining size, a panel a metric (figure 5 of the paper)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from llava.sweep.results import Outcome, Score

_PANEL_INCHES = 4.2


def draw_scores(rows: Sequence[tuple[Outcome, list[Score]]], path: Path) -> bool:
    """Write a PNG: medians with 95 % intervals by series; published weights (size 0) as dashed lines.

    Whether anything was drawn: without a score there is no figure.
    """
    labels = list(dict.fromkeys(score.label for _, scores in rows for score in scores if score.median is not None))
    if not labels:
        return False
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(
        1, len(labels), figsize=(_PANEL_INCHES * len(labels), _PANEL_INCHES), squeeze=False, layout="constrained"
    )
    series = list(dict.fromkeys(outcome.run.series for outcome, _ in rows))
    colours = {name: f"C{number % 10}" for number, name in enumerate(series)}
    for panel, label in zip(panels[0], labels, strict=True):
        for name in series:
            points = sorted(
                (outcome.run.pretraining_studies, 100 * score.median, 100 * score.low, 100 * score.high)
                for outcome, scores in rows
                for score in scores
                if outcome.run.series == name
                and score.label == label
                and score.median is not None
                and score.low is not None
                and score.high is not None
            )
            for _, median, low, high in (point for point in points if point[0] == 0):
                panel.axhline(median, color=colours[name], linestyle="--", label=name)
                panel.axhspan(low, high, color=colours[name], alpha=0.08, linewidth=0)
            grown = [point for point in points if point[0] > 0]
            if grown:
                sizes, medians, lows, highs = zip(*grown, strict=True)
                errors = [
                    [m - low for m, low in zip(medians, lows, strict=True)],
                    [high - m for m, high in zip(medians, highs, strict=True)],
                ]
                panel.errorbar(sizes, medians, errors, color=colours[name], marker="o", capsize=3, label=name)
        if any(outcome.run.pretraining_studies for outcome, _ in rows):
            panel.set_xscale("log")
        panel.set_title(label)
        panel.set_xlabel("studies the encoder was pretrained on")
        panel.grid(alpha=0.3)
    panels[0][0].set_ylabel("median and 95 % interval, in %")
    panels[0][0].legend(fontsize="small")
    figure.savefig(path, dpi=150)
    plt.close(figure)
    return True
