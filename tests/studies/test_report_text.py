import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies.report_text import NOT_OBSERVED, Section, split_sentences


def texts(report):
    return [sentence.text for sentence in split_sentences(report)]


def sections(report):
    return [(sentence.section.value, sentence.text) for sentence in split_sentences(report)]


@given(st.text(alphabet=st.sampled_from(list("abETT.:;!? \n\t-1*()0")), max_size=300))
def test_every_sentence_is_the_text_at_its_offsets_and_none_overlap(report):
    end = 0
    for number, sentence in enumerate(split_sentences(report), 1):
        assert sentence.number == number
        assert report[sentence.start : sentence.end] == sentence.text
        assert sentence.text.strip() == sentence.text != ""
        assert sentence.start >= end
        end = sentence.end


@given(
    st.lists(st.sampled_from(["ETT 4.5 cm.", "FINDINGS:", "No PTX", "\n", " ", "1.", "Dr. Lee", "and"]), max_size=30)
)
def test_every_letter_outside_headings_belongs_to_a_sentence(parts):
    report = " ".join(parts)
    inside = {i for s in split_sentences(report) for i in range(s.start, s.end)}
    outside = "".join(c for i, c in enumerate(report) if i not in inside and c.isalpha())
    assert outside.replace("FINDINGS", "") == ""


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        ("ETT 4.5 cm above the carina. No PTX.", ["ETT 4.5 cm above the carina.", "No PTX."]),
        ("ETT approx. 4 cm above carina. Dr. Lee was told.", ["ETT approx. 4 cm above carina.", "Dr. Lee was told."]),
        ("No PTX on the L. Heart normal", ["No PTX on the L.", "Heart normal"]),
        ("1. ETT in place.\n2. NGT coiled.", ["ETT in place.", "NGT coiled."]),
        ("- ETT in place\n- NGT coiled", ["ETT in place", "NGT coiled"]),
        ("ETT in place\nNGT coiled", ["ETT in place", "NGT coiled"]),
        ("There is a small effusion in the\nright costophrenic angle.", None),
        ("The endotracheal tube terminates in the mid trachea and the\nNG tube in the stomach.", None),
        ("Rt. IJV line in SVC. Lt. PICC.", ["Rt. IJV line in SVC.", "Lt. PICC."]),
        ("What now? Tube out!", ["What now?", "Tube out!"]),
        ("Opacity, ? pneumonia. ? small L PTX.", ["Opacity, ? pneumonia.", "? small L PTX."]),
    ],
)
def test_sentences_end_where_a_reader_would_end_them(report, expected):
    assert texts(report) == (expected or [report])


def test_headings_open_sections_on_their_own_line_and_inline():
    report = "INDICATION: s/p chest tube. FINDINGS: ETT ok.\nImpression:\nNo change."
    assert sections(report) == [
        ("indication", "s/p chest tube."),
        ("findings", "ETT ok."),
        ("impression", "No change."),
    ]


def test_an_anatomy_heading_stays_part_of_its_sentence():
    assert texts("HEART: Enlarged.\nETT: 4 cm above carina") == ["HEART: Enlarged.", "ETT: 4 cm above carina"]


def test_a_group_heading_of_the_radiologists_own_ends_a_history_section():
    report = "HISTORY: CHF, chest tube.\nTUBES: Right chest tube in place."
    assert sections(report)[1] == ("body", "TUBES: Right chest tube in place.")


def test_a_report_without_headings_is_body():
    assert split_sentences("No acute disease.")[0].section is Section.BODY


def test_an_empty_report_has_no_sentences():
    assert split_sentences(" \n\t ... ") == []


@pytest.mark.parametrize(
    ("report", "observed"),
    [
        (
            "INDICATION: Hypoxia.\n\nETT 4 cm above the carina. NGT in stomach.",
            "ETT 4 cm above the carina. NGT in stomach.",
        ),
        ("INDICATION: Hypoxia.\nETT in place.\nNGT in stomach.", "ETT in place. NGT in stomach."),
        ("INDICATION: Hypoxia.\nRule out pneumothorax.\nETT in place.\nIMPRESSION: ETT ok.", "ETT in place. ETT ok."),
        ("INDICATION: Hypoxia. Evaluate for PTX. ETT in place. NGT in stomach.", "ETT in place. NGT in stomach."),
        ("HISTORY: Fall.\nCOMPARISON: None.\n\nETT in place.\n\nIMPRESSION: ETT ok.", "ETT in place. ETT ok."),
        ("HISTORY: Fall. Chest tube yesterday. IMPRESSION: No PTX.", "No PTX."),
        ("HISTORY: 60 year old after fall.\ns/p chest tube.\nIMPRESSION: No PTX.", "No PTX."),
        ("INDICATION:\n\nHypoxia\n\nETT in place.", "ETT in place."),
        ("HISTORY: Fall, chest tube.\nMore of it.\nFINDINGS: No PTX.", "No PTX."),
        ("History: SOB. Findings: Right IJ in SVC. Impression: Good.", "Right IJ in SVC. Good."),
        ("ETT in place. Comparison 1/4: At that time no ETT. Findings: No PTX.", "ETT in place. No PTX."),
    ],
)
def test_findings_without_a_heading_do_not_drown_in_the_section_before_them(report, observed):
    seen = [sentence.text for sentence in split_sentences(report) if sentence.section not in NOT_OBSERVED]
    assert " ".join(seen) == observed
