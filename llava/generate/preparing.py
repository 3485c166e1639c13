"""All that a run of `generate-reports` knows before a model is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from llava.generate.controls import ControlledTable
from llava.generate.keys import run_key, study_key
from llava.generate.settings import GenerateSettings, Place, place

if TYPE_CHECKING:
    from encoders.fingerprint import Fingerprint
    from llava.dataset.table import StudyTable
    from llava.processor import CxrLlavaProcessor


@dataclass(frozen=True)
class Prepared:
    """keys: `study_key` of each study, in the table's order; encoder: the fingerprint that the model's folder gives."""

    settings: GenerateSettings
    place: Place
    folder: Path
    processor: CxrLlavaProcessor
    table: StudyTable
    studies: ControlledTable
    keys: Mapping[str, str]
    weights: str
    run: str
    encoder: Fingerprint


def prepare(settings: GenerateSettings) -> Prepared:
    """
    Raises:
        ValueError: no such model or table, or one that is damaged.
    """
    from llava.dataset.table import StudyTable, say_ignored
    from llava.generate.loading import weights_key
    from llava.model_files import find_model, read_encoder_record, read_processor

    where = place(settings.device, settings.dtype)
    folder = find_model(settings.checkpoint)
    processor = read_processor(folder)
    cache = settings.output.parent / ".carina"
    table = StudyTable.open(settings.studies, cache=cache, need_findings=False, root=settings.root)
    say_ignored(table)
    count = min(len(table), settings.limit or len(table))
    studies = ControlledTable([table[row] for row in range(count)], settings.control, seed=settings.seed)
    weights = weights_key(folder)
    run = run_key(
        weights,
        processor,
        settings.decoding,
        engine=settings.engine,
        dtype=where.dtype,
        control=settings.control,
    )
    encoder = read_encoder_record(folder).fingerprint
    keys = {studies[row].study_id: study_key(studies[row], table.root) for row in range(count)}
    return Prepared(settings, where, folder, processor, table, studies, keys, weights, run, encoder)
