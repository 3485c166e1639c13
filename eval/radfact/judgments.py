"""The judgments behind the scores: one row a phrase, written to `judgments.jsonl` and read back without any model.

The first line says which judge it was; each other line is a phrase with its outcome, or a side of a study that has no
phrases to judge. Everything that RadFact prints follows from these rows. They quote the reports: keep them as you keep
the reports.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from eval.pairs import text_sha256
from labeling.outputs import whole_file

FORMAT_VERSION = 1


class ReportPair(NamedTuple):
    """A generated report and the one a radiologist wrote."""

    study_id: str
    prediction: str
    reference: str


class Side(StrEnum):
    """Whose phrase is judged: the prediction's (precision) or the reference's (recall)."""

    PREDICTION = "prediction"
    REFERENCE = "reference"


class Outcome(StrEnum):
    """What became of a phrase: it follows from the other report, it does not, or nobody knows."""

    ENTAILED = "entailed"
    NOT_ENTAILED = "not_entailed"
    FAILED = "failed"


class Failure(NamedTuple):
    """Why there is no answer. kind: the fault of an invalid answer (`eval.radfact.wire`), None when none came."""

    reason: str
    kind: str | None


class Verdict(NamedTuple):
    """evidence: numbers of the other report's phrases; failure: there exactly when the outcome is FAILED."""

    outcome: Outcome
    evidence: tuple[int, ...] = ()
    failure: Failure | None = None


class Phrase(NamedTuple):
    """A phrase and the sentence it comes from: 1-based number, and its place in the report's text."""

    text: str
    sentence: int
    start: int
    end: int


class Judged(NamedTuple):
    phrase: Phrase
    verdict: Verdict


class SideJudgments(NamedTuple):
    """One report of a study. split_failure: why its phrases are not known; then there are none.

    text_sha256: of the report's exact text, so that judgments are not taken for those of another text.
    """

    text_sha256: str
    phrases: tuple[Judged, ...]
    split_failure: Failure | None = None


class StudyJudgments(NamedTuple):
    study_id: str
    prediction: SideJudgments
    reference: SideJudgments

    @property
    def sides(self) -> tuple[tuple[Side, SideJudgments], tuple[Side, SideJudgments]]:
        return (Side.PREDICTION, self.prediction), (Side.REFERENCE, self.reference)


class Judgments(NamedTuple):
    """A file's content. judge: what `Judge.description` gave: engine, model, settings, prompts with their hashes."""

    judge: dict[str, Any]
    studies: tuple[StudyJudgments, ...]


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    study_id: str
    direction: Literal["prediction", "reference"]
    number: int | None
    sentence: int | None
    start: int | None
    end: int | None
    phrase: str | None
    outcome: Literal["entailed", "not_entailed", "failed", "no_phrases", "not_split"]
    evidence: list[int]
    failure: str | None
    failure_kind: str | None
    text_sha256: str  # of the report whose phrase this is


def write_judgments(path: Path, judge: Mapping[str, Any], studies: Sequence[StudyJudgments]) -> None:
    """Write the file whole or not at all.

    Raises:
        OutputError: the folder is missing, read-only or full.
    """
    rows = [row for study in studies for row in _rows(study)]
    head = {"radfact_judgments": FORMAT_VERSION, "rows": len(rows), "judge": dict(judge)}
    with whole_file(path) as file:
        for line in (head, *rows):
            file.write(json.dumps(line) + "\n")


def read_judgments(path: Path) -> Judgments:
    """Read a file of `write_judgments`.

    Raises:
        ValueError: it is no such file, or a row is missing, twice there or contradicts the others.
    """
    with path.open(encoding="utf-8") as file:
        num_rows, judge = _read_head(path, file.readline())
        rows = [_read_row(path, number, line) for number, line in enumerate(file, 2)]
    if len(rows) != num_rows:
        raise ValueError(f"{path} has {len(rows)} rows, not the {num_rows} that were written")
    studies = []
    seen: set[str] = set()
    for study_id, group in groupby(rows, key=lambda row: row.study_id):
        if study_id in seen:
            raise ValueError(f"{path}: study {study_id!r} stands at two places")
        seen.add(study_id)
        try:
            studies.append(_study(study_id, list(group)))
        except ValueError as error:
            raise ValueError(f"{path}: study {study_id!r}: {error}") from None
    return Judgments(judge, tuple(studies))


