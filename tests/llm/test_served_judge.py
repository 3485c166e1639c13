"""RadFact's judge against a real model behind a real server: SmolLM2-135M-Instruct in vLLM, on this machine's CPU.

The model is far too small to judge well. What is tested is that whatever it answers ends as a valid judgment or as a
named failure, and that nothing is asked twice.
"""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from eval.radfact.judge import Judge
from eval.radfact.judgments import Outcome, ReportPair, StudyJudgments, read_judgments, write_judgments
from eval.radfact.score import count_failures, failure_bounds, radfact_columns, radfact_figures
from eval.radfact.wire import EntailmentAnswer, SplitAnswer
from labeling.runtime.ask import Policy
from labeling.runtime.engines.endpoint import EndpointEngine
from labeling.runtime.keep import Tally
from labeling.runtime.store import Store
from tests.llm.recorder import Exchange, Recorder
from tests.llm.serve import ServedModel, is_set_up

pytestmark = pytest.mark.llm

REPORTS = Path(__file__).parent / "reports.csv"
POLICY = Policy(concurrency=8, max_attempts=2)
MAX_TOKENS = 64  # too few for the longest splits, so that some fail
NUM_PAIRS = 8
KINDS = {  # faults that a server which enforces the schema leaves to the model
    "names a sentence that does not exist",
    "names a sentence twice",
    "entails without evidence",
    "cites evidence that does not exist",
}


class Run(NamedTuple):
    studies: list[StudyJudgments]
    tallies: dict[str, Tally]
    exchanges: list[Exchange]
    description: dict[str, object]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedModel]:
    assert is_set_up(), "the model's environment is missing: run make test-llm"
    with ServedModel(log=tmp_path_factory.mktemp("vllm") / "server.log") as served:
        yield served


@pytest.fixture(scope="module")
def recorder(server: ServedModel) -> Iterator[Recorder]:
    with Recorder(server.port) as recording:
        yield recording


@pytest.fixture(scope="module")
def pairs() -> list[ReportPair]:
    """Each report as the prediction for the one before it; the first for itself."""
    with REPORTS.open(encoding="utf-8", newline="") as file:
        rows = [(row["report_id"], row["report"]) for row in csv.DictReader(file)][:NUM_PAIRS]
    return [ReportPair(name, text, rows[max(0, at - 1)][1]) for at, (name, text) in enumerate(rows)]


def judge_all(pairs: list[ReportPair], store: Path, recorder: Recorder, model: str) -> Run:
    before = len(recorder.exchanges)

    async def go() -> Run:
        async with EndpointEngine(model, recorder.base_url, request_timeout_s=300.0, max_tokens=MAX_TOKENS) as engine:
            with Store(store) as kept:
                judge = Judge(engine, kept, POLICY)
                studies = await judge.judge(pairs, lambda *_: None)
                return Run(studies, judge.tallies, recorder.exchanges[before:], judge.description)

    return asyncio.run(go())


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store") / "answers.sqlite"


@pytest.fixture(scope="module")
def run(pairs: list[ReportPair], store: Path, recorder: Recorder, server: ServedModel) -> Run:
    return judge_all(pairs, store, recorder, server.model)


def test_each_phrase_ends_judged_by_evidence_that_exists_or_as_a_named_failure(run: Run) -> None:
    verdicts = 0
    for study in run.studies:
        for (_, own), (_, other) in (study.sides, study.sides[::-1]):
            assert own.split_failure is None or not own.phrases
            for _, verdict in own.phrases:
                verdicts += 1
                assert (verdict.outcome is Outcome.FAILED) == (verdict.failure is not None)
                assert all(1 <= number <= len(other.phrases) for number in verdict.evidence)
                assert verdict.evidence or verdict.outcome is not Outcome.ENTAILED
    assert verdicts > len(run.studies)  # or else nothing was tested


def test_each_failure_says_why(run: Run) -> None:
    failures = [side.split_failure for study in run.studies for _, side in study.sides if side.split_failure]
    failures += [v.failure for study in run.studies for _, side in study.sides for _, v in side.phrases if v.failure]
    for reason, kind in failures:
        if kind is None:
            assert reason in (
                f"the answer was cut off at max_tokens {MAX_TOKENS}",
                "the other report could not be taken apart",
            )
        else:
            assert kind in KINDS
            assert reason.endswith(f"the last one {kind}")


def test_every_finished_answer_is_json_of_the_asked_form(run: Run) -> None:
    finished = [exchange for exchange in run.exchanges if exchange.finish_reason == "stop"]
    asked = {exchange.request["response_format"]["json_schema"]["name"] for exchange in finished}
    assert asked == {"phrases", "entailment"}
    for exchange in finished:
        name = exchange.request["response_format"]["json_schema"]["name"]
        (SplitAnswer if name == "phrases" else EntailmentAnswer).model_validate_json(exchange.content)


def test_instructions_and_examples_come_from_the_prefix_cache(run: Run) -> None:
    usage = run.tallies["entailment"].usage
    assert usage.cached_tokens > 0.5 * usage.prompt_tokens


def test_the_scores_lie_within_the_bounds_of_the_failures(run: Run) -> None:
    columns = radfact_columns(run.studies)
    low, high = failure_bounds(columns)
    assert 0 <= low <= radfact_figures(columns)[0].point() <= high <= 1
    counts = count_failures(columns)
    assert counts.reports == 2 * len(run.studies)
    assert counts.failed_reports < counts.reports


def test_the_judgments_on_disk_give_the_same_scores(run: Run, tmp_path: Path) -> None:
    write_judgments(tmp_path / "judgments.jsonl", run.description, run.studies)
    read = read_judgments(tmp_path / "judgments.jsonl")
    assert list(read.studies) == run.studies
    assert read.judge == json.loads(json.dumps(run.description))


def test_the_same_again_asks_only_for_failed_answers(
    run: Run, pairs: list[ReportPair], store: Path, recorder: Recorder, server: ServedModel
) -> None:
    again = judge_all(pairs, store, recorder, server.model)
    for stage, tally in run.tallies.items():
        assert again.tallies[stage].reused >= tally.answered
    assert again.tallies["phrases"].answered + again.tallies["phrases"].failed == run.tallies["phrases"].failed
    whole = {study.study_id: study for study in run.studies if not has_failed(study)}
    assert {study.study_id: study for study in again.studies if study.study_id in whole} == whole


def has_failed(study: StudyJudgments) -> bool:
    return any(
        side.split_failure is not None or any(verdict.failure is not None for _, verdict in side.phrases)
        for _, side in study.sides
    )
