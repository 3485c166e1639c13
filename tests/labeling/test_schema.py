import typing

import pytest
from pydantic import ValidationError

from labeling.schema import FindingLabel, FindingLabels, LineTube, LineTubeLabels, Span, row_json_schema
from labeling.vocabulary import DEVICES, LABELS, Finding, LineTubeType

ISSUE_FINDINGS = (
    "hyperinflation interstitial_lung_disease atelectasis costophrenic_angle_blunting pleural_effusion pneumothorax "
    "adenopathy enlarged_pulmonary_artery arterial_calcification osseous_abnormality rib_fracture "
    "bronchial_wall_thickening hernia subcutaneous_emphysema opacity vascular_congestion cardiomegaly "
    "diaphragm_elevation pulmonary_edema no_finding"
).split()


def line_tube(**said):
    return {
        "type": "PICC",
        "type_categorical": "picc",
        "side_categorical": "left",
        "subtype": "standard",
        "tip_location": "mid_svc",
        "tip_distance_cm": None,
        "tip_landmark": None,
        "tip_direction": None,
        "status": "in_place",
        "stated_position": "not_stated",
        "advice": "none",
        "pleural": "none",
        "placement": "correct",
        "placement_band": "ok",
        "placement_rule": "tip_map",
        "model_placement": None,
        "review": [],
        "reference_sentence": "Left PICC in mid SVC.",
        "evidence": [{"start": 0, "end": 21}],
        "pleural_evidence": [],
    } | said


def finding(**said):
    return {
        "label": "pneumothorax",
        "finding": "pneumothorax",
        "finding_type": "DISEASE",
        "assertion": "negative",
        "side_categorical": "unspecified",
        "severity": "unspecified",
        "comparison": "unspecified",
        "reference_phrase": "No pneumothorax.",
        "evidence": [{"start": 0, "end": 16}],
    } | said


def built(model, data):
    import json

    return model.model_validate_json(json.dumps(data))


def test_the_keys_are_the_ones_that_others_read():
    assert list(FindingLabels.model_fields) == ISSUE_FINDINGS == [f.value for f in Finding]
    assert [n for n in LineTubeLabels.model_fields if n != "no_tubes"] == [d.value for d in LineTubeType]


def test_every_wider_label_rolls_up_to_a_finding_or_to_none_and_every_finding_has_a_label():
    assert {info.finding for info in LABELS.values()} - {None} == set(Finding)
    assert set(DEVICES) == set(LineTubeType)


def test_possible_states_can_be_built():
    assert built(LineTube, line_tube()).placement.value == "correct"
    assert built(FindingLabel, finding()).finding is Finding.PNEUMOTHORAX


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ({"side_categorical": "midline"}, "picc: side_categorical 'midline' is not one of left, right, unspecified"),
        ({"side_categorical": "links"}, "side_categorical"),
        ({"tip_location": "stomach"}, "picc: tip_location 'stomach' is not one of svc"),
        ({"subtype": "port"}, "picc: subtype 'port' is not one of standard"),
        ({"tip_distance_cm": 2.0}, "tip_distance_cm 2.0 needs a tip_landmark"),
        ({"status": "removed"}, "a removed device has placement N/A, got correct"),
        ({"placement": "N/A"}, "placement N/A has no placement_band, got ok"),
        ({"pleural": "worse", "pleural_evidence": [{"start": 0, "end": 3}]}, "pleural worse is for chest_tube only"),
        ({"pleural": "worse"}, "pleural worse with 0 pleural_evidence"),
        ({"evidence": []}, "evidence"),
        ({"evidence": [{"start": 5, "end": 5}]}, "end 5 must be greater than start 5"),
        ({"tip_distance_cm": "2"}, "tip_distance_cm"),
        ({"placment": "correct"}, "placment"),
    ],
)
def test_an_impossible_line_or_tube_cannot_be_built(said, complaint):
    with pytest.raises(ValidationError) as raised:
        built(LineTube, line_tube(**said))
    assert complaint in str(raised.value)


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ({"label": "collapse"}, "label 'collapse' is not one of no_finding"),
        ({"finding": "opacity"}, "pneumothorax: finding 'opacity' is not one of pneumothorax"),
        ({"finding_type": "FINDING"}, "finding_type 'FINDING' is not one of DISEASE"),
        ({"evidence": []}, "evidence"),
    ],
)
def test_an_impossible_finding_cannot_be_built(said, complaint):
    with pytest.raises(ValidationError) as raised:
        built(FindingLabel, finding(**said))
    assert complaint in str(raised.value)


def test_a_built_row_cannot_be_changed():
    span = Span(start=0, end=1)
    with pytest.raises(ValidationError, match="frozen"):
        span.start = 5


def test_the_json_schema_of_a_row_allows_no_other_keys():
    for name, definition in row_json_schema()["$defs"].items():
        if definition["type"] == "object":
            assert definition["additionalProperties"] is False, name
    assert typing.cast("dict", row_json_schema())["additionalProperties"] is False
