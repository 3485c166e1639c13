"""Which run of `generate-reports` wrote a file of predictions: scores of two models' reports are those of neither."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from studies.tables import InputError, open_table, read_rows

_COLUMNS = ("run", "study_key")  # which `generate-reports` alone writes together
_KEPT = ("run", "model", "weights_sha256", "encoder", "preprocessing_sha256", "prompt")


def generated_by(predictions: Path, *, encoding: str = "utf-8") -> dict[str, Any] | None:
    """The run, and what its record PREDICTIONS.run.json says of the model; None for predictions from elsewhere.

    Raises:
        InputError: the reports are of several runs, or of another than the record beside them tells of.
    """
    table = open_table(str(predictions), encoding=encoding)
    if any(column not in table.columns for column in _COLUMNS):
        return None
    runs = Counter(str(row.values[0]) for row in read_rows(table, _COLUMNS))
    if len(runs) > 1:
        told = ", ".join(f"{number:,} of run {run}" for run, number in runs.most_common())
        raise InputError(
            f"{predictions} holds reports of {len(runs)} runs of generate-reports ({told}), of other models or "
            "settings; score each run's own file"
        )
    [run] = runs or [None]
    record_file = predictions.with_suffix(".run.json")
    if run is None or not record_file.is_file():
        return None if run is None else {"run": run}
    try:
        record: dict[str, Any] = json.loads(record_file.read_text(encoding="utf-8"))
        made_by, control = record["run"], record["settings"]["control"]
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"{record_file} is damaged; give the command that wrote {predictions} again") from None
    if made_by != run:
        raise InputError(
            f"{record_file} tells of run {made_by}, and the reports beside it are of run {run}: one of the two was "
            "copied from elsewhere; give the command that wrote them again"
        )
    return {name: record.get(name) for name in _KEPT} | {"control": control}
