"""F1 over the fourteen CheXpert classes, from two sets of labels: of the generated and of the reference reports.

The labels come from CheXbert (`eval.chexbert`) or, with another prefix, from `label-reports` by way of a crosswalk.
Figures in the field differ by what "uncertain" counts as, so both readings are always given: as negative (MAIRA-2,
arXiv 2406.04449, App. D.1; LLaVA-Rad's "F1-14") and as positive (f1chexbert, RadEval; LLaVA-Rad's "F1-14+").

Shape letters: N studies, C the fourteen classes, 3 counts in the order TP, FP, FN, ... any leading axes.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from eval.figures import Columns, Figure, Floats, Group
from labeling.crosswalk import CHEXPERT_14

CLASSES = CHEXPERT_14  # in the order of CheXbert's fourteen heads
# The five of the CheXpert competition (Irvin et al., arXiv 1901.07031).
FIVE = ("Cardiomegaly", "Edema", "Consolidation", "Atelectasis", "Pleural Effusion")
NO_LABELS = -1  # the code of a study that has no labels

Codes = npt.NDArray[np.integer[Any]]


class Mention(StrEnum):
    """What a report says of a class, in the order of CheXbert's class codes 0 to 3; blank: it says nothing."""

    BLANK = "blank"
    POSITIVE = "positive"
    NEGATIVE = "negative"
    UNCERTAIN = "uncertain"


_CODES: dict[str | None, int] = {None: NO_LABELS} | {word: code for code, word in enumerate(Mention)}


class ClassRow(NamedTuple):
    """One class in a table, uncertain counted as negative; a ratio without a denominator is NaN."""

    name: str
    support: int
    tp: int
    fp: int
    fn: int
    precision: float
    recall: float
    f1: float


def slug(name: str) -> str:
    """A class as part of a column's or a figure's name: "Pleural Effusion" is "pleural_effusion"."""
    return name.lower().replace(" ", "_")


def label_columns(prediction_codes_NC: Codes, reference_codes_NC: Codes, prefix: str) -> dict[str, npt.NDArray[Any]]:
    """Per-study columns `<prefix>_prediction_<class>` and `<prefix>_reference_<class>` of `Mention` words.

    Args:
        prediction_codes_NC, reference_codes_NC: 0 blank, 1 positive, 2 negative, 3 uncertain; a row of -1 is a study
            without labels, whose words are None.
        prefix: "chexbert", or "labels" for the labels of `label-reports`.

    Raises:
        ValueError: not (N, 14) integers, N differs, a code outside -1..3, or -1 in only a part of a row.
    """
    if len(prediction_codes_NC) != len(reference_codes_NC):
        raise ValueError(
            f"{prefix}: labels of {len(prediction_codes_NC)} predictions and {len(reference_codes_NC)} references"
        )
    words = np.array([*(str(word) for word in Mention), None], dtype=object)  # code -1 picks the last, None
    columns: dict[str, npt.NDArray[Any]] = {}
    for side, codes_NC in (("prediction", prediction_codes_NC), ("reference", reference_codes_NC)):
        check_codes(codes_NC, f"{prefix} {side}")
        for column, name in enumerate(CLASSES):
            columns[f"{prefix}_{side}_{slug(name)}"] = words[codes_NC[:, column]]
    return columns


def check_codes(codes_NC: Codes, what: str) -> None:
    """Refuse codes that are not labels of the fourteen classes.

    Raises:
        ValueError: not (N, 14) integers, a code outside -1..3, or -1 in only a part of a row.
    """
    if codes_NC.ndim != 2 or codes_NC.shape[1] != len(CLASSES) or codes_NC.dtype.kind not in "iu":
        raise ValueError(f"{what}: labels are {codes_NC.dtype} of shape {codes_NC.shape}, not integers (studies, 14)")
    outside = sorted({int(code) for code in np.unique(codes_NC)} - set(range(NO_LABELS, len(Mention))))
    if outside:
        raise ValueError(f"{what}: codes {outside} are none of -1 (no labels), 0, 1, 2, 3")
    missing_NC = codes_NC == NO_LABELS
    part_N = missing_NC.any(axis=1) & ~missing_NC.all(axis=1)
    if part_N.any():
        row = int(part_N.argmax())
        raise ValueError(
            f"{what}: row {row} has labels of {int((~missing_NC[row]).sum())} of the 14 classes, as have "
            f"{int(part_N.sum()) - 1} more; a study has all fourteen or none"
        )


