"""vLLM writes what transformers writes, token by token, on a tiny random generator: a real encoder and projector, one
to three films a study, rope scaling; float32 on the CPU."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from llava.build import build
from llava.config import EncoderSettings, LanguageModelSettings, ProjectorSettings, RopeSettings
from llava.dataset.reading import StudyReader
from llava.dataset.table import StudyTable
from llava.folder import save_model
from llava.generate.opening import open_transformers
from llava.generate.parity import Parity, ParityError
from llava.generate.run import EXIT_OK, generate_reports
from llava.generate.settings import Decoding, Place, make_settings
from llava.processor import CxrLlavaProcessor
from llava.tiny import tiny_language_model
from tests.llava.generate.made import Heard, make_films, rows, write_table
from tests.llm.generate_in_vllm import NEW_TOKENS
from tests.llm.serve import ROOT, VENV, is_set_up

pytestmark = [
    pytest.mark.llm,
    pytest.mark.skipif(not is_set_up(), reason="no vLLM: tests/llm/setup.sh makes .venv-llm"),
]


class Written(NamedTuple):
    """What both engines wrote of the same studies. asked: of vLLM's engine, see `generate_in_vllm`."""

    transformers: list[dict[str, Any]]
    vllm: list[dict[str, Any]]
    asked: dict[str, Any]
    tokens: dict[str, list[int]]
    log: str


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder = tmp_path_factory.mktemp("vllm")
    checkpoint = _checkpoint(folder)
    make_films(folder)
    studies = write_table(folder / "studies.jsonl", rows())
    _end_some_reports(checkpoint, studies, folder)
    flags = {"checkpoint": checkpoint, "studies": studies, "output": folder / "transformers.jsonl"}
    assert generate_reports(make_settings(flags | {"max_new_tokens": NEW_TOKENS}), Heard()) == EXIT_OK
    done = subprocess.run(
        [VENV / "bin/python", "-m", "tests.llm.generate_in_vllm", checkpoint, studies, folder],
        cwd=ROOT,
        env=os.environ
        | {"PYTHONPATH": f"{VENV / 'llava'}:{ROOT}", "VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    return Written(
        _read(folder / "transformers.jsonl"),
        _read(folder / "vllm.jsonl"),
        json.loads((folder / "asked.json").read_text()),
        _tokens(checkpoint, studies, folder),
        done.stderr,
    )


def test_both_engines_write_the_same_reports(written):
    def told(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
        return [(row["study_id"], row["prediction"], row["tokens"], row["finish_reason"]) for row in rows]

    assert len(written.transformers) == len(rows())
    assert told(written.vllm) == told(written.transformers)
    assert len({row["prediction"] for row in written.vllm}) > 6  # or nothing was tested
    assert {row["finish_reason"] for row in written.vllm} == {"stop", "length"}
    assert {row["run"] for row in written.vllm}.isdisjoint(row["run"] for row in written.transformers)


def test_both_engines_write_the_same_tokens(written):
    assert written.asked["tokens"] == written.tokens


def test_the_parity_gate_sees_no_difference_and_lets_the_run_start(written):
    assert "vLLM agrees in 100.0% of first tokens, 100.0% of the first 32" in written.log


def test_films_in_another_order_are_seen_by_the_parity_gate(written):
    with pytest.raises(ParityError, match="vLLM and transformers disagree on 8 studies"):
        Parity(**written.asked["films_in_another_order"]).check(Place("cpu", "float32"))


def test_drawn_reports_are_the_studys_own(written):
    assert written.asked["draws_are_the_studys_own"]
    assert written.asked["draws_are_the_seeds"]
    assert written.asked["draws_differ_from_greedy"]


def _checkpoint(folder: Path) -> Path:
    texts = ("Heart size is normal. No pleural effusion.", "A right chest tube ends at the apex.") * 4
    # heads of 64: vLLM has no smaller ones than 32 on a CPU
    tiny_language_model(folder / "lm", texts, width=128, heads=2, kv_heads=2, positions=1024)
    model, processor = build(
        EncoderSettings(name="rad_dino", weights="tiny", image_size_px=56),
        LanguageModelSettings(path=str(folder / "lm"), rope=RopeSettings(factor=1.5)),
        ProjectorSettings(num_layers=4),
        "findings",
        seed=0,
    )
    with torch.no_grad():
        for parameter in (*model.model.language_model.parameters(), model.lm_head.weight):
            if parameter.ndim == 2:
                parameter.mul_(4)  # lively: answers differ between studies
    save_model(model, processor, folder / "model", record={})
    return folder / "model"


def _end_some_reports(checkpoint: Path, studies: Path, folder: Path) -> None:
    """Swap the end token with one that some reports have and some have not: a random model ends none."""
    from llava.folder import load_model

    found = _tokens(checkpoint, studies, folder)
    counts = {token: sum(token in ids[8:] for ids in found.values()) for ids in found.values() for token in ids}
    token = min(counts, key=lambda one: abs(counts[one] - len(found) / 2))
    model, processor, record = load_model(checkpoint)
    with torch.no_grad():
        head = model.lm_head.weight
        head[[processor.end_token_id, token]] = head[[token, processor.end_token_id]]
    save_model(model, processor, checkpoint, record=record)


def _tokens(checkpoint: Path, studies: Path, folder: Path) -> dict[str, list[int]]:
    processor = CxrLlavaProcessor.from_pretrained(checkpoint)
    table = StudyTable.open(studies, cache=folder / "tables", need_findings=False)
    reader = StudyReader(table, processor, with_target=False)
    examples: list[Any] = [reader.read(place) for place in range(len(table))]
    answers = open_transformers(checkpoint, Place("cpu", "float32")).generate(examples, Decoding(NEW_TOKENS))
    return {one.study_id: list(answer.token_ids) for one, answer in zip(examples, answers, strict=True)}


def _read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
