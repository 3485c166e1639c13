"""What is read from sentences: which finding, which side, how severe, how it changed."""

from __future__ import annotations

import json

import pytest

from labeling.facts import FindingAnswer
from labeling.rules.findings import read_findings, read_sentence
from studies.report_text import split_sentences


def said(text: str) -> set[str]:
    """Entries as short words: "pleural_effusion positive left mild new", without what is not said."""
    return {" ".join(word for word in entry if word != "unspecified") for entry in read_sentence(text)}


def labels(text: str, assertion: str = "positive") -> set[str]:
    return {entry[0] for entry in read_sentence(text) if entry[1] == assertion}


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("The lungs are hyperexpanded with flattened diaphragms.", "hyperinflation"),
        ("Flattening of the hemidiaphragms.", "hyperinflation"),
        ("Coarse reticular markings with honeycombing.", "interstitial_lung_disease"),
        ("Prominent interstitial markings bilaterally.", "interstitial_opacity"),
        ("Plate-like atelectasis in the mid lung.", "atelectasis"),
        ("Right lower lobe volume loss.", "atelectasis"),
        ("Left lower lobe collapse.", "atelectasis"),
        ("The left CP angle is blunted.", "costophrenic_angle_blunting"),
        ("Mild blunting of the right costophrenic sulcus.", "costophrenic_angle_blunting"),
        ("Small haemothorax on the right.", "pleural_effusion"),
        ("Layering pleural fluid.", "pleural_effusion"),
        ("Apical PTX.", "pneumothorax"),
        ("Enlarged mediastinal lymph nodes.", "adenopathy"),
        ("The main pulmonary artery is dilated.", "enlarged_pulmonary_artery"),
        ("The aortic knob is calcified.", "arterial_calcification"),
        ("Calcified tortuous aorta.", "arterial_calcification"),
        ("Atherosclerotic calcification of the arch.", "arterial_calcification"),
        ("Multilevel spondylosis.", "osseous_abnormality"),
        ("Degenerative changes of the spine.", "osseous_abnormality"),
        ("Fractures of the left 5th through 7th ribs.", "rib_fracture"),
        ("Peribronchial cuffing.", "bronchial_wall_thickening"),
        ("The bronchial walls show bronchial wall thickening.", "bronchial_wall_thickening"),
        ("Moderate hiatal hernia.", "hernia"),
        ("Subcutaneous emphysema in the neck.", "subcutaneous_emphysema"),
        ("Patchy airspace disease.", "lung_opacity"),
        ("Pulmonary vascular congestion.", "vascular_congestion"),
        ("Cephalization of the pulmonary vessels.", "pulmonary_venous_hypertension"),
        ("The cardiac silhouette is enlarged.", "cardiomegaly"),
        ("Mild enlargement of the heart.", "cardiomegaly"),
        ("Eventration of the right diaphragm.", "diaphragm_elevation"),
        ("Elevated right hemidiaphragm.", "diaphragm_elevation"),
        ("Kerley B lines.", "pulmonary_edema"),
        ("Interstitial edema.", "pulmonary_edema"),
        ("Widened mediastinum.", "enlarged_cardiomediastinum"),
        ("Bulky hilar lymph nodes.", "adenopathy"),
        ("Upper lobe venous diversion.", "pulmonary_venous_hypertension"),
        ("Pulmonary vascular plethora.", "pulmonary_venous_hypertension"),
        ("Engorged pulmonary veins.", "pulmonary_venous_hypertension"),
        ("The left CPA is blunted.", "costophrenic_angle_blunting"),
        ("Loss of the left costophrenic angle.", "costophrenic_angle_blunting"),
        ("Loculated fluid collection along the pleura.", "pleural_effusion"),
        ("Old clavicular deformity.", "osseous_abnormality"),
        ("Humeral head deformity.", "osseous_abnormality"),
        ("CM w/ edema.", "cardiomegaly"),
        ("COPD.", "copd"),
        ("Chronic obstructive pulmonary disease.", "copd"),
    ],
)
def test_a_finding_is_known_by_its_synonyms(text: str, label: str):
    assert label in labels(text)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Small pericardial effusion.", "pleural_effusion"),
        ("Knee joint effusion.", "pleural_effusion"),
        ("Subcutaneous emphysema.", "emphysema"),
        ("PA catheter tip in the main pulmonary artery.", "enlarged_pulmonary_artery"),
        ("Pulmonary arterial hypertension.", "enlarged_pulmonary_artery"),
        ("Low lung volumes.", "hyperinflation"),
        ("The lungs are well expanded.", "hyperinflation"),
        ("COPD.", "hyperinflation"),
        ("Calcified hilar lymph nodes.", "adenopathy"),
        ("Calcified granuloma.", "arterial_calcification"),
        ("Mitral annular calcification.", "arterial_calcification"),
        ("Right lung collapse by a large pneumothorax.", "atelectasis"),
        ("Collapsed vertebra at T8.", "atelectasis"),
        ("Volume loss of the left hemithorax after lobectomy.", "atelectasis"),
        ("Pneumomediastinum.", "subcutaneous_emphysema"),
        ("Bronchial wall thickening.", "pleural_thickening"),
        ("Cystic fibrosis.", "pulmonary_fibrosis"),
        ("Stable cardiomediastinal silhouette.", "cardiomegaly"),
        ("Low lung volumes accentuate the cardiac silhouette.", "cardiomegaly"),
        ("A nodule of 3 cm is unchanged.", "cardiomegaly"),
        ("Breast density obscures the base.", "lung_opacity"),
        ("Linear fibrosis.", "pulmonary_fibrosis"),
        ("Abdominal hernia repair.", "hernia"),
        ("Respiratory failure.", "heart_failure"),
        ("Inguinal hernia.", "hernia"),
        ("Diaphragms are unremarkable.", "diaphragm_elevation"),
        ("Injection of contrast.", "pneumonia"),
        ("Opacification of the right hemithorax.", "pleural_effusion"),
    ],
)
def test_a_look_alike_is_not_taken_for_the_finding(text: str, label: str):
    assert label not in labels(text)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Right apical pneumothroax.", "pneumothorax"),
        ("Mild cardiomegally.", "cardiomegaly"),
        ("Bibasilar atelectesis.", "atelectasis"),
        ("Small effussion.", "pleural_effusion"),
        ("PNUEMOTHORAX", "pneumothorax"),
        ("Left consoldiation.", "consolidation"),
    ],
)
def test_one_wrong_letter_does_not_hide_a_finding(text: str, label: str):
    assert label in labels(text)


