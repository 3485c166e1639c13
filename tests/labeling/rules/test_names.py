"""`name_in`: the words that can name a type, and words that only look like them."""

from __future__ import annotations

import pytest

from labeling.rules.device_words import device_phrases
from labeling.rules.names import name_in
from labeling.vocabulary import LineTubeType

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


def test_every_name_of_the_lexicon_is_one_that_can_name_its_type():
    unknown = {
        (name.type, phrase)
        for phrase, (kind, name) in device_phrases()
        if kind == "device" and name.type in set(LineTubeType) and not name.removed
        # the lexicon's words are folded: "port cath" stands for "Port-A-Cath"
        if name_in(LineTubeType(name.type), phrase) is None
    }
    assert not unknown, sorted(unknown)[:40]
