"""The report of a synthetic film: the same facts in one of several wordings, and what each sentence asserts."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from studies.synthetic.device_words import Pick, capital, tell_devices
from studies.synthetic.facts import SIDES, Facts, Side


class Assertion(NamedTuple):
    """One finding as a sentence says it, in the labels' words."""

    label: str
    assertion: str
    side: str = "unspecified"
    severity: str = "unspecified"
    comparison: str = "unspecified"


class Sentence(NamedTuple):
    text: str
    says: tuple[Assertion, ...] = ()


class WrittenReport(NamedTuple):
    text: str
    assertions: tuple[Assertion, ...]


SEVERITY = {"small": "mild", "mild": "mild", "moderate": "moderate", "large": "severe", "severe": "severe"}
GRADE = {"small": 1, "mild": 1, "moderate": 2, "large": 3, "severe": 3}


def write_report(facts: Facts, rng: np.random.Generator, prior: Facts | None = None) -> WrittenReport:
    """The report of one film.

    Args:
        rng: chooses among wordings only; what is said does not depend on it, but for what a normal film's report
            leaves unsaid.
        prior: what the film before showed; findings are then compared with it and removed devices told.
    """
    pick = Pick(rng)
    body = [Sentence(text) for text in tell_devices(facts, prior, pick)]
    body.append(_heart(facts, pick))
    body += _lungs(facts, prior, pick)
    body += _pleura(facts, prior, pick)
    impression = _impression(facts, pick)
    header = "COMPARISON: Prior radiograph.\n\n" if prior is not None else ""
    text = f"{header}FINDINGS: {' '.join(s.text for s in body)}\n\nIMPRESSION: {' '.join(s.text for s in impression)}"
    assertions = tuple(dict.fromkeys(a for sentence in (*body, *impression) for a in sentence.says))
    return WrittenReport(text, assertions)


def _heart(facts: Facts, pick: Pick) -> Sentence:
    size = facts.cardiomegaly
    if size is None:
        text = pick.one(
            "Heart size is normal.", "The heart is not enlarged.", "The cardiac silhouette is normal in size."
        )
        return Sentence(text, (Assertion("cardiomegaly", "negative"),))
    name = capital(size)
    text = pick.one(f"{name} cardiomegaly.", f"There is {size} cardiomegaly.", f"{name} enlargement of the heart.")
    return Sentence(text, (Assertion("cardiomegaly", "positive", severity=SEVERITY[size]),))


def _lungs(facts: Facts, prior: Facts | None, pick: Pick) -> list[Sentence]:
    said = [*_edema(facts, prior, pick), *_consolidations(facts, prior, pick)]
    if len(facts.atelectasis) == 2:
        text = pick.one("Bibasilar linear atelectasis.", "Linear atelectasis at both lung bases.")
        said.append(Sentence(text, tuple(Assertion("atelectasis", "positive", side) for side in SIDES)))
    for side in facts.atelectasis if len(facts.atelectasis) == 1 else ():
        text = pick.one(f"Linear atelectasis at the {side} lung base.", f"Plate-like atelectasis at the {side} base.")
        said.append(Sentence(text, (Assertion("atelectasis", "positive", side),)))
    if not said:
        text = pick.one("The lungs are clear.", "Lungs are clear.")
        return [Sentence(text, (Assertion("no_finding", "positive"), Assertion("lung_opacity", "negative")))]
    named = any(assertion.label == "consolidation" for sentence in said for assertion in sentence.says)
    if not named and pick.chance(0.7):
        said.append(Sentence("No focal consolidation.", (Assertion("consolidation", "negative"),)))
    return said


def _edema(facts: Facts, prior: Facts | None, pick: Pick) -> list[Sentence]:
    size, before = facts.edema, prior.edema if prior else None
    if size is None:
        resolved = Assertion("pulmonary_edema", "negative", comparison="resolved")
        return [Sentence("Pulmonary edema has resolved.", (resolved,))] if before else []
    comparison = _change(size, before, prior)
    text = {
        "new": f"New {size} pulmonary edema.",
        "unchanged": f"{capital(size)} pulmonary edema is unchanged.",
        "worse": f"Pulmonary edema has worsened and is now {size}.",
        "improved": f"Pulmonary edema has improved and is now {size}.",
    }.get(comparison) or pick.one(f"{capital(size)} pulmonary edema.", f"There is {size} pulmonary edema.")
    return [Sentence(text, (Assertion("pulmonary_edema", "positive", "unspecified", SEVERITY[size], comparison),))]


