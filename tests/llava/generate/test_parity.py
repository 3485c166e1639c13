"""How far two engines agree, counted by hand, and what is refused."""

from __future__ import annotations

import pytest

from llava.generate.engine import Answer
from llava.generate.parity import Parity, ParityError, compare, measure, reference_answers
from llava.generate.settings import Decoding, Place

FLOAT, LOW = Place("cpu", "float32"), Place("cuda", "bfloat16")


def answer(*tokens: int) -> Answer:
    return Answer(tokens, "length")


def test_agreement_is_counted_up_to_the_first_difference():
    reference = [answer(1, 2, 3, 4), answer(5, 6, 7, 8)]
    other = [answer(1, 2, 9, 4), answer(0, 6, 7, 8)]
    # first tokens: 1 of 2; prefixes 2 of 4 and 0 of 4
    assert compare(reference, other) == Parity(2, 0.5, 0.25)


def test_an_answer_that_ends_earlier_differs_where_it_ends():
    assert compare([answer(1, 2, 3, 4)], [answer(1, 2)]) == Parity(1, 1.0, 0.5)


def test_only_the_first_32_tokens_count():
    same = tuple(range(32))
    assert compare([answer(*same, 1)], [answer(*same, 2, 3)]) == Parity(1, 1.0, 1.0)


def test_bfloat16_may_part_where_float32_may_not():
    rounded = Parity(64, 0.97, 0.85)
    rounded.check(LOW)
    with pytest.raises(ParityError, match=r"first token the same in 97\.0% \(at least 99% in float32\).*85\.0%"):
        rounded.check(FLOAT)
    with pytest.raises(ParityError, match="disagree on 64 studies"):
        Parity(64, 0.97, 0.60).check(LOW)
    with pytest.raises(ParityError):
        Parity(64, 0.90, 0.85).check(LOW)


def test_the_reference_is_in_the_studies_order_whatever_its_batches(model_folder, built, table, tmp_path):
    from llava.dataset.example import Example
    from llava.dataset.reading import StudyReader
    from llava.dataset.table import StudyTable
    from llava.generate.engine_transformers import TransformersEngine

    studies = StudyTable.open(table, cache=tmp_path / "cache", need_findings=False)
    reader = StudyReader(studies, built.processor, with_target=False)
    examples = [one for one in map(reader.read, range(12)) if isinstance(one, Example)]
    engine = TransformersEngine(built.model, built.processor, device="cpu")

    reference = reference_answers(model_folder, examples, FLOAT)

    assert reference == engine.generate(examples, Decoding(32))
    assert measure(reference, engine, examples) == Parity(12, 1.0, 1.0)
    assert measure(reference, engine, examples[1:] + examples[:1]).prefix < 0.5
