"""Incorrect Placement F1: does a generated report call the lines and tubes misplaced that the reference does?

"Data scaling laws for radiology foundation models" (5.3, figure 5, table 6) names the metric and gives no formula; its
appendix A.7 gives the labels: per line or tube a placement of correct, incorrect, unclear or N/A. Left open is what is
counted, what an absent or an unclear device is, how devices are averaged and what is done without any case. Here:

- A unit is a study and a device type (`by_side`: and the side that is stated; "unspecified" is a side of its own).
- A unit is positive when any device of it that is in place is placed incorrectly. Everything else is negative: correct,
  unclear, N/A, removed, or not in the text. So a misplaced tube that the prediction leaves out is missed, and one that
  it invents is a false alarm.
- Micro over all units is the headline; beside it each device, and macro over the devices with a case in the reference.
- F1 = 2 TP / (2 TP + FP + FN), and without a case in the reference it is undefined, whatever the false alarms; recall
  too. Precision is undefined where nothing was predicted.
- Two variants drop units from both sides: `both_present` keeps those whose device is in place in both texts (where it
  lies, given that it is there), `reference_clear` those whose reference is not unclear (no case is lost, false alarms
  may be).
- A study whose labels failed on either side counts nowhere.

Shape letters: N studies, U the twelve sets of units (ten devices, two variants), S the three counts tp, fp, fn, K
devices.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from eval.figures import Columns, Figure, Floats, Group
from eval.report.marks import Mark
from eval.report.marks import Side as Text
from labeling.schema import LabelRow, LineTube
from labeling.vocabulary import LineTubeType, Placement, Side, Status

_METRIC = "incorrect_placement"
_COUNTS = ("tp", "fp", "fn")
_DEVICES = tuple(device.value for device in LineTubeType)
_BOTH_PRESENT, _REFERENCE_CLEAR = "both_present", "reference_clear"
_SETS = (*_DEVICES, _BOTH_PRESENT, _REFERENCE_CLEAR)


class State(StrEnum):
    """What a text says of a unit; of several devices the first of these that holds for any."""

    INCORRECT = Placement.INCORRECT.value
    UNCLEAR = Placement.UNCLEAR.value
    CORRECT = Placement.CORRECT.value
    NO_PLACEMENT = Placement.NOT_AVAILABLE.value
    REMOVED = "removed"
    ABSENT = "absent"


_WORST_FIRST = tuple(State)
_IN_PLACE = frozenset(_WORST_FIRST[:4])


class Unit(NamedTuple):
    device: LineTubeType
    side: Side | None  # None: all sides together


class PlacementScore(NamedTuple):
    """One device's line of the table. support: positives of the reference; None: undefined, never 0."""

    device: str
    support: int
    predicted: int
    tp: int
    fp: int
    fn: int
    precision: float | None
    recall: float | None
    f1: float | None


def placement_columns(
    prediction_rows: Mapping[str, LabelRow],
    reference_rows: Mapping[str, LabelRow],
    study_ids: Sequence[str],
    *,
    by_side: bool,
) -> dict[str, Floats]:
    """Count true positives, false positives and false negatives of each study.

    Args:
        study_ids: the studies, in the order of the columns. One that has no row on either side had no labels: all its
            counts are NaN.
        by_side: part units by the side that is stated. A side that only one of the two texts states is then a miss and
            a false alarm.

    Returns:
        `incorrect_placement_{tp,fp,fn}_{device}` for ten devices, `incorrect_placement_{variant}_{tp,fp,fn}` for two
        variants; float64, N each.

    Raises:
        ValueError: no study, a study twice, or a row that was not asked for all ten types of lines and tubes.
    """
    if not study_ids:
        raise ValueError("no studies to score")
    if len(set(study_ids)) != len(study_ids):
        raise ValueError(f"{len(study_ids) - len(set(study_ids))} of {len(study_ids)} study ids stand more than once")
    counts_NUS = np.zeros((len(study_ids), len(_SETS), len(_COUNTS)))
    for place, study_id in enumerate(study_ids):
        prediction, reference = prediction_rows.get(study_id), reference_rows.get(study_id)
        if prediction is None or reference is None:
            counts_NUS[place] = np.nan
            continue
        for unit, predicted, truth in _pairs(prediction, reference, by_side=by_side):
            if State.INCORRECT not in (predicted, truth):
                continue
            outcome = 0 if predicted is truth else 1 if predicted is State.INCORRECT else 2
            counts_NUS[place, _SETS.index(unit.device.value), outcome] += 1
            if predicted in _IN_PLACE and truth in _IN_PLACE:
                counts_NUS[place, _SETS.index(_BOTH_PRESENT), outcome] += 1
            if truth is not State.UNCLEAR:
                counts_NUS[place, _SETS.index(_REFERENCE_CLEAR), outcome] += 1
    return {
        _column(name, count): np.ascontiguousarray(counts_NUS[:, u, s])
        for u, name in enumerate(_SETS)
        for s, count in enumerate(_COUNTS)
    }


