"""The hand-labelled reports are what `benchmarks/gold/README.md` says they are."""

import csv
import json
from collections import Counter
from pathlib import Path

import pytest

from labeling.facts import MAX_DISTANCE_CM
from labeling.vocabulary import DEVICES, LineTubeType, Placement, Status

ROOT = Path(__file__).parent.parent.parent
GOLD = ROOT / "benchmarks" / "gold"
FIELDS = {"type_categorical", "side_categorical", "tip_location", "tip_distance_cm", "status", "placement"}
ALWAYS_OUTSIDE = {"side_port_outside_rib_cage", "outside_chest", "airway_or_lung", "outside_trachea", "esophagus"}


def read(name):
    return [json.loads(line) for line in (GOLD / name).read_text(encoding="utf-8").splitlines()]


def plain(text):
    return " ".join(text.lower().split())


@pytest.fixture(scope="module")
def development():
    return read("devices_dev.jsonl")


@pytest.fixture(scope="module")
def held_out():
    return read("devices_held_out.jsonl")


@pytest.fixture(scope="module")
def everything(development, held_out):
    return [*development, *held_out]


@pytest.fixture(scope="module")
def entries(everything):
    return [(row["report_id"], entry) for row in everything for entry in row["lines_and_tubes"]]


def test_there_are_enough_reports_and_a_third_is_kept_aside(everything, held_out):
    assert len(everything) >= 160
    assert len(held_out) >= len(everything) / 3


def test_ids_are_unique(everything):
    assert [i for i, n in Counter(row["report_id"] for row in everything).items() if n > 1] == []


def test_no_text_stands_twice_nor_in_both_sets(everything):
    texts = Counter(plain(row["text"]) for row in everything)
    assert [text[:40] for text, n in texts.items() if n > 1] == []


def test_no_gold_report_is_among_the_examples(everything):
    with (ROOT / "examples" / "icu_reports.csv").open(encoding="utf-8", newline="") as file:
        examples = {plain(row["report"]) for row in csv.DictReader(file)}
    assert not examples & {plain(row["text"]) for row in everything}


def test_every_row_and_entry_has_its_fields_and_no_other(everything):
    assert {frozenset(row) for row in everything} == {frozenset({"report_id", "text", "lines_and_tubes", "traps"})}
    assert {frozenset(entry) for row in everything for entry in row["lines_and_tubes"]} == {frozenset(FIELDS)}


def test_every_value_is_one_of_the_vocabulary(entries):
    for report_id, entry in entries:
        device = DEVICES[LineTubeType(entry["type_categorical"])]
        assert entry["side_categorical"] in list(device.sides), report_id
        assert entry["tip_location"] in device.tips, report_id
        assert entry["status"] in list(Status), report_id
        assert entry["placement"] in list(Placement), report_id


def test_every_distance_can_be_one(entries):
    distances = [entry["tip_distance_cm"] for _, entry in entries if entry["tip_distance_cm"] is not None]
    assert all(0 <= distance <= MAX_DISTANCE_CM for distance in distances)


def test_a_removed_device_has_no_tip_and_no_placement(entries):
    removed = [entry for _, entry in entries if entry["status"] == "removed"]
    assert {(e["tip_location"], e["tip_distance_cm"], e["placement"]) for e in removed} == {("N/A", None, "N/A")}


def test_a_tip_outside_the_body_space_is_incorrect_whatever_else_is_said(entries):
    outside = [(i, e) for i, e in entries if e["tip_location"] in ALWAYS_OUTSIDE]
    assert [i for i, e in outside if e["placement"] != "incorrect"] == []


def test_every_type_stands_at_least_twelve_times(entries):
    counts = Counter(entry["type_categorical"] for _, entry in entries)
    assert {device: counts[device] for device in LineTubeType if counts[device] < 12} == {}


def test_every_tip_of_every_type_stands_at_least_once(entries):
    present = {(entry["type_categorical"], entry["tip_location"]) for _, entry in entries}
    assert [(d, tip) for d in LineTubeType for tip in DEVICES[d].tips if (d, tip) not in present] == []


def test_every_placement_of_the_common_types_is_present(entries):
    present = {(entry["type_categorical"], entry["placement"]) for _, entry in entries}
    assert [(d, p) for d in LineTubeType for p in Placement if (d, p) not in present] == []


def test_there_are_reports_without_any_device(everything):
    assert sum(not row["lines_and_tubes"] for row in everything) >= 12


def test_reports_without_a_device_are_marked_so(everything):
    assert [r["report_id"] for r in everything if ("no_device" in r["traps"]) != (not r["lines_and_tubes"])] == []


def test_the_examples_are_reports_with_unique_ids():
    with (ROOT / "examples" / "icu_reports.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, strict=True))
    assert list(rows[0]) == ["report_id", "report"]
    assert len({row["report_id"] for row in rows}) == len(rows) == 24
    assert all(len(row["report"].split()) >= 10 for row in rows)
