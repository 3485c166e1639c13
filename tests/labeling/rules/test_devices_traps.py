"""Short reports with traps, each with the lines and tubes they must give.

One line of the expectation is one device: its short name, then what must be true of it, in any order: a side (left,
right,
midline; otherwise unspecified), "removed", "tip=...", "cm=...", a subtype, a stated position, an advice. What is not
written must be the plain value (in place, standard, not stated, no advice); a tip or distance not written is not
checked.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from labeling.facts import LineTubeAnswer
from labeling.rules.devices import read_lines_and_tubes
from labeling.rules.names import name_in
from labeling.vocabulary import ALL_SUBTYPES, Advice, LineTubeType, StatedPosition
from studies.report_text import split_sentences

SHORT = {
    "ett": "endotracheal_tube",
    "trach": "tracheostomy_tube",
    "ngt": "nasogastric_tube",
    "ij": "internal_jugular_cvc",
    "picc": "picc",
    "sc": "subclavian_cvc_or_port",
    "swan": "swan_ganz_catheter",
    "ct": "chest_tube",
    "med": "mediastinal_drain",
    "iabp": "intra_aortic_balloon_pump",
}
# "report || expectation" a line; "#" opens a heading, "\\n" is a new line
_LINES = (Path(__file__).parent / "device_traps.txt").read_text(encoding="utf-8").splitlines()
CASES = [
    (report.replace("\\n", "\n").strip(), expected.strip())
    for report, _, expected in (line.partition("||") for line in _LINES if line and not line.startswith("#"))
]


def read(report):
    sentences = split_sentences(report)
    entries = read_lines_and_tubes(sentences, [])
    LineTubeAnswer.model_validate_json(json.dumps({"lines_and_tubes": entries}))
    for entry in entries:
        named = [n for n in entry["sentences"] if name_in(LineTubeType(entry["type"]), sentences[n - 1].text)]
        assert named, f"no sentence of {entry['sentences']} names the {entry['type']}"
    return entries


def described(expected, entry):
    """The entry in the words of the expectation: what the expectation leaves unchecked is left out."""
    words = {next(short for short, name in SHORT.items() if name == entry["type"])}
    words |= {entry["side"], entry["status"], entry["subtype"], entry["stated"], entry["advice"]}
    words -= {"unspecified", "in_place", "standard", "not_stated", "none"}
    if any(word.startswith("tip=") for word in expected):
        words.add(f"tip={entry['tip']}")
    if any(word.startswith("cm=") for word in expected):
        words.add(f"cm={entry['tip_distance_cm']:g}" if entry["tip_distance_cm"] is not None else "cm=")
    return words


@pytest.mark.parametrize(("report", "expected"), CASES, ids=[case[0][:70] for case in CASES])
def test_each_trap_gives_exactly_its_devices(report, expected):
    wanted = [set(part.split()) for part in expected.split(";") if part.strip()]
    entries = read(report)
    got = [described(want, entry) for want, entry in zip(wanted, _ordered(wanted, entries), strict=False)]
    assert len(entries) == len(wanted), [(e["type"], e["side"], e["status"], e["tip"]) for e in entries]
    assert got == wanted


def _ordered(wanted, entries):
    """Entries in the order of the expectation, best likeness first."""
    left = list(entries)
    ordered = []
    for want in wanted:
        if not left:
            break
        best = max(
            left, key=lambda entry: len(want & described(want, entry)) + (SHORT[_device(want)] == entry["type"]) * 10
        )
        left.remove(best)
        ordered.append(best)
    return ordered


def _device(words):
    return next(short for short in SHORT if short in words)


def test_every_word_of_an_expectation_is_one_that_an_entry_can_have():
    known = {*SHORT, "left", "right", "midline", "removed", *ALL_SUBTYPES, *map(str, StatedPosition), *map(str, Advice)}
    words = {word for _, expected in CASES for word in expected.replace(";", " ").split() if "=" not in word}
    assert words <= known, words - known