def placement_figures(columns: Columns) -> list[Figure]:
    """Give the figures, from nothing but the columns of `placement_columns`.

    The macro average is over the devices with a case in the reference of all studies; in a resample, over those of
    them that still have one.

    Raises:
        ValueError: a column is missing.
    """
    device_sums = [_sums(columns, device) for device in _DEVICES]
    all_NS = np.sum(device_sums, axis=0)
    supported_K = np.array([_support(sums_NS) > 0 for sums_NS in device_sums])

    def macro_f1(sums: Floats) -> Floats:
        return _mean_of_defined(f1_of_counts(sums.reshape(*sums.shape[:-1], len(_DEVICES), 3))[..., supported_K])

    def figure(name: str, label: str, sums_NS: Floats, value: Callable[[Floats], Floats], group: Group) -> Figure:
        return Figure(f"{_METRIC}_{name}", label, _METRIC, group, sums_NS, value, _support(sums_NS))

    headline = "Incorrect Placement F1"
    both_NS, clear_NS = _sums(columns, _BOTH_PRESENT), _sums(columns, _REFERENCE_CLEAR)
    macro = Figure(
        f"{_METRIC}_macro_f1",
        f"{headline}, macro over devices with a case",
        _METRIC,
        Group.DETAIL,
        np.concatenate(device_sums, axis=1),
        macro_f1,
        _support(all_NS),
    )
    return [
        figure("f1", headline, all_NS, f1_of_counts, Group.HEADLINE),
        figure("precision", "Incorrect Placement precision", all_NS, precision_of_counts, Group.DETAIL),
        figure("recall", "Incorrect Placement recall", all_NS, recall_of_counts, Group.DETAIL),
        figure(f"{_BOTH_PRESENT}_f1", f"{headline}, device in both texts", both_NS, f1_of_counts, Group.DETAIL),
        figure(f"{_REFERENCE_CLEAR}_f1", f"{headline}, reference not unclear", clear_NS, f1_of_counts, Group.DETAIL),
        macro,
        *(
            figure(f"f1_{device}", device, sums_NS, f1_of_counts, Group.DEVICE)
            for device, sums_NS in zip(_DEVICES, device_sums, strict=True)
        ),
    ]


def placement_table(columns: Columns) -> list[PlacementScore]:
    """Give a line for each of the ten devices, over all studies that have labels.

    Raises:
        ValueError: a column is missing.
    """
    lines = []
    for device in _DEVICES:
        sums_S = _sums(columns, device).sum(axis=0)
        tp, fp, fn = (int(count) for count in sums_S)
        scores = (precision_of_counts(sums_S), recall_of_counts(sums_S), f1_of_counts(sums_S))
        precision, recall, f1 = (None if np.isnan(score) else float(score) for score in scores)
        lines.append(PlacementScore(device, tp + fn, tp + fp, tp, fp, fn, precision, recall, f1))
    return lines


def excluded_studies(columns: Columns) -> int:
    """How many studies count nowhere, because the labels of one of their texts failed."""
    return int(np.isnan(_counts(columns, _DEVICES[0])[:, 0]).sum())


