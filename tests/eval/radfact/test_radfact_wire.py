"""Questions and answers: what makes a question another one, and which answers are refused with which words."""

import pytest

from eval.radfact.wire import QuestionMaker, Statement, check_answer, wire_schema
from labeling.runtime.engine import InvalidAnswer
from studies.report_text import split_sentences
from tests.eval.radfact.invented import RuleEngine

REPORT = "FINDINGS: No edema or effusion. The heart is large."
STATEMENT = Statement("The heart is large.", ("No edema.", "Enlarged heart."))


def maker(**changes) -> QuestionMaker:
    engine = RuleEngine()
    for name, value in changes.items():
        setattr(engine, name, value)
    return QuestionMaker(engine)


def split_question(text=REPORT, made_by=None):
    return (made_by or maker()).split(text, split_sentences(text))


def test_a_split_question_ends_in_the_numbered_report():
    question = split_question()
    assert question.render() == "FINDINGS:\n[1] No edema or effusion.\n[2] The heart is large."
    assert [message.role for message in question.prefix[:3]] == ["system", "user", "assistant"]


def test_an_entailment_question_ends_in_what_differs_between_the_phrases_of_a_report():
    shown = maker().entailment(STATEMENT).render()
    assert shown == "REFERENCE:\n[1] No edema.\n[2] Enlarged heart.\n\nHYPOTHESIS:\nThe heart is large."


def test_the_unchanging_part_is_one_object_for_all_questions_so_that_an_engine_writes_it_once():
    made_by = maker()
    one, other = made_by.entailment(STATEMENT), made_by.entailment(Statement("No edema.", ("Edema.",)))
    assert one.prefix is other.prefix
    assert one.schema is other.schema


def test_the_same_question_has_the_same_key_in_another_run():
    assert split_question().key == split_question().key
    assert maker().entailment(STATEMENT).key == maker().entailment(STATEMENT).key


@pytest.mark.parametrize("changes", [{"name": "other"}, {"model": "other"}, {"settings": {"seed": 1}}])
def test_another_judge_is_another_question(changes):
    assert split_question().key != split_question(made_by=maker(**changes)).key
    assert maker().entailment(STATEMENT).key != maker(**changes).entailment(STATEMENT).key


@pytest.mark.parametrize(
    "other",
    [
        Statement("The heart is large", STATEMENT.reference),
        Statement(STATEMENT.hypothesis, ("Enlarged heart.", "No edema.")),  # other numbers
        Statement(STATEMENT.hypothesis, ("No edema.Enlarged heart.",)),
        Statement("No edema.", ("The heart is large.", "Enlarged heart.")),
    ],
)
def test_other_texts_are_another_question(other):
    assert maker().entailment(STATEMENT).key != maker().entailment(other).key


def test_a_half_character_can_be_asked_about():
    assert split_question("Odd \ud83d text.").key != split_question("Odd \ud83e text.").key
    assert maker().entailment(Statement("\ud83d", ("x",))).key


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (
            '{"sentences":[{"sentence":2,"phrases":["Large heart."]},{"phrases":[],"sentence":1}]}',
            '{"sentences":[{"sentence":2,"phrases":["Large heart."]},{"sentence":1,"phrases":[]}]}',
        ),
        ('{"sentences": [ ]}', '{"sentences":[]}'),
    ],
)
def test_a_good_split_is_kept(text, kept):
    assert check_answer(split_question(), text) == kept


@pytest.mark.parametrize(
    ("text", "kind", "told"),
    [
        ("Certainly!", "is not JSON", "Invalid JSON"),
        ('{"sentences":[{"sentence":1', "is not JSON", "Invalid JSON"),
        ("[" * 100_000, "is not JSON", "Invalid JSON"),
        ('{"phrases":["No edema."]}', "breaks the schema", "sentences: Field required"),
        ('{"sentences":[{"sentence":"1","phrases":[]}]}', "breaks the schema", "sentences.0.sentence: "),
        ('{"sentences":[{"sentence":1,"phrases":["a",3]}]}', "breaks the schema", "sentences.0.phrases.1: "),
        ('{"sentences":[{"sentence":0,"phrases":[]}]}', "breaks the schema", "greater than or equal to 1"),
        (
            '{"sentences":[{"sentence":3,"phrases":["x"]}]}',
            "names a sentence that does not exist",
            "there is no sentence 3; the report has sentences 1 to 2",
        ),
        (
            '{"sentences":[{"sentence":1,"phrases":["x"]},{"sentence":1,"phrases":["y"]}]}',
            "names a sentence twice",
            "sentence 1 stands twice",
        ),
    ],
)
def test_a_bad_split_is_refused_by_kind(text, kind, told):
    with pytest.raises(InvalidAnswer) as refused:
        check_answer(split_question(), text)
    assert refused.value.kind == kind
    assert told in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        '{"evidence":[1,2],"status":"entailment"}',
        '{"evidence":[],"status":"not_entailment"}',
        '{"evidence":[2],"status":"not_entailment"}',  # what contradicts
    ],
)
def test_a_good_verdict_is_kept(text):
    assert check_answer(maker().entailment(STATEMENT), text) == text


@pytest.mark.parametrize(
    ("text", "kind", "told"),
    [
        ("", "is not JSON", "Invalid JSON"),
        ('{"evidence":[1],"status":"neutral"}', "breaks the schema", "status: "),
        ('{"status":"entailment"}', "breaks the schema", "evidence: Field required"),
        ('{"evidence":[1],"status":"entailment","why":"same"}', "breaks the schema", "why: Extra inputs"),
        ('{"evidence":[],"status":"entailment"}', "entails without evidence", "without one it is not_entailment"),
        ('{"evidence":[3],"status":"entailment"}', "cites evidence that does not exist", "it has 1 to 2"),
        ('{"evidence":[1,9],"status":"not_entailment"}', "cites evidence that does not exist", "no statement 9"),
        ('{"evidence":[' + "1," * 40 + '1],"status":"entailment"}', "breaks the schema", "at most 32"),
    ],
)
def test_a_bad_verdict_is_refused_by_kind(text, kind, told):
    with pytest.raises(InvalidAnswer) as refused:
        check_answer(maker().entailment(STATEMENT), text)
    assert refused.value.kind == kind
    assert told in str(refused.value)


@pytest.mark.parametrize("name", ["phrases", "entailment"])
def test_servers_can_enforce_the_schema(name):
    # OpenAI's strict mode: every object lists all its properties as required and allows no others. Arrays are bounded,
    # or a weak model repeats itself until its tokens run out.
    schema = wire_schema(name)
    objects = [schema, *schema.get("$defs", {}).values()]
    for one in objects:
        assert one["required"] == list(one["properties"])
        assert one["additionalProperties"] is False
        for property_ in one["properties"].values():
            assert "title" not in property_
            assert property_.get("type") != "array" or property_["maxItems"] > 0
