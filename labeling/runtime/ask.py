"""Puts many questions to an engine: in parallel, within its limits, asking again where that makes sense.

Knows nothing of what is asked. Everything runs in one event loop; a fixed number of workers pull from one iterator, so
that memory does not grow with the number of questions and an engine that answers at once costs no task a question.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from labeling.runtime.engine import Complaint, Engine, EngineError, InvalidAnswer, Question, RateLimited, Usage
from labeling.runtime.limits import CoolDown, RateLimiter
from labeling.runtime.retry import backoff_s

logger = logging.getLogger(__name__)

MAX_CONCURRENCY = 512
_YIELD_AFTER_S = 0.02  # an engine that never waits gives the loop a turn this often, for Ctrl-C and the progress bar


class Outcome(NamedTuple):
    """What became of one question: `answer` or `failure`, never both. `usage` and `attempts` count failed requests.

    kind: what sort of fault the last of the invalid answers had; None where none came at all.
    """

    question: Question
    answer: str | None
    failure: str | None
    usage: Usage
    attempts: int
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """How hard to ask.

    concurrency: questions in flight at once, 1 to 512.
    max_attempts: requests for one answer when they fail by refused connections, timeouts, resets, 408, 409, 5xx.
    max_refusals: refusals for load (429, or any with a Retry-After) that one question may meet; each means waiting.
    max_refused_s: how long the server may refuse without one answer before the rest is not asked.
    max_corrections: how often an invalid answer is shown its problem and asked for again.
    requests_per_minute, tokens_per_minute: the server's limits, prompt and answer tokens together; None for none.
    backoff_base_s, backoff_cap_s: the wait after the n-th failure is up to base * 2^(n-1), never above the cap.
    max_retry_after_s: the longest a server's Retry-After is followed.
    """

    concurrency: int = 64
    max_attempts: int = 5
    max_refusals: int = 20
    max_refused_s: float = 1800.0
    max_corrections: int = 2
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    backoff_base_s: float = 1.0
    backoff_cap_s: float = 60.0
    max_retry_after_s: float = 120.0

    def __post_init__(self) -> None:
        if not 1 <= self.concurrency <= MAX_CONCURRENCY:
            raise ValueError(f"concurrency {self.concurrency} is outside 1 to {MAX_CONCURRENCY}")
        for name, least in (("max_attempts", 1), ("max_refusals", 0), ("max_corrections", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} {getattr(self, name)} is below {least}")
        for name in ("requests_per_minute", "tokens_per_minute"):
            limit = getattr(self, name)
            if limit is not None and limit <= 0:
                raise ValueError(f"{name} {limit:g} is not above 0; leave it out for no limit")
        for name in ("max_refused_s", "backoff_base_s", "backoff_cap_s", "max_retry_after_s"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} {getattr(self, name):g} is below 0")

    @property
    def failures_until_stop(self) -> int:
        """Questions in a row that must fail, nothing answered in between, before the rest is not asked: two rounds of
        all workers, for a short outage fails one."""
        return max(8, 2 * self.concurrency)


async def ask_all(
    engine: Engine,
    questions: Iterable[Question],
    check: Callable[[Question, str], str],
    *,
    policy: Policy,
    on_outcome: Callable[[Outcome], None],
) -> None:
    """Ask every question and hand over one outcome for each, in the order in which they are done.

    Args:
        engine: answers; see `labeling.runtime.engine`.
        questions: pulled one by one, never more than `policy.concurrency` ahead of the outcomes. Pulled in the event
            loop's thread: an iterator that blocks for long keeps answers that have come in waiting.
        check: gives the canonical answer to keep, or raises InvalidAnswer; then the model is shown its answer and the
            problem, and asked again.
        policy: concurrency, retries, limits.
        on_outcome: called in the event loop's thread.

    A fault that would meet every question (wrong key, unknown model), or an unbroken run of failures, stops the asking:
    every question that is left gets an outcome "not asked: ..." without a request. What `questions`, `check` (other
    than InvalidAnswer), `on_outcome` or a faulty engine raise ends everything at once, and so does cancellation; a
    question in flight then gets no outcome.
    """
    asking = _Asking(engine, check, policy, on_outcome)
    iterator = iter(questions)
    workers = [asyncio.create_task(asking.work(iterator)) for _ in range(policy.concurrency)]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)


class _Asking:
    """The state that all workers share."""

    def __init__(
        self,
        engine: Engine,
        check: Callable[[Question, str], str],
        policy: Policy,
        on_outcome: Callable[[Outcome], None],
    ) -> None:
        self._engine = engine
        self._check = check
        self._policy = policy
        self._on_outcome = on_outcome
        self._draw = random.Random().random
        self._limiter = RateLimiter(policy.requests_per_minute, policy.tokens_per_minute, time.monotonic)
        self._cool_down = CoolDown(
            base_s=policy.backoff_base_s,
            cap_s=policy.backoff_cap_s,
            max_retry_after_s=policy.max_retry_after_s,
            clock=time.monotonic,
            draw=self._draw,
        )
        self._stop_reason: str | None = None
        self._stopped = asyncio.Event()
        self._failures_in_a_row = 0
        self._yielded_at = time.monotonic()

    async def work(self, questions: Iterator[Question]) -> None:
        for question in questions:
            if self._stop_reason is None:
                outcome = await self._ask(question)
            else:
                outcome = Outcome(question, None, f"not asked: {self._stop_reason}", Usage(), 0)
            self._on_outcome(outcome)
            now = time.monotonic()
            if now - self._yielded_at > _YIELD_AFTER_S:
                self._yielded_at = now
                await asyncio.sleep(0)

    async def _ask(self, question: Question) -> Outcome:
        attempts = 0
        used = Usage()
        complaints: list[Complaint] = []
        failures = refusals = 0  # since the last answer to this question
        while True:
            taken = await self._turn(question)
            if self._stop_reason is not None:
                spoken = "stopped" if attempts else "not asked"
                return Outcome(question, None, f"{spoken}: {self._stop_reason}", used, attempts)
            attempts += 1
            sent_at = time.monotonic()
            try:
                reply = await self._engine.reply(question, complaints)
            except EngineError as error:
                used = used.plus(error.usage)
                self._settle(question, taken, error.usage)
                refused = isinstance(error, RateLimited) or error.retry_after_s is not None
                if refused:
                    refusals += 1
                    self._cool_down.refused(sent_at=sent_at, retry_after_s=error.retry_after_s)
                else:
                    failures += 1
                failure = self._judge(error, failures, refusals)
                if failure is not None:
                    return Outcome(question, None, failure, used, attempts)
                if not refused:
                    await self._sleep(self._backoff_s(failures))
                continue
            used = used.plus(reply.usage) if attempts > 1 else reply.usage
            self._settle(question, taken, reply.usage)
            self._cool_down.answered()
            self._failures_in_a_row = failures = refusals = 0
            try:
                return Outcome(question, self._check(question, reply.text), None, used, attempts)
            except InvalidAnswer as problem:
                if len(complaints) == self._policy.max_corrections:
                    failure = f"no valid answer in {len(complaints) + 1} tries; the last one {problem.kind}"
                    return Outcome(question, None, failure, used, attempts, problem.kind)
                complaints.append(Complaint(reply.text, str(problem)))

    async def _turn(self, question: Question) -> float:
        """Wait until this question may be sent; gives the tokens set aside for it."""
        taken = 0.0
        await self._cooled_down()
        if self._limiter.limits_anything:
            wait_s, taken = self._limiter.take(question)
            await self._sleep(wait_s)
            await self._cooled_down()
        return taken

    async def _cooled_down(self) -> None:
        while self._stop_reason is None and (wait_s := self._cool_down.wait_s()) > 0:
            await self._sleep(wait_s)

    def _settle(self, question: Question, taken: float, usage: Usage) -> None:
        if self._limiter.limits_anything:
            self._limiter.settle(question, taken, usage.prompt_tokens + usage.completion_tokens)

    def _judge(self, error: EngineError, failures: int, refusals: int) -> str | None:
        """The failure that this error makes of its question, or None to ask again."""
        policy = self._policy
        if error.fatal:
            self._stop(error.reason)
            return error.reason
        refused_s = self._cool_down.refused_for_s()
        if refused_s > policy.max_refused_s:
            self._stop(f"{error.reason}, and nothing else for {refused_s:.0f} s")
        elif error.retryable and failures < policy.max_attempts and refusals <= policy.max_refusals:
            return None
        if error.usage.completion_tokens == 0:  # a model that answered, however badly, is there
            self._failures_in_a_row += 1
            if self._failures_in_a_row >= policy.failures_until_stop:
                self._stop(f"{self._failures_in_a_row} questions in a row failed, the last one with: {error.reason}")
        tries = failures + refusals
        return f"{error.reason} (tried {tries} times)" if error.retryable and tries > 1 else error.reason

    def _stop(self, reason: str) -> None:
        if self._stop_reason is None:
            logger.error("no more questions are asked: %s", reason)
            self._stop_reason = reason
            self._stopped.set()

    def _backoff_s(self, failures: int) -> float:
        return backoff_s(
            failures, base_s=self._policy.backoff_base_s, cap_s=self._policy.backoff_cap_s, draw=self._draw()
        )

    async def _sleep(self, seconds: float) -> None:
        """Wait so long, or until the asking is stopped."""
        if seconds > 0:
            try:
                async with asyncio.timeout(seconds):
                    await self._stopped.wait()
            except TimeoutError:
                pass
