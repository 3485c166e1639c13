"""Checked answers of one report -> its output row."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence

from labeling.evidence import prove
from labeling.facts import Answer, FindingAnswer, FindingFacts, LineTubeAnswer, LineTubeFacts
from labeling.placement.decide import Decision, PositionFacts, decide, mapped_band
from labeling.placement.tables import PlacementTable, PlacementTables
from labeling.rollup import roll_up_findings, roll_up_lines_and_tubes
from labeling.rules.names import name_in
from labeling.schema import SCHEMA_VERSION, FindingLabel, LabelRow, LineTube
from labeling.vocabulary import (
    LABELS,
    LineTubeType,
    Placement,
    PlacementBand,
    Pleural,
    StatedPosition,
    Status,
)
from prompts.load import Prompt
from studies.records import Report
from studies.report_text import Sentence

_JUGULAR = re.compile(r"jugular|\b[rl]?ij[vc]?\b", re.IGNORECASE)


class RowMaker:
    """Makes the rows of one run: everything that is the same for every report is worked out once."""

    def __init__(
        self, prompt: str, prompts: Sequence[Prompt], engine: str, model: str, tables: PlacementTables
    ) -> None:
        names = {prompt.name for prompt in prompts}
        hashes = [prompt.sha256 for prompt in prompts]
        self._prompt, self._engine, self._model, self._tables = prompt, engine, model, tables
        self._sha256 = hashes[0] if len(hashes) == 1 else hashlib.sha256("\n".join(hashes).encode()).hexdigest()
        self._ids = tuple(prompt.id for prompt in prompts)
        self._single = names & {device.value for device in LineTubeType}
        self._asked = frozenset(d for d in LineTubeType if d.value in names or "lines_and_tubes" in names)
        self._asked_findings = "findings" in names

    def make(self, report: Report, sentences: Sequence[Sentence], answers: Mapping[str, Answer]) -> LabelRow:
        """Give the row of one report.

        Args:
            answers: by prompt name; where a type was asked by its own prompt too, that prompt's entries stand and the
                group's are left out.
        """
        devices: list[LineTube] = []
        findings: list[FindingLabel] = []
        for name, answer in answers.items():
            if isinstance(answer, FindingAnswer):
                findings += [_finding(facts, sentences) for facts in answer.findings]
            elif isinstance(answer, LineTubeAnswer):
                devices += [
                    _line_tube(facts, sentences, self._tables.by_device[facts.type])
                    for facts in answer.lines_and_tubes
                    if name != "lines_and_tubes" or facts.type.value not in self._single
                ]
        return LabelRow(
            report_id=report.report_id,
            prompt=self._prompt,
            prompt_sha256=self._sha256,
            prompts=self._ids,
            engine=self._engine,
            model=self._model,
            schema_version=SCHEMA_VERSION,
            placement_sha256=self._tables.sha256,
            lines_and_tubes=tuple(devices),
            findings=tuple(findings),
            finding_labels=roll_up_findings(findings) if self._asked_findings else None,
            line_tube_labels=roll_up_lines_and_tubes(devices, self._asked) if self._asked else None,
        )


def _finding(facts: FindingFacts, sentences: Sequence[Sentence]) -> FindingLabel:
    proof = prove(facts.sentences, sentences)
    info = LABELS[facts.label]
    return FindingLabel(
        label=facts.label,
        finding=info.finding,
        finding_type=info.finding_type,
        assertion=facts.assertion,
        side_categorical=facts.side,
        severity=facts.severity,
        comparison=facts.comparison,
        reference_phrase=proof.text,
        evidence=proof.spans,
    )


def _line_tube(facts: LineTubeFacts, sentences: Sequence[Sentence], table: PlacementTable) -> LineTube:
    proof = prove(facts.sentences, sentences)
    decision = decide(facts, table)
    words = _words(facts, sentences)
    return LineTube(
        type=words,
        type_categorical=facts.type,
        side_categorical=facts.side,
        subtype=facts.subtype,
        tip_location=facts.tip,
        tip_distance_cm=facts.tip_distance_cm,
        tip_landmark=facts.tip_landmark,
        tip_direction=facts.tip_direction,
        status=facts.status,
        stated_position=facts.stated,
        advice=facts.advice,
        pleural=facts.pleural,
        placement=decision.placement,
        placement_band=decision.band,
        placement_rule=decision.rule,
        model_placement=facts.placement,
        review=review_reasons(facts.type, facts, facts.placement, decision, table, proof.text),
        reference_sentence=proof.text,
        evidence=proof.spans,
        pleural_evidence=() if facts.pleural is Pleural.NONE else prove(facts.pleural_sentences, sentences).spans,
    )


def _words(facts: LineTubeFacts, sentences: Sequence[Sentence]) -> str:
    """The device as the report writes it, from the first sentence that names it."""
    for number in sorted(facts.sentences):
        text = sentences[number - 1].text
        place = name_in(facts.type, text)
        if place:
            return text[place[0] : place[1]]
    raise AssertionError("evidence was checked to name the device")


def review_reasons(
    device: LineTubeType,
    facts: PositionFacts,
    model_placement: Placement | None,
    decision: Decision,
    table: PlacementTable,
    reference: str,
) -> tuple[str, ...]:
    """Why a person should look at this entry; empty when nothing is doubtful.

    model_disagrees: the engine's own opinion is another. stated_good_but_tip_bad: the report calls the position good,
    the table calls the tip's place bad. vein_not_named: a central line was counted as internal jugular because no vein
    is named.
    """
    reasons = []
    if model_placement is not None and model_placement is not decision.placement:
        reasons.append("model_disagrees")
    if (
        facts.stated is StatedPosition.SATISFACTORY
        and decision.placement is Placement.CORRECT
        and mapped_band(facts, table) is PlacementBand.BAD
    ):
        reasons.append("stated_good_but_tip_bad")
    if (
        device is LineTubeType.INTERNAL_JUGULAR_CVC
        and facts.status is Status.IN_PLACE
        and not _JUGULAR.search(reference)
    ):
        reasons.append("vein_not_named")
    return tuple(reasons)
