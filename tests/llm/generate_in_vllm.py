"""Run by .venv-llm's Python: `generate-reports --engine vllm`, and what only this engine can be asked.

    generate_in_vllm.py CHECKPOINT STUDIES FOLDER

Leaves FOLDER/vllm.jsonl of the command, and FOLDER/asked.json of the engine.
"""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from llava.console import Screen
from llava.dataset.example import Example
from llava.dataset.reading import StudyReader
from llava.dataset.table import StudyTable
from llava.generate.opening import open_vllm
from llava.generate.parity import measure
from llava.generate.run import generate_reports
from llava.generate.settings import Decoding, Place, make_settings
from llava.processor import CxrLlavaProcessor

NEW_TOKENS = 32


def main(checkpoint: Path, studies: Path, folder: Path) -> int:
    flags = {"checkpoint": checkpoint, "studies": studies, "output": folder / "vllm.jsonl"}
    flags |= {"engine": "vllm", "parity_studies": 6, "batch_size": 7, "max_new_tokens": NEW_TOKENS, "dtype": "float32"}
    code = generate_reports(make_settings(flags), Screen("generate-reports"))
    if code != 0:
        return code
    processor = CxrLlavaProcessor.from_pretrained(checkpoint)
    table = StudyTable.open(studies, cache=folder / "tables", need_findings=False)
    reader = StudyReader(table, processor, with_target=False)
    read = [reader.read(place) for place in range(len(table))]
    examples = [one for one in read if isinstance(one, Example)]
    with ExitStack() as held:
        place = Place("cpu", "float32")
        engine, _ = open_vllm(checkpoint, processor, place, gpu_memory=0.5, held=held, sample=[], say=lambda _: None)
        greedy = engine.generate(examples, Decoding(NEW_TOKENS))
        several = [one for one in examples if len(one.images) > 1]
        turned = [replace(one, images=one.images[::-1]) for one in several]
        warm = Decoding(12, temperature=2.0, seed=1)
        drawn = engine.generate(examples, warm)
        asked = {
            "tokens": {one.study_id: answer.token_ids for one, answer in zip(examples, greedy, strict=True)},
            "films_in_another_order": measure(engine.generate(several, Decoding(NEW_TOKENS)), engine, turned)._asdict(),
            "draws_are_the_studys_own": drawn == engine.generate(examples[::-1], warm)[::-1],
            "draws_are_the_seeds": drawn != engine.generate(examples, warm._replace(seed=2)),
            "draws_differ_from_greedy": [one.token_ids for one in drawn] != [one.token_ids[:12] for one in greedy],
        }
    (folder / "asked.json").write_text(json.dumps(asked), encoding="utf-8")
    return 0


if __name__ == "__main__":  # reading processes import this module again
    sys.exit(main(*map(Path, sys.argv[1:4])))
