"""Whether systems differ: paired bootstrap on the studies that all runs share, from their stored per-study tables.

Nothing is measured again. All systems are evaluated on each resample, so what makes a study hard for all of them
cancels out; the p-values of every pair and figure together are corrected for their number.

Shape letters: B replicates, N studies that all runs share.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from eval.figure_sets import LABEL_TITLES, figures_of
from eval.figures import Figure, Floats, Group
from eval.per_study import PATIENT_ID, REFERENCE_SHA256, STUDY_ID, read_per_study
from eval.scores import FORMAT, patient_units
from eval.statistics.bootstrap import count_units, estimate, replicate_values, say_few_units
from eval.statistics.multiplicity import bonferroni, holm
from eval.statistics.resampling import Resampling

Table = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Run:
    """An output folder of score-reports. name: the folder's, or its path where two folders have one name."""

    name: str
    scores: dict[str, Any]
    columns: Table


class Difference(NamedTuple):
    """A figure of one system minus another's on the same studies; None where it is undefined.

    p: two-sided, twice the share of replicates on the lesser side of 0, with one added to count and number
    (B. V. North et al., Am J Hum Genet 2002;71:439-441), so never 0; nor below 2^(1 - units), the least p that an exact
    sign test on as many studies or patients can give. p_adjusted: for all tests of the comparison.
    """

    figure: str
    label: str
    first: str
    second: str
    first_point: float | None
    second_point: float | None
    difference: float | None
    median: float | None
    low: float | None
    high: float | None
    p: float | None
    p_adjusted: float | None
    degenerate_share: float


class Comparison(NamedTuple):
    """What `compare_runs` found. unlike: settings in which the runs differ, compared all the same;
    warning: what is wrong with the intervals, if anything."""

    differences: list[Difference]
    studies: int
    patients: int | None
    unit: str
    left_out: dict[str, int]
    unlike: list[str]
    warning: str | None


def load_runs(folders: Sequence[Path]) -> list[Run]:
    """Read the output folders of score-reports.

    Raises:
        ValueError: a folder holds no scores, or the same folder is given twice.
    """
    if len({folder.resolve() for folder in folders}) < len(folders) or len(folders) < 2:
        raise ValueError("give two or more different folders that score-reports wrote")
    names = [folder.name or str(folder) for folder in folders]
    if len(set(names)) < len(names):
        names = [str(folder) for folder in folders]
    return [_load(folder, name) for folder, name in zip(folders, names, strict=True)]


def compare_runs(
    runs: Sequence[Run],
    resampling: Resampling,
    *,
    correction: Literal["holm", "bonferroni"] = "holm",
    all_figures: bool = False,
    iid: bool = False,
    allow_unlike: bool = False,
) -> Comparison:
    """Compare every pair of runs on every headline figure that all of them have (or on all figures).

    Args:
        iid: resample studies even where patients are known.
        allow_unlike: compare although settings or reference texts differ.

    Raises:
        ValueError: the runs share no study or no figure, or were made with unlike settings or references.
    """
    unlike = _unlike_settings(runs)
    tables, left_out = _common(runs)
    changed = _changed_references(tables)
    if changed:
        unlike.append(f"reference texts: other texts in {changed:,} of {len(tables[0][STUDY_ID]):,} common studies")
    if unlike and not allow_unlike:
        raise ValueError(
            f"the runs cannot be compared, they were made differently: {'; '.join(unlike)}. Score them alike, or add "
            "--allow-unlike"
        )
    _share_failures(tables)
    figures = [_by_name(figures_of(table), all_figures) for table in tables]
    shared = [name for name in figures[0] if all(name in one for one in figures)]
    if not shared:
        raise ValueError("the runs have no figure in common; score them with the same metrics")
    with_patients = [table for table in tables if table[PATIENT_ID][0] is not None]
    units = patient_units(with_patients[0]) if with_patients and not iid else None
    num_units = count_units(figures[0][shared[0]], units)
    flat = [one[name] for one in figures for name in shared]
    values = replicate_values(flat, resampling, units)
    by_run = [values[start : start + len(shared)] for start in range(0, len(values), len(shared))]
    found = [
        _difference(
            (runs[a].name, runs[b].name),
            (figures[a][name], figures[b][name]),
            (by_run[a][place], by_run[b][place]),
            num_units,
        )
        for place, name in enumerate(shared)
        for a, b in combinations(range(len(runs)), 2)
    ]
    return Comparison(
        _adjusted(found, correction),
        len(tables[0][STUDY_ID]),
        None if units is None else int(units.max()) + 1,
        "study" if units is None else "patient",
        left_out,
        unlike,
        say_few_units(num_units, "study" if units is None else "patient"),
    )


def _load(folder: Path, name: str) -> Run:
    path = folder / "scores.json"
    try:
        scores = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist; score-reports -o {folder} makes it") from None
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from None
    if not isinstance(scores, dict) or scores.get("format") != FORMAT or "metrics" not in scores:
        raise ValueError(f"{path} is not of format {FORMAT}; score again with this version")
    return Run(name, scores, read_per_study(folder / "per_study.parquet"))


