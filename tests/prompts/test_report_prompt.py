"""The prompt of report generation: which films and texts it shows, in which order, and what it can never confuse."""

import itertools
import re
from importlib import resources

import pytest

from prompts.report_prompt import FIELDS, FILMS, FieldSlot, ImageSlot, Text, load_report_prompt

PROMPT = load_report_prompt("findings.v1")
FILES = [file for file in (resources.files("prompts") / "generation").iterdir() if file.name.endswith(".md")]


def shown(*present):
    """The user's turn as people read it: slots in angle brackets."""
    parts = PROMPT.user_turn(present)
    return "".join(part.text if isinstance(part, Text) else f"<{part[0]}>" for part in parts)


def subsets(names):
    return [set(chosen) for size in range(len(names) + 1) for chosen in itertools.combinations(names, size)]


def test_a_full_study_reads_as_written_here():
    assert shown(*FILMS, *FIELDS) == (
        "The current frontal film: <frontal>\n"
        "The current lateral film: <lateral>\n"
        "The frontal film of the study before: <prior_frontal>\n"
        "The report of the study before: <prior_report>\n"
        "Write the findings of the current study, and say how they compare with the frontal film of the study before.\n"
        "INDICATION: <indication>\n"
        "TECHNIQUE: <technique>\n"
        "COMPARISON: <comparison>"
    )


def test_a_lateral_alone_without_any_text_reads_well():
    assert shown("lateral") == (
        "The current lateral film: <lateral>\n"
        "Write the findings of the current study, and say how they compare with the frontal film of the study before.\n"
        "INDICATION: N/A\n"
        "TECHNIQUE: N/A\n"
        "COMPARISON: N/A"
    )


@pytest.mark.parametrize("films", [films for films in subsets(FILMS) if films & {"frontal", "lateral"}])
def test_every_choice_of_films_and_texts_has_a_slot_for_each_and_for_nothing_else(films):
    for fields in subsets(FIELDS):
        parts = PROMPT.user_turn(films | fields)
        assert [part.film for part in parts if isinstance(part, ImageSlot)] == [film for film in FILMS if film in films]
        told = fields if "prior_frontal" in films else fields - {"prior_report"}
        expected = [field for field in FIELDS if field in told]
        assert [part.field for part in parts if isinstance(part, FieldSlot)] == expected
        text = "".join(part.text for part in parts if isinstance(part, Text))
        asked = 4 if "prior_frontal" in films else 3
        assert text.count("N/A") == asked - len(told)
        assert "\0" not in text
        assert "\n\n" not in text
        assert not text.startswith("\n")
        assert not text.endswith("\n")


def test_a_prior_report_is_asked_for_only_beside_a_prior_film():
    assert "report of the study before: N/A" in shown("frontal", "prior_frontal")
    assert "report of the study before" not in shown("frontal", "prior_report")


def test_a_study_without_a_current_film_has_no_prompt():
    for present in ([], ["prior_frontal"], list(FIELDS)):
        with pytest.raises(ValueError, match="no current film"):
            PROMPT.user_turn(present)


def test_a_name_that_is_no_film_or_text_is_refused():
    with pytest.raises(ValueError, match=r"no film or text oblique; known: frontal, lateral, prior_frontal, prior_rep"):
        PROMPT.user_turn(["frontal", "oblique"])


def test_prompts_are_found_by_name_and_by_version():
    assert load_report_prompt("findings") is load_report_prompt("findings.v1")
    assert PROMPT.id == "findings.v1"
    assert PROMPT.system.endswith("the findings section of the report.")
    for wrong in ("finding", "findings.v9", "findings.v01", "findings.v", "../labeling/findings.v1", ""):
        with pytest.raises(ValueError, match=r"no prompt .*known: findings\.v1"):
            load_report_prompt(wrong)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_prompt_file_uses_conditions_and_slots_and_nothing_else_of_jinja(file):
    text = file.read_text(encoding="utf-8")
    name = "|".join((*FILMS, *FIELDS))
    rest = re.sub(rf'\{{% (if ({name})|endif) %\}}|\{{\{{ ({name})( or "N/A")? \}}\}}', "", text)
    assert not re.search(r"\{%|\{\{|\{#", rest)
    assert text.count("\n---\n") == 1
    assert "\0" not in text
