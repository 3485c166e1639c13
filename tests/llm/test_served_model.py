"""`label-reports` against a real model behind a real server: SmolLM2-135M-Instruct in vLLM, on this machine's CPU.

The model is far too small to label well. What is tested is that nothing is lost, nothing unproven gets through and
nothing is asked twice, whatever it answers.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import openai
import pytest

from labeling.facts import wire_schema
from labeling.inputs import open_source, read_reports
from prompts.load import load_prompt, render_report
from studies.report_text import split_sentences
from tests.llm.recorder import Exchange, Recorder
from tests.llm.serve import ROOT, ServedModel, is_set_up

pytestmark = pytest.mark.llm

REPORTS = Path(__file__).parent / "reports.csv"  # short ones: of long reports this model makes nothing provable
PROMPTS = ("chest_tube", "findings")
RUN_TIMEOUT_S = 600


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
def reports() -> dict[str, str]:
    """Report id -> text."""
    source = open_source(str(REPORTS), id_column=None, text_column=None, encoding="utf-8", spool=ROOT)
    return {report.report_id: report.text for report in read_reports(source)}


class Run(NamedTuple):
    """What one run of the command left behind."""

    exit_code: int
    rows: list[dict[str, Any]]
    failures: list[dict[str, Any]]
    manifest: dict[str, Any]
    output: bytes

    @property
    def labelled(self) -> set[str]:
        return {row["report_id"] for row in self.rows}


def begin(output: Path, recorder: Recorder, server: ServedModel) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "labeling", "label", "--prompt", ",".join(PROMPTS), str(REPORTS)]
    command += ["-o", str(output), "--base-url", recorder.base_url, "--model", server.model]
    command += ["--request-timeout-s", "300", "--concurrency", "8", "--max-tokens", "256", "--max-attempts", "2"]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(process: subprocess.Popen[str], output: Path) -> Run:
    said, _ = process.communicate(timeout=RUN_TIMEOUT_S)
    assert process.returncode in (0, 3), said  # 3: more reports failed than --max-failures allows
    failures = output.with_name(output.stem + ".failures.jsonl")
    return Run(
        process.returncode,
        [json.loads(line) for line in output.read_text("utf-8").splitlines()],
        [json.loads(line) for line in failures.read_text("utf-8").splitlines()] if failures.exists() else [],
        json.loads(output.with_name(output.stem + ".run.json").read_text("utf-8")),
        output.read_bytes(),
    )


def asked(exchanges: list[Exchange], reports: dict[str, str]) -> set[tuple[str, str]]:
    """(prompt, report id) of all that the server was asked."""
    ids = {
        render_report((s.number, s.section.value, s.text) for s in split_sentences(text)): report_id
        for report_id, text in reports.items()
    }
    pairs = set()
    for exchange in exchanges:
        prompt = prompt_of(exchange)
        report = exchange.request["messages"][len(load_prompt(prompt).messages)]  # after instructions and examples
        pairs.add((prompt, ids[report["content"]]))
    return pairs


def prompt_of(exchange: Exchange) -> str:
    return str(exchange.request["response_format"]["json_schema"]["name"])


class Undisturbed(NamedTuple):
    run: Run
    output: Path
    exchanges: list[Exchange]
    prefix_hits: float


@pytest.fixture(scope="module")
def undisturbed(server: ServedModel, recorder: Recorder, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    output = tmp_path_factory.mktemp("undisturbed") / "labels.jsonl"
    hits = server.metric("vllm:prefix_cache_hits_total")
    before = len(recorder.exchanges)
    run = finish(begin(output, recorder, server), output)
    hits = server.metric("vllm:prefix_cache_hits_total") - hits
    return Undisturbed(run, output, recorder.exchanges[before:], hits)


def test_each_report_ends_as_one_row_or_one_named_failure(undisturbed: Undisturbed, reports: dict[str, str]) -> None:
    run = undisturbed.run
    ended = [row["report_id"] for row in run.rows] + [failure["report_id"] for failure in run.failures]
    assert sorted(ended) == sorted(reports)
    assert all(failure["reason"].startswith(PROMPTS) for failure in run.failures)


def test_each_label_is_the_reports_own_words_at_its_offsets(undisturbed: Undisturbed, reports: dict[str, str]) -> None:
    labels = [
        (reports[row["report_id"]], entry["evidence"], entry.get("reference_sentence") or entry.get("reference_phrase"))
        for row in undisturbed.run.rows
        for entry in row["lines_and_tubes"] + row["findings"]
    ]
    assert labels, undisturbed.run.failures  # or else nothing was tested
    for report, spans, words in labels:
        assert words
        assert words == " ".join(report[span["start"] : span["end"]] for span in spans)


def test_instructions_and_examples_come_from_the_prefix_cache(undisturbed: Undisturbed) -> None:
    # The requests of a prompt share some two thousand tokens; all but the first find them in the cache.
    usage = undisturbed.run.manifest["usage"]
    assert undisturbed.prefix_hits > 0.5 * usage["prompt_tokens"]
    assert usage["cached_tokens"] == undisturbed.prefix_hits


def test_every_finished_answer_is_json_of_the_asked_form(undisturbed: Undisturbed) -> None:
    finished = [exchange for exchange in undisturbed.exchanges if exchange.finish_reason == "stop"]
    assert {prompt_of(exchange) for exchange in finished} == set(PROMPTS)
    for exchange in finished:
        schema = wire_schema(prompt_of(exchange))
        [(name, entries)] = json.loads(exchange.content).items()
        assert [name] == schema["required"]
        [form] = [form for form in schema["$defs"].values() if form["type"] == "object"]
        assert all(list(entry) == form["required"] for entry in entries)


def test_the_server_enforces_the_schema_against_the_models_will(server: ServedModel) -> None:
    # The prompt's examples could be copied without any enforcement; a poem cannot come out as our JSON.
    def ask(**form: Any) -> str:
        completion = client.chat.completions.create(
            model=server.model,
            messages=[{"role": "user", "content": "Write a short poem about a cat. Do not write JSON."}],
            temperature=0,
            max_tokens=64,
            **form,
        )
        return completion.choices[0].message.content or ""

    schema = {"name": "chest_tube", "strict": True, "schema": wire_schema("chest_tube")}
    with openai.OpenAI(base_url=server.base_url, api_key="none", max_retries=0) as client:
        free = ask()
        held = ask(response_format={"type": "json_schema", "json_schema": schema})
    assert not free.startswith('{"lines_and_tubes":[')
    assert held.startswith('{"lines_and_tubes":[')


def test_the_same_command_again_asks_only_for_failed_answers(
    undisturbed: Undisturbed, recorder: Recorder, server: ServedModel, reports: dict[str, str]
) -> None:
    before = len(recorder.exchanges)
    again = finish(begin(undisturbed.output, recorder, server), undisturbed.output)
    pairs = asked(recorder.exchanges[before:], reports)
    assert len(pairs) == undisturbed.run.manifest["questions"]["failed"]
    assert not {report for _, report in pairs} & undisturbed.run.labelled
    assert undisturbed.run.labelled <= again.labelled


def test_a_server_killed_half_way_and_started_again_loses_nothing(
    undisturbed: Undisturbed, recorder: Recorder, server: ServedModel, reports: dict[str, str], tmp_path: Path
) -> None:
    output = tmp_path / "labels.jsonl"
    before = len(recorder.exchanges)
    process = begin(output, recorder, server)
    num_questions = len(reports) * len(PROMPTS)
    assert recorder.wait_for_answers(num_questions // 2, after=before, timeout_s=RUN_TIMEOUT_S)
    server.kill()
    broken = finish(process, output)
    assert broken.exit_code == 3
    assert 0 < len(broken.labelled) < len(reports)
    assert {failure["report_id"] for failure in broken.failures} == set(reports) - broken.labelled

    server.start()
    restarted = len(recorder.exchanges)
    mended = finish(begin(output, recorder, server), output)
    pairs = asked(recorder.exchanges[restarted:], reports)
    answered = broken.manifest["questions"]["answered"]
    assert mended.manifest["questions"]["reused"] == answered
    assert len(pairs) == num_questions - answered
    assert not {report for _, report in pairs} & broken.labelled
    assert mended.output == undisturbed.run.output
