"""Labels against a hand-annotated set, per class, with intervals.

Rows are dicts with the names of the row that `label-reports` writes: `report_id`, `lines_and_tubes` (of each entry
`type_categorical`, `side_categorical`, `tip_location`, `status`, `placement`) and `finding_labels`. Gold rows need only
these. Nothing is scored on part of a set: every id must stand on both sides.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from labeling.intervals import Interval, percentile_interval, wilson_interval
from labeling.vocabulary import Finding, LineTubeType, Mention, Placement

Row = Mapping[str, Any]
Entry = Mapping[str, Any]
UncertainPolicy = Literal["positive", "negative", "ignore"]
FINDING_KEYS = frozenset(finding.value for finding in Finding)
_LISTED_IDS = 10


class Detection(NamedTuple):
    """How well something was found. A ratio without a denominator is None, never 0.

    f1_interval: percentile bootstrap over reports, which keeps the instances of one report together.
    """

    found: int
    spurious: int
    missed: int
    f1_interval: Interval | None

    @property
    def precision(self) -> float | None:
        return _ratio(self.found, self.found + self.spurious)

    @property
    def recall(self) -> float | None:
        return _ratio(self.found, self.found + self.missed)

    @property
    def f1(self) -> float | None:
        return _f1(self.found, self.spurious, self.missed)


class Share(NamedTuple):
    """`right` of `of`, with Wilson's interval."""

    right: int
    of: int

    @property
    def value(self) -> float | None:
        return _ratio(self.right, self.of)

    @property
    def interval(self) -> Interval | None:
        return wilson_interval(self.right, self.of) if self.of else None


class Match(NamedTuple):
    """One instance in the gold set, in the labels, or in both."""

    gold: Entry | None
    predicted: Entry | None


class Difference(NamedTuple):
    """What is wrong with one instance; kind: missed, spurious, status, side, tip or placement."""

    report_id: str
    kind: str
    gold: Entry | None
    predicted: Entry | None


class DeviceAccuracy(NamedTuple):
    """Lines and tubes of a whole set.

    overall, by_type: an instance is found when type and status (in place, removed) agree.
    status: of the instances that agree in type, how many agree in status.
    side, tip, placement: over found instances; a tip is right when the place is the same, whatever the distance.
    incorrect_placement: the class "incorrect" over all instances, so a malposition of a missed tube is missed too.
    """

    reports: int
    overall: Detection
    by_type: dict[str, Detection]
    status: Share
    side: Share
    tip: Share
    placement: Share
    incorrect_placement: Detection
    differences: tuple[Difference, ...]


class FindingAccuracy(NamedTuple):
    """Positive findings of a whole set: micro-averaged and per finding that the gold rows have."""

    reports: int
    overall: Detection
    by_finding: dict[str, Detection]


def match_instances(gold: Sequence[Entry], predicted: Sequence[Entry]) -> list[Match]:
    """Pair the entries of one report, each at most once.

    Type and status must agree. Among those, equal sides are paired first, then a named side with an unspecified one,
    then what is left (a wrong side is one error of side, not a missed and a spurious tube); ties go by order.
    """
    left_gold, left_predicted = list(gold), list(predicted)
    pairs: list[Match] = []

    def pair(fits: Callable[[Entry, Entry], bool]) -> None:
        for entry in list(left_gold):
            for other in left_predicted:
                if _same(entry, other, "type_categorical") and _same(entry, other, "status") and fits(entry, other):
                    pairs.append(Match(entry, other))
                    _drop(left_gold, entry)
                    _drop(left_predicted, other)
                    break

    pair(lambda a, b: _same(a, b, "side_categorical"))
    pair(lambda a, b: "unspecified" in (a["side_categorical"], b["side_categorical"]))
    pair(lambda _a, _b: True)
    return [*pairs, *(Match(entry, None) for entry in left_gold), *(Match(None, entry) for entry in left_predicted)]