def _unlike_settings(runs: Sequence[Run]) -> list[str]:
    """Settings of metrics that two runs have in common and that differ, each with its values."""
    found: dict[str, None] = {}
    for one, other in combinations(runs, 2):
        for metric in one.scores["metrics"].keys() & other.scores["metrics"].keys():
            mine, theirs = (_flat(run.scores["metrics"][metric]["settings"]) for run in (one, other))
            for key in sorted(mine.keys() | theirs.keys()):
                if mine.get(key) != theirs.get(key):
                    values = f"{mine.get(key)!r} in {one.name}, {theirs.get(key)!r} in {other.name}"
                    found[f"{metric} {key}: {values}"] = None
    return sorted(found)


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def _common(runs: Sequence[Run]) -> tuple[list[Table], dict[str, int]]:
    """Each run's table of the studies that all have, in one order, and how many each run had besides."""
    common = set.intersection(*(set(run.columns[STUDY_ID]) for run in runs))
    if not common:
        raise ValueError("the runs have no study in common; were they scored on the same test set?")
    order = [one for one in runs[0].columns[STUDY_ID] if one in common]
    tables = []
    for run in runs:
        place = {one: row for row, one in enumerate(run.columns[STUDY_ID])}
        rows = np.array([place[one] for one in order])
        tables.append({name: values[rows] for name, values in run.columns.items()})
    return tables, {run.name: len(run.columns[STUDY_ID]) - len(order) for run in runs}


def _changed_references(tables: Sequence[Table]) -> int:
    first = tables[0][REFERENCE_SHA256]
    return int(np.any([table[REFERENCE_SHA256] != first for table in tables], axis=0).sum())


def _share_failures(tables: Sequence[Table]) -> None:
    """A study that could not be measured in one run counts in none, metric by metric."""
    watched: dict[str, tuple[str, ...]] = {"incorrect_placement_": ("incorrect_placement_tp_chest_tube",)}
    watched |= {
        f"{prefix}_": tuple(f"{prefix}_{side}_no_finding" for side in ("prediction", "reference"))
        for prefix in LABEL_TITLES
    }
    found = {
        prefix: [_missing(table[name]) for table in tables for name in names if name in table]
        for prefix, names in watched.items()
    }
    found["radfact_"] = [_unjudged(table) for table in tables if "radfact_precision" in table]
    for prefix, missing in found.items():
        if missing:
            failed_N = np.any(missing, axis=0)
            for table in tables:
                for name in table:
                    if name.startswith(prefix):
                        table[name][failed_N] = np.nan if table[name].dtype.kind == "f" else None


def _unjudged(table: Table) -> npt.NDArray[np.bool_]:
    """Studies that have phrases, or may have, and no score of them. A report without phrases is no failure."""
    unjudged_N = np.zeros(len(table[STUDY_ID]), dtype=bool)
    for side, score in (("prediction", "radfact_precision"), ("reference", "radfact_recall")):
        unjudged_N |= np.isnan(table[score]) & (table[f"radfact_{side}_phrases"] != 0)  # NaN, too, is not 0
    return unjudged_N


def _missing(values_N: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    return np.isnan(values_N) if values_N.dtype.kind == "f" else np.array([one is None for one in values_N])


def _by_name(figures: Sequence[Figure], all_figures: bool) -> dict[str, Figure]:
    return {one.name: one for one in figures if all_figures or one.group is Group.HEADLINE}


def _difference(
    names: tuple[str, str], figures: tuple[Figure, Figure], replicates: tuple[Floats, Floats], num_units: int
) -> Difference:
    (first, second), (one, other) = names, figures
    values_B = replicates[0] - replicates[1]
    found = estimate(one.point() - other.point(), values_B, num_units=num_units)
    defined = values_B[np.isfinite(values_B)]
    p = None
    if len(defined) and num_units > 1:
        lesser = min((defined <= 0).sum(), (defined >= 0).sum())
        p = min(1.0, max(2 * (int(lesser) + 1) / (len(defined) + 1), 2.0 ** (1 - num_units)))
    return Difference(
        one.name,
        one.label,
        first,
        second,
        _or_none(one.point()),
        _or_none(other.point()),
        found.point,
        found.median,
        found.low,
        found.high,
        p if found.point is not None else None,
        None,
        found.degenerate_share,
    )


def _adjusted(found: Sequence[Difference], correction: str) -> list[Difference]:
    tested = [one.p for one in found if one.p is not None]
    if not tested:
        return list(found)
    adjust = holm if correction == "holm" else bonferroni
    adjusted = iter(adjust(np.array(tested)).tolist())
    return [one if one.p is None else one._replace(p_adjusted=next(adjusted)) for one in found]


def _or_none(value: float) -> float | None:
    return value if np.isfinite(value) else None
