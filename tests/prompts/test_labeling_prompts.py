"""The labeling prompts say exactly what the vocabulary holds, and their examples are valid, proven answers."""

import json
import re
from itertools import pairwise
from pathlib import Path

import pytest

import prompts
from labeling.evidence import check_evidence
from labeling.facts import answer_model, read_answer
from labeling.placement.decide import decide
from labeling.placement.tables import load_tables
from labeling.vocabulary import (
    DEVICES,
    LABELS,
    Advice,
    Assertion,
    Comparison,
    Direction,
    FindingType,
    Landmark,
    LineTubeType,
    Placement,
    Pleural,
    Severity,
    Side,
    StatedPosition,
    Status,
)
from prompts.load import known_prompts, load_prompt, render_report
from studies.report_text import Section, Sentence

FOLDER = Path(prompts.__file__).parent / "labeling"
TYPES = tuple(type_.value for type_ in LineTubeType)


def instructions(name: str) -> str:
    return load_prompt(name).messages[0][1]


def values(*enums) -> set[str]:
    return {member.value for enum in enums for member in enum}


def fields(name: str) -> list[str]:
    """Keys of one entry, in the wire's order."""
    (answer,) = answer_model(name).model_fields.values()
    return list(answer.annotation.__args__[0].model_fields)


def allowed_values(name: str) -> set[str]:
    if name == "findings":
        return set(LABELS) | values(Assertion, Side, Severity, Comparison)
    types = TYPES if name == "lines_and_tubes" else (name,)
    allowed = {*types} | values(Status, StatedPosition, Advice, Landmark, Direction, Placement)
    for type_ in types:
        vocabulary = DEVICES[LineTubeType(type_)]
        allowed |= {side.value for side in vocabulary.sides} | set(vocabulary.tips)
        if "subtype" in fields(name):
            allowed |= set(vocabulary.subtypes)
    return allowed | (values(Pleural) if "pleural" in fields(name) else set())


def is_explained(value: str, text: str) -> bool:
    """`value`: followed by words, or several values sharing one explanation."""
    return re.search(rf"`{re.escape(value)}`(?:, `[^`]+`)*: \S", text) is not None


def section_of(type_: str, text: str) -> str:
    """The part of a prompt about one type, with the tips that central venous catheters share."""
    own = re.search(rf"^## {type_}\n.*?(?=^#|^Tips of|\Z)", text, re.MULTILINE | re.DOTALL)
    shared = re.search(r"^Tips of central venous.*?(?=^#|\Z)", text, re.MULTILINE | re.DOTALL)
    assert own
    has_venous_tips = "azygos_vein" in DEVICES[LineTubeType(type_)].tips
    return own.group() + (shared.group() if shared and has_venous_tips else "")


def examples() -> list[tuple[str, int, dict]]:
    return [
        (name, number, json.loads(row))
        for name in known_prompts()
        for number, row in enumerate(
            (FOLDER / f"{load_prompt(name).id}.jsonl").read_text(encoding="utf-8").split("\n"), 1
        )
        if row
    ]


def every_entry() -> list[dict]:
    return [entry for _, _, example in examples() for entry in next(iter(example["answer"].values()))]


each_prompt = pytest.mark.parametrize("name", known_prompts())
each_example = pytest.mark.parametrize(
    ("name", "example"), [pytest.param(n, e, id=f"{n}-{i}") for n, i, e in examples()]
)


def test_every_type_has_its_prompt():
    assert set(known_prompts()) == {*TYPES, "findings", "lines_and_tubes"}


@each_prompt
def test_a_prompt_names_no_value_or_key_that_does_not_exist(name):
    named = set(re.findall(r"`([^`]+)`", instructions(name)))
    assert named - allowed_values(name) - set(fields(name)) == set()


@pytest.mark.parametrize("name", [*TYPES, "lines_and_tubes"])
def test_words_that_all_types_share_are_explained(name):
    text = instructions(name)
    shared = values(Status, StatedPosition, Advice, Landmark, Direction)
    assert {value for value in shared if not is_explained(value, text)} == set()
    assert {value for value in values(Placement) if f"`{value}`" not in text} == set()


@pytest.mark.parametrize("name", [*TYPES, "lines_and_tubes"])
def test_each_type_explains_its_own_sides_subtypes_and_tips_and_no_others(name):
    text = instructions(name)
    for type_ in TYPES if name == "lines_and_tubes" else (name,):
        section, vocabulary = section_of(type_, text), DEVICES[LineTubeType(type_)]
        own = {side.value for side in vocabulary.sides} | set(vocabulary.tips) - {"unclear", "N/A"}
        own |= set(vocabulary.subtypes) if len(vocabulary.subtypes) > 1 else set()
        own |= values(Pleural) if type_ == "chest_tube" else set()
        assert {value for value in own if not is_explained(value, section)} == set()
        others = {tip for device in DEVICES.values() for tip in device.tips} - set(vocabulary.tips)
        others -= values(Landmark)  # a landmark may be measured from without being a place of the tip
        assert {tip for tip in others if f"`{tip}`" in section} == set()
    assert is_explained("unclear", text)
    assert is_explained("N/A", text)


