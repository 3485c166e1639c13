"""RadFact's prompts say what the wire allows, and their examples are valid answers."""

import json
import re
from pathlib import Path

import pytest

import prompts
from eval.radfact.wire import EntailmentAnswer, QuestionMaker, SentencePhrases, SplitAnswer, Statement, check_answer
from prompts.load import known_prompts, load_prompt
from studies.report_text import NOT_OBSERVED, Section, Sentence
from tests.eval.radfact.invented import RuleEngine

FOLDER = Path(prompts.__file__).parent / "radfact"
MAKER = QuestionMaker(RuleEngine())


def examples(name: str) -> list[dict]:
    path = FOLDER / f"{load_prompt(name, folder='radfact').id}.jsonl"
    return [json.loads(row) for row in path.read_text("utf-8").split("\n") if row]


def question(name: str, example: dict):
    if name == "phrases":
        sentences = [Sentence(n, 0, len(text), Section(section), text) for n, section, text in example["report"]]
        return MAKER.split("", sentences)
    return MAKER.entailment(Statement(example["hypothesis"], tuple(example["reference"])))


@pytest.mark.parametrize("name", known_prompts("radfact"))
def test_examples_are_valid_answers_in_the_order_of_the_wire(name):
    assert 6 <= len(examples(name)) <= 10
    for example in examples(name):
        asked = question(name, example)
        kept = check_answer(asked, json.dumps(example["answer"]))
        assert kept == json.dumps(example["answer"], ensure_ascii=False, separators=(",", ":"))
        messages = load_prompt(name, folder="radfact").messages
        assert ("user", asked.render()) in messages
        assert ("assistant", kept) in messages


@pytest.mark.parametrize("name", known_prompts("radfact"))
def test_the_answer_shown_in_the_instructions_is_valid(name):
    instructions = load_prompt(name, folder="radfact").messages[0][1]
    shown = re.findall(r"\{\"\S+?\}(?=[;. ]|$)", instructions.rpartition("# Answer")[2])
    assert len(shown) == 2
    model = SplitAnswer if name == "phrases" else EntailmentAnswer
    for text in shown:
        assert model.model_validate_json(text).model_dump_json() == text


def test_the_instructions_explain_the_keys_and_values_of_a_verdict():
    explained = re.findall(r"^- `(\w+)`: ", load_prompt("entailment", folder="radfact").messages[0][1], re.MULTILINE)
    assert explained == list(EntailmentAnswer.model_fields)
    assert list(SentencePhrases.model_fields) == ["sentence", "phrases"]


def test_examples_take_nothing_from_sections_that_do_not_tell_what_the_film_shows():
    sections = [
        (Section(section), number in {entry["sentence"] for entry in example["answer"]["sentences"]})
        for example in examples("phrases")
        for number, section, _ in example["report"]
    ]
    assert {section for section, _ in sections} & NOT_OBSERVED
    assert not any(used for section, used in sections if section in NOT_OBSERVED | {Section.RECOMMENDATION})


def test_examples_show_nothing_to_take_a_list_split_up_and_both_verdicts_with_and_without_evidence():
    splits = [example["answer"]["sentences"] for example in examples("phrases")]
    assert [] in splits
    assert any(len(entry["phrases"]) >= 3 for entries in splits for entry in entries)
    verdicts = {(e["answer"]["status"], len(e["answer"]["evidence"])) for e in examples("entailment")}
    assert verdicts >= {("entailment", 1), ("entailment", 2), ("not_entailment", 0), ("not_entailment", 1)}


def test_a_prompt_stays_within_its_length():
    # 4 characters a token, roughly: RadFact itself sends some 5,500 tokens with every phrase.
    lengths = {
        name: sum(len(text) for _, text in load_prompt(name, folder="radfact").messages) / 4
        for name in known_prompts("radfact")
    }
    assert lengths["entailment"] < 1_300
    assert lengths["phrases"] < 1_800
