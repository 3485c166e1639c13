import json

import pytest

from labeling.evidence import check_evidence, prove
from labeling.facts import FindingAnswer, LineTubeAnswer
from labeling.placement.tables import load_tables
from labeling.rows import RowMaker
from labeling.runtime.engine import InvalidAnswer
from prompts.load import load_prompt
from studies.records import Report
from studies.report_text import split_sentences

TEXT = (
    "INDICATION: New left chest tube.\n"
    "FINDINGS: Left chest tube tip is at the apex.\nIts side port lies inside the chest. A line ends in the SVC. "
    "Moderate left pneumothorax. Heart size is normal."
)
SENTENCES = split_sentences(TEXT)  # 1 indication, 2 apex, 3 side port, 4 line, 5 pneumothorax, 6 heart


def device(**said):
    entry = {
        "type": "chest_tube",
        "sentences": [2],
        "side": "left",
        "status": "in_place",
        "subtype": "standard",
        "tip": "upper",
        "tip_distance_cm": None,
        "tip_landmark": None,
        "tip_direction": None,
        "stated": "not_stated",
        "advice": "none",
        "pleural": "none",
        "pleural_sentences": [],
        "placement": None,
    } | said
    return LineTubeAnswer.model_validate_json(json.dumps({"lines_and_tubes": [entry]}))


def findings(*entries):
    full = [
        {
            "sentences": [5],
            "assertion": "positive",
            "side": "unspecified",
            "severity": "unspecified",
            "comparison": "unspecified",
        }
        | entry
        for entry in entries
    ]
    return FindingAnswer.model_validate_json(json.dumps({"findings": full}))


def row(answers, prompt="all"):
    names = list(answers)
    maker = RowMaker(prompt, [load_prompt(name) for name in names], "rules", "rules-test", load_tables())
    return maker.make(Report("A", TEXT), SENTENCES, answers).model_dump(mode="json")


def test_several_sentences_are_quoted_in_the_reports_order_joined_by_one_space():
    proof = prove([3, 2, 3], SENTENCES)
    assert proof.text == "Left chest tube tip is at the apex. Its side port lies inside the chest."
    assert " ".join(TEXT[span.start : span.end] for span in proof.spans) == proof.text


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (device(sentences=[9]), "sentence 9 does not exist; the report has sentences 1 to 6"),
        (device(sentences=[1]), "sentence 1 stands in the indication section"),
        (device(sentences=[6]), "none of its sentences [6] names such a device"),
        (device(pleural="worse", pleural_sentences=[8]), "pleural: sentence 8 does not exist"),
        (findings({"label": "pneumothorax", "sentences": [1]}), "indication section"),
    ],
)
def test_what_cannot_be_proven_is_refused(answer, complaint):
    with pytest.raises(InvalidAnswer) as raised:
        check_evidence(answer, SENTENCES)
    assert complaint in str(raised.value)


def test_one_naming_sentence_is_enough():
    check_evidence(device(sentences=[2, 3]), SENTENCES)


def test_the_written_words_and_the_deciding_rule_stand_in_the_row():
    (tube,) = row({"chest_tube": device(sentences=[2, 3])}, "chest_tube")["lines_and_tubes"]
    assert tube["type"] in {"Left chest tube", "chest tube"}
    assert (tube["placement"], tube["placement_rule"]) == ("correct", "tip_map")


def test_the_pleural_rule_keeps_its_own_proof():
    answer = device(pleural="moderate_or_larger", pleural_sentences=[5])
    (tube,) = row({"chest_tube": answer}, "chest_tube")["lines_and_tubes"]
    assert (tube["placement"], tube["placement_rule"]) == ("incorrect", "pleural")
    (span,) = tube["pleural_evidence"]
    assert TEXT[span["start"] : span["end"]] == "Moderate left pneumothorax."


def test_a_central_line_with_no_vein_named_is_marked_for_review():
    answer = device(type="internal_jugular_cvc", sentences=[4], tip="svc", side="unspecified")
    assert row({"lines_and_tubes": answer})["lines_and_tubes"][0]["review"] == ["vein_not_named"]


def test_a_good_word_about_a_bad_tip_is_marked_for_review():
    answer = device(stated="satisfactory", tip="below_diaphragm")
    (tube,) = row({"chest_tube": answer})["lines_and_tubes"]
    assert (tube["placement"], tube["review"]) == ("correct", ["stated_good_but_tip_bad"])


def test_a_types_own_prompt_wins_over_the_group():
    labelled = row({"lines_and_tubes": device(tip="lower"), "chest_tube": device(tip="upper")}, "all,chest_tube")
    assert [tube["tip_location"] for tube in labelled["lines_and_tubes"]] == ["upper"]
    assert labelled["prompts"] == ["lines_and_tubes.v1", "chest_tube.v1"]


def test_the_worst_placement_wins_and_removed_devices_do_not_count():
    both = LineTubeAnswer(
        lines_and_tubes=(
            *device(tip="upper").lines_and_tubes,
            *device(tip="unclear").lines_and_tubes,
            *device(status="removed", tip="N/A").lines_and_tubes,
        )
    )
    labels = row({"lines_and_tubes": both})["line_tube_labels"]
    assert labels["chest_tube"] == {"count": 2, "placement": "unclear"}
    assert labels["picc"] == {"count": 0, "placement": "N/A"}
    assert labels["no_tubes"] is False
    only_removed = row({"lines_and_tubes": device(status="removed", tip="N/A")})["line_tube_labels"]
    assert only_removed["no_tubes"] is True


def test_what_was_not_asked_is_null():
    labelled = row({"chest_tube": device()}, "chest_tube")
    assert labelled["finding_labels"] is None
    assert labelled["line_tube_labels"]["picc"] is None
    assert labelled["line_tube_labels"]["no_tubes"] is None
    labelled = row({"findings": findings()}, "findings")
    assert labelled["line_tube_labels"] is None
    assert labelled["finding_labels"]["pneumothorax"] == "not_mentioned"


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([("pneumothorax", "positive"), ("pneumothorax", "negative")], {"pneumothorax": "positive"}),
        ([("pneumothorax", "uncertain"), ("pneumothorax", "negative")], {"pneumothorax": "uncertain"}),
        ([("pneumonia", "positive")], {"opacity": "positive", "no_finding": "negative"}),
        ([("pneumonia", "negative")], {"opacity": "not_mentioned", "no_finding": "positive"}),
        ([("lung_opacity", "negative")], {"opacity": "negative"}),
        ([("nodule", "positive")], {"no_finding": "negative"}),
        ([("nodule", "uncertain")], {"no_finding": "uncertain"}),
        ([("no_finding", "positive"), ("low_lung_volume", "positive")], {"no_finding": "positive"}),
        ([], {"no_finding": "not_mentioned"}),
    ],
)
def test_findings_roll_up_to_the_report(entries, expected):
    answer = findings(*({"label": label, "assertion": assertion} for label, assertion in entries))
    labels = row({"findings": answer}, "findings")["finding_labels"]
    assert expected.items() <= labels.items()