@pytest.mark.parametrize("type_", TYPES)
def test_the_tips_stand_under_the_placement_that_the_shipped_table_gives_them(type_):
    # "borderline" is what the tables call unclear; by-subtype exceptions are told in words
    table = load_tables().by_device[LineTubeType(type_)]
    said = {
        tip: head.lower()
        for head, line in re.findall(
            r"^- (?:Tip, )?(correct|borderline|incorrect|always incorrect)\b[^:]*: (.*)$",
            section_of(type_, instructions(type_)),
            re.MULTILINE | re.IGNORECASE,
        )
        for tip in re.findall(r"`([a-z_]+)`", line)
        if tip in DEVICES[LineTubeType(type_)].tips
    }
    decided = {tip: row.band.value for row in reversed(table.place) if not row.subtypes for tip in row.tips}
    decided |= {tip: "always incorrect" for row in table.outside for tip in row.tips}
    words = {"ok": "correct", "bad": "incorrect"}
    unmapped = {tip: "borderline" for tip in DEVICES[LineTubeType(type_)].tips if tip not in ("unclear", "N/A")}
    assert said == unmapped | {tip: words.get(band, band) for tip, band in decided.items()}, (
        f"the newest {type_} prompt and {type_}.toml differ: write the prompt's next version"
    )


def test_findings_lists_every_label_under_its_type():
    text = instructions("findings")
    for finding_type in FindingType:
        (line,) = re.findall(rf"^{finding_type.value}: (.*)$", text, re.MULTILINE)
        listed = re.findall(r"`([^`]+)`", line)
        assert listed == [name for name, info in LABELS.items() if info.finding_type is finding_type]


def test_findings_explains_assertion_side_severity_and_comparison():
    text = instructions("findings").partition("# Keys")[2]
    wanted = values(Assertion, Severity, Comparison) | {"midline", "unspecified"}
    assert {value for value in wanted if not is_explained(value, text)} == set()
    assert {value for value in values(Side) if f"`{value}`" not in text} == set()


@each_prompt
def test_keys_are_asked_in_the_order_of_the_wire_model(name):
    text = instructions(name)
    if name == "findings":
        asked = re.findall(r"^- `([a-z_]+)`: ", text.partition("# Keys")[2], re.MULTILINE)
    else:
        asked = [word for word in re.findall(r"`([^`]+)`", text.rpartition("in this order: ")[2]) if word not in TYPES]
    assert asked == fields(name)


@each_example
def test_an_example_is_a_valid_proven_answer_in_wire_order(name, example):
    text = json.dumps(example["answer"])
    entries = next(iter(example["answer"].values()))
    assert all(list(entry) == fields(name) for entry in entries)
    assert [number for number, _, _ in example["report"]] == list(range(1, len(example["report"]) + 1))
    sentences = [
        Sentence(number, 0, len(words), Section(section), words) for number, section, words in example["report"]
    ]
    check_evidence(read_answer(name, text), sentences)


@each_example
def test_an_example_gives_the_placement_that_the_shipped_tables_decide(name, example):
    if name == "findings":
        return
    answer = read_answer(name, json.dumps(example["answer"]))
    tables = load_tables().by_device
    for facts in answer.lines_and_tubes:
        assert facts.placement == decide(facts, tables[facts.type]).placement


@each_prompt
def test_examples_are_shown_as_reports_and_compact_answers(name):
    shown = load_prompt(name).messages[1:]
    stored = [example for other, _, example in examples() if other == name]
    assert 2 <= len(stored) <= 4
    assert [content for _, content in shown[0::2]] == [render_report(map(tuple, e["report"])) for e in stored]
    assert [content for _, content in shown[1::2]] == [
        json.dumps(e["answer"], ensure_ascii=False, separators=(",", ":")) for e in stored
    ]


def test_the_examples_show_an_empty_answer_a_removal_two_sides_and_a_malposition_with_advice():
    entries = every_entry()
    assert any(e["answer"] == {"lines_and_tubes": []} for _, _, e in examples())
    assert any(entry.get("status") == "removed" for entry in entries)
    assert any(entry.get("stated") == "malpositioned" and entry["advice"] != "none" for entry in entries)
    assert any(
        {one["side"], other["side"]} == {"left", "right"} and one["sentences"] == other["sentences"]
        for one, other in pairwise(entries)
        if "status" in one and "status" in other
    )


@each_prompt
def test_a_prompt_stays_within_its_length(name):
    # 4 characters a token, roughly: what is sent with every report has its price.
    characters = sum(len(content) for _, content in load_prompt(name).messages)
    assert characters / 4 < {"lines_and_tubes": 4_600, "findings": 2_300}.get(name, 2_050)
