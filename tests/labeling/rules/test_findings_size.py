"""How large a finding is now and was before, and what that and the words of change say of its course."""

from __future__ import annotations

import pytest

from labeling.rules.findings import read_sentence


def said(text: str) -> list[str]:
    """Entries as short words: "pleural_effusion positive left mild new", without what is not said."""
    return [" ".join(word for word in entry if word != "unspecified") for entry in read_sentence(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The large left effusion has almost cleared, only a small amount remaining.", "left mild improved"),
        ("A large left effusion has decreased and is now small.", "left mild improved"),
        ("Left effusion nearly resolved from moderate.", "left improved"),
        ("Left effusion, previously large, now small.", "left mild improved"),
        ("The previously large left effusion is currently small.", "left mild improved"),
        ("Left effusion has increased from small to moderate.", "left moderate worse"),
        ("The small left effusion is now moderate.", "left moderate worse"),
        ("Effusion has gone from small to large.", "severe worse"),
        ("Effusion decreased from moderate to large to small.", "mild improved"),
        ("Moderate effusion, which was small on the prior study.", "moderate worse"),
        ("The effusion, large yesterday, is moderate.", "moderate improved"),
        ("The effusion is moderate, increased from trace.", "moderate worse"),
        ("The effusion has decreased but remains large.", "severe improved"),
        ("Effusion, now small to moderate.", "moderate"),
        ("Large effusion, only mild atelectasis.", "severe"),
    ],
)
def test_the_size_of_this_film_counts_and_two_sizes_tell_the_change(text: str, expected: str):
    assert said(text)[0] == f"pleural_effusion positive {expected}"


def test_from_a_size_of_another_finding_is_its_cause():
    assert said("Opacity from a small effusion.") == ["lung_opacity positive", "pleural_effusion positive mild"]


@pytest.mark.parametrize(
    "text",
    [
        "The pneumothorax has enlarged.",
        "The pneumothorax is bigger.",
        "The pneumothorax is larger.",
        "Increasing pneumothorax.",
        "The pneumothorax has increased in size.",
        "The pneumothorax has progressed.",
        "Recurrent pneumothorax.",
        "The pneumothorax has recurred.",
        "The pneumothorax has re-accumulated.",
        "Reaccumulation of the pneumothorax.",
        "Expanding pneumothorax.",
        "The pneumothorax is more pronounced.",
        "Interval increase in the pneumothorax.",
        "Interval enlargement of the pneumothorax.",
    ],
)
def test_a_finding_that_grew_or_came_back_is_worse(text: str):
    assert said(text) == ["pneumothorax positive worse"]


@pytest.mark.parametrize(
    "text",
    [
        "The pneumothorax persists, not larger.",
        "The pneumothorax is no larger.",
        "The pneumothorax is no smaller.",
        "Pneumothorax without increase.",
        "Pneumothorax without enlargement.",
        "No enlargement of the pneumothorax.",
        "The pneumothorax has not enlarged.",
        "The pneumothorax has not increased.",
        "The pneumothorax hasn't increased.",
        "The pneumothorax does not appear larger.",
        "The pneumothorax is no longer enlarging.",
        "The pneumothorax is not significantly changed.",
        "No substantial change in the pneumothorax.",
        "Recurrent pneumothorax, unchanged from yesterday.",
    ],
)
def test_a_denied_change_is_unchanged(text: str):
    assert said(text) == ["pneumothorax positive unchanged"]


def test_the_denial_of_growth_goes_on_to_what_is_new():
    assert said("No increase in the effusion or new pneumothorax.") == [
        "pleural_effusion positive unchanged",
        "pneumothorax negative",
    ]


def test_enlargement_of_anatomy_is_no_change():
    assert said("Stable enlargement of the heart.") == ["cardiomegaly positive unchanged"]
    assert said("No enlargement of the heart or effusion.") == ["cardiomegaly negative", "pleural_effusion negative"]
    assert said("Left hilar enlargement, left opacity.") == ["lung_opacity positive left"]


@pytest.mark.parametrize(
    ("size", "severity"),
    [
        *dict.fromkeys(
            ("Substantial", "Sizeable", "Sizable", "Considerable", "Massive", "Extensive"), "severe"
        ).items(),
        ("Moderate to large", "severe"),
        ("Moderately large", "severe"),
        ("Large-volume", "severe"),
        ("Small to moderate", "moderate"),
        ("Moderate-sized", "moderate"),
        ("Small volume of", "mild"),
        *dict.fromkeys(("Tiny", "Trace", "Thin sliver of", "Miniscule"), "minimal").items(),
    ],
)
def test_words_of_size(size: str, severity: str):
    assert said(f"{size} pleural effusion.") == [f"pleural_effusion positive {severity}"]


@pytest.mark.parametrize(
    "text", ["No substantial effusion.", "Without a substantial pleural effusion.", "No pleural effusion."]
)
def test_a_denied_substantial_finding_has_no_size(text: str):
    assert said(text) == ["pleural_effusion negative"]


@pytest.mark.parametrize("amount", ["Substantial", "Considerable", "Slight", "Marked"])
def test_the_amount_of_a_change_is_no_size(amount: str):
    assert said(f"{amount} improvement in the effusion.") == ["pleural_effusion positive improved"]


@pytest.mark.parametrize(
    ("text", "severity"),
    [
        ("Pneumothorax greater than 2 cm.", " severe"),
        ("Pneumothorax of >= 2 cm.", " severe"),
        ("At least 2.5 cm pneumothorax.", " severe"),
        ("3 cm apical pneumothorax.", ""),
        ("Pneumothorax greater than 1 cm.", ""),
        ("Pneumothorax, tube more than 2 cm above the carina.", ""),
        ("Pneumothorax more than 2 cm from the tube.", ""),
    ],
)
def test_a_pneumothorax_set_against_two_centimetres_is_large(text: str, severity: str):
    assert said(text) == [f"pneumothorax positive{severity}"]


@pytest.mark.parametrize(
    "text",
    [
        "Whether there is a small apical pneumothorax is unclear.",
        "It is unclear whether there is a small pneumothorax.",
        "Whether this is a small pneumothorax cannot be determined.",
    ],
)
def test_an_open_question_is_uncertain(text: str):
    assert said(text) == ["pneumothorax uncertain mild"]


def test_a_condition_is_no_open_question():
    assert said("CT may show whether there is a small pneumothorax.") == []


def test_now_and_then_part_no_phrase():
    assert said("The effusion has now resolved.") == ["pleural_effusion negative resolved"]
    assert said("The lungs are now clear.") == ["no_finding positive", "lung_opacity negative"]