def device_accuracy(
    gold: Sequence[Row], rows: Sequence[Row], *, seed: int, bootstrap_samples: int = 1000
) -> DeviceAccuracy:
    """Score `lines_and_tubes` of rows against gold rows of the same ids.

    Raises:
        ValueError: either is empty, an id stands twice or on one side only, or a row lacks `lines_and_tubes`.
    """
    matched = {
        report_id: match_instances(gold_row["lines_and_tubes"], row["lines_and_tubes"])
        for report_id, gold_row, row in _aligned(gold, rows, "lines_and_tubes")
    }
    types = [device.value for device in LineTubeType]
    detections = [
        Counter(key for match in matches for key in _detection_keys(match, types)) for matches in matched.values()
    ]
    scored = _detections(["overall", *types, "incorrect"], detections, seed, bootstrap_samples)
    differences = [d for report_id, matches in matched.items() for d in _differences(report_id, matches)]
    kinds = Counter(difference.kind for difference in differences)
    found = scored["overall"].found
    return DeviceAccuracy(
        reports=len(matched),
        overall=scored["overall"],
        by_type={name: scored[name] for name in types},
        status=Share(found, found + kinds["status"]),
        side=Share(found - kinds["side"], found),
        tip=Share(found - kinds["tip"], found),
        placement=Share(found - kinds["placement"], found),
        incorrect_placement=scored["incorrect"],
        differences=tuple(differences),
    )


def finding_accuracy(
    gold: Sequence[Row],
    rows: Sequence[Row],
    *,
    uncertain: UncertainPolicy,
    seed: int,
    bootstrap_samples: int = 1000,
) -> FindingAccuracy:
    """Score report-level `finding_labels` (finding -> positive, negative, uncertain, not_mentioned).

    Only findings that the gold rows have are scored; all gold rows must have the same ones.

    Args:
        uncertain: what an uncertain label counts as. "ignore" leaves out a finding whose gold label is uncertain; an
            uncertain answer to a certain gold label counts as negative then, so that hedging earns nothing.

    Raises:
        ValueError: as `device_accuracy`; an unknown finding or value; gold rows with different findings.
    """
    if uncertain not in ("positive", "negative", "ignore"):
        raise ValueError(f"uncertain {uncertain!r} is not one of positive, negative, ignore")
    aligned = _aligned(gold, rows, "finding_labels")
    names = list(aligned[0][1]["finding_labels"])
    counts: list[Counter[tuple[str, str]]] = []
    for report_id, gold_row, row in aligned:
        labels, answers = gold_row["finding_labels"], row["finding_labels"]
        _check_findings(report_id, names, labels, answers)
        counter: Counter[tuple[str, str]] = Counter()
        for name in names:
            if uncertain == "ignore" and labels[name] == Mention.UNCERTAIN:
                continue
            outcome = _outcome(_is_positive(labels[name], uncertain), _is_positive(answers[name], uncertain))
            counter.update([(name, outcome), ("overall", outcome)] if outcome else [])
        counts.append(counter)
    scored = _detections(["overall", *names], counts, seed, bootstrap_samples)
    return FindingAccuracy(len(aligned), scored["overall"], {name: scored[name] for name in names})


def _aligned(gold: Sequence[Row], rows: Sequence[Row], field: str) -> list[tuple[str, Row, Row]]:
    """(id, gold row, row) in the gold set's order."""
    by_id: list[dict[str, Row]] = []
    for what, given in (("gold set", gold), ("labels", rows)):
        if not given:
            raise ValueError(f"the {what} is empty; there is nothing to measure")
        counted = Counter(str(row["report_id"]) for row in given)
        _refuse([i for i, n in counted.items() if n > 1], f"ids stand more than once in the {what}")
        _refuse([str(row["report_id"]) for row in given if row.get(field) is None], f"rows of the {what} lack {field}")
        by_id.append({str(row["report_id"]): row for row in given})
    wanted, answered = by_id
    _refuse([i for i in wanted if i not in answered], "gold reports have no labels")
    _refuse([i for i in answered if i not in wanted], "labelled reports are not in the gold set")
    return [(report_id, row, answered[report_id]) for report_id, row in wanted.items()]


def _refuse(ids: Sequence[str], problem: str) -> None:
    if ids:
        more = f" and {len(ids) - _LISTED_IDS} more" if len(ids) > _LISTED_IDS else ""
        raise ValueError(f"{len(ids)} {problem}: {', '.join(ids[:_LISTED_IDS])}{more}")


