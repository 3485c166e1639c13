"""Lines and tubes of a report, read without a language model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from labeling.rules.device_instance import Instance
from labeling.rules.device_instances import Assembly, settle
from labeling.rules.device_mentions import read_sentence
from labeling.rules.names import name_in
from labeling.vocabulary import DEVICES, NOT_AVAILABLE, Comparison, LineTubeType, Pleural, Severity, Side, Status
from studies.report_text import NOT_OBSERVED, Sentence

_EFFUSIONS = ("pleural_effusion", "pneumothorax")
_SIZED = (Severity.MODERATE, Severity.SEVERE)


def read_lines_and_tubes(sentences: Sequence[Sentence], findings: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Give the wire dicts of `labeling.facts.LineTubeFacts`, one for each line or tube, in order of first mention.

    Args:
        sentences: of one report, as `studies.report_text.split_sentences` numbers them.
        findings: wire dicts of `labeling.facts.FindingFacts` of the same report; effusions and pneumothoraces decide a
            chest tube's `pleural`.
    """
    instances = read_instances(sentences)
    chest_tubes = [i for i in instances if i.type == LineTubeType.CHEST_TUBE and not i.removed]
    texts = {sentence.number: sentence.text for sentence in sentences}
    return [
        _entry(instance, findings, len(chest_tubes) == 1)
        for instance in instances
        # evidence that never names the device would be refused, and the whole answer with it
        if any(name_in(LineTubeType(instance.type), texts[number]) for number in instance.sentences)
    ]


def read_instances(sentences: Sequence[Sentence]) -> list[Instance]:
    """The lines and tubes of the sentences that say what is seen, in order of first mention."""
    assembly = Assembly()
    follows = False
    for sentence in sentences:
        if sentence.section in NOT_OBSERVED:
            continue
        mentions = read_sentence(sentence.text, follows)
        if mentions:
            assembly.read(sentence.number, mentions)
            follows = follows or bool(assembly.instances)
    return [instance for instance in assembly.instances if settle(instance)]


def _entry(instance: Instance, findings: Sequence[Mapping[str, Any]], only_chest_tube: bool) -> dict[str, Any]:
    device = DEVICES[LineTubeType(instance.type)]
    side = instance.side or Side.UNSPECIFIED.value
    entry: dict[str, Any] = {
        "type": str(instance.type),
        "sentences": sorted(instance.sentences),
        "side": side if side in device.sides else Side.UNSPECIFIED.value,
        "status": Status.REMOVED.value if instance.removed else Status.IN_PLACE.value,
        "subtype": instance.subtype if instance.subtype in device.subtypes else "standard",
        "tip": NOT_AVAILABLE,
        "tip_distance_cm": None,
        "tip_landmark": None,
        "tip_direction": None,
        "stated": "not_stated",
        "advice": "none",
        "pleural": Pleural.NONE.value,
        "pleural_sentences": [],
        "placement": None,
    }
    if instance.removed:
        return entry
    tip, distance = instance.tip(), instance.distance()
    entry["tip"] = tip if tip in device.tips else "unclear"
    if distance is not None:
        entry["tip_distance_cm"] = distance.cm
        entry["tip_landmark"] = distance.landmark
        entry["tip_direction"] = distance.direction
    entry["stated"] = instance.stated(tip, distance).value
    entry["advice"] = instance.advice().value
    if instance.type == LineTubeType.CHEST_TUBE:
        entry["pleural"], entry["pleural_sentences"] = _pleural(entry["side"], findings, only_chest_tube)
    return entry


def _pleural(side: str, findings: Sequence[Mapping[str, Any]], only_chest_tube: bool) -> tuple[str, list[int]]:
    """An effusion or pneumothorax on the tube's own side that is at least moderate, or worse than before.

    A finding without a side counts when the report has one chest tube only. A new one is worse than before, whatever
    its size: a drained space that fills again was not kept empty.
    """
    moderate: list[int] = []
    worse: list[int] = []
    for finding in findings:
        if finding["label"] not in _EFFUSIONS or finding["assertion"] != "positive":
            continue
        if finding["side"] != side and not (finding["side"] in ("unspecified", "midline") and only_chest_tube):
            continue
        if finding["severity"] in _SIZED:
            moderate += finding["sentences"]
        elif finding["comparison"] in (Comparison.WORSE, Comparison.NEW):
            worse += finding["sentences"]
    if moderate:
        return Pleural.MODERATE_OR_LARGER.value, sorted(set(moderate))
    if worse:
        return Pleural.WORSE.value, sorted(set(worse))
    return Pleural.NONE.value, []
