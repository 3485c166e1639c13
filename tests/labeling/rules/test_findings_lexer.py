"""Words, misspellings and the longest phrase."""

from __future__ import annotations

import json
import string

from hypothesis import given, settings
from hypothesis import strategies as st

from labeling.facts import FindingFacts
from labeling.rules.finding_anatomy_words import ANATOMY
from labeling.rules.finding_lexicon import FINDINGS
from labeling.rules.finding_pairs import DENIED, STATED
from labeling.rules.finding_spelling import SPELLINGS
from labeling.rules.findings import _phrases, read_findings
from labeling.rules.lexer import Lexicon, expand
from labeling.vocabulary import LABELS
from studies.report_text import split_sentences

PHRASES = [("effusion", "pleural"), ("pericardial effusion", "pericardial"), ("no", "not"), ("pneumothorax", "air")]


def lexicon() -> Lexicon[str]:
    return Lexicon(PHRASES, {"the": "", "ptx": "pneumothorax"}, ["pneumothorax", "effusion"])


def found(text: str) -> list[str]:
    made = lexicon()
    return [match.value for match in made.find(made.split(text))]


def test_a_pattern_stands_for_its_phrases():
    assert set(expand("left/right lung? base")) == {
        ("left", "lung", "base"),
        ("left", "base"),
        ("right", "lung", "base"),
        ("right", "base"),
    }


def test_the_longest_phrase_wins():
    assert found("No pericardial effusions, the effusion") == ["not", "pericardial", "pleural"]


def test_one_letter_wrong_swapped_missing_or_too_many_is_forgiven():
    for word in ("pneumothroax", "pnemothorax", "pneumothoraxx", "pneumothorex", "effussion", "PTX"):
        assert found(word) in (["air"], ["pleural"]), word


def test_two_letters_wrong_are_another_word():
    assert found("infusion diffusion pneumothoracic") == []


def test_every_label_of_the_lexicon_is_a_label_of_the_vocabulary():
    settled = {"collapse", "volume_loss"}  # become atelectasis or nothing
    named = {label.removesuffix("?") for key in FINDINGS for label in key.split("+")} - settled
    paired = {label for table in STATED.values() for labels in table.values() for label in labels}
    denied = {label for labels in DENIED.values() for label in labels}
    assert named | paired | denied <= set(LABELS)


def test_every_label_of_the_vocabulary_can_be_read():
    named = {label.removesuffix("?") for key in FINDINGS for label in key.split("+")}
    paired = {label for table in STATED.values() for labels in table.values() for label in labels}
    assert set(LABELS) - {"no_finding"} <= named | paired


def test_no_word_of_the_lexicon_is_spelt_away():
    words = {word for pattern, _ in _phrases() for phrase in expand(pattern) for word in phrase}
    assert {word for word in words if SPELLINGS.get(word, word) != word} == set()


def test_normal_is_known_of_every_anatomy():
    assert set(DENIED) == set(ANATOMY)


WORDS = st.sampled_from(
    "no not without possible may represent left right bilateral small large new resolved unchanged increased effusion "
    "pneumothorax atelectasis heart lungs clear normal enlarged and or versus , ; ( ) with but there is are seen tube "
    "for history of cannot be excluded opacity ribs fracture cm 3 CM tortuous aorta calcified ? except none".split()
)


@settings(max_examples=300, deadline=None)
@given(st.lists(WORDS, max_size=25).map(" ".join) | st.text(alphabet=string.printable, max_size=120))
def test_whatever_is_written_the_entries_are_valid(text: str):
    for entry in read_findings(split_sentences(text)):
        FindingFacts.model_validate_json(json.dumps(entry))
