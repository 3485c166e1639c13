import json

import pytest
from pydantic import ValidationError

from labeling.facts import answer_model, read_answer, wire_schema
from labeling.vocabulary import LineTubeType

PROMPTS = ["findings", "lines_and_tubes", *(device.value for device in LineTubeType)]


def picc(**said):
    entry = {
        "type": "picc",
        "sentences": [1],
        "side": "left",
        "status": "in_place",
        "tip": "mid_svc",
        "tip_distance_cm": None,
        "tip_landmark": None,
        "tip_direction": None,
        "stated": "not_stated",
        "advice": "none",
        "placement": None,
    } | said
    return json.dumps({"lines_and_tubes": [entry]})


def walk(node):
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from walk(value)
    elif isinstance(node, list):
        for value in node:
            yield from walk(value)


@pytest.mark.parametrize("prompt", PROMPTS)
def test_a_wire_schema_is_strict_and_has_no_slow_keywords(prompt):
    for node in walk(wire_schema(prompt)):
        assert not {"maxLength", "minLength", "pattern", "format", "default"} & set(node)
        if node.get("type") == "object":
            assert node["additionalProperties"] is False
            assert set(node["required"]) == set(node["properties"])


def test_a_single_types_prompt_asks_only_what_that_type_can_say():
    fields = set(answer_model("picc").model_json_schema()["$defs"]["LineTubeFacts"]["properties"])
    assert not fields & {"subtype", "pleural", "pleural_sentences"}
    assert "pleural" in answer_model("chest_tube").model_json_schema()["$defs"]["LineTubeFacts"]["properties"]


def test_a_single_types_answer_is_filled_up_to_the_common_shape():
    entry = read_answer("picc", picc()).lines_and_tubes[0]
    assert (entry.subtype, entry.pleural.value, entry.pleural_sentences) == ("standard", "none", ())


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ({"tip": "mid"}, "'mid' is not one of svc, upper_svc"),
        ({"side": "midline"}, "'midline' is not one of left, right, unspecified"),
        ({"type": "chest_tube"}, "'chest_tube' is not one of picc"),
        ({"sentences": []}, "at least 1 item"),
        ({"sentences": [0]}, "greater than or equal to 1"),
        ({"sentences": list(range(1, 40))}, "at most 32 items"),
        ({"tip_distance_cm": 3.0}, "tip_distance_cm 3.0 needs a tip_landmark"),
        ({"tip_distance_cm": 300.0, "tip_landmark": "carina"}, "less than or equal to 40"),
        ({"tip_direction": "above"}, "needs a tip_landmark"),
        ({"tip_distance_cm": "3"}, "valid number"),
        ({"opinion": 1}, "Extra inputs"),
    ],
)
def test_an_impossible_answer_is_refused_by_field_value_and_what_is_allowed(said, complaint):
    with pytest.raises(ValidationError) as raised:
        read_answer("picc", picc(**said))
    assert complaint in str(raised.value)


def test_a_missing_field_is_refused():
    entry = json.loads(picc())["lines_and_tubes"][0]
    del entry["advice"]
    with pytest.raises(ValidationError, match="advice"):
        read_answer("picc", json.dumps({"lines_and_tubes": [entry]}))


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ({"label": "pneumonitis"}, "'pneumonitis' is not one of no_finding"),
        ({"comparison": "resolved"}, "what has resolved is negative"),
        ({"label": "no_finding", "assertion": "negative"}, "label the abnormality instead"),
    ],
)
def test_an_impossible_finding_is_refused(said, complaint):
    entry = {
        "label": "pneumothorax",
        "sentences": [1],
        "assertion": "positive",
        "side": "left",
        "severity": "mild",
        "comparison": "unspecified",
    } | said
    with pytest.raises(ValidationError, match=complaint):
        read_answer("findings", json.dumps({"findings": [entry]}))