def _consolidations(facts: Facts, prior: Facts | None, pick: Pick) -> list[Sentence]:
    said = []
    before = prior.consolidations if prior else ()
    for patch in facts.consolidations:
        comparison = _change("small", "small" if patch in before else None, prior)
        where = f"in the {patch.side} {patch.zone} zone"
        text = {
            "new": f"New consolidation {where}.",
            "unchanged": f"Consolidation {where} is unchanged.",
        }.get(comparison) or pick.one(
            f"Consolidation {where}.", f"There is consolidation {where}.", f"Focal consolidation {where}."
        )
        said.append(Sentence(text, (Assertion("consolidation", "positive", patch.side, comparison=comparison),)))
    for patch in before:
        if patch not in facts.consolidations:
            text = f"Consolidation in the {patch.side} {patch.zone} zone has resolved."
            said.append(Sentence(text, (Assertion("consolidation", "negative", patch.side, comparison="resolved"),)))
    return said


def _change(size: str, before: str | None, prior: Facts | None) -> str:
    if prior is None:
        return "unspecified"
    if before is None:
        return "new"
    step = GRADE[size] - GRADE[before]
    return "worse" if step > 0 else "improved" if step < 0 else "unchanged"


def _pleura(facts: Facts, prior: Facts | None, pick: Pick) -> list[Sentence]:
    said: list[Sentence] = []
    denied = []
    for label, words in (("pleural_effusion", "pleural effusion"), ("pneumothorax", "pneumothorax")):
        here = _sizes(facts, label)
        before = _sizes(prior, label) if prior else {}
        if prior is None and len(set(here.values())) == 1 and len(here) == 2 and not facts.hedged:
            size = here["left"]
            plural = f"bilateral {words}s" if label == "pleural_effusion" else "bilateral pneumothoraces"
            text = pick.one(f"{capital(size)} {plural}.", f"There are {size} {plural}.")
            said.append(Sentence(text, tuple(Assertion(label, "positive", side, SEVERITY[size]) for side in SIDES)))
            continue
        for side in SIDES:
            if side in here:
                hedged = label == "pleural_effusion" and side in facts.hedged
                said.append(_collection(label, words, side, here[side], before.get(side), prior, hedged, pick))
            elif side in before:
                text = f"The {side} {words} has resolved."
                said.append(Sentence(text, (Assertion(label, "negative", side, comparison="resolved"),)))
        if not here and not before:
            denied.append((label, words))
    if len(denied) == 2:
        text = pick.one("No pleural effusion or pneumothorax.", "There is no pleural effusion or pneumothorax.")
        said.append(Sentence(text, tuple(Assertion(label, "negative") for label, _ in denied)))
    elif denied:
        label, words = denied[0]
        said.append(Sentence(pick.one(f"No {words}.", f"There is no {words}."), (Assertion(label, "negative"),)))
    return said


def _sizes(facts: Facts, label: str) -> dict[Side, str]:
    if label == "pleural_effusion":
        return {entry.side: entry.size for entry in facts.effusions}
    return {entry.side: entry.size for entry in facts.pneumothoraces}


def _collection(
    label: str, words: str, side: Side, size: str, before: str | None, prior: Facts | None, hedged: bool, pick: Pick
) -> Sentence:
    if hedged:
        text = pick.one(f"Possible {size} {side} {words}.", f"There may be a {size} {side} {words}.")
        return Sentence(text, (Assertion(label, "uncertain", side, SEVERITY[size]),))
    comparison = _change(size, before, prior)
    text = {
        "new": f"New {size} {side} {words}.",
        "unchanged": f"The {size} {side} {words} is unchanged.",
        "worse": f"The {side} {words} has increased and is now {size}.",
        "improved": f"The {side} {words} has decreased and is now {size}.",
    }.get(comparison) or pick.one(f"{capital(size)} {side} {words}.", f"There is a {size} {side} {words}.")
    return Sentence(text, (Assertion(label, "positive", side, SEVERITY[size], comparison),))


def _impression(facts: Facts, pick: Pick) -> list[Sentence]:
    """The main points again, without comparing."""
    if facts.is_normal:
        text = pick.one("No acute cardiopulmonary abnormality.", "No acute cardiopulmonary process.")
        return [Sentence(text, (Assertion("no_finding", "positive"),))]
    points: list[Sentence] = []
    for label, words in (("pneumothorax", "pneumothorax"), ("pleural_effusion", "pleural effusion")):
        for side, size in _sizes(facts, label).items():
            if label != "pleural_effusion" or side not in facts.hedged:
                said = Assertion(label, "positive", side, SEVERITY[size])
                points.append(Sentence(f"{capital(size)} {side} {words}.", (said,)))
    if facts.edema:
        said = Assertion("pulmonary_edema", "positive", severity=SEVERITY[facts.edema])
        points.append(Sentence(f"{capital(facts.edema)} pulmonary edema.", (said,)))
    for patch in facts.consolidations:
        said = Assertion("consolidation", "positive", patch.side)
        points.append(Sentence(f"Consolidation in the {patch.side} {patch.zone} zone.", (said,)))
    if facts.cardiomegaly:
        said = Assertion("cardiomegaly", "positive", severity=SEVERITY[facts.cardiomegaly])
        points.append(Sentence(f"{capital(facts.cardiomegaly)} cardiomegaly.", (said,)))
    return points or [Sentence("Findings as described above.")]
