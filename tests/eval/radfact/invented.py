"""Judgments and engines for tests, in few words."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eval.radfact.judge import Judge
from eval.radfact.judgments import (
    Failure,
    Judged,
    Outcome,
    Phrase,
    ReportPair,
    SideJudgments,
    StudyJudgments,
    Verdict,
)
from labeling.runtime.ask import Policy
from labeling.runtime.engine import Complaint, Question, Reply
from labeling.runtime.store import Store
from tests.eval.radfact.judge_stub import answer_to

QUICK = Policy(concurrency=4, max_corrections=0, max_attempts=1, backoff_base_s=0.0)


def side(outcomes: str, *, other: int = 9, kind: str | None = None) -> SideJudgments:
    """One letter a phrase: E entailed, N not, F failed; "!" alone is a report that could not be taken apart."""
    sha = (outcomes or "-").encode().hex().ljust(64, "0")[:64]
    if outcomes == "!":
        return SideJudgments(sha, (), Failure("the server failed (500)", None))
    verdicts = {
        "E": Verdict(Outcome.ENTAILED, (1,)),
        "N": Verdict(Outcome.NOT_ENTAILED, (other,) if other == 1 else ()),
        "F": Verdict(Outcome.FAILED, failure=Failure("no valid answer", kind)),
    }
    return SideJudgments(
        sha,
        tuple(
            Judged(Phrase(f"phrase {number}", number, 10 * number, 10 * number + 9), verdicts[letter])
            for number, letter in enumerate(outcomes, 1)
        ),
    )


def study(study_id: str, prediction: str, reference: str, *, kind: str | None = None) -> StudyJudgments:
    return StudyJudgments(study_id, side(prediction, kind=kind), side(reference, kind=kind))


class RuleEngine:
    """The stub judge without a server; counts what it is asked. faults: words in the last message -> answer."""

    name = "stub"
    settings: Mapping[str, Any] = {}

    def __init__(self, model: str = "rule", answers: Mapping[str, str] | None = None) -> None:
        self.model = model
        self.answers = answers or {}
        self.asked: list[tuple[str, str]] = []

    async def reply(self, question: Question, complaints: Sequence[Complaint]) -> Reply:
        del complaints
        shown = question.render()
        self.asked.append((question.prompt_name, shown))
        await asyncio.sleep(0.001)
        for word, answer in self.answers.items():
            if word in shown:
                return Reply(answer)
        return Reply(answer_to(question.prompt_name, shown))


def judge_all(
    pairs: Sequence[ReportPair], folder: Path, engine: Any = None, policy: Policy = QUICK
) -> list[StudyJudgments]:
    """Judge with the store in `folder`, without a word on progress."""
    with Store(folder / "answers.sqlite") as store:
        judge = Judge(engine or RuleEngine(), store, policy)
        return asyncio.run(judge.judge(pairs, lambda *_: None))