def test_each_side_of_a_list_keeps_its_own_severity():
    assert said("Small left and moderate right effusions.") == {
        "pleural_effusion positive left mild",
        "pleural_effusion positive right moderate",
    }


def test_bilateral_is_two_entries():
    both = {"atelectasis positive left", "atelectasis positive right"}
    assert said("Bibasilar atelectasis.") == both
    assert said("Atelectasis at both bases.") == both
    assert said("B/l atel, L>R.") == both


def test_modifiers_behind_the_noun_belong_to_it():
    assert said("Bilateral effusions, small on the right and moderate on the left.") == {
        "pleural_effusion positive left moderate",
        "pleural_effusion positive right mild",
    }
    assert said("The effusion on the left is large and unchanged.") == {
        "pleural_effusion positive left severe unchanged"
    }


def test_a_side_left_without_its_noun_goes_back_to_the_noun():
    assert said("Right effusion is unchanged while the left has increased.") == {
        "pleural_effusion positive right unchanged",
        "pleural_effusion positive left worse",
    }


def test_what_explains_an_opacity_lies_on_its_side():
    assert "atelectasis positive left" in said("Left basilar opacity consistent with atelectasis.")


def test_the_side_of_a_device_stays_with_the_device():
    assert said("Left PICC, cardiomegaly and pleural effusion.") == {
        "cardiomegaly positive",
        "pleural_effusion positive",
    }


