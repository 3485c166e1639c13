"""What makes a report another report has another key; what only rounds otherwise has not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llava.build import Built
from llava.generate.engine import study_seed
from llava.generate.keys import run_key, study_key
from llava.generate.settings import Decoding
from llava.processor import CxrLlavaProcessor
from studies.records import GenerationStudy

STUDY = GenerationStudy(study_id="a", patient_id="p", frontal="f.png", indication="Cough.", findings="Normal.")


def key(built: Built, **changed: Any) -> str:
    usual = {"weights": "w", "processor": built.processor, "decoding": Decoding(300)}
    named = {"engine": "transformers", "dtype": "float32", "control": None}
    told = usual | named | changed
    return run_key(**told)


@pytest.mark.parametrize(
    "changed",
    [
        {"weights": "x"},
        {"decoding": Decoding(200)},
        {"decoding": Decoding(300, 0.5)},
        {"engine": "vllm"},
        {"dtype": "bfloat16"},
        {"control": "blank_images"},
    ],
    ids=str,
)
def test_every_part_of_a_run_is_in_its_key(built, changed):
    assert key(built) == key(built)
    assert key(built, **changed) != key(built)


def test_another_context_or_chat_is_another_run(built):
    whole = built.processor
    for max_tokens, answer_tokens in ((1000, None), (whole.max_tokens, 17)):
        other = CxrLlavaProcessor(
            whole.tokenizer,
            whole.recipe,
            whole.num_image_tokens,
            whole.prompt_id,
            whole.chat,
            max_tokens,
            answer_tokens=answer_tokens,
            frame=whole.frame,
        )
        assert key(built, processor=other) != key(built)


def test_a_seed_counts_only_where_something_is_drawn(built):
    assert key(built, decoding=Decoding(300, 0.0, 1)) == key(built, decoding=Decoding(300, 0.0, 2))
    assert key(built, decoding=Decoding(300, 0.5, 1)) != key(built, decoding=Decoding(300, 0.5, 2))


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ({"indication": "Fever."}, False),
        ({"frontal": "g.png"}, False),
        ({"frontal_view": "AP"}, False),
        ({"prior_report": "Old."}, False),
        ({"findings": "Other."}, True),  # what is to be generated cannot change it
        ({"patient_id": "q"}, True),
    ],
    ids=str,
)
def test_a_studys_key_is_of_what_its_report_is_made_of(tmp_path: Path, changed, same):
    assert (study_key(STUDY.model_copy(update=changed), tmp_path) == study_key(STUDY, tmp_path)) is same


def test_a_film_replaced_under_its_name_changes_the_key(tmp_path: Path):
    keys = set()
    for content in (None, b"one", b"three"):
        if content is not None:
            (tmp_path / "f.png").write_bytes(content)
        keys.add(study_key(STUDY, tmp_path))
    assert len(keys) == 3


def test_a_studys_seed_is_its_own():
    seeds = {study_seed(seed, name) for seed in (0, 1) for name in ("a", "b")}
    assert len(seeds) == 4
    assert all(0 <= seed < 2**63 for seed in seeds)
