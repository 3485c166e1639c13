"""Report-level labels from instance-level ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from labeling.schema import FindingLabel, FindingLabels, LineTube, LineTubeLabels, LineTubeSummary
from labeling.vocabulary import LABELS, Assertion, Finding, LineTubeType, Mention, Placement, Status

_WORST_FIRST = (Placement.INCORRECT, Placement.UNCLEAR, Placement.CORRECT, Placement.NOT_AVAILABLE)
_STRONGEST_FIRST = (Mention.POSITIVE, Mention.UNCERTAIN, Mention.NEGATIVE)
# Not abnormalities of the chest: they don't take No Finding away (CheXpert's rule for devices, extended to these).
_HARMLESS = frozenset({"no_finding", "valve_prosthesis", "low_lung_volume"})


def roll_up_findings(findings: Iterable[FindingLabel]) -> FindingLabels:
    """Positive beats uncertain beats negative; a denial counts only where it denies the whole finding.

    No Finding: negative when any abnormality is positive (among the 19 or the wider list), uncertain when the
    strongest is uncertain, positive when something was said and nothing abnormal, not_mentioned when nothing was said.
    """
    heard: dict[Finding, set[Mention]] = {finding: set() for finding in Finding}
    anything = False
    abnormal: set[Mention] = set()
    for entry in findings:
        anything = True
        info = LABELS[entry.label]
        mention = Mention(entry.assertion.value)
        if entry.label not in _HARMLESS and entry.assertion is not Assertion.NEGATIVE:
            abnormal.add(mention)
        if info.finding is None or info.finding is Finding.NO_FINDING:
            continue
        if mention is not Mention.NEGATIVE or info.denial_counts:
            heard[info.finding].add(mention)
    labels = {
        finding.value: next((m for m in _STRONGEST_FIRST if m in said), Mention.NOT_MENTIONED)
        for finding, said in heard.items()
    }
    if Mention.POSITIVE in abnormal:
        no_finding = Mention.NEGATIVE
    elif abnormal:
        no_finding = Mention.UNCERTAIN
    else:
        no_finding = Mention.POSITIVE if anything else Mention.NOT_MENTIONED
    labels[Finding.NO_FINDING.value] = no_finding
    return FindingLabels(**labels)


def roll_up_lines_and_tubes(entries: Sequence[LineTube], asked: frozenset[LineTubeType]) -> LineTubeLabels:
    """Count what is in place and keep the worst placement of each type that was asked about."""
    summaries: dict[str, LineTubeSummary | None] = {}
    for device in LineTubeType:
        in_place = [e.placement for e in entries if e.type_categorical is device and e.status is Status.IN_PLACE]
        worst = min(in_place, key=_WORST_FIRST.index, default=Placement.NOT_AVAILABLE)
        summaries[device.value] = LineTubeSummary(count=len(in_place), placement=worst) if device in asked else None
    no_tubes = None
    if asked == frozenset(LineTubeType):
        no_tubes = not any(e.status is Status.IN_PLACE for e in entries)
    return LineTubeLabels(**summaries, no_tubes=no_tubes)
