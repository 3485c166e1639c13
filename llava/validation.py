"""What a model under training is worth on studies that it does not learn from: its loss, and its reports' scores.

The studies are always the same, so that two steps, and two encoders, can be compared. Reports are generated as they
are and again under each blind control (`llava.generate.controls`): a model that scores the same with other patients'
films does not look at them, and the difference is given beside the scores.

All processes take part, each with its share of the studies; where they share the model's weights, all of them compute
equally often.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from llava.config import Control, TrainSettings
from llava.dataset.batching import deal, epoch_order, pack, pack_row
from llava.dataset.example import BadStudy, BadStudyError, Example, PackedRow
from llava.dataset.table import StudyTable
from llava.generate.ahead import batches, read_ahead
from llava.generate.controls import ControlledReader, ControlledTable
from llava.generate.engine import Answer
from llava.generate.engine_transformers import TransformersEngine
from llava.generate.keys import study_key
from llava.generate.settings import Decoding
from llava.generate.store import Line, write_lines, write_whole
from llava.processor import CxrLlavaProcessor
from llava.scoring import score_reports
from llava.training.objective import supervised_loss
from llava.training.parallel import Parallel
from llava.training.step_share import idle_row
from llava.training.together import from_all, on_first
from studies.records import GenerationStudy

logger = logging.getLogger(__name__)

AS_IT_IS = "none"  # among the controls' names
BY_THE_IMAGES = "none_minus_shuffled_images"
_READ_AT_ONCE = 16  # studies
_MOST_AT_ONCE = 16  # studies of a batch that generates


class Validation(NamedTuple):
    """loss: mean over supervised tokens, in nats; NaN where no study could be used. scores: by control ("none" for
    the studies as they are), then by metric; the difference that the images make, as a control's too."""

    loss: float
    scores: dict[str, dict[str, float]]


def validate(
    model: nn.Module,
    processor: CxrLlavaProcessor,
    settings: TrainSettings,
    folder: Path,
    parallel: Parallel,
    *,
    stopped: Callable[[], bool] = lambda: False,
) -> Validation | None:
    """Measure a model that `parallel` prepared, which is left as it was; random state too.

    Args:
        folder: of this step; predictions.jsonl, predictions.CONTROL.jsonl, references.jsonl and scores/ go there.
        stopped: asked before each batch, in all processes alike: whether to give up, which gives None.

    Raises:
        ValueError: the table cannot be used.
        BadStudyError: in all processes, for a study that cannot be used where data.on_bad_study is "error".
    """
    measured = _Measured(model, processor, settings, parallel, stopped)
    with contextlib.suppress(_Stopped), _undisturbed(model):
        loss = measured.loss()
        if not settings.validation.generate:
            return Validation(loss, {})
        controls: list[Control | None] = [None, *settings.validation.controls]
        written = {control or AS_IT_IS: measured.reports(control, folder.name) for control in controls}
        found = on_first(parallel, lambda: _scores(written, measured.studies, settings, folder))
        return Validation(loss, found or {})
    return None


class _Stopped(Exception):  # noqa: N818
    """Validation was given up, in all processes."""


class _Report(NamedTuple):
    """What a process wrote of one of its studies."""

    study_id: str
    text: str
    answer: Answer
    cut_tokens: int


