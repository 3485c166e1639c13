"""Generated and reference reports of the same studies, joined by study id; what does not join is said, never dropped
in silence."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from studies.tables import PATIENT_ID_NAMES, STUDY_ID_NAMES, InputError, free_text, identity, open_table, read_rows

PREDICTION_NAMES = ("prediction", "generated", "generated_report", "generated_text", "hypothesis", "candidate")
REFERENCE_NAMES = ("reference", "target", "ground_truth", "reference_report", "reference_text")
TEXT_NAMES = ("findings", "report", "text", "report_text")
_SHOWN = 5  # ids in a message


class Study(NamedTuple):
    """One study with both texts. patient_id: None where the files name no patients; groups: its metadata values."""

    study_id: str
    patient_id: str | None
    prediction: str
    reference: str
    groups: tuple[str | None, ...]


class Problem(NamedTuple):
    """One sort of id or text that does not fit, and the studies that have it."""

    what: str
    study_ids: tuple[str, ...]


@dataclass(frozen=True)
class Pairs:
    """The studies to score, in the order of the references, and what was found on the way.

    problems: sorts of misfits that were found; each is also in `counts`, by a short name.
    """

    studies: tuple[Study, ...]
    group_columns: tuple[str, ...]
    counts: dict[str, int]
    problems: tuple[Problem, ...] = field(default=())

    @property
    def has_patients(self) -> bool:
        return bool(self.studies) and self.studies[0].patient_id is not None


class ColumnNames(NamedTuple):
    """Names of columns where they are not obvious; None: find it by its usual names."""

    study_id: str | None = None
    prediction: str | None = None
    reference: str | None = None
    patient_id: str | None = None
    groups: tuple[str, ...] = ()


class _Side(NamedTuple):
    texts: dict[str, str]
    patients: dict[str, str | None] | None
    groups: dict[str, tuple[str | None, ...]]
    twice: tuple[str, ...]
    columns: tuple[str, ...]


def read_pairs(
    predictions: Path, references: Path, columns: ColumnNames, *, encoding: str = "utf-8", need_patients: bool = True
) -> Pairs:
    """Read and join two files (CSV, TSV, JSONL or Parquet).

    Patients and metadata are read from the references, or from the predictions where the references have none. Ids that
    stand twice are joined to nothing: two texts under one id cannot be told apart.

    Args:
        need_patients: refuse a patient column with gaps; else it is as if there were none.

    Raises:
        InputError: a file or column cannot be read or is in neither file, some studies name their patient and some do
            not, or nothing joins.
    """
    hypothesis = _read_side(predictions, columns.prediction, PREDICTION_NAMES, "--prediction-column", columns, encoding)
    truth = _read_side(references, columns.reference, REFERENCE_NAMES, "--reference-column", columns, encoding)
    _check_metadata(columns, hypothesis, truth)
    patients = truth.patients if truth.patients is not None else hypothesis.patients
    unusable = dict.fromkeys((*truth.twice, *hypothesis.twice))
    joined = [one for one in truth.texts if one in hypothesis.texts and one not in unusable]
    found = {
        "missing_predictions": ("references without a prediction", _without(truth.texts, hypothesis.texts)),
        "missing_references": ("predictions without a reference", _without(hypothesis.texts, truth.texts)),
        "duplicate_predictions": ("ids that stand more than once among the predictions", hypothesis.twice),
        "duplicate_references": ("ids that stand more than once among the references", truth.twice),
        "empty_predictions": ("empty predictions", _empty(hypothesis.texts, joined)),
        "empty_references": ("empty references", _empty(truth.texts, joined)),
    }
    if not joined and unusable:
        raise InputError(
            f"every study id that {predictions} and {references} share stands more than once ({_some(unusable)}); name "
            "the id column with --id-column"
        )
    if not joined:
        raise InputError(
            f"no study id of {predictions} stands in {references} too: predictions have {_some(hypothesis.texts)}, "
            f"references {_some(truth.texts)}; name the id column with --id-column"
        )
    patients = _complete(patients, joined, need_patients)
    no_groups: tuple[str | None, ...] = (None,) * len(columns.groups)
    studies = tuple(
        Study(
            one,
            patients.get(one) if patients is not None else None,
            hypothesis.texts[one],
            truth.texts[one],
            tuple(
                mine if mine is not None else theirs
                for mine, theirs in zip(
                    truth.groups.get(one, no_groups), hypothesis.groups.get(one, no_groups), strict=True
                )
            ),
        )
        for one in joined
    )
    counts = {"predictions": len(hypothesis.texts), "references": len(truth.texts), "scored": len(studies)}
    counts |= {name: len(ids) for name, (_, ids) in found.items()}
    return Pairs(studies, columns.groups, counts, tuple(Problem(what, ids) for what, ids in found.values() if ids))


def say_problems(problems: Sequence[Problem]) -> str:
    """What does not fit, by count and the first ids, in one line."""
    return "; ".join(f"{len(one.study_ids):,} {one.what} ({_some(one.study_ids)})" for one in problems)


def text_sha256(text: str) -> str:
    """Fingerprint of a text, by which stored scores know whether they are of the same texts."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _read_side(
    path: Path, named: str | None, usual: Sequence[str], option: str, columns: ColumnNames, encoding: str
) -> _Side:
    table = open_table(str(path), encoding=encoding)
    study = table.column(columns.study_id, STUDY_ID_NAMES, "--id-column")
    text = table.column(named, (*usual, *TEXT_NAMES), option)
    patient = columns.patient_id if columns.patient_id in table.columns else None
    if columns.patient_id is None:
        patient = table.find(PATIENT_ID_NAMES)
    groups = [name for name in columns.groups if name in table.columns]
    optional = [*([patient] if patient else []), *groups]
    texts: dict[str, str] = {}
    patients: dict[str, str | None] = {}
    metadata: dict[str, tuple[str | None, ...]] = {}
    twice: dict[str, None] = {}
    for where, values in read_rows(table, (study, text), optional):
        one = identity(values[0], where)
        if not one.strip():
            raise InputError(f"{where}: the study id is empty")
        if one in texts:
            twice[one] = None
        texts[one] = free_text(values[1], where)
        rest = list(values[2:])
        if patient:
            given = rest.pop(0)
            patients[one] = identity(given, where) if _word(given) is not None else None
        known = dict(zip(groups, rest, strict=True))
        metadata[one] = tuple(_word(known.get(name)) for name in columns.groups)
    return _Side(texts, patients if patient else None, metadata, tuple(twice), table.columns)