def f1_figures(columns: Columns, prefix: str, metric: str, title: str) -> list[Figure]:
    """Macro and micro F1 over the fourteen and the five, uncertain as negative and as positive, and F1 of each class.

    Studies without labels on either side do not count. In a macro F1 a class without any positive, in the reference
    or predicted, counts as 0 (scikit-learn's default), also when a resample leaves it without. "Macro over supported
    classes" leaves out classes without a positive in the reference instead. A micro or a class's own F1 without any
    positive is NaN.

    Args:
        columns: holds what `label_columns` gives.
        prefix: of the columns, and of the figures' names (`<prefix>_macro_f1_14`).
        metric: the metric the figures belong to.
        title: what the labels are, for people, such as "CheXbert".

    Raises:
        ValueError: a column is missing or holds another word, a row has labels of some classes only, or no study has
            labels on both sides.
    """
    figures: list[Figure] = []

    def add(name: str, label: str, group: Group, counts_N3C: Floats, value: Callable[[Floats], Floats]) -> None:
        sums_ND = counts_N3C.reshape(len(counts_N3C), -1)
        figures.append(Figure(f"{prefix}_{name}", f"{title} {label}", metric, group, sums_ND, value))

    five = [CLASSES.index(name) for name in FIVE]
    counts_N3C = _counts(columns, prefix, uncertain_positive=False)
    for ending, words, counts in (
        ("", "", counts_N3C),
        ("_uncertain_positive", ", uncertain as positive", _counts(columns, prefix, uncertain_positive=True)),
    ):
        for size, some_N3C in ((14, counts), (5, counts[:, :, five])):
            headline = size == 14 and not ending
            group = Group.HEADLINE if headline else Group.DETAIL
            add(f"macro_f1_{size}{ending}", f"macro-F1-{size}{words}", group, some_N3C, macro_f1)
            pooled_N3C = some_N3C.sum(axis=2, keepdims=True)
            add(f"micro_f1_{size}{ending}", f"micro-F1-{size}{words}", Group.DETAIL, pooled_N3C, pooled_f1)
    supported = "macro F1 over supported classes"
    add("macro_f1_supported", supported, Group.DETAIL, counts_N3C, supported_macro_f1)
    for column, name in enumerate(CLASSES):
        sums_N3 = counts_N3C[:, :, column]
        support = int(sums_N3[:, 0].sum() + sums_N3[:, 2].sum())
        label = f"{title} F1: {name}"
        figures.append(Figure(f"{prefix}_f1_{slug(name)}", label, metric, Group.CLASS, sums_N3, pooled_f1, support))
    return figures


def class_table(columns: Columns, prefix: str) -> list[ClassRow]:
    """Counts, precision, recall and F1 of each class in the order of `CLASSES`, uncertain counted as negative.

    Raises:
        ValueError: as `f1_figures`.
    """
    counts_3C = _counts(columns, prefix, uncertain_positive=False).sum(axis=0)
    tp, fp, fn = counts_3C
    ratios_3C = np.stack([_divide(tp, tp + fp), _divide(tp, tp + fn), _divide(2 * tp, 2 * tp + fp + fn)])
    rows = zip(CLASSES, counts_3C.T.astype(int).tolist(), ratios_3C.T.tolist(), strict=True)
    return [ClassRow(name, counts[0] + counts[2], *counts, *ratios) for name, counts, ratios in rows]


def zero_support(columns: Columns, prefix: str) -> list[str]:
    """The classes that no reference has as positive (uncertain as negative): each counts as 0 in the macro F1.

    Raises:
        ValueError: as `f1_figures`.
    """
    return [row.name for row in class_table(columns, prefix) if row.support == 0]


def macro_f1(sums: Floats) -> Floats:
    """Summed counts (..., 3 * classes), all TP then FP then FN -> mean F1 (...), 0 for a class without positives."""
    f1, _ = _f1_and_support(sums)
    return np.asarray(np.nan_to_num(f1, nan=0.0).mean(axis=-1))


def supported_macro_f1(sums: Floats) -> Floats:
    """As `macro_f1` over the classes that have a positive in the reference; NaN when none has."""
    f1, support = _f1_and_support(sums)
    total = np.where(support > 0, f1, 0.0).sum(axis=-1)
    return _divide(total, (support > 0).sum(axis=-1).astype(np.float64))


def pooled_f1(sums: Floats) -> Floats:
    """Summed counts (..., 3) -> F1 (...), NaN without a positive on either side."""
    f1, _ = _f1_and_support(sums)
    return f1[..., 0]


def _f1_and_support(sums: Floats) -> tuple[Floats, Floats]:
    counts = sums.reshape(*sums.shape[:-1], 3, -1)
    tp, fp, fn = counts[..., 0, :], counts[..., 1, :], counts[..., 2, :]
    return _divide(2 * tp, 2 * tp + fp + fn), tp + fn


def _divide(numerator: Floats, denominator: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(denominator > 0, numerator / denominator, np.nan)


def _counts(columns: Columns, prefix: str, *, uncertain_positive: bool) -> Floats:
    """TP, FP and FN (N, 3, C) of each study and class, zeros for a study that does not count."""
    prediction_NC, reference_NC = (_codes(columns, f"{prefix}_{side}") for side in ("prediction", "reference"))
    counted_N1 = (prediction_NC[:, :1] != NO_LABELS) & (reference_NC[:, :1] != NO_LABELS)
    if not counted_N1.any():
        raise ValueError(f"{prefix}: none of {len(counted_N1)} studies has labels of both prediction and reference")
    positive = [_CODES[Mention.POSITIVE], *([_CODES[Mention.UNCERTAIN]] if uncertain_positive else [])]
    said_NC, true_NC = np.isin(prediction_NC, positive), np.isin(reference_NC, positive)
    counts_N3C = np.stack([said_NC & true_NC, said_NC & ~true_NC, ~said_NC & true_NC], axis=1)
    return np.asarray((counts_N3C & counted_N1[:, None]).astype(np.float64))


def _codes(columns: Columns, start: str) -> Codes:
    names = [f"{start}_{slug(name)}" for name in CLASSES]
    missing = [name for name in names if name not in columns]
    if missing:
        raise ValueError(f"no column {', '.join(missing)}")
    other = {str(word) for name in names for word in columns[name] if word not in _CODES}
    if other:
        raise ValueError(f"{start}: {', '.join(sorted(other))}: none of {', '.join(Mention)} or None")
    codes_NC = np.array([[_CODES[word] for word in columns[name]] for name in names], dtype=np.int8).T
    check_codes(codes_NC, start)
    return codes_NC