def _check_findings(report_id: str, names: Sequence[str], gold: Mapping[str, str], answers: Mapping[str, str]) -> None:
    if unknown := sorted(set(names) - FINDING_KEYS):
        raise ValueError(f"gold findings {', '.join(unknown)} are not among {', '.join(sorted(FINDING_KEYS))}")
    if set(gold) != set(names):
        raise ValueError(f"gold row {report_id} has other findings than the first: {sorted(set(gold) ^ set(names))}")
    if missing := [name for name in names if name not in answers]:
        raise ValueError(f"labels of {report_id} lack {', '.join(missing)}")
    for value in [*gold.values(), *(answers[name] for name in names)]:
        if value not in list(Mention):
            raise ValueError(f"report {report_id}: {value!r} is not one of {', '.join(Mention)}")


def _is_positive(mention: str, uncertain: UncertainPolicy) -> bool:
    return mention == Mention.POSITIVE or (mention == Mention.UNCERTAIN and uncertain == "positive")


def _outcome(in_gold: bool, in_labels: bool) -> str | None:
    return {(True, True): "found", (False, True): "spurious", (True, False): "missed"}.get((in_gold, in_labels))


def _detection_keys(match: Match, types: Sequence[str]) -> list[tuple[str, str]]:
    entry = match.gold if match.gold is not None else match.predicted
    assert entry is not None
    name = entry["type_categorical"]
    if name not in types:
        raise ValueError(f"type_categorical {name!r} is not one of {', '.join(types)}")
    outcome = _outcome(match.gold is not None, match.predicted is not None)
    incorrect = _outcome(_is_incorrect(match.gold), _is_incorrect(match.predicted))
    keys = [("overall", outcome), (name, outcome), ("incorrect", incorrect)]
    return [(key, result) for key, result in keys if result is not None]


def _is_incorrect(entry: Entry | None) -> bool:
    return entry is not None and bool(entry["placement"] == Placement.INCORRECT)


def _differences(report_id: str, matches: Sequence[Match]) -> list[Difference]:
    differences: list[Difference] = []
    spurious = [match.predicted for match in matches if match.gold is None and match.predicted is not None]
    for gold, predicted in matches:
        if gold is None:
            continue
        if predicted is None:
            other = next((entry for entry in spurious if _same(entry, gold, "type_categorical")), None)
            if other is not None:
                _drop(spurious, other)
            differences.append(Difference(report_id, "missed" if other is None else "status", gold, other))
            continue
        for kind, field in (("side", "side_categorical"), ("tip", "tip_location"), ("placement", "placement")):
            if not _same(gold, predicted, field):
                differences.append(Difference(report_id, kind, gold, predicted))
    return [*differences, *(Difference(report_id, "spurious", None, entry) for entry in spurious)]


def _same(entry: Entry, other: Entry, field: str) -> bool:
    return bool(entry[field] == other[field])


def _drop(entries: list[Entry], entry: Entry) -> None:
    """Take out this very entry: two tubes of one type and side are equal but not the same."""
    del entries[next(i for i, other in enumerate(entries) if other is entry)]


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _f1(found: int, spurious: int, missed: int) -> float | None:
    return _ratio(2 * found, 2 * found + spurious + missed)


def _detections(
    names: Sequence[str], reports: Sequence[Counter[tuple[str, str]]], seed: int, bootstrap_samples: int
) -> dict[str, Detection]:
    """Each name's counts over all reports, and the interval of its F1 over resampled reports."""
    if bootstrap_samples < 1:
        raise ValueError(f"bootstrap_samples {bootstrap_samples} is not positive")
    chance = random.Random(seed)
    draws = [Counter(chance.choices(range(len(reports)), k=len(reports))) for _ in range(bootstrap_samples)]
    scored: dict[str, Detection] = {}
    for name in names:
        per_report = [tuple(counts[name, o] for o in ("found", "spurious", "missed")) for counts in reports]
        holding = [(i, counts) for i, counts in enumerate(per_report) if any(counts)]
        values: list[float] = []
        for draw in draws:
            sums = [sum(draw[i] * counts[column] for i, counts in holding) for column in range(3)]
            value = _f1(*sums)
            if value is not None:  # none of this class was drawn
                values.append(value)
        found, spurious, missed = (sum(counts[column] for counts in per_report) for column in range(3))
        scored[name] = Detection(found, spurious, missed, percentile_interval(values))
    return scored
