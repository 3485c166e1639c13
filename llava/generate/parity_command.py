"""`python -m llava parity`: whether vLLM writes here what transformers writes, before hours are spent on it."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Sequence
from pathlib import Path

from llava.generate.controls import ControlledReader, ControlledTable
from llava.generate.opening import open_vllm, sample_of
from llava.generate.parity import ParityError
from llava.generate.run import EXIT_FAILURES, EXIT_OK, Screen
from llava.generate.settings import place


def check_parity(
    checkpoint: Path,
    studies: Path,
    screen: Screen,
    *,
    num_studies: int = 64,
    root: Path | None = None,
    device: str = "auto",
    dtype: str = "auto",
    gpu_memory: float = 0.85,
    skip_guards: Sequence[str] = (),
) -> int:
    """Say how far the engines agree on some studies of a table; 0 where a run could start, 3 where it would refuse.

    Raises:
        ValueError: vLLM is not installed, or a checkpoint or a table that cannot be used.
    """
    from llava.dataset.table import StudyTable
    from llava.model_files import find_model
    from llava.processor import CxrLlavaProcessor

    where = place(device, dtype)
    folder = find_model(checkpoint)
    processor = CxrLlavaProcessor.from_pretrained(folder)
    with contextlib.ExitStack() as held:
        cache = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="carina-parity-")))
        table = StudyTable.open(studies, cache=cache, need_findings=False, root=root)
        rows = ControlledTable([table[row] for row in range(len(table))], None, seed=0)
        reader = ControlledReader(rows, processor, with_target=False, skip_guards=skip_guards, root=table.root)
        sample = sample_of(reader, len(rows), num_studies)
        if not sample:
            raise ValueError(f"{studies}: none of its studies can be used")
        _, parity = open_vllm(folder, processor, where, gpu_memory=gpu_memory, held=held, sample=sample, say=screen.say)
        assert parity is not None  # there was a sample
        try:
            parity.check(where)
        except ParityError as error:
            screen.error(str(error))
            return EXIT_FAILURES
    screen.say(f"{len(sample):,} studies in {where.dtype}: the engines agree as far as their rounding lets them")
    return EXIT_OK
