"""Asking: what is asked and what not, once and never again, and what a bad or dead server leaves behind."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from eval.radfact.judge import Judge
from eval.radfact.judgments import Outcome, ReportPair, Verdict
from eval.radfact.score import count_failures, radfact_columns
from eval.radfact.wire import Statement
from labeling.runtime.ask import Policy
from labeling.runtime.engines.endpoint import EndpointEngine
from labeling.runtime.store import Store
from tests.eval.radfact.invented import QUICK, RuleEngine, judge_all
from tests.eval.radfact.judge_stub import running_judge
from tests.stub_server import Fault

ROOT = Path(__file__).parents[3]
# Of different words throughout, so that no two questions are alike: 2 splits and 4 judgments a study.
NUM_STUDIES = 30
STUDIES = [
    ReportPair(
        f"s{n}",
        f"Opacity number {n} is seen. Line {n} ends high.",
        f"An opacity number {n} is seen. Rib {n} is broken.",
    )
    for n in range(NUM_STUDIES)
]
QUESTIONS = NUM_STUDIES * 6


def judge_on(url: str, folder: Path, pairs=STUDIES, policy: Policy = QUICK, **settings):
    """Judge through a server; gives the studies and the tallies."""

    async def go():
        async with EndpointEngine("stub-model", url, request_timeout_s=10, **settings) as engine:
            with Store(folder / "answers.sqlite") as store:
                judge = Judge(engine, store, policy)
                return await judge.judge(pairs, lambda *_: None), judge.tallies

    return asyncio.run(go())


def failures(studies) -> set[tuple[str, str | None]]:
    """(reason, kind) of whatever failed."""
    found = set()
    for study in studies:
        for _, side in study.sides:
            found |= {side.split_failure} | {verdict.failure for _, verdict in side.phrases}
    return {(failure.reason, failure.kind) for failure in found - {None}}


def test_each_phrase_knows_its_sentence_and_is_judged_against_the_other_report(tmp_path):
    pair = ReportPair("s", "FINDINGS:\n- The heart  is\nlarge. No edema.", "No edema is seen. The heart is large.")
    [study] = judge_all([pair], tmp_path)
    said = [(judged.phrase, judged.verdict) for judged in study.prediction.phrases]
    assert [phrase.text for phrase, _ in said] == ["The heart is large.", "No edema."]
    assert [pair.prediction[p.start : p.end] for p, _ in said] == ["The heart  is\nlarge.", "No edema."]
    assert [phrase.sentence for phrase, _ in said] == [1, 2]
    assert [verdict for _, verdict in said] == [Verdict(Outcome.ENTAILED, (2,)), Verdict(Outcome.ENTAILED, (1,))]
    assert [verdict.evidence for _, verdict in study.reference.phrases] == [(2,), (1,)]


def test_a_report_without_sentences_and_a_phrase_without_reference_ask_nobody(tmp_path):
    engine = RuleEngine()
    pairs = [ReportPair("a", "", "  \n"), ReportPair("b", "FINDINGS:", "..."), ReportPair("c", "No edema.", "")]
    a, b, c = judge_all(pairs, tmp_path, engine)
    assert a.prediction.phrases == a.reference.phrases == b.prediction.phrases == b.reference.phrases == ()
    assert [verdict for _, verdict in c.prediction.phrases] == [Verdict(Outcome.NOT_ENTAILED)]
    assert [name for name, _ in engine.asked] == ["phrases"]  # of c's prediction


def test_what_stands_several_times_is_asked_once_and_counts_each_time(tmp_path):
    engine = RuleEngine()
    same = "The heart is large. The heart is large. The heart is large."
    pairs = [ReportPair(f"s{n}", same, "Heart is large.") for n in range(40)]
    studies = judge_all(pairs, tmp_path, engine, Policy(concurrency=16, max_corrections=0))
    assert sorted(name for name, _ in engine.asked) == ["entailment", "entailment", "phrases", "phrases"]
    assert all(len(study.prediction.phrases) == 3 for study in studies)


def test_a_second_run_asks_nothing_and_gives_the_same(tmp_path):
    first, second = RuleEngine(), RuleEngine()
    studies = judge_all(STUDIES, tmp_path, first)
    assert len(first.asked) == QUESTIONS
    assert judge_all(STUDIES, tmp_path, second) == studies
    assert second.asked == []


def test_another_model_is_asked_anew(tmp_path):
    judge_all(STUDIES[:1], tmp_path)
    other = RuleEngine("other")
    judge_all(STUDIES[:1], tmp_path, other)
    assert len(other.asked) == 6


def test_only_what_failed_is_asked_again(tmp_path):
    judge_all(STUDIES, tmp_path, RuleEngine(answers={"HYPOTHESIS:\nLine 7 ends high.": "no"}))
    again = RuleEngine()
    studies = judge_all(STUDIES, tmp_path, again)
    assert [shown.rpartition("\n")[2] for _, shown in again.asked] == ["Line 7 ends high."]
    assert failures(studies) == set()


def test_the_order_of_studies_is_kept_and_a_study_twice_is_refused(tmp_path):
    assert [study.study_id for study in judge_all(STUDIES[::-1], tmp_path)] == [p.study_id for p in STUDIES[::-1]]
    with pytest.raises(ValueError, match="1 study ids stand twice, 's0' for one"):
        judge_all([STUDIES[0], STUDIES[1], STUDIES[0]], tmp_path)


def test_single_statements_are_judged(tmp_path):
    statements = [
        Statement("The heart is large.", ("No edema.", "Heart is large.")),
        Statement("The heart is large.", ("No edema.",)),
        Statement("The heart is large.", ()),
        Statement("The heart is large NOEVID.", ("Heart is large.",)),
    ]
    with Store(tmp_path / "answers.sqlite") as store:
        verdicts = asyncio.run(Judge(RuleEngine(), store, QUICK).verdicts(statements, lambda *_: None))
    assert [verdicts[one].outcome for one in statements] == ["entailed", "not_entailed", "not_entailed", "failed"]


def test_progress_tells_stage_total_and_what_is_done(tmp_path):
    told = []
    with Store(tmp_path / "answers.sqlite") as store:
        judge = Judge(RuleEngine(), store, QUICK)
        asyncio.run(judge.judge(STUDIES[:2], lambda stage, total, tally: told.append((stage, total, tally.done))))
    assert told[0] == ("phrases", 4, 1)
    assert told[-1] == ("entailment", 8, 8)
    assert {name: (tally.answered, tally.failed) for name, tally in judge.tallies.items()} == {
        "phrases": (4, 0),
        "entailment": (8, 0),
    }


def test_the_description_names_model_settings_and_prompts():
    judge = Judge(RuleEngine("m"), None, QUICK)
    described = judge.description
    assert (described["engine"], described["model"], described["settings"]) == ("stub", "m", {})
    assert list(described["prompts"]) == ["phrases.v1", "entailment.v1"]
    assert all(len(sha) == 64 for sha in described["prompts"].values())


def test_a_lying_server_is_shown_its_mistake_and_then_counted_by_kind(tmp_path):
    pairs = [ReportPair("s", "Rib 1 is broken WRONGEV. Rib 2 is broken NOEVID.", "No rib is broken.")]
    with running_judge() as stub:
        [study], tallies = judge_on(stub.url, tmp_path, pairs, Policy(concurrency=1, max_corrections=2))
        corrections = [stub.body_of(index)["messages"][-1]["content"] for index in range(len(stub.stats.bodies))]
    kinds = [verdict.failure.kind for _, verdict in study.prediction.phrases]
    assert kinds == ["cites evidence that does not exist", "entails without evidence"]
    assert all("no valid answer in 3 tries" in verdict.failure.reason for _, verdict in study.prediction.phrases)
    assert sum("there is no statement 2 in the reference; it has 1 to 1" in text for text in corrections) == 2
    assert sum("without one it is not_entailment" in text for text in corrections) == 2
    assert (tallies["entailment"].answered, tallies["entailment"].failed) == (1, 2)


def test_an_answer_that_is_corrected_counts(tmp_path):
    fault = Fault("answer", times=1, marker="HYPOTHESIS:\nLine 0", answer='{"evidence": [], "status": "entailment"}')
    with running_judge(faults=[fault]) as stub:
        studies, _ = judge_on(stub.url, tmp_path, STUDIES[:1], Policy(concurrency=1))
    assert stub.stats.chat_requests == 7
    assert failures(studies) == set()


def test_a_split_that_fails_leaves_both_reports_unjudged(tmp_path):
    [study] = judge_all([ReportPair("s", "No edema. BADJSON here.", "No edema. No effusion.")], tmp_path)
    assert study.prediction.phrases == ()
    assert study.prediction.split_failure.kind == "is not JSON"
    assert [verdict.outcome for _, verdict in study.reference.phrases] == ["failed", "failed"]
    assert {v.failure.reason for _, v in study.reference.phrases} == {"the other report could not be taken apart"}


def test_a_dead_server_leaves_failures_that_say_so_and_no_judgment(tmp_path):
    studies, tallies = judge_on("http://127.0.0.1:9/v1", tmp_path)
    reasons = {reason for reason, _ in failures(studies)}
    assert all("nothing listens at http://127.0.0.1:9/v1 (connection refused)" in reason for reason in reasons)
    assert any(reason.startswith("not asked: ") for reason in reasons)
    assert count_failures(radfact_columns(studies)) == (60, 60, 0, 0)
    assert tallies["phrases"].usage.requests < 60  # most are not even tried


def test_a_server_that_dies_half_way_fails_what_is_left_and_a_later_run_asks_only_that(tmp_path):
    fault = Fault("401", times=None, marker="HYPOTHESIS:\nRib 20")
    with running_judge(faults=[fault]) as stub:
        broken, tallies = judge_on(stub.url, tmp_path, policy=Policy(concurrency=2))
        answered = tallies["entailment"].answered
        assert 0 < answered < 4 * NUM_STUDIES
        assert {kind for _, kind in failures(broken)} == {None}
        assert any("refused the key (401)" in reason for reason, _ in failures(broken))
        stub.faults, before = [], stub.stats.chat_requests
        mended, _ = judge_on(stub.url, tmp_path)
        assert stub.stats.chat_requests - before == 4 * NUM_STUDIES - answered
    assert failures(mended) == set()


def test_a_killed_run_goes_on_without_asking_anything_twice(tmp_path):
    code = f"""
        import asyncio, pathlib
        from tests.eval.radfact.test_radfact_judge import judge_on
        judge_on({{url!r}}, pathlib.Path({str(tmp_path)!r}))
    """
    with running_judge(latency_s=0.05) as stub:
        process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code.format(url=stub.url))], cwd=ROOT)
        deadline = time.monotonic() + 60
        while stub.stats.chat_requests < 2 * NUM_STUDIES + 20 and time.monotonic() < deadline:
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        before = stub.stats.chat_requests
        assert 2 * NUM_STUDIES + 20 <= before < QUESTIONS
        studies, tallies = judge_on(stub.url, tmp_path)
        asked = stub.stats.chat_requests - before
    kept = sum(tally.reused for tally in tallies.values())
    assert asked == QUESTIONS - kept
    # Lost is what was in flight (4), and what came in the last moment before the kill.
    assert before - kept <= 4 * 4
    assert tallies["phrases"].reused == 2 * NUM_STUDIES
    assert studies == judge_all(STUDIES, tmp_path / "undisturbed")


def test_no_word_of_a_report_is_logged(tmp_path, caplog):
    pairs = [
        ReportPair("s", "Zebra one WRONGEV. BADYAML zebra.", "Zebra two NOEVID."),
        ReportPair("t", "BADJSON", "Zebra."),
    ]
    with caplog.at_level(logging.DEBUG), running_judge(faults=[Fault("500", times=2)]) as stub:
        judge_on(stub.url, tmp_path, pairs, Policy(concurrency=1, backoff_base_s=0.0))
        judge_on("http://127.0.0.1:9/v1", tmp_path / "dead", pairs, Policy(concurrency=1, backoff_base_s=0.0))
    assert stub.stats.faults["500"] == 2
    assert "ebra" not in caplog.text
