"""The smaller commands of `eval`, each from its arguments to its exit code: compare, selfcheck, calibrate the judge."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from eval.compare import compare_runs, load_runs
from eval.config import CalibrationConfig
from eval.console import Screen
from eval.statistics.resampling import Resampling
from labeling.outputs import OutputError, whole_file
from labeling.runtime.engine import EngineError
from labeling.runtime.settings import ConfigError, check_address, connect, load_settings
from labeling.runtime.store import Store, StoreError

EXIT_OK, EXIT_DISK, EXIT_USE, EXIT_FAILURES, EXIT_STOPPED = 0, 1, 2, 3, 130


def compare(
    folders: Sequence[Path],
    output: Path | None,
    *,
    all_figures: bool,
    correction: Literal["holm", "bonferroni"],
    replicates: int,
    seed: int,
    iid: bool,
    allow_unlike: bool,
) -> int:
    """`compare-scores`."""
    screen = Screen("compare-scores")
    try:
        found = compare_runs(
            load_runs(folders),
            Resampling(replicates, seed),
            correction=correction,
            all_figures=all_figures,
            iid=iid,
            allow_unlike=allow_unlike,
        )
        if output is not None:
            settings = {"correction": correction, "replicates": replicates, "seed": seed, "runs": [*map(str, folders)]}
            record = found._asdict() | {"differences": [one._asdict() for one in found.differences]}
            with whole_file(output) as file:
                file.write(json.dumps({"settings": settings, **record}, indent=2, allow_nan=False) + "\n")
    except ValueError as error:
        screen.error(str(error))
        return EXIT_USE
    except OutputError as error:
        screen.error(str(error))
        return EXIT_DISK
    screen.comparison(found, correction, replicates)
    return EXIT_OK


def calibrate_judge(config_file: Path | None, flags: dict[str, Any]) -> int:
    """`python -m eval calibrate-judge`."""
    screen = Screen("calibrate-judge")
    try:
        config = load_settings(CalibrationConfig, config_file, flags)
        check_address(config)
        return asyncio.run(_calibrate(config, screen))
    except (ConfigError, ValueError) as error:
        screen.error(str(error))
        return EXIT_USE
    except EngineError as error:
        screen.error(error.reason)
        return EXIT_FAILURES
    except StoreError as error:
        screen.error(str(error))
        return EXIT_DISK
    except OSError as error:
        screen.error(f"{error.filename or config_file}: {error.strerror or error}")
        return EXIT_USE
    except KeyboardInterrupt:
        screen.error("stopped; answers so far are kept, the same command goes on from here")
        return EXIT_STOPPED


async def _calibrate(config: CalibrationConfig, screen: Screen) -> int:
    from eval.radfact.calibrate import calibrate, read_labelled
    from eval.radfact.judge import Judge

    labelled = read_labelled(config.pairs)
    async with connect(config) as engine:
        screen.say(f"asking {engine.model} at {config.url}")
        with Store(config.store / "answers.sqlite") as store, screen.questions("judge") as on_stage:
            judge = Judge(engine, store, config.policy)
            verdicts = await judge.verdicts((one.statement for one in labelled), on_stage)
    screen.say(config.say_usage(judge.usage))
    failed = sum(verdicts[one.statement].failure is not None for one in labelled)
    if failed == len(labelled):
        first = next(one.failure.reason for one in verdicts.values() if one.failure is not None)
        screen.error(f"none of {len(labelled):,} statements could be judged: {first}")
        return EXIT_FAILURES
    found = calibrate(labelled, verdicts, seed=config.seed, num_resamples=config.replicates)
    screen.calibration(engine.model, found, config.replicates)
    if found.failure_rate > config.max_failures:
        screen.error(
            f"{found.num_failed:,} of {found.num_statements:,} judgments failed, more than --max-failures "
            f"{config.max_failures:g} allows; the same command asks only for those again"
        )
        return EXIT_FAILURES
    return EXIT_OK


def selfcheck() -> int:
    """`python -m eval selfcheck`: 0 when every check that could run passed, else 3."""
    from eval.selfcheck import run_checks

    screen = Screen("selfcheck")
    checks = []
    for check in run_checks():
        screen.check(check)
        checks.append(check)
    failed = sum(check.passed is False for check in checks)
    skipped = sum(check.passed is None for check in checks)
    screen.print(f"{len(checks) - failed - skipped} passed, {failed} failed, {skipped} skipped")
    return EXIT_FAILURES if failed else EXIT_OK
