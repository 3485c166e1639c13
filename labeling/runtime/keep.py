"""Asks what the store does not answer yet, and keeps each answer as it comes: a killed run loses next to nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from labeling.runtime.ask import Outcome, Policy, ask_all
from labeling.runtime.engine import Engine, Question, Usage
from labeling.runtime.store import Store

_FLUSH_ROWS = 256
_FLUSH_S = 0.05  # an answer waits at most this long before it is safe from a kill


@dataclass
class Tally:
    """What has happened so far, in questions."""

    questions: int = 0
    reused: int = 0
    answered: int = 0
    failed: int = 0
    usage: Usage = field(default_factory=Usage)

    @property
    def done(self) -> int:
        return self.reused + self.answered + self.failed


class Failure(NamedTuple):
    """Why a question has no answer. kind: the fault of an invalid answer, None when none came at all."""

    prompt_name: str
    reason: str
    kind: str | None

    def __str__(self) -> str:
        return f"{self.prompt_name}: {self.reason}"


class Keeper:
    """Puts questions to one engine through one store; `failures` holds what was asked in vain, by key."""

    def __init__(self, engine: Engine, store: Store, policy: Policy) -> None:
        self._engine = engine
        self._store = store
        self._policy = policy
        self._unkept: list[tuple[bytes, str]] = []
        self._pending: set[bytes] = set()
        self.failures: dict[bytes, Failure] = {}
        self.tally = Tally()

    async def ask(
        self,
        chunks: Iterable[Sequence[Question]],
        check: Callable[[Question, str], str],
        on_progress: Callable[[Tally], None],
    ) -> None:
        """Ask whatever the store does not answer yet, and keep each answer within a twentieth of a second.

        Args:
            chunks: questions in portions that are looked up together, pulled as they are needed.
            check: as for `ask_all`.

        Raises:
            StoreError: answers cannot be kept any more; asking stops.
        """

        def keep(outcome: Outcome) -> None:
            self.tally.usage = self.tally.usage.plus(outcome.usage)
            key = outcome.question.key
            if outcome.answer is not None:
                self.tally.answered += 1
                self._unkept.append((key, outcome.answer))
                if len(self._unkept) >= _FLUSH_ROWS:
                    self._flush()
            else:
                self.tally.failed += 1
                self._pending.discard(key)
                self.failures[key] = Failure(outcome.question.prompt_name, outcome.failure or "", outcome.kind)
            on_progress(self.tally)

        async def flush_often() -> None:
            while True:
                await asyncio.sleep(_FLUSH_S)
                self._flush()

        asking = asyncio.ensure_future(
            ask_all(self._engine, self.unanswered(chunks), check, policy=self._policy, on_outcome=keep)
        )
        flushing = asyncio.ensure_future(flush_often())
        try:
            await asyncio.wait({asking, flushing}, return_when=asyncio.FIRST_COMPLETED)
            if flushing.done():
                flushing.result()  # raises: the disk is full
            await asking
        finally:
            for task in (asking, flushing):
                task.cancel()
            await asyncio.gather(asking, flushing, return_exceptions=True)
            self._flush()
            on_progress(self.tally)

    def unanswered(self, chunks: Iterable[Sequence[Question]]) -> Iterator[Question]:
        """What `ask` would ask, each question once."""
        for chunk in chunks:
            # A question that stands twice is asked once: the second waits in no queue and finds its answer in the
            # store, also when the first was answered while this portion was still being asked.
            known = set(self._store.get([question.key for question in chunk]))
            self.tally.questions += len(chunk)
            for question in chunk:
                if question.key in known or question.key in self._pending:
                    self.tally.reused += 1
                else:
                    known.add(question.key)
                    self._pending.add(question.key)
                    yield question

    def _flush(self) -> None:
        if self._unkept:
            self._store.put(self._unkept)
            self._pending.difference_update(key for key, _ in self._unkept)
            self._unkept.clear()
