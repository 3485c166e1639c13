"""Labels texts that other folders hold, as `label-reports --prompt all` does: findings and all lines and tubes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from labeling.intake import fault
from labeling.pipeline import Labeler
from labeling.placement.tables import load_tables
from labeling.rows import RowMaker
from labeling.runtime.ask import Policy
from labeling.runtime.engine import Engine
from labeling.runtime.store import Store
from labeling.schema import LabelRow
from prompts.load import load_prompt, resolve_prompts
from studies.records import Report

_PROMPT = "all"


async def label_texts(
    texts: Mapping[str, str],
    *,
    store_folder: Path,
    engine: Engine,
    policy: Policy,
) -> tuple[dict[str, LabelRow], dict[str, str]]:
    """Label texts by id as `label-reports --prompt all` does, with the shipped placement tables.

    Answers are kept in `answers.sqlite` in `store_folder`, by content: the same text is asked about once, also when a
    stopped run is started again, and `label-reports --store` shares them. An empty text, which a generated report may
    be, is a report that says nothing: it gets a row without asking anybody.

    Returns:
        The rows, and why the other ids have none; both in the order of `texts`.

    Raises:
        StoreError: answers cannot be kept.
    """
    prompts = [load_prompt(name) for name in resolve_prompts(_PROMPT)]
    row_maker = RowMaker(_PROMPT, prompts, engine.name, engine.model, load_tables())
    rows: dict[str, LabelRow] = {}
    failures: dict[str, str] = {}
    reports = [Report(report_id, text) for report_id, text in texts.items()]
    asked = []
    for report in reports:
        silent = not report.text.strip()
        reason = fault(report._replace(text="Clear.") if silent else report)  # the id can be at fault all the same
        if reason is not None:
            failures[report.report_id] = reason
        elif silent:
            rows[report.report_id] = row_maker.make(report, [], {})
        else:
            asked.append(report)
    with Store(store_folder / "answers.sqlite") as store:
        labeler = Labeler(prompts, engine, store, row_maker, policy)
        await labeler.ask(asked, lambda _: None)
        for report, result in labeler.results(asked, {}):
            if isinstance(result, LabelRow):
                rows[report.report_id] = result
            else:
                failures[report.report_id] = result
    return {key: rows[key] for key in texts if key in rows}, {key: failures[key] for key in texts if key in failures}
