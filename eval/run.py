"""One run of `score-reports`, from its settings to its exit code."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eval.chexbert.csv_file import write_labels
from eval.config import METRICS, ScoreConfig
from eval.console import Screen
from eval.generated_by import generated_by
from eval.label_rows import LabelFile, Labelled, RowSource
from eval.measures import (
    Measured,
    judged,
    measure_chexbert,
    measure_label_rows,
    measure_radfact,
    measure_rouge,
    replayed,
)
from eval.pairs import ColumnNames, Pairs, Study, read_pairs, say_problems, text_sha256
from eval.per_study import GROUP_PREFIX, PATIENT_ID, REFERENCE_SHA256, STUDY_ID, write_per_study
from eval.placement import wrong_placements
from eval.radfact.judge import Judge
from eval.radfact.judgments import StudyJudgments, read_judgments, write_judgments
from eval.radfact.score import unsupported_marks
from eval.report.marks import Mark
from eval.report.page import StudyView, write_report
from eval.scores import build_scores
from eval.statistics.resampling import Resampling, Rng
from eval.worst import worst_studies
from labeling.outputs import OutputError, row_writer, whole_file
from labeling.runtime.engine import Engine, EngineError
from labeling.runtime.settings import ConfigError, check_address, connect, load_settings
from labeling.runtime.store import Store, StoreError
from labeling.schema import LabelRow
from studies.tables import InputError

EXIT_OK, EXIT_DISK, EXIT_USE, EXIT_FAILURES, EXIT_STOPPED = 0, 1, 2, 3, 130


def score(config_file: Path | None, flags: dict[str, Any]) -> int:
    """Do the run and give its exit code; every message for the user goes through the screen."""
    screen = Screen("score-reports")
    try:
        config = load_settings(ScoreConfig, config_file, flags)
        with _private_files():
            return asyncio.run(_Run(config, screen).go())
    except (ConfigError, InputError, ValueError) as error:
        screen.error(str(error))
        return EXIT_USE
    except (FileNotFoundError, PermissionError) as error:
        screen.error(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        return EXIT_USE
    except EngineError as error:
        screen.error(error.reason)
        return EXIT_FAILURES
    except (StoreError, OutputError, OSError) as error:
        screen.error(str(error))
        return EXIT_DISK
    except KeyboardInterrupt:
        screen.error("stopped; answers so far are kept, the same command goes on from here")
        return EXIT_STOPPED


@contextlib.contextmanager
def _private_files() -> Iterator[None]:
    """Texts, labels and scores of patients are for this user only."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


