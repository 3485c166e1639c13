"""`scores.json`: every number of a run with its intervals, and every setting that made it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

import numpy as np
import numpy.typing as npt

from eval.chexpert import class_table
from eval.figure_sets import LABEL_TITLES, figures_of, studies_counted
from eval.figures import Columns, Figure, Floats, Group
from eval.measures import Measured
from eval.pairs import Pairs
from eval.per_study import GROUP_PREFIX, PATIENT_ID
from eval.placement import placement_table
from eval.statistics.bootstrap import (
    CONFIDENCE,
    bootstrap_bca,
    count_units,
    estimate,
    replicate_values,
    say_few_units,
)
from eval.statistics.resampling import Resampling, replicate_sums, unit_numbers, unit_sums
from eval.statistics.subgroups import subgroup_gaps

FORMAT = "carina-scores/1"
# whose versions may change a last digit; torch and transformers where CheXbert was run
_PACKAGES = ("numpy", "scipy", "rapidfuzz", "torch", "transformers")
Units = npt.NDArray[np.int64] | None


def patient_units(columns: Columns) -> Units:
    """Number of each study's patient, or None where the table names none."""
    ids = columns[PATIENT_ID]
    return None if ids[0] is None else unit_numbers(ids.tolist())


def build_scores(
    pairs: Pairs,
    columns: Columns,
    measured: Sequence[Measured],
    not_computed: Mapping[str, str],
    resampling: Resampling,
    *,
    iid: bool,
) -> dict[str, Any]:
    """Everything `scores.json` holds but for `generated_by`; see the keys.

    Args:
        columns: the per-study table.
        iid: the headline intervals resample studies even where patients are known; both are given anyway.
    """
    figures = figures_of(columns)
    patients = patient_units(columns)
    unit = "study" if iid or patients is None else "patient"
    schemes: dict[str, Units] = {"study": None} if patients is None else {"study": None, "patient": patients}
    replicates = {name: replicate_values(figures, resampling, units) for name, units in schemes.items()}
    num_patients = None if patients is None else int(patients.max()) + 1
    counts = pairs.counts | {"patients": num_patients}
    num_units = num_patients if unit == "patient" and num_patients is not None else len(pairs.studies)
    return {
        "format": FORMAT,
        "carina_version": metadata.version("carina-cxr"),
        "versions": {name: metadata.version(name) for name in _PACKAGES if _is_used(name, measured)},
        "counts": counts,
        "bootstrap": {
            "replicates": resampling.replicates,
            "seed": resampling.seed,
            "unit": unit,
            "warning": say_few_units(num_units, unit),
            "rng": resampling.rng.value,
            "confidence": CONFIDENCE,
        },
        "metrics": {one.metric: _metric(one, columns) for one in measured},
        "not_computed": dict(not_computed),
        "figures": [
            _figure(figure, unit, schemes, {name: values[place] for name, values in replicates.items()})
            for place, figure in enumerate(figures)
        ],
        "tables": _tables(columns),
        "subgroups": _subgroups(figures, columns, resampling, schemes[unit], pairs.group_columns),
    }


def _is_used(package: str, measured: Sequence[Measured]) -> bool:
    return package not in ("torch", "transformers") or any(one.metric == "chexbert" for one in measured)


def _metric(one: Measured, columns: Columns) -> dict[str, Any]:
    return {
        "settings": one.settings,
        "studies": studies_counted(columns, one.metric),
        "excluded": one.excluded,
        "failure_rate": one.failure_rate,
        "notes": one.notes,
        **one.details,
    }


def _figure(
    figure: Figure, unit: str, schemes: Mapping[str, Units], replicates: Mapping[str, Floats]
) -> dict[str, Any]:
    point = figure.point()
    intervals: dict[str, dict[str, float | None]] = {}
    for scheme, values_B in replicates.items():
        found = estimate(point, values_B, num_units=count_units(figure, schemes[scheme]))
        intervals[scheme] = {"median": found.median, "low": found.low, "high": found.high}
        bca = bootstrap_bca(figure, values_B, schemes[scheme])
        ends = (bca.low, bca.high) if bca else (None, None)
        intervals[f"{scheme}_bca"] = {"median": found.median, "low": ends[0], "high": ends[1]}
    return {
        "name": figure.name,
        "label": figure.label,
        "metric": figure.metric,
        "group": figure.group.value,
        "support": figure.support,
        **estimate(point, replicates[unit], num_units=count_units(figure, schemes[unit]))._asdict(),
        "intervals": intervals,
    }


def _tables(columns: Columns) -> dict[str, list[dict[str, Any]]]:
    tables: dict[str, list[dict[str, Any]]] = {}
    for prefix in LABEL_TITLES:
        if f"{prefix}_reference_no_finding" in columns:
            rows = [row._asdict() for row in class_table(columns, prefix)]
            tables[f"{prefix}_classes"] = [_nulled({"class": row.pop("name"), **row}) for row in rows]
    if "incorrect_placement_tp_chest_tube" in columns:
        tables["placement_devices"] = [row._asdict() for row in placement_table(columns)]
    return tables


def _subgroups(
    figures: Sequence[Figure], columns: Columns, resampling: Resampling, units: Units, names: Sequence[str]
) -> list[dict[str, Any]]:
    """The headline figures by each metadata column.

    Raises:
        ValueError: a column has too many different values for subgroups.
    """

    def sums(sums_NE: Floats) -> Floats:
        return replicate_sums([unit_sums(sums_NE, units)], resampling)[0]

    found = []
    for name in names:
        for figure in figures:
            if figure.group is Group.HEADLINE:
                levels = subgroup_gaps(figure, columns[GROUP_PREFIX + name], sums)
                rows = [_nulled({"small": level.few, **level._asdict()}) for level in levels]
                found.append({"column": name, "figure": figure.name, "levels": rows})
    return found


def _nulled(row: dict[str, Any]) -> dict[str, Any]:
    """NaN as null: JSON has no NaN."""
    return {key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in row.items()}