def replay(judgments: Judgments, pairs: Sequence[ReportPair]) -> list[StudyJudgments]:
    """Give each pair's judgments, in the order of the pairs.

    Raises:
        ValueError: a study was not judged, or was judged on another text than is given now.
    """
    judged = {study.study_id: study for study in judgments.studies}
    missing = [pair.study_id for pair in pairs if pair.study_id not in judged]
    if missing:
        raise ValueError(f"{len(missing)} of {len(pairs)} studies were not judged, {missing[0]!r} for one")
    stale = [
        f"the {side} of study {pair.study_id!r}"
        for pair in pairs
        for (side, judgment), text in zip(judged[pair.study_id].sides, (pair.prediction, pair.reference), strict=True)
        if judgment.text_sha256 != text_sha256(text)
    ]
    if stale:
        raise ValueError(f"{len(stale)} reports have changed since they were judged, {stale[0]} for one; judge again")
    return [judged[pair.study_id] for pair in pairs]


def _rows(study: StudyJudgments) -> Iterator[dict[str, Any]]:
    for side, judgments in study.sides:
        head = {"study_id": study.study_id, "direction": side, "text_sha256": judgments.text_sha256}
        if not judgments.phrases:
            outcome = "no_phrases" if judgments.split_failure is None else "not_split"
            nothing = dict.fromkeys(("number", "sentence", "start", "end", "phrase"))
            yield {**head, **nothing, "outcome": outcome, "evidence": (), **_told(judgments.split_failure)}
        for number, (phrase, verdict) in enumerate(judgments.phrases, 1):
            place = {"sentence": phrase.sentence, "start": phrase.start, "end": phrase.end, "phrase": phrase.text}
            told = {"outcome": verdict.outcome, "evidence": verdict.evidence, **_told(verdict.failure)}
            yield {**head, "number": number, **place, **told}


def _told(failure: Failure | None) -> dict[str, str | None]:
    reason, kind = failure or (None, None)
    return {"failure": reason, "failure_kind": kind}


def _read_head(path: Path, line: str) -> tuple[int, dict[str, Any]]:
    try:
        head = json.loads(line)
        version, num_rows, judge = head["radfact_judgments"], int(head["rows"]), dict(head["judge"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError(f"{path} is no file of RadFact judgments: its first line names no judge") from None
    if version != FORMAT_VERSION:
        raise ValueError(f"{path}: version {version!r} of the format is not known; this is version {FORMAT_VERSION}")
    return num_rows, judge


def _read_row(path: Path, number: int, line: str) -> _Row:
    try:
        return _Row.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "row"
        raise ValueError(f"{path}, line {number}: {where}: {first['msg']}") from None


def _study(study_id: str, rows: list[_Row]) -> StudyJudgments:
    by_side = {side: [row for row in rows if row.direction == side] for side in Side}
    counts = {side: sum(row.number is not None for row in own) for side, own in by_side.items()}
    prediction = _side(Side.PREDICTION, by_side[Side.PREDICTION], counts[Side.REFERENCE])
    reference = _side(Side.REFERENCE, by_side[Side.REFERENCE], counts[Side.PREDICTION])
    return StudyJudgments(study_id, prediction, reference)


def _side(side: Side, rows: list[_Row], num_others: int) -> SideJudgments:
    if not rows:
        raise ValueError(f"has no row for its {side}")
    if len({row.text_sha256 for row in rows}) > 1:
        raise ValueError(f"rows of its {side} name different texts")
    if len(rows) == 1 and rows[0].number is None:
        return SideJudgments(rows[0].text_sha256, (), _side_failure(rows[0]))
    judged = tuple(_judged(row, num_others) for row in rows)
    if [row.number for row in rows] != list(range(1, len(rows) + 1)):
        raise ValueError(f"phrases of its {side} are not numbered 1 to {len(rows)}")
    return SideJudgments(rows[0].text_sha256, judged)


def _side_failure(row: _Row) -> Failure | None:
    if row.outcome not in ("no_phrases", "not_split") or (row.outcome == "not_split") != (row.failure is not None):
        raise ValueError(f"a row without a phrase has outcome {row.outcome!r} and failure {row.failure!r}")
    return None if row.failure is None else Failure(row.failure, row.failure_kind)


def _judged(row: _Row, num_others: int) -> Judged:
    phrase, sentence, start, end = row.phrase, row.sentence, row.start, row.end
    if phrase is None or sentence is None or start is None or end is None or row.outcome not in set(Outcome):
        raise ValueError(f"the row of phrase {row.number} lacks its words or place, or has outcome {row.outcome!r}")
    if (row.outcome == "failed") != (row.failure is not None):
        raise ValueError(f"phrase {row.number} has outcome {row.outcome!r} and failure {row.failure!r}")
    if not all(1 <= one <= num_others for one in row.evidence) or (row.outcome == "entailed" and not row.evidence):
        raise ValueError(f"phrase {row.number} is {row.outcome} by evidence {row.evidence} of {num_others} phrases")
    failure = None if row.failure is None else Failure(row.failure, row.failure_kind)
    return Judged(Phrase(phrase, sentence, start, end), Verdict(Outcome(row.outcome), tuple(row.evidence), failure))