def test_hydropneumothorax_is_both():
    assert said("Left hydropneumothorax.") == {"pleural_effusion positive left", "pneumothorax positive left"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Improved left effusion.", "pleural_effusion positive left improved"),
        ("No change in the left effusion.", "pleural_effusion positive left unchanged"),
        (
            "No significant interval change in the small right pneumothorax.",
            "pneumothorax positive right mild unchanged",
        ),
        ("Unchanged small right pneumothorax.", "pneumothorax positive right mild unchanged"),
        ("There has been interval development of a small left effusion.", "pleural_effusion positive left mild new"),
        ("The left effusion persists.", "pleural_effusion positive left unchanged"),
        ("Interval resolution of the left effusion.", "pleural_effusion negative left resolved"),
        ("The right pneumothorax has resolved.", "pneumothorax negative right resolved"),
        ("The right pneumothorax is no longer seen.", "pneumothorax negative right resolved"),
        ("A nodule in the left upper lobe, not seen previously.", "nodule positive left new"),
        ("Right effusion not present on the previous film.", "pleural_effusion positive right new"),
        ("Left pneumothorax, which was absent on the prior study.", "pneumothorax positive left new"),
        ("A left pneumothorax is not seen on the current or prior study.", "pneumothorax negative left"),
        ("Pulmonary edema has nearly resolved.", "pulmonary_edema positive improved"),
        ("Slight interval worsening of edema, now moderate.", "pulmonary_edema positive moderate worse"),
        ("Right pneumothorax, now small, previously moderate.", "pneumothorax positive right mild improved"),
        ("Borderline cardiomegaly.", "cardiomegaly positive minimal"),
        ("Enlarging left pneumothorax.", "pneumothorax positive left worse"),
        ("Opacity, increased, with small effusion.", "lung_opacity positive worse"),
        ("Right effusion has increased and is now moderate.", "pleural_effusion positive right moderate worse"),
        ("Effusion: moderate right, small left.", "pleural_effusion positive left mild"),
        ("Heart size is mildly increased.", "cardiomegaly positive mild"),
        ("Heart is mildly enlarged but stable.", "cardiomegaly positive mild unchanged"),
    ],
)
def test_the_change_is_read(text: str, expected: str):
    assert expected in said(text)


def test_telegraphic_notes_are_read():
    assert said("Sm L eff, no PTX.") == {"pleural_effusion positive left mild", "pneumothorax negative"}
    assert said("Incr RLL opac.") == {"lung_opacity positive right worse"}
    assert said("Mild CM, pulm vasc cong.") == {"cardiomegaly positive mild", "vascular_congestion positive"}
    assert said("CM stable.") == set()
    assert said("RLL consol c/w PNA, s/p sternotomy.") == {"consolidation positive right", "pneumonia positive right"}


def test_capitals_and_wrapped_lines_read_alike():
    text = "Small left pleural effusion and bibasilar atelectasis are unchanged since the"
    wrapped = f"{text}\nprior examination."
    assert read_findings(split_sentences(wrapped.upper())) == read_findings(split_sentences(wrapped))


@pytest.mark.parametrize(
    ("text", "denied"),
    [
        ("Heart size is normal.", {"cardiomegaly"}),
        ("The cardiomediastinal silhouette is within normal limits.", {"cardiomegaly", "enlarged_cardiomediastinum"}),
        ("Costophrenic angles are sharp.", {"costophrenic_angle_blunting"}),
        ("Bony structures are intact.", {"osseous_abnormality"}),
        ("Pulmonary vasculature is normal.", {"vascular_congestion"}),
        ("Lungs are clear.", {"lung_opacity"}),
        ("No acute cardiopulmonary process.", set()),
        ("Negative chest.", set()),
        ("Heart size is at the upper limits of normal.", {"cardiomegaly"}),
        ("CTR within normal limits.", {"cardiomegaly"}),
        ("Normal cardiothymic silhouette.", {"cardiomegaly"}),
        ("Pleural spaces are clear.", {"pleural_effusion", "pneumothorax"}),
        ("The ribs are intact.", {"rib_fracture"}),
        ("Clavicles unremarkable.", set()),
        ("CXR: Normal cardiac size and pulmonary vascularity.", {"cardiomegaly", "vascular_congestion"}),
        ("Portable chest: Normal heart size.", {"cardiomegaly"}),
        ("Chest: normal.", set()),
    ],
)
def test_normal_anatomy_is_no_finding_and_denies_what_it_rules_out(text: str, denied: set[str]):
    assert labels(text) == {"no_finding"}
    assert labels(text, "negative") == denied


