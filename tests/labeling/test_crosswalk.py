import json

import pytest

from labeling.crosswalk import CHEXPERT_14, LABELS_OF_CLASS, chexpert14
from labeling.facts import read_answer
from labeling.placement.tables import load_tables
from labeling.rollup import roll_up_findings, roll_up_lines_and_tubes
from labeling.rows import RowMaker
from labeling.rules.engine import read_facts
from labeling.schema import FindingLabel, LabelRow, LineTube, Span
from labeling.vocabulary import (
    LABELS,
    Advice,
    Assertion,
    Comparison,
    LineTubeType,
    Placement,
    Pleural,
    Severity,
    Side,
    StatedPosition,
    Status,
)
from prompts.load import load_prompt
from studies.records import Report
from studies.report_text import split_sentences

WORDS = {"+": Assertion.POSITIVE, "-": Assertion.NEGATIVE, "?": Assertion.UNCERTAIN}


def finding(said):
    """+hernia is a stated hernia, -hernia a denied and ?hernia a hedged one."""
    info = LABELS[said[1:]]
    return FindingLabel(
        label=said[1:],
        finding=info.finding,
        finding_type=info.finding_type,
        assertion=WORDS[said[0]],
        side_categorical=Side.UNSPECIFIED,
        severity=Severity.UNSPECIFIED,
        comparison=Comparison.UNSPECIFIED,
        reference_phrase="x",
        evidence=(Span(start=0, end=1),),
    )


def picc(status):
    return LineTube(
        type="PICC",
        type_categorical=LineTubeType.PICC,
        side_categorical=Side.RIGHT,
        subtype="standard",
        tip_location="N/A",
        tip_distance_cm=None,
        tip_landmark=None,
        tip_direction=None,
        status=status,
        stated_position=StatedPosition.NOT_STATED,
        advice=Advice.NONE,
        pleural=Pleural.NONE,
        placement=Placement.NOT_AVAILABLE,
        placement_band=None,
        placement_rule="x",
        model_placement=None,
        review=(),
        reference_sentence="x",
        evidence=(Span(start=0, end=1),),
        pleural_evidence=(),
    )


def row(*said, devices=(), findings_asked=True, types_asked=frozenset(LineTubeType)):
    findings = tuple(finding(one) for one in said)
    return LabelRow(
        report_id="A",
        prompt="all",
        prompt_sha256="x",
        prompts=("x",),
        engine="rules",
        model="x",
        schema_version="1.0",
        placement_sha256="x",
        lines_and_tubes=devices,
        findings=findings,
        finding_labels=roll_up_findings(findings) if findings_asked else None,
        line_tube_labels=roll_up_lines_and_tubes(devices, types_asked) if types_asked else None,
    )


def classes(*said, **more):
    """What is not blank."""
    words = chexpert14(row(*said, **more))
    return {name: word for name, word in zip(CHEXPERT_14, words, strict=True) if word != "blank"}


def test_the_classes_stand_in_chexberts_order():
    assert CHEXPERT_14[4:9] == ("Edema", "Consolidation", "Pneumonia", "Atelectasis", "Pneumothorax")
    assert len(CHEXPERT_14) == len(set(CHEXPERT_14)) == 14
    words = chexpert14(row("+pulmonary_edema", "-fracture"))
    assert (words[4], words[11], words[13]) == ("positive", "negative", "blank")


def test_every_label_of_the_table_exists_and_every_class_of_findings_has_one():
    assert {label for labels in LABELS_OF_CLASS.values() for label in labels} <= set(LABELS)
    assert set(LABELS_OF_CLASS) == set(CHEXPERT_14) - {"No Finding"}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (["+enlarged_cardiomediastinum"], {"Enlarged Cardiomediastinum": "positive"}),
        (["+cardiomegaly"], {"Cardiomegaly": "positive"}),
        (["+nodule"], {"Lung Lesion": "positive"}),
        (["+cavity"], {"Lung Lesion": "positive"}),
        (["+consolidation"], {"Consolidation": "positive"}),
        (["?pneumonia"], {"Pneumonia": "uncertain"}),
        (["+vascular_congestion"], {"Edema": "positive"}),
        (["?pulmonary_venous_hypertension"], {"Edema": "uncertain"}),
        (["+scarring"], {"Lung Opacity": "positive"}),
        (["+bronchial_wall_thickening"], {"Lung Opacity": "positive"}),
        (["+pulmonary_fibrosis"], {"Lung Opacity": "positive"}),
        (["+pleural_thickening"], {"Pleural Other": "positive"}),
        (["+rib_fracture"], {"Fracture": "positive"}),
        (["?valve_prosthesis"], {"Support Devices": "uncertain", "No Finding": "positive"}),
    ],
)
def test_a_stated_label_gives_its_class(said, expected):
    assert classes(*said) == expected


