"""The figures that a per-study table holds, whoever made it: a run just now, or a file of an earlier one."""

from __future__ import annotations

import numpy as np

from eval.chexpert import f1_figures
from eval.figures import Columns, Figure, mean_figure
from eval.placement import placement_figures
from eval.radfact.score import radfact_figures

# prefix of the columns of labels -> what people read
LABEL_TITLES = {"chexbert": "CheXbert", "labels": "CheXpert-14 (label-reports)"}


def figures_of(columns: Columns) -> list[Figure]:
    """Every figure that the columns of `per_study.parquet` give, metric by metric; see each metric's module."""
    figures: list[Figure] = []
    if "rouge_l" in columns:
        figures.append(mean_figure("rouge_l", "ROUGE-L", "rouge_l", columns["rouge_l"]))
    for prefix, title in LABEL_TITLES.items():
        if f"{prefix}_reference_no_finding" in columns:
            figures += f1_figures(columns, prefix, prefix, title)
    if "radfact_precision" in columns:
        figures += radfact_figures(columns)
    if "incorrect_placement_tp_chest_tube" in columns:
        figures += placement_figures(columns)
    return figures


def studies_counted(columns: Columns, metric: str) -> int:
    """How many studies a metric's figures rest on."""
    if metric in LABEL_TITLES:
        sides = (columns[f"{metric}_{side}_no_finding"] for side in ("prediction", "reference"))
        return int(np.all([[word is not None for word in side] for side in sides], axis=0).sum())
    if metric == "radfact":
        return int((np.isfinite(columns["radfact_precision"]) | np.isfinite(columns["radfact_recall"])).sum())
    name = "rouge_l" if metric == "rouge_l" else "incorrect_placement_tp_chest_tube"
    return int(np.isfinite(columns[name]).sum())