def test_lungs_clear_but_for_something_are_not_normal():
    for text in (
        "The lungs are clear except for left basilar atelectasis.",
        "The lungs are clear apart from left basilar atelectasis.",
        "Aside from left basilar atelectasis, the lungs are clear.",
    ):
        assert labels(text) == {"atelectasis"}
        assert labels(text, "negative") == {"lung_opacity"}


def test_lungs_clear_but_for_an_opacity_do_not_deny_it():
    assert said("Lungs are clear except for a left base opacity.") == {"lung_opacity positive left"}


def test_what_is_not_increased_is_denied_of_anatomy_and_unchanged_of_a_finding():
    assert labels("Pulmonary vascularity is not increased.", "negative") == {"vascular_congestion"}
    assert said("The effusion has not increased.") == {"pleural_effusion positive unchanged"}


@pytest.mark.parametrize(
    "text",
    [
        "Displaced fractures of the right 5th through 7th ribs.",
        "Fractures of the left 4th, 5th, and 6th ribs.",
        "Rib fractures, some of them displaced fractures.",
        "Bony thorax: fracture of the right 6th rib.",
    ],
)
def test_a_rib_fracture_is_no_fracture_of_other_bones(text: str):
    assert labels(text) == {"rib_fracture"}


@pytest.mark.parametrize(
    "text", ["Fractures of the left clavicle and left 2nd rib.", "T8 compression fracture and left 5th rib fracture."]
)
def test_other_bones_fractured_beside_a_rib_are_kept(text: str):
    assert labels(text) == {"rib_fracture", "fracture"}


def test_a_hedge_beats_the_deformity_of_the_rib_it_explains():
    text = "Cortical irregularity of the left 6th rib, possible nondisplaced fracture."
    assert {entry[:2] for entry in read_sentence(text)} == {("rib_fracture", "uncertain")}
    assert labels("Deformity of the left 6th rib without acute fracture.") == {"rib_fracture"}


def test_what_was_asked_or_known_before_gives_no_label():
    text = "INDICATION: Pneumothorax.\nCOMPARISON: Film with left effusion.\nFINDINGS: Mild cardiomegaly."
    assert [entry["label"] for entry in read_findings(split_sentences(text))] == ["cardiomegaly"]


def test_equal_entries_of_two_sentences_are_one_entry_with_both_numbers():
    entries = read_findings(split_sentences("No pneumothorax.\nMild edema.\nNo pneumothorax."))
    assert [(entry["label"], entry["sentences"]) for entry in entries] == [
        ("pneumothorax", [1, 3]),
        ("pulmonary_edema", [2]),
    ]


def test_entries_fit_the_wire_schema():
    text = (
        "FINDINGS: ETT in place. Resolved right pneumothorax. Bilateral effusions, larger on the left, which may mask "
        "pneumonia. Possible mild edema. Heart normal. Old rib fractures. Lungs hyperinflated.\n"
        "IMPRESSION: 1. No acute disease."
    )
    answer = FindingAnswer.model_validate_json(json.dumps({"findings": read_findings(split_sentences(text))}))
    assert {str(entry.label) for entry in answer.findings} >= {"pneumothorax", "pleural_effusion", "no_finding"}