def test_heart_failure_is_edema_and_perhaps_a_large_heart():
    assert classes("+heart_failure") == {"Edema": "positive", "Cardiomegaly": "uncertain"}
    assert classes("?heart_failure") == {"Edema": "uncertain", "Cardiomegaly": "uncertain"}
    assert classes("+heart_failure", "-cardiomegaly")["Cardiomegaly"] == "uncertain"
    assert classes("+heart_failure", "+cardiomegaly")["Cardiomegaly"] == "positive"
    assert classes("-heart_failure") == {"No Finding": "positive"}


def test_positive_beats_uncertain_beats_negative():
    assert classes("-pulmonary_edema", "+pulmonary_edema", "?pulmonary_edema") == {"Edema": "positive"}
    assert classes("-pulmonary_edema", "?pulmonary_edema") == {"Edema": "uncertain"}
    assert classes("-pulmonary_edema", "+heart_failure")["Edema"] == "positive"


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("consolidation", "Consolidation"),
        ("pneumonia", "Pneumonia"),
        ("lung_opacity", "Lung Opacity"),
        ("infiltrate", "Lung Opacity"),
        ("mass", "Lung Lesion"),
        ("pleural_effusion", "Pleural Effusion"),
        ("fracture", "Fracture"),
    ],
)
def test_a_denial_of_the_whole_class_makes_it_negative_and_no_other(label, name):
    assert classes(f"-{label}") == {name: "negative", "No Finding": "positive"}


@pytest.mark.parametrize(
    "label",
    [
        "scarring",
        "interstitial_opacity",
        "bronchial_wall_thickening",
        "pulmonary_fibrosis",
        "vascular_congestion",
        "heart_failure",
        "rib_fracture",
        "cavity",
        "osseous_abnormality",
        "valve_prosthesis",
    ],
)
def test_a_denial_of_one_kind_leaves_the_class_open(label):
    assert classes(f"-{label}") == {"No Finding": "positive"}


def test_a_device_in_place_is_a_support_device_and_a_removed_one_alone_is_not():
    assert classes(devices=(picc(Status.IN_PLACE),)) == {"Support Devices": "positive", "No Finding": "positive"}
    assert classes(devices=(picc(Status.REMOVED),))["Support Devices"] == "negative"
    assert classes(devices=(picc(Status.REMOVED), picc(Status.IN_PLACE)))["Support Devices"] == "positive"
    assert classes("+valve_prosthesis", devices=(picc(Status.REMOVED),))["Support Devices"] == "positive"


def test_no_finding_goes_with_any_abnormality_even_one_that_is_of_no_class():
    assert classes("+no_finding") == {"No Finding": "positive"}
    assert classes("+no_finding", "+hernia") == {}
    assert classes("+no_finding", "?tortuous_aorta") == {}
    assert classes("+no_finding", "-pneumothorax", "+low_lung_volume")["No Finding"] == "positive"


def test_a_row_that_says_nothing_is_blank_throughout():
    assert chexpert14(row()) == ("blank",) * 14


@pytest.mark.parametrize(
    "asked",
    [
        {"findings_asked": False},
        {"types_asked": frozenset()},
        {"types_asked": frozenset({LineTubeType.PICC})},
    ],
)
def test_a_row_that_was_not_asked_everything_is_refused(asked):
    with pytest.raises(ValueError, match="label with prompt 'all'"):
        chexpert14(row("+cardiomegaly", **asked))


def test_an_invented_report_from_its_text_to_the_classes():
    text = (
        "FINDINGS: Endotracheal tube ends 4 cm above the carina. Heart is enlarged. No focal consolidation, pleural "
        "effusion or pneumothorax. Retrocardiac opacity may represent atelectasis. Old left rib fractures. "
        "Mediastinal contours are normal."
    )
    sentences = split_sentences(text)
    names = ("findings", "lines_and_tubes")
    answers = {name: read_answer(name, json.dumps(read_facts(name, sentences))) for name in names}
    maker = RowMaker("all", [load_prompt(name) for name in names], "rules", "x", load_tables())
    words = chexpert14(maker.make(Report("A", text), sentences, answers))
    assert dict(zip(CHEXPERT_14, words, strict=True)) == {
        "Enlarged Cardiomediastinum": "negative",
        "Cardiomegaly": "positive",
        "Lung Opacity": "positive",
        "Lung Lesion": "blank",
        "Edema": "blank",
        "Consolidation": "negative",
        "Pneumonia": "blank",
        "Atelectasis": "uncertain",
        "Pneumothorax": "negative",
        "Pleural Effusion": "negative",
        "Pleural Other": "blank",
        "Fracture": "positive",
        "Support Devices": "positive",
        "No Finding": "blank",
    }
