"""The smaller commands of `eval`, each from its arguments to its exit code: compare, selfcheck, calibrate the judge."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from eval.compare import compare_runs, load_runs
from eval.console import Screen
from eval.statistics.resampling import Resampling
from labeling.outputs import OutputError, whole_file

EXIT_OK, EXIT_DISK, EXIT_USE, EXIT_FAILURES = 0, 1, 2, 3


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