class _Measured:
    """A model and its studies. studies: the same in every process; a share of them is this one's."""

    def __init__(
        self,
        model: nn.Module,
        processor: CxrLlavaProcessor,
        settings: TrainSettings,
        parallel: Parallel,
        stopped: Callable[[], bool],
    ) -> None:
        data = settings.data
        assert data.validation is not None
        table = StudyTable.open(data.validation, cache=settings.output / "tables", need_findings=True, root=data.root)
        wanted = settings.validation.studies or len(table)
        places = np.sort(epoch_order(len(table), settings.seed, 0)[:wanted])
        self.studies = [table[place] for place in places.tolist()]
        self._root = table.root
        self._lengths = table.estimated_tokens(processor.num_image_tokens)[places].tolist()
        self._shares = [share.tolist() for share in deal(self._lengths, parallel.world_size)]
        self._model = model
        self._processor = processor
        self._settings = settings
        self._parallel = parallel
        self._stopped = stopped
        self._in_step = parallel.kind in ("fsdp2", "deepspeed")  # each holds a part of the weights

    @torch.no_grad()
    def loss(self) -> float:
        """Mean cross-entropy of the supervised tokens of all studies; the targets' end tokens among them."""
        parallel, idle = self._parallel, idle_row(self._processor)
        total, tokens = 0.0, 0
        bad: list[BadStudy] = []
        for found in self._batches(self._reader(None, with_target=True), _READ_AT_ONCE):
            bad += [one for one in found if isinstance(one, BadStudy)]
            rows = self._rows([one for one in found if isinstance(one, Example)])
            most = int(parallel.all_max([len(rows)])[0]) if self._in_step else len(rows)
            for row in [*rows, *[idle] * (most - len(rows))]:
                with parallel.autocast():
                    row_loss = supervised_loss(self._model, row, self._processor.recipe, parallel.device)
                if row is not idle:
                    total += float(row_loss)
                    tokens += len(row.targets_K)
        self._refuse_or_say(from_all(parallel, bad))
        total, count = parallel.all_sum([total, tokens])
        return total / count if count else math.nan

    def reports(self, control: Control | None, name: str) -> list[Line]:
        """All processes' reports, in the studies' order, of the studies that can be used.

        Args:
            name: what the lines say of the run that made them.
        """
        reader = self._reader(control, with_target=False)
        engine = TransformersEngine(
            getattr(self._model, "module", self._model),  # DeepSpeed's engine stands before it
            self._processor,
            device=self._parallel.device,
            autocast=self._parallel.autocast,
            synced=self._in_step,
        )
        decoding = Decoding(self._settings.validation.max_new_tokens)
        lines = []
        with torch.compiler.set_stance("force_eager"):  # every token has another shape than training
            for found in self._batches(reader, self._studies_at_once()):
                examples = [one for one in found if isinstance(one, Example)]
                computed = examples or ([_idle_example(self._processor)] if self._in_step else [])
                answers = engine.generate(computed, decoding) if computed else []
                lines += [
                    _Report(example.study_id, self._processor.decode(answer.token_ids), answer, example.cut_tokens)
                    for example, answer in zip(examples, answers, strict=False)  # an idle one has no example
                ]
        by_id = {report.study_id: report for report in from_all(self._parallel, lines)}
        return [
            Line(
                study_id=study.study_id,
                patient_id=study.patient_id,
                prediction=report.text,
                run=name,
                study_key=study_key(study, self._root),
                tokens=len(report.answer.token_ids),
                finish_reason=report.answer.finish_reason,
                prior_tokens_cut=report.cut_tokens,
            )
            for study in self.studies
            if (report := by_id.get(study.study_id)) is not None
        ]

    def _reader(self, control: Control | None, *, with_target: bool) -> ControlledReader:
        table = ControlledTable(self.studies, control, seed=self._settings.seed)
        guards = self._settings.data.skip_guards
        return ControlledReader(table, self._processor, with_target=with_target, skip_guards=guards, root=self._root)

    def _batches(self, reader: ControlledReader, size: int) -> Iterator[list[Example | BadStudy]]:
        """This process's studies, and empty batches until it has had as many as any."""
        groups = batches(self._lengths, self._shares[self._parallel.rank], size)
        most = max(math.ceil(len(share) / size) for share in self._shares)
        read = read_ahead(reader, groups, workers=self._settings.data.workers)
        for _ in range(most):
            if self._stopped():
                raise _Stopped
            yield next(read, [])

    def _rows(self, examples: Sequence[Example]) -> list[PackedRow]:
        if not self._settings.compute.packing:
            return [pack_row([example]) for example in examples]
        rows = pack([example.num_tokens for example in examples], self._settings.compute.token_budget)
        return [pack_row([examples[place] for place in row]) for row in rows]

    def _studies_at_once(self) -> int:
        """Their keys and values take less memory than activations and gradients of a row do."""
        longest = int(max(self._lengths)) + self._settings.validation.max_new_tokens
        return max(1, min(_MOST_AT_ONCE, 2 * self._settings.compute.token_budget // longest))

    def _refuse_or_say(self, bad: Sequence[BadStudy]) -> None:
        if bad and self._settings.data.on_bad_study == "error":
            raise BadStudyError(bad[0])
        if bad and self._parallel.is_main:
            shown = f"{bad[0].study_id}: {bad[0].message}"
            logger.warning("%d of %d validation studies cannot be used, such as %s", len(bad), len(self.studies), shown)


@contextlib.contextmanager
def _undisturbed(model: nn.Module) -> Iterator[None]:
    """Evaluation mode; afterwards every part is in its own mode again, and chance is where it was."""
    modes = [(part, part.training) for part in model.modules()]
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        model.eval()
        try:
            yield
        finally:
            for part, mode in modes:
                part.training = mode


def _idle_example(processor: CxrLlavaProcessor) -> Example:
    """What a process computes while others still have studies."""
    row = idle_row(processor)
    return Example("", row.input_ids_T, np.zeros(row.num_tokens, np.bool_), row.images)


def _scores(
    written: Mapping[str, list[Line]], studies: Sequence[GenerationStudy], settings: TrainSettings, folder: Path
) -> dict[str, dict[str, float]]:
    """Write reports and references, and have them scored: studies that have a report under every control."""
    made = {name: lines for name, lines in written.items() if lines}
    common = set.intersection(*({line.study_id for line in lines} for lines in made.values())) if made else set()
    told = [study for study in studies if study.study_id in common and (study.findings or "").strip()]
    if not told:
        return {}
    folder.mkdir(parents=True, exist_ok=True)
    known = all(study.patient_id is not None for study in told)  # score-reports wants all patients or none
    rows = [
        {"study_id": study.study_id, **({"patient_id": study.patient_id} if known else {}), "findings": study.findings}
        for study in told
    ]
    references = folder / "references.jsonl"
    write_whole(references, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode("utf-8"))
    files = {}
    for name, lines in made.items():
        files[name] = folder / ("predictions.jsonl" if name == AS_IT_IS else f"predictions.{name}.jsonl")
        write_lines(files[name], [line if known else line._replace(patient_id=None) for line in lines])
    scores = score_reports(files, references, folder / "scores", settings.validation.metrics)
    seen, blind = scores.get(AS_IT_IS), scores.get("shuffled_images")
    if seen is not None and blind is not None:
        scores[BY_THE_IMAGES] = {name: seen[name] - blind[name] for name in seen if name in blind}
    return scores