def _check_metadata(columns: ColumnNames, *sides: _Side) -> None:
    """A column that was named and stands in neither file is a slip of the pen, not an empty column."""
    named = [("--subgroups", name) for name in columns.groups]
    named += [("--patient-column", columns.patient_id)] if columns.patient_id is not None else []
    for option, name in named:
        if not any(name in side.columns for side in sides):
            shown = ", ".join(dict.fromkeys(column for side in sides for column in side.columns))
            raise InputError(f"neither file has a column {name!r} ({option}); their columns: {shown}")


def _complete(
    patients: dict[str, str | None] | None, joined: Sequence[str], needed: bool
) -> dict[str, str | None] | None:
    unknown = [one for one in joined if patients is not None and patients.get(one) is None]
    if not unknown:
        return patients
    if needed:
        raise InputError(
            f"{len(unknown):,} of {len(joined):,} studies name no patient ({_some(unknown)}): fill the column in, or "
            "resample studies instead of patients with --iid"
        )
    return None


def _word(value: Any) -> str | None:
    return None if value is None or str(value).strip() == "" else str(value)


def _without(these: Iterable[str], those: dict[str, str]) -> tuple[str, ...]:
    return tuple(one for one in these if one not in those)


def _empty(texts: dict[str, str], joined: Iterable[str]) -> tuple[str, ...]:
    return tuple(one for one in joined if not texts[one].strip())


def _some(ids: Iterable[str]) -> str:
    listed = list(ids)
    return ", ".join(listed[:_SHOWN]) + (", ..." if len(listed) > _SHOWN else "")
