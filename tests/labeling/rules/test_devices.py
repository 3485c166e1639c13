"""Lines and tubes over a whole report: sentences joined, sections left out, pleural findings, swapped sides."""

from __future__ import annotations

import json

import pytest

from labeling.facts import LineTubeAnswer
from labeling.rules.devices import read_lines_and_tubes
from studies.report_text import split_sentences

REPORT = (
    "INDICATION: Check right PICC.\n"
    "FINDINGS: ET tube ends 3 cm above the carina. Left chest tube is unchanged, its tip at the apex. "
    "Moderate left pleural effusion. The enteric tube enters the stomach.\n"
    "IMPRESSION: 1. Left chest tube in place. 2. Moderate left effusion."
)


def read(report, findings=()):
    return read_lines_and_tubes(split_sentences(report), list(findings))


def finding(
    label="pleural_effusion", side="left", severity="unspecified", comparison="unspecified", assertion="positive"
):
    return {
        "label": label,
        "sentences": [3],
        "assertion": assertion,
        "side": side,
        "severity": severity,
        "comparison": comparison,
    }


def test_findings_and_impression_speak_of_one_tube():
    by_type = {entry["type"]: entry for entry in read(REPORT)}
    assert list(by_type) == ["endotracheal_tube", "chest_tube", "nasogastric_tube"]
    assert by_type["chest_tube"]["sentences"] == [3, 6]
    assert by_type["chest_tube"]["tip"] == "upper"


def test_entries_are_json_and_pass_the_wire_schema():
    text = json.dumps({"lines_and_tubes": read(REPORT)})
    assert len(LineTubeAnswer.model_validate_json(text).lines_and_tubes) == 3


def test_the_same_report_gives_the_same_entries_whatever_was_read_before():
    first = read(REPORT)
    read("Right chest tube. Two left chest tubes, one at the apex and one at the base.")
    assert read(REPORT) == first


@pytest.mark.parametrize(
    ("found", "pleural"),
    [
        (finding(severity="moderate"), "moderate_or_larger"),
        (finding(label="pneumothorax", severity="severe", comparison="improved"), "moderate_or_larger"),
        (finding(comparison="worse"), "worse"),
        (finding(severity="mild", comparison="new"), "worse"),
        (finding(severity="mild"), "none"),
        (finding(severity="moderate", side="right"), "none"),
        (finding(severity="moderate", side="unspecified"), "moderate_or_larger"),
        (finding(severity="moderate", assertion="uncertain"), "none"),
        (finding(label="atelectasis", severity="severe"), "none"),
    ],
)
def test_a_chest_tubes_own_side_decides_what_the_pleura_says(found, pleural):
    (tube,) = read("Left chest tube in place.", [found])
    assert tube["pleural"] == pleural
    assert tube["pleural_sentences"] == ([] if pleural == "none" else [3])


def test_a_finding_without_a_side_blames_neither_of_two_tubes():
    tubes = read("Bilateral chest tubes.", [finding(severity="severe", side="unspecified")])
    assert [tube["pleural"] for tube in tubes] == ["none", "none"]


def test_a_removed_tube_has_no_pleural_and_no_position():
    (tube,) = read("Interval removal of the left chest tube, previously at the apex.", [finding(severity="severe")])
    assert (tube["status"], tube["tip"], tube["stated"], tube["pleural"]) == ("removed", "N/A", "not_stated", "none")


@pytest.mark.parametrize(
    "report",
    [
        "Right IJ line tip in the SVC. Left chest tube at the left base.",
        "Left PICC ends in the right brachiocephalic vein. Right pigtail catheter is kinked.",
        "Two left chest tubes, one at the apex and the other at the base. Right subclavian line removed.",
    ],
)
def test_swapping_left_and_right_swaps_the_sides_and_nothing_else(report):
    swapped = report.replace("Left", "#").replace("Right", "Left").replace("#", "Right")
    swapped = swapped.replace("left", "#").replace("right", "left").replace("#", "right")
    other = {"left": "right", "right": "left"}
    assert [{**entry, "side": other[entry["side"]]} for entry in read(report)] == read(swapped)


def test_capitals_change_nothing():
    body = REPORT[REPORT.index("ET tube") : REPORT.index("\nIMPRESSION")]
    assert read(body.upper()) == read(body)


def test_a_report_without_devices_gives_none():
    assert read("The lungs are clear. No pneumothorax. The trachea is midline. Portable view.") == []
