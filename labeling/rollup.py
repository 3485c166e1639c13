"""Report-level labels from instance-level ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from labeling.schema import FindingLabel, FindingLabels, LineTube, LineTubeLabels, LineTubeSummary
from labeling.vocabulary import LABELS, Assertion, Finding, LineTubeType, Mention, Placement, Status

_WORST_FIRST = (Placement.INCORRECT, Placement.UNCLEAR, Placement.CORRECT, Placement.NOT_AVAILABLE)
_STRONGEST_FIRST = (Mention.POSITIVE, Mention.UNCERTAIN, Mention.NEGATIVE)
_MENTIONS = {assertion: Mention(assertion.value) for assertion in Assertion}
_FINDING_NAMES = {finding: finding.value for finding in Finding}
_NO_FINDING = Finding.NO_FINDING.value
_DEVICE_NAMES = {device: device.value for device in LineTubeType}
# Not abnormalities of the chest: they don't take No Finding away (CheXpert's rule for devices, extended to these).
_HARMLESS = frozenset({"no_finding", "valve_prosthesis", "low_lung_volume"})


def roll_up_findings(findings: Iterable[FindingLabel]) -> FindingLabels:
    """Positive beats uncertain beats negative; a denial counts only where it denies the whole finding.

    No Finding: negative when any abnormality is positive (among the 19 or the wider list), uncertain when the
    strongest is uncertain, positive when something was said and nothing abnormal, not_mentioned when nothing was said.
    """
    heard: dict[Finding, set[Mention]] = {}
    anything = False
    abnormal: set[Mention] = set()
    for entry in findings:
        anything = True
        info = LABELS[entry.label]
        mention = _MENTIONS[entry.assertion]
        if entry.label not in _HARMLESS and mention is not Mention.NEGATIVE:
            abnormal.add(mention)
        if info.finding is not None and (mention is not Mention.NEGATIVE or info.denial_counts):
            heard.setdefault(info.finding, set()).add(mention)
    labels = dict.fromkeys(_FINDING_NAMES.values(), Mention.NOT_MENTIONED)
    for finding, said in heard.items():
        labels[_FINDING_NAMES[finding]] = next(mention for mention in _STRONGEST_FIRST if mention in said)
    if Mention.POSITIVE in abnormal:
        no_finding = Mention.NEGATIVE
    elif abnormal:
        no_finding = Mention.UNCERTAIN
    else:
        no_finding = Mention.POSITIVE if anything else Mention.NOT_MENTIONED
    labels[_NO_FINDING] = no_finding
    return FindingLabels(**labels)


def roll_up_lines_and_tubes(entries: Sequence[LineTube], asked: frozenset[LineTubeType]) -> LineTubeLabels:
    """Count what is in place and keep the worst placement of each type that was asked about."""
    in_place: dict[LineTubeType, list[Placement]] = {device: [] for device in asked}
    for entry in entries:
        if entry.status is Status.IN_PLACE and entry.type_categorical in in_place:
            in_place[entry.type_categorical].append(entry.placement)
    summaries: dict[str, LineTubeSummary | None] = dict.fromkeys(_DEVICE_NAMES.values())
    for device, placements in in_place.items():
        worst = min(placements, key=_WORST_FIRST.index, default=Placement.NOT_AVAILABLE)
        summaries[_DEVICE_NAMES[device]] = LineTubeSummary(count=len(placements), placement=worst)
    no_tubes = None
    if len(asked) == len(_DEVICE_NAMES):
        no_tubes = not any(in_place.values())
    return LineTubeLabels(**summaries, no_tubes=no_tubes)
