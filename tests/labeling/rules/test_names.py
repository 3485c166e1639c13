"""`name_in`: the words that can name a type, and words that only look like them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labeling.rules.device_words import device_phrases
from labeling.rules.devices import read_instances
from labeling.rules.names import name_in
from labeling.vocabulary import LineTubeType
from studies.report_text import split_sentences

T = LineTubeType


@pytest.mark.parametrize(
    ("device", "text", "words"),
    [
        (T.CHEST_TUBE, "Left basal chest drain in place.", "Left basal chest drain"),
        (T.CHEST_TUBE, "Right PleurX catheter.", "PleurX catheter"),
        (T.CHEST_TUBE, "L CT to suction.", "L CT"),
        (T.ENDOTRACHEAL_TUBE, "The E.T. tube is high.", "E.T. tube"),
        (T.ENDOTRACHEAL_TUBE, "Interval extubation.", "extubation"),
        (T.TRACHEOSTOMY_TUBE, "A Shiley is seen.", "Shiley"),
        (T.NASOGASTRIC_TUBE, "NG/OG tube in stomach.", "NG/OG tube"),
        (T.NASOGASTRIC_TUBE, "A Dobhoff tube was placed.", "Dobhoff tube"),
        (T.INTERNAL_JUGULAR_CVC, "The right IJ triple lumen catheter.", "IJ triple lumen catheter"),
        (T.PICC, "RUE PICC line unchanged.", "PICC line"),
        (T.SUBCLAVIAN_CVC_OR_PORT, "Left Port-A-Cath.", "Port-A-Cath"),
        (T.SWAN_GANZ_CATHETER, "The Swan-Ganz catheter.", "Swan-Ganz catheter"),
        (T.MEDIASTINAL_DRAIN, "Two mediastinal drains.", "mediastinal drains"),
        (T.INTRA_AORTIC_BALLOON_PUMP, "Intra-aortic balloon pump.", "Intra-aortic balloon pump"),
    ],
)
def test_the_name_is_found_as_it_is_written(device, text, words):
    place = name_in(device, text)
    assert place is not None
    assert words in text[place[0] : place[1]] or text[place[0] : place[1]] in words


@pytest.mark.parametrize(
    ("device", "text"),
    [
        (T.TRACHEOSTOMY_TUBE, "The trachea is midline."),
        (T.SUBCLAVIAN_CVC_OR_PORT, "Portable AP view."),
        (T.SUBCLAVIAN_CVC_OR_PORT, "Portal venous gas, see report."),
        (T.SUBCLAVIAN_CVC_OR_PORT, "Its side port lies in the stomach."),
        (T.PICC, "The picture is unchanged."),
        (T.SWAN_GANZ_CATHETER, "No pneumothorax."),
        (T.INTRA_AORTIC_BALLOON_PUMP, "Aortic knob calcification."),
        (T.MEDIASTINAL_DRAIN, "The mediastinum is not widened."),
        (T.ENDOTRACHEAL_TUBE, "The lungs are clear."),
    ],
)
def test_what_only_looks_like_a_name_is_none(device, text):
    assert name_in(device, text) is None


@pytest.mark.parametrize(
    ("device", "text"),
    [
        (T.CHEST_TUBE, "NG tube in stomach."),
        (T.NASOGASTRIC_TUBE, "Left chest tube at the apex."),
        (T.INTERNAL_JUGULAR_CVC, "Right PICC line tip in SVC."),
        (T.INTERNAL_JUGULAR_CVC, "Right PICC extends up the right internal jugular vein."),
        (T.SUBCLAVIAN_CVC_OR_PORT, "Left PICC is coiled in the left subclavian vein."),
        (T.INTERNAL_JUGULAR_CVC, "Left subclavian central line."),
        (T.SWAN_GANZ_CATHETER, "Pulmonary artery is enlarged."),
        (T.NASOGASTRIC_TUBE, "PEG tube in the stomach."),
    ],
)
def test_a_noun_is_no_name_beside_the_name_of_another_type(device, text):
    assert name_in(device, text) is None


@pytest.mark.parametrize("device", [T.CHEST_TUBE, T.ENDOTRACHEAL_TUBE, T.NASOGASTRIC_TUBE])
def test_a_noun_alone_may_name_any_type_that_it_fits(device):
    assert name_in(device, "The tube has been removed.") == (4, 8)


def test_the_words_are_those_of_the_type_asked_for():
    text = "NG tube and left chest tube."
    start, end = name_in(T.CHEST_TUBE, text)
    assert text[start:end] == "left chest tube"


# a name that holds another type's name, or is short for either
_SHARED = {
    (T.MEDIASTINAL_DRAIN, T.CHEST_TUBE),
    (T.SUBCLAVIAN_CVC_OR_PORT, T.CHEST_TUBE),
    (T.SWAN_GANZ_CATHETER, T.SUBCLAVIAN_CVC_OR_PORT),
    (T.SWAN_GANZ_CATHETER, T.INTRA_AORTIC_BALLOON_PUMP),
    (T.ENDOTRACHEAL_TUBE, T.TRACHEOSTOMY_TUBE),
    (T.TRACHEOSTOMY_TUBE, T.ENDOTRACHEAL_TUBE),
}
_NAMES = [(LineTubeType(name.type), name, phrase) for phrase, (kind, name) in device_phrases() if name.type in set(T)]


@pytest.mark.parametrize("sentence", ["{}", "{} in place.", "The {} has been removed."])
def test_whatever_the_reader_knows_is_a_name(sentence):
    # the lexicon's words are folded: "port cath" stands for "Port-A-Cath"
    unknown = {(device, phrase) for device, _, phrase in _NAMES if name_in(device, sentence.format(phrase)) is None}
    assert not unknown, sorted(unknown)[:40]


def test_a_name_of_one_type_is_none_of_another():
    lax = {
        (device, phrase, other)
        for device, name, phrase in _NAMES
        if not name.loose
        for other in T
        if other is not device and (device, other) not in _SHARED and name_in(other, f"The {phrase} is seen.")
    }
    assert not lax, sorted(lax)[:40]


@given(
    st.sampled_from(_NAMES),
    st.sampled_from(_NAMES),
    st.sampled_from(["SVC", "right atrium", "stomach", "mediastinum", "left apex", "pericardial space", "neck"]),
    st.sampled_from(
        [
            "{0} and left {1} end in the {2}.",
            "Right {0} with tip in the {2}. The {1} has been removed.",
            "{0} has been exchanged for a second {1}, tip in the {2}.",
            "{0}. The catheter is kinked. The tube lies in the {2}. {1}: unchanged.",
        ]
    ),
)
@settings(max_examples=150, deadline=None)
def test_no_device_is_read_from_sentences_that_do_not_name_it(first, second, place, frame):
    sentences = split_sentences(frame.format(first[2], second[2], place))
    for found in read_instances(sentences):
        assert any(name_in(LineTubeType(found.type), sentences[number - 1].text) for number in found.sentences)
