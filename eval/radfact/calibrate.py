"""How far a judge can be trusted: its verdicts on statements that people have labelled.

Statements of one pair of reports are not independent, so the intervals come from resampling whole pairs.

Shape letters: P pairs, 4 the counts of the confusion table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from eval.figures import Figure, Floats, Group, ratio
from eval.radfact.judgments import Outcome, Verdict
from eval.radfact.score import METRIC
from eval.radfact.wire import Statement
from eval.statistics.bootstrap import Estimate, bootstrap
from eval.statistics.resampling import Resampling

NUM_RESAMPLES = 2000


class Labelled(NamedTuple):
    """A statement and what people say of it. pair_id: the pair of reports it comes from."""

    pair_id: str
    statement: Statement
    entailed: bool


class Calibration(NamedTuple):
    """The judge against people; "positive" is entailed, and failed judgments are in no figure but their own."""

    num_pairs: int
    num_statements: int
    num_failed: int
    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int
    agreement: Estimate
    kappa: Estimate
    sensitivity: Estimate
    specificity: Estimate

    @property
    def failure_rate(self) -> float:
        return self.num_failed / self.num_statements


def calibrate(
    labelled: Sequence[Labelled],
    verdicts: Mapping[Statement, Verdict],
    *,
    seed: int,
    num_resamples: int = NUM_RESAMPLES,
) -> Calibration:
    """Compare the judge's verdicts (`Judge.verdicts`) with people's labels.

    Cohen's kappa is (p_o - p_e) / (1 - p_e), p_o being the agreement and p_e that of two independent raters with the
    same margins (Cohen 1960). The intervals are 2.5 % to 97.5 % quantiles over resamples of pairs.

    Raises:
        ValueError: nothing is labelled, a verdict is missing, fewer than one resample, or the statements that were
            judged are all entailed, or all not, for people: then nothing can be said of the other kind.
    """
    if not labelled:
        raise ValueError("no labelled statements")
    missing = sum(one.statement not in verdicts for one in labelled)
    if missing:
        raise ValueError(f"{missing} of {len(labelled)} labelled statements have no verdict")
    rows = {pair_id: row for row, pair_id in enumerate(dict.fromkeys(one.pair_id for one in labelled))}
    counts_P4 = np.zeros((len(rows), 4))
    for pair_id, statement, entailed in labelled:
        outcome = verdicts[statement].outcome
        if outcome is not Outcome.FAILED:
            counts_P4[rows[pair_id], 2 * (not entailed) + (entailed != (outcome is Outcome.ENTAILED))] += 1
    tp, fn, tn, fp = (int(count) for count in counts_P4.sum(axis=0))
    if not tp + fn or not tn + fp:
        raise ValueError(
            f"{tp + fn} of the statements judged are entailed for people and {tn + fp} are not; both kinds are needed"
        )
    agreement, kappa, sensitivity, specificity = bootstrap(
        [
            Figure(value.__name__, value.__name__, METRIC, Group.DETAIL, counts_P4, value)
            for value in (_agreement, _kappa, _sensitivity, _specificity)
        ],
        Resampling(num_resamples, seed),
    )
    return Calibration(
        num_pairs=len(rows),
        num_statements=len(labelled),
        num_failed=len(labelled) - tp - fn - tn - fp,
        true_positives=tp,
        false_positives=fp,
        false_negatives=fn,
        true_negatives=tn,
        agreement=agreement,
        kappa=kappa,
        sensitivity=sensitivity,
        specificity=specificity,
    )


def read_labelled(path: Path) -> list[Labelled]:
    """Read labelled statements: RadFact's `test_examples.json`, or JSON lines.

    A line is `{"pair_id": ..., "hypothesis": ..., "reference": [phrase, ...], "label": ...}`; the label, as in RadFact,
    is `entailment`, `not_entailment`, `neutral` or `contradiction`, and all but the first are not entailed. RadFact's
    phrases are judged in both directions.

    Raises:
        ValueError: the file is neither; the message says where.
    """
    text = path.read_text(encoding="utf-8")
    if text.lstrip().startswith("["):
        try:
            examples = TypeAdapter(list[_Example]).validate_json(text)
        except ValidationError as error:
            raise ValueError(f"{path}: {_first(error)}") from None
        return [one for example in examples for one in example.labelled()]
    labelled = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                labelled.append(_Line.model_validate_json(line).labelled())
            except ValidationError as error:
                raise ValueError(f"{path}, line {number}: {_first(error)}") from None
    return labelled


_Label = Literal["entailment", "not_entailment", "neutral", "contradiction"]


class _Line(BaseModel):
    pair_id: str
    hypothesis: str
    reference: tuple[str, ...]
    label: _Label

    def labelled(self) -> Labelled:
        return Labelled(self.pair_id, Statement(self.hypothesis, self.reference), self.label == "entailment")


class _Phrases(BaseModel):
    phrases_a: tuple[str, ...] = Field(validation_alias="phrases_A")
    phrases_b: tuple[str, ...] = Field(validation_alias="phrases_B")


class _Evidenced(BaseModel):
    phrase: str
    status: _Label


class _Output(BaseModel):
    phrases_a_evidenced: tuple[_Evidenced, ...] = Field(validation_alias="phrases_A_evidenced")
    phrases_b_evidenced: tuple[_Evidenced, ...] = Field(validation_alias="phrases_B_evidenced")


class _Example(BaseModel):
    example_id: str
    input: _Phrases
    output: _Output

    def labelled(self) -> list[Labelled]:
        return [
            Labelled(self.example_id, Statement(one.phrase, others), one.status == "entailment")
            for own, others in (
                (self.output.phrases_a_evidenced, self.input.phrases_b),
                (self.output.phrases_b_evidenced, self.input.phrases_a),
            )
            for one in own
        ]


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'row'}: {first['msg']}"


def _agreement(counts: Floats) -> Floats:
    tp, fn, tn, fp = np.moveaxis(counts, -1, 0)
    return ratio(np.stack([tp + tn, tp + fn + tn + fp], axis=-1))


def _kappa(counts: Floats) -> Floats:
    tp, fn, tn, fp = np.moveaxis(counts, -1, 0)
    total = tp + fn + tn + fp
    by_chance = (tp + fn) * (tp + fp) + (tn + fp) * (tn + fn)  # times total^2, as the rest
    return ratio(np.stack([(tp + tn) * total - by_chance, total**2 - by_chance], axis=-1))


def _sensitivity(counts: Floats) -> Floats:
    tp, fn, _, _ = np.moveaxis(counts, -1, 0)
    return ratio(np.stack([tp, tp + fn], axis=-1))


def _specificity(counts: Floats) -> Floats:
    _, _, tn, fp = np.moveaxis(counts, -1, 0)
    return ratio(np.stack([tn, tn + fp], axis=-1))
