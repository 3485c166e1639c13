"""The reference engine, held against the model called token by token."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from llava.build import Built
from llava.dataset.example import Example
from llava.dataset.reading import StudyReader
from llava.dataset.table import StudyTable
from llava.folder import load_model
from llava.generate.engine import end_token_ids
from llava.generate.engine_transformers import OwnChance, TransformersEngine
from llava.generate.settings import Decoding
from llava.packed_attention import NAME
from llava.pixels import pixels
from llava.processor import CxrLlavaProcessor


@pytest.fixture
def examples(table: Path, built: Built, tmp_path: Path) -> list[Example]:
    studies = StudyTable.open(table, cache=tmp_path / "cache", need_findings=False)
    reader = StudyReader(studies, built.processor, with_target=False)
    found = [reader.read(place) for place in range(6)]
    assert all(isinstance(one, Example) for one in found), found
    return [one for one in found if isinstance(one, Example)]


@pytest.fixture
def engine(built: Built) -> TransformersEngine:
    return TransformersEngine(built.model, built.processor, device="cpu")


@torch.no_grad()
def token_by_token(built: Built, example: Example, count: int) -> tuple[int, ...]:
    """Greedy decoding by whole forward passes: no cache, no padding, no `generate`."""
    ids = example.input_ids_T.tolist()
    films = pixels(example.images, built.processor.recipe, "cpu")
    for _ in range(count):
        logits = built.model(input_ids=torch.tensor([ids]), pixel_values=films, use_cache=False).logits
        ids.append(int(logits[0, -1].argmax()))
        if ids[-1] in end_token_ids(built.processor):
            break
    return tuple(ids[example.num_tokens :])


def test_a_batch_of_unlike_lengths_writes_what_the_model_writes_token_by_token(engine, built, examples):
    assert len({example.num_tokens for example in examples}) > 3

    together = engine.generate(examples, Decoding(12))

    assert [one.token_ids for one in together] == [token_by_token(built, example, 12) for example in examples]
    assert len({one.token_ids for one in together}) == len(examples)  # or nothing was tested


def test_a_study_alone_is_written_as_in_a_batch(engine, examples):
    together = engine.generate(examples, Decoding(20))
    assert [engine.generate([example], Decoding(20))[0] for example in examples] == together


def test_a_longer_batch_before_leaves_no_trace_in_the_next(engine, examples):
    shortest = min(examples, key=lambda example: example.num_tokens)
    before = engine.generate([shortest], Decoding(6))
    engine.generate(examples, Decoding(30))
    assert engine.generate([shortest], Decoding(6)) == before


def test_an_answer_ends_with_the_end_token_and_says_so(engine, built, examples):
    answers = engine.generate(examples[:3], Decoding(12))
    assert [one.finish_reason for one in answers] == ["length"] * 3
    # the head's row of a token that the first study writes, put in place of the end token's
    wanted = answers[0].token_ids[7]
    first = answers[0].token_ids.index(wanted)
    end = built.processor.end_token_id
    head = built.model.lm_head.weight
    kept = head.detach().clone()
    try:
        with torch.no_grad():
            head[[end, wanted]] = head[[wanted, end]]
        stopped = engine.generate(examples[:3], Decoding(12))
    finally:
        with torch.no_grad():
            head.copy_(kept)
    assert stopped[0].finish_reason == "stop"
    assert stopped[0].token_ids == (*answers[0].token_ids[:first], end)


def test_an_answer_stays_within_the_context_whatever_room_others_of_its_batch_have(built, examples):
    shorter, longer = sorted(examples, key=lambda example: example.num_tokens)[:: len(examples) - 1]
    whole = built.processor
    narrow = CxrLlavaProcessor(
        whole.tokenizer,
        whole.recipe,
        whole.num_image_tokens,
        whole.prompt_id,
        whole.chat,
        longer.num_tokens + 5,
        frame=whole.frame,
    )
    answers = TransformersEngine(built.model, narrow, device="cpu").generate([shorter, longer], Decoding(12))
    assert [len(answer.token_ids) for answer in answers] == [12, 5]
    assert [answer.finish_reason for answer in answers] == ["length", "length"]


def test_a_process_that_waits_for_others_has_a_cache_for_their_longest_answer(built, examples, monkeypatch):
    rooms: list[int] = []

    def generate(*, input_ids: torch.Tensor, **_: object) -> torch.Tensor:
        """The real one needs several processes."""
        rooms.append(built.model.generation_config.max_new_tokens)
        return input_ids

    monkeypatch.setattr(built.model, "generate", generate)
    for synced in (False, True):
        narrow = TransformersEngine(built.model, built.processor, device="cpu", synced=synced)
        narrow.generate(examples[:1], Decoding(10**6))
    assert rooms[0] < rooms[1] == 10**6


def test_a_language_models_own_generation_config_has_no_say_and_stays(engine, built, examples):
    plain = engine.generate(examples, Decoding(12))
    own = built.model.generation_config
    before = (own.repetition_penalty, own.do_sample)
    own.repetition_penalty, own.do_sample = 5.0, True
    try:
        assert engine.generate(examples, Decoding(12)) == plain
        assert built.model.generation_config is own
    finally:
        own.repetition_penalty, own.do_sample = before


def test_a_drawn_report_is_the_studys_own_whatever_its_batch(engine, examples):
    warm = Decoding(12, temperature=3.0, seed=1)
    together = engine.generate(examples, warm)

    assert engine.generate(examples[::-1], warm)[::-1] == together
    assert engine.generate(examples[2:3], warm) == together[2:3]
    assert engine.generate(examples, warm._replace(seed=2)) != together
    assert engine.generate(examples, Decoding(12)) != together


def test_draws_have_the_probabilities_of_the_softmax():
    # logits 0, 2 at temperature 2 are 0, 1: the second has e / (1 + e) = 0.731; of 4,000 draws the share's standard
    # deviation is sqrt(.731 * .269 / 4000) = 0.007
    scores = torch.tensor([[0.0, 2.0]]).repeat(4000, 1)
    drawn = OwnChance(range(4000), temperature=2.0)(torch.zeros(4000, 1), scores).argmax(dim=1)
    assert drawn.float().mean().item() == pytest.approx(0.731, abs=4 * 0.007)


def test_packed_attention_generates_as_sdpa_does(built, examples, model_folder):
    packed = load_model(model_folder).model
    packed.set_attn_implementation({"text_config": NAME})
    assert packed.model.language_model.config._attn_implementation == NAME
    plain = TransformersEngine(built.model, built.processor, device="cpu").generate(examples, Decoding(12))
    assert TransformersEngine(packed, built.processor, device="cpu").generate(examples, Decoding(12)) == plain