class _Run:
    def __init__(self, config: ScoreConfig, screen: Screen) -> None:
        self._config = config
        self._screen = screen
        self._measured: list[Measured] = []
        self._not_computed: dict[str, str] = {}
        self._judgments: Sequence[StudyJudgments] = ()
        self._sources: tuple[RowSource, RowSource] | None = None

    async def go(self) -> int:
        config, screen = self._config, self._screen
        started = time.monotonic()
        wanted = self._wanted()
        pairs = self._pairs()
        generator = generated_by(config.predictions, encoding=config.encoding)
        config.output.mkdir(parents=True, exist_ok=True)
        async with self._engine() as engine:
            await self._measure(pairs.studies, wanted, engine)
            columns = self._columns(pairs)
            resampling = Resampling(config.replicates, config.seed, Rng(config.rng))
            with screen.waiting("bootstrap"):
                scores = build_scores(pairs, columns, self._measured, self._not_computed, resampling, iid=config.iid)
            views = [] if config.no_texts else await self._worst(pairs.studies, columns)
        self._write(scores | {"generated_by": generator}, columns, views)
        screen.scores(scores, config.output, time.monotonic() - started)
        return self._exit_code(scores)

    def _wanted(self) -> list[str]:
        """The metrics to compute, "labels" for CheXpert-14 F1 from label-reports; what lacks something is told."""
        config = self._config
        wanted = []
        for metric in METRICS:
            lacking = config.lacking(metric) if config.wants(metric) else None
            if lacking and config.metrics is not None:
                raise ConfigError(f"{metric} {lacking}")
            if lacking:
                self._not_computed[metric] = lacking
            elif config.wants(metric):
                wanted.append("labels" if metric == "chexbert" and config.labels else metric)
        if "chexbert" in self._not_computed:
            wanted.append("labels")  # the group without the checkpoint is not stuck
        if config.uses_model:
            check_address(config)
        if config.replay is not None and not config.replay.is_file():
            raise ConfigError(f"--replay {config.replay} does not exist; give the judgments.jsonl of an earlier run")
        return wanted

    def _pairs(self) -> Pairs:
        config = self._config
        columns = ColumnNames(
            config.id_column,
            config.prediction_column,
            config.reference_column,
            config.patient_column,
            config.subgroups,
        )
        pairs = read_pairs(
            config.predictions, config.references, columns, encoding=config.encoding, need_patients=not config.iid
        )
        if pairs.problems and not config.allow_missing:
            raise InputError(
                f"{say_problems(pairs.problems)}. Mend the files, or add --allow-missing to score the studies that "
                "join, empty texts as reports that say nothing."
            )
        if pairs.problems:
            self._screen.say(f"--allow-missing: {say_problems(pairs.problems)}")
        return pairs

    async def _measure(self, studies: Sequence[Study], wanted: Sequence[str], engine: Engine | None) -> None:
        config, screen = self._config, self._screen
        if "rouge_l" in wanted:
            with screen.progress("ROUGE-L", len(studies)) as on_done:
                self._measured.append(measure_rouge(studies, use_stemmer=config.use_stemmer, on_done=on_done))
        if "chexbert" in wanted:
            assert config.chexbert_checkpoint is not None
            with screen.progress("CheXbert", len(studies)) as on_done:
                measured, codes_NC = measure_chexbert(
                    studies,
                    config.chexbert_checkpoint,
                    revision=config.chexbert_revision,
                    vocab=config.chexbert_vocab,
                    device=config.device,
                    batch_tokens=config.batch_tokens,
                    on_done=on_done,
                )
            self._measured.append(measured)
            predictions, references = [one.prediction for one in studies], [one.reference for one in studies]
            write_labels(config.output / "prediction_chexbert.csv", predictions, codes_NC[: len(studies)])
            write_labels(config.output / "reference_chexbert.csv", references, codes_NC[len(studies) :])
        if "radfact" in wanted:
            await self._measure_radfact(studies, engine)
        of_labels = [metric for metric in ("labels", "incorrect_placement") if metric in wanted]
        if of_labels:
            await self._measure_labels(studies, of_labels, engine)

    async def _measure_radfact(self, studies: Sequence[Study], engine: Engine | None) -> None:
        config = self._config
        if config.replay is not None:
            self._judgments, judge = replayed(read_judgments(config.replay), studies)
        else:
            assert engine is not None
            self._screen.say(f"RadFact: asking {engine.model} at {config.url}")
            with Store(config.store_folder / "answers.sqlite") as store, self._screen.questions("RadFact") as on_stage:
                asker = Judge(engine, store, config.policy)
                self._judgments, judge = await judged(asker, studies, on_stage)
            self._screen.say(f"RadFact: {config.say_usage(asker.usage)}")
            write_judgments(config.output / "judgments.jsonl", judge, self._judgments)
        self._measured.append(measure_radfact(self._judgments, judge, config.compat))

    async def _measure_labels(self, studies: Sequence[Study], wanted: Sequence[str], engine: Engine | None) -> None:
        config = self._config
        self._sources = (
            self._source(config.prediction_labels, engine),
            self._source(config.reference_labels, engine),
        )
        with contextlib.ExitStack() as open_files, self._screen.progress("labels", len(studies)) as on_done:
            # rows made on the fly are written, so that the run can be repeated from files
            writers = {
                side: open_files.enter_context(row_writer(config.output / f"{side}_labels.jsonl"))
                for side, given in (("prediction", config.prediction_labels), ("reference", config.reference_labels))
                if given is None
            }

            def on_row(side: str, row: LabelRow) -> None:
                if side in writers:
                    writers[side](row)

            self._measured += await measure_label_rows(
                studies, *self._sources, wanted=wanted, by_side=config.by_side, on_row=on_row, on_done=on_done
            )

    def _source(self, given: Path | None, engine: Engine | None) -> RowSource:
        if given is not None:
            return LabelFile(given)
        if self._config.labeler == "model":
            assert engine is not None
            return Labelled(engine, self._config.policy, self._config.store_folder)
        from labeling.rules.engine import RulesEngine

        return Labelled(RulesEngine(), self._config.policy, self._config.store_folder)

    @contextlib.asynccontextmanager
    async def _engine(self) -> AsyncIterator[Engine | None]:
        if self._config.uses_model:
            async with connect(self._config) as engine:
                yield engine
        else:
            yield None

    def _columns(self, pairs: Pairs) -> dict[str, Any]:
        studies = pairs.studies
        columns: dict[str, Any] = {
            STUDY_ID: _words(one.study_id for one in studies),
            PATIENT_ID: _words(one.patient_id for one in studies),
            REFERENCE_SHA256: _words(text_sha256(one.reference) for one in studies),
        }
        for place, name in enumerate(pairs.group_columns):
            columns[GROUP_PREFIX + name] = _words(one.groups[place] for one in studies)
        for one in self._measured:
            columns |= one.columns
        return columns

    async def _worst(self, studies: Sequence[Study], columns: Mapping[str, Any]) -> list[StudyView]:
        """The worst studies with their marks; label rows are fetched again for these few."""
        marks: dict[str, list[Mark]] = {}

        def no_marks(_: Study) -> Sequence[Mark]:
            return ()

        chosen = {one.study_id for one in worst_studies(studies, columns, self._config.worst, no_marks)}
        for judgment in self._judgments:
            if judgment.study_id in chosen:
                marks.setdefault(judgment.study_id, []).extend(unsupported_marks(judgment))
        if self._sources is not None and self._config.wants("incorrect_placement"):
            few = [one for one in studies if one.study_id in chosen]
            predictions, _ = await self._sources[0].rows({one.study_id: one.prediction for one in few})
            references, _ = await self._sources[1].rows({one.study_id: one.reference for one in few})
            for one in predictions.keys() & references.keys():
                found = wrong_placements(predictions[one], references[one], by_side=self._config.by_side)
                marks.setdefault(one, []).extend(found)
        return worst_studies(studies, columns, self._config.worst, lambda study: marks.get(study.study_id, ()))

    def _write(self, scores: Mapping[str, Any], columns: Mapping[str, Any], views: Sequence[StudyView]) -> None:
        output = self._config.output
        write_per_study(output / "per_study.parquet", columns)
        with whole_file(output / "scores.json") as file:
            file.write(json.dumps(scores, indent=2, allow_nan=False) + "\n")
        with whole_file(output / "score-reports.run.json") as file:
            file.write(self._config.model_dump_json(indent=2, exclude_none=True) + "\n")
        write_report(output / "report.html", scores, views)

    def _exit_code(self, scores: Mapping[str, Any]) -> int:
        for metric, found in scores["metrics"].items():
            rate = found["failure_rate"]
            if rate is not None and rate > self._config.max_failures:
                self._screen.error(
                    f"{metric}: {100 * rate:.1f} % failed, more than --max-failures {self._config.max_failures:g} "
                    "allows; the scores above leave the failed ones out; the same command asks only for those again"
                )
                return EXIT_FAILURES
        return EXIT_OK


def _words(values: Any) -> Any:
    return np.array(list(values), dtype=object)
