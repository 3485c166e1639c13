"""Whether a finding is stated, denied or hedged, and how far a cue reaches."""

from __future__ import annotations

import pytest

from labeling.rules.findings import read_sentence

SHORT = {"positive": "+", "negative": "-", "uncertain": "?"}


def said(text: str) -> str:
    """Labels in order, each with + (stated), - (denied) or ? (hedged); a label of two sides once."""
    return " ".join(dict.fromkeys(f"{SHORT[entry[1]]}{entry[0]}" for entry in read_sentence(text)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("No pneumothorax or effusion.", "-pneumothorax -pleural_effusion"),
        ("No pneumothorax, effusion, consolidation.", "-pneumothorax -pleural_effusion -consolidation"),
        ("No new pneumothorax.", "-pneumothorax"),
        ("No large effusion.", "-pleural_effusion"),
        ("Without overt edema.", "-pulmonary_edema"),
        ("No acute osseous abnormality.", "-osseous_abnormality"),
        ("No displaced rib fracture.", "-rib_fracture"),
        ("Neither pneumothorax nor effusion.", "-pneumothorax -pleural_effusion"),
        ("Negative for pneumothorax.", "-pneumothorax"),
        ("Pneumothorax is not seen.", "-pneumothorax"),
        ("PTX: none.", "-pneumothorax"),
        ("Pneumothorax: No.", "-pneumothorax"),
        ("The heart is not enlarged.", "+no_finding -cardiomegaly"),
        ("Pneumonia is unlikely.", "-pneumonia"),
        ("Skin fold rather than pneumothorax.", "-pneumothorax"),
        ("No pleural or pericardial effusion.", "-pleural_effusion -pericardial_effusion"),
        ("No opacity suspicious for pneumonia.", "-lung_opacity -pneumonia"),
    ],
)
def test_a_denial_is_negative(text: str, expected: str):
    assert said(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("No effusion, but there is atelectasis.", "-pleural_effusion +atelectasis"),
        ("No pneumothorax, small left effusion.", "-pneumothorax +pleural_effusion"),
        ("No pneumothorax and stable cardiomegaly.", "-pneumothorax +cardiomegaly"),
        ("No pneumothorax is seen and the heart remains enlarged.", "-pneumothorax +cardiomegaly"),
        ("Heart enlarged with no effusion; opacity at left base.", "+cardiomegaly -pleural_effusion +lung_opacity"),
        ("No change in the effusion.", "+pleural_effusion"),
        ("Right pneumothorax without evidence of tension.", "+pneumothorax"),
        ("No focal consolidation, mild edema.", "-consolidation +pulmonary_edema"),
        ("The opacity has not resolved.", "+lung_opacity"),
        ("No findings to suggest edema, stable cardiomegaly.", "-pulmonary_edema +cardiomegaly"),
        ("No left effusion; small right effusion.", "-pleural_effusion +pleural_effusion"),
    ],
)
def test_a_denial_ends_where_something_new_begins(text: str, expected: str):
    assert said(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Cannot exclude a small effusion.", "?pleural_effusion"),
        ("A small effusion cannot be excluded.", "?pleural_effusion"),
        ("Opacity may represent atelectasis or pneumonia.", "+lung_opacity ?atelectasis ?pneumonia"),
        ("Questionable left effusion.", "?pleural_effusion"),
        ("?RLL infiltrate", "?infiltrate"),
        ("Atelectasis versus pneumonia.", "?atelectasis ?pneumonia"),
        ("Definite opacity, atelectasis or infiltrate.", "+lung_opacity ?atelectasis ?infiltrate"),
        ("Pneumothorax, consolidation or effusion.", "?pneumothorax ?consolidation ?pleural_effusion"),
        ("Small effusion, atelectasis or infiltrate.", "+pleural_effusion ?atelectasis ?infiltrate"),
        ("Edema versus ARDS.", "?pulmonary_edema"),
        ("Rule out pneumothorax.", "?pneumothorax"),
        ("Small effusions suspected.", "?pleural_effusion"),
        ("Pneumonia could have this appearance.", "?pneumonia"),
        ("Findings suggestive of edema.", "?pulmonary_edema"),
        ("Borderline heart size.", "?cardiomegaly"),
        ("Minimal if any residual pneumothorax.", "?pneumothorax"),
        ("Atelectasis with or without infection.", "+atelectasis ?pneumonia"),
        ("Nodular opacity.", "+lung_opacity ?nodule"),
        ("Atelectasis, less likely pneumonia.", "+atelectasis ?pneumonia"),
        ("Hard to exclude a tiny pneumothorax.", "?pneumothorax"),
        ("Early pneumonia is difficult to rule out.", "?pneumonia"),
        ("Small effusion, difficult to exclude pneumothorax.", "+pleural_effusion ?pneumothorax"),
        ("Unclear whether this represents pneumonia.", "?pneumonia"),
    ],
)
def test_a_hedge_is_uncertain(text: str, expected: str):
    assert said(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Opacity likely reflecting atelectasis.", "+lung_opacity +atelectasis"),
        ("Opacity consistent with pneumonia.", "+lung_opacity +pneumonia"),
        ("Linear scarring or atelectasis.", "+scarring +atelectasis"),
        ("Scarring and/or atelectasis.", "+scarring +atelectasis"),
        ("Atelectasis and/or effusion.", "+atelectasis +pleural_effusion"),
        ("Borderline cardiomegaly.", "+cardiomegaly"),
    ],
)
def test_a_probable_or_shared_reading_is_stated(text: str, expected: str):
    assert said(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "History of pneumonia.",
        "Status post pneumonectomy.",
        "Right chest tube for pneumothorax.",
        "Consider CT to evaluate for pulmonary embolism or pneumonia.",
        "If clinical concern for pneumonia persists, a lateral view may be obtained.",
        "Chest CT is recommended to exclude malignancy.",
        "If there is continued concern for rib fracture, dedicated views could be obtained.",
        "If there is concern for effusion and pneumonia, CT may be helpful.",
        "If there is no resolution of the opacity, CT is recommended.",
        "Should pneumonia be suspected clinically, repeat in 24 hours.",
        "Repeat film to document clearing of the pneumonia.",
    ],
)
def test_history_questions_and_advice_say_nothing_of_this_film(text: str):
    assert said(text) == ""


def test_a_condition_ends_with_its_clause():
    assert said("If symptoms persist, CT; moderate effusion.") == "+pleural_effusion"
    assert said("The tube should be withdrawn given the pneumothorax.") == "+pneumothorax"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Interval clearing of the previously noted infiltrate.", "-infiltrate"),
        ("Small effusion and clearing of the previously noted infiltrate.", "+pleural_effusion -infiltrate"),
        ("The effusion has been completely drained.", "-pleural_effusion"),
        ("Partial clearing of the infiltrate.", "+infiltrate"),
        ("Slight interval clearing of the infiltrate.", "+infiltrate"),
        ("Without clearing of the infiltrate.", "+infiltrate"),
        ("The infiltrate is clearing.", "+infiltrate"),
        ("The pneumothorax should resolve.", "+pneumothorax"),
        ("The effusion has been partially drained.", "+pleural_effusion"),
        ("The effusion is being drained by a pigtail catheter.", "+pleural_effusion"),
    ],
)
def test_what_has_cleared_or_is_drained_is_denied_unless_in_part(text: str, expected: str):
    assert said(text) == expected
