"""One run of `label-reports`, from its settings to its exit code."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from labeling.config import LabelConfig, load_config
from labeling.console import Screen
from labeling.facts import WIRE_VERSION
from labeling.inputs import InputError, Source, open_source, read_reports
from labeling.intake import Duplicate, Rejected, choose, examine
from labeling.outputs import OutputError, whole_file
from labeling.pipeline import Labeler, Written
from labeling.placement.tables import PlacementTables, load_tables
from labeling.rows import RowMaker
from labeling.runtime.engine import Engine, EngineError
from labeling.runtime.keep import Tally
from labeling.runtime.settings import ConfigError, check_address, connect
from labeling.runtime.store import Store, StoreError
from labeling.schema import SCHEMA_VERSION, LabelRow
from prompts.load import Prompt, load_prompt, resolve_prompts
from studies.records import Report

EXIT_OK, EXIT_DISK, EXIT_USE, EXIT_FAILURES, EXIT_STOPPED = 0, 1, 2, 3, 130


def run(config_file: Path | None, flags: dict[str, Any], *, dry_run: bool, show: str | None) -> int:
    """Do the run and give its exit code; every message for the user goes through the screen."""
    screen = Screen()
    try:
        config = load_config(config_file, flags)
        if config.output is None and not dry_run and show is None:
            raise ConfigError(
                "no output given; name a .jsonl, .parquet or .csv file with -o (or use --show, --dry-run)"
            )
        with _opened(config) as source:
            return _Run(config, source, screen).go(dry_run=dry_run, show=show)
    except (ConfigError, InputError, Duplicate) as error:
        screen.error(str(error))
        return EXIT_USE
    except EngineError as error:
        screen.error(error.reason)
        return EXIT_FAILURES
    except (StoreError, OutputError) as error:
        screen.error(str(error))
        return EXIT_DISK
    except PermissionError as error:
        screen.error(f"{error.filename}: {error.strerror}; check who may read it")
        return EXIT_USE
    except KeyboardInterrupt:
        screen.error("stopped; answers so far are kept, the same command goes on from here")
        return EXIT_STOPPED


@contextlib.contextmanager
def _opened(config: LabelConfig) -> Iterator[Source]:
    """The input, with the private copy of standard input removed at the end."""
    source = open_source(
        config.input,
        id_column=config.id_column,
        text_column=config.text_column,
        encoding=config.encoding,
        spool=config.store_path.parent,
    )
    try:
        yield source
    finally:
        if config.input == "-":
            source.path.unlink(missing_ok=True)


class Plan(NamedTuple):
    prompts: tuple[Prompt, ...]
    tables: PlacementTables
    rejected: dict[str, str]
    total: int


class _Run:
    def __init__(self, config: LabelConfig, source: Source, screen: Screen) -> None:
        self._config = config
        self._source = source
        self._screen = screen

    def go(self, *, dry_run: bool, show: str | None) -> int:
        config = self._config
        try:
            names = resolve_prompts(config.prompt)
            prompts = tuple(load_prompt(name) for name in names)
            tables = load_tables(config.placement_tables)
        except ValueError as error:
            raise ConfigError(str(error)) from None
        if config.uses_model:
            check_address(config)
        total, rejected = examine(self._chosen(show))
        if show is not None and total == 0:
            raise InputError(f"no report {show!r} in {config.input}")
        if rejected and not config.allow_bad_rows:
            raise InputError(_say_rejected(rejected, total))
        plan = Plan(prompts, tables, dict(rejected), total)
        return asyncio.run(self._ask_and_write(plan, dry_run=dry_run, show=show))

    async def _ask_and_write(self, plan: Plan, *, dry_run: bool, show: str | None) -> int:
        config, screen = self._config, self._screen
        started = time.monotonic()
        async with self._engine() as engine:
            with Store(config.store_path) as store:
                row_maker = RowMaker(config.prompt, plan.prompts, engine.name, engine.model, plan.tables)
                labeler = Labeler(plan.prompts, engine, store, row_maker, config.policy)
                if dry_run:
                    screen.dry_run(labeler.unanswered(self._good(plan, show)), labeler.tally, plan.total, config)
                    return EXIT_OK
                screen.begin(engine.name, engine.model, self._where(), plan.total, len(plan.rejected))
                with screen.progress(plan.total * len(plan.prompts), config) as on_progress:
                    await labeler.ask(self._good(plan, show), on_progress)
                if show is not None:
                    return self._show(labeler, plan, show)
                return self._finish(labeler, plan, engine, started)

    def _finish(self, labeler: Labeler, plan: Plan, engine: Engine, started: float) -> int:
        config, screen = self._config, self._screen
        output = config.output
        assert output is not None  # checked before anything was read
        failures = output.with_name(output.stem + ".failures.jsonl")
        written = labeler.write(self._chosen(None), plan.rejected, output, failures)
        self._write_manifest(output, plan, engine, labeler.tally, written)
        screen.table(written)
        screen.end(output, failures, written, labeler.tally, time.monotonic() - started, config)
        failed = written.failed - len(plan.rejected)
        if failed > config.max_failures * plan.total:
            screen.error(
                f"{failed} of {plan.total} reports failed, more than --max-failures {config.max_failures:g} allows; "
                f"reasons stand in {failures}; the same command asks only for those again"
            )
            return EXIT_FAILURES
        return EXIT_OK

    def _show(self, labeler: Labeler, plan: Plan, show: str) -> int:
        for report, result in labeler.results(self._chosen(show), plan.rejected):
            if not isinstance(result, LabelRow):
                self._screen.error(f"report {report.report_id} has no labels: {result}")
                return EXIT_FAILURES
            self._screen.report(report, result)
        return EXIT_OK

    def _chosen(self, show: str | None) -> Iterator[Report]:
        config = self._config
        reports = read_reports(self._source)
        if show is not None:
            return (report for report in reports if report.report_id == show)
        return choose(reports, limit=config.limit, sample=config.sample, seed=config.seed)

    def _good(self, plan: Plan, show: str | None) -> Iterator[Report]:
        return (report for report in self._chosen(show) if report.report_id not in plan.rejected)

    def _where(self) -> str | None:
        return self._config.url if self._config.uses_model else None

    @contextlib.asynccontextmanager
    async def _engine(self) -> AsyncIterator[Engine]:
        if self._config.uses_model:
            async with connect(self._config) as engine:
                yield engine
        else:
            from labeling.rules.engine import RulesEngine

            yield RulesEngine()

    def _write_manifest(self, output: Path, plan: Plan, engine: Engine, tally: Tally, written: Written) -> None:
        manifest = {
            "carina_version": metadata.version("carina-cxr"),
            "config": self._config.model_dump(mode="json", exclude_none=True),
            "engine": engine.name,
            "model": engine.model,
            "settings": dict(engine.settings),
            "prompts": {prompt.id: prompt.sha256 for prompt in plan.prompts},
            "schema_version": SCHEMA_VERSION,
            "wire_version": WIRE_VERSION,
            "placement_sha256": plan.tables.sha256,
            "reports": plan.total,
            "rows": written.rows,
            "failures": written.failed,
            "rejected": len(plan.rejected),
            "questions": {"reused": tally.reused, "answered": tally.answered, "failed": tally.failed},
            "usage": tally.usage._asdict(),
        }
        with whole_file(output.with_name(output.stem + ".run.json")) as file:
            file.write(json.dumps(manifest, indent=2) + "\n")


def _say_rejected(rejected: Sequence[Rejected], total: int) -> str:
    shown = "; ".join(f"report {one.report_id!r}: {one.reason}" for one in rejected[:5])
    more = f"; and {len(rejected) - 5} more" if len(rejected) > 5 else ""
    return (
        f"{len(rejected)} of {total} reports cannot be labelled: {shown}{more}. "
        "Mend them, or add --allow-bad-rows to list them as failures and go on; nothing was asked."
    )