def wrong_placements(prediction: LabelRow, reference: LabelRow, *, by_side: bool) -> list[Mark]:
    """Give the places in the two texts of a study that made it lose: false alarms in the prediction, missed cases in
    the reference; each is the evidence of a device that is placed incorrectly, in the order of the units.

    Raises:
        ValueError: a row that was not asked for all ten types of lines and tubes.
    """
    marks: dict[Mark, None] = {}
    row: LabelRow
    text: Text
    for unit, predicted, truth in _pairs(prediction, reference, by_side=by_side):
        for row, text, other, here, there in (
            (prediction, "prediction", "reference", predicted, truth),
            (reference, "reference", "prediction", truth, predicted),
        ):
            if here is not State.INCORRECT or there is State.INCORRECT:
                continue
            name = unit.device.value if unit.side is None else f"{unit.device.value} ({unit.side.value})"
            note = f"{name}: incorrect here, {'not' if there is State.ABSENT else there.value} in the {other}"
            for entry in row.lines_and_tubes:
                if _unit(entry, by_side=by_side) == unit and _state(entry) is State.INCORRECT:
                    for span in (*entry.evidence, *entry.pleural_evidence):
                        marks[Mark(text, span.start, span.end, "wrong_placement", note)] = None
    return list(marks)


def f1_of_counts(sums: Floats) -> Floats:
    """2 TP / (2 TP + FP + FN) of (..., S) sums; NaN without a positive in the reference."""
    tp, fp, fn = sums[..., 0], sums[..., 1], sums[..., 2]
    return np.where(tp + fn > 0, _divide(2 * tp, 2 * tp + fp + fn), np.nan)


def precision_of_counts(sums: Floats) -> Floats:
    """TP / (TP + FP) of (..., S) sums; NaN where nothing was predicted."""
    return _divide(sums[..., 0], sums[..., 0] + sums[..., 1])


def recall_of_counts(sums: Floats) -> Floats:
    """TP / (TP + FN) of (..., S) sums; NaN without a positive in the reference."""
    return _divide(sums[..., 0], sums[..., 0] + sums[..., 2])


def _pairs(prediction: LabelRow, reference: LabelRow, *, by_side: bool) -> list[tuple[Unit, State, State]]:
    """Each unit that either text speaks of, with what the prediction and the reference say of it."""
    predicted, truth = _states(prediction, by_side=by_side), _states(reference, by_side=by_side)
    return [
        (unit, predicted.get(unit, State.ABSENT), truth.get(unit, State.ABSENT))
        for unit in dict.fromkeys((*predicted, *truth))
    ]


def _states(row: LabelRow, *, by_side: bool) -> dict[Unit, State]:
    if row.line_tube_labels is None or row.line_tube_labels.no_tubes is None:
        raise ValueError(
            f"report {row.report_id!r} was labelled with prompt {row.prompt!r}, not for all ten types of lines and "
            "tubes: label with prompt 'all' or 'lines_and_tubes'"
        )
    states: dict[Unit, State] = {}
    for entry in row.lines_and_tubes:
        unit = _unit(entry, by_side=by_side)
        states[unit] = min(states.get(unit, State.ABSENT), _state(entry), key=_WORST_FIRST.index)
    return states


def _unit(entry: LineTube, *, by_side: bool) -> Unit:
    return Unit(entry.type_categorical, entry.side_categorical if by_side else None)


def _state(entry: LineTube) -> State:
    return State.REMOVED if entry.status is Status.REMOVED else State(entry.placement.value)


def _column(name: str, count: str) -> str:
    return f"{_METRIC}_{count}_{name}" if name in _DEVICES else f"{_METRIC}_{name}_{count}"


def _counts(columns: Columns, name: str) -> Floats:
    missing = [column for count in _COUNTS if (column := _column(name, count)) not in columns]
    if missing:
        raise ValueError(f"no column {' and no '.join(missing)}")
    return np.column_stack([columns[_column(name, count)] for count in _COUNTS]).astype(np.float64)


def _sums(columns: Columns, name: str) -> Floats:
    """(N, S), zeros for a study that does not count."""
    return np.nan_to_num(_counts(columns, name), nan=0.0)


def _support(sums_NS: Floats) -> int:
    return int(sums_NS[:, 0].sum() + sums_NS[:, 2].sum())


def _divide(numerator: Floats, denominator: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(denominator > 0, numerator / denominator, np.nan)


def _mean_of_defined(values: Floats) -> Floats:
    """Mean over the last axis of what is not NaN; NaN where nothing is."""
    there = ~np.isnan(values)
    return _divide(np.where(there, values, 0.0).sum(axis=-1), there.sum(axis=-1).astype(np.float64))
