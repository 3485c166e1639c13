"""The one small protocol behind which every engine stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol


class Message(NamedTuple):
    role: str  # system, user or assistant
    content: str


@dataclass(frozen=True, slots=True)
class Question:
    """One prompt put to one subject.

    key: content address; two questions with one key have one answer.
    prefix: the static messages (instructions, examples), the same for every question of a prompt, so that a server can
        reuse its work on them; the changing part comes last.
    render: gives the last message, made only by engines that need text.
    subject: what is asked about, for engines that read it without a language model.
    """

    key: bytes
    prompt_name: str
    prefix: tuple[Message, ...]
    render: Callable[[], str]
    schema: Mapping[str, Any]
    subject: Any


class Usage(NamedTuple):
    """Tokens of one or many requests; failed attempts count too."""

    requests: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0

    def plus(self, other: Usage) -> Usage:
        return Usage(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


class Reply(NamedTuple):
    text: str
    usage: Usage = Usage()


class InvalidAnswer(ValueError):  # noqa: N818 - it is not an error of ours but the answer's
    """The answer breaks the schema or cannot be proven.

    The message is written for the model that must correct it and may quote the answer; `kind` says for people and logs
    what sort of fault it is, without any of its words.
    """

    def __init__(self, message: str, *, kind: str) -> None:
        super().__init__(message)
        self.kind = kind


class Complaint(NamedTuple):
    """An earlier answer and what was wrong with it, shown to the model when it is asked again."""

    answer: str
    problem: str


class EngineError(Exception):
    """A request that gave no answer.

    Args:
        reason: what happened, without any report text.
        retryable: asking again later may help.
        retry_after_s: the server's own wish, if it gave one.
        fatal: every other question would fail in the same way (wrong key, unknown model); stop asking.
        usage: what the failed request cost.
    """

    def __init__(
        self,
        reason: str,
        *,
        retryable: bool = False,
        retry_after_s: float | None = None,
        fatal: bool = False,
        usage: Usage = Usage(requests=1),  # noqa: B008 - immutable
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retryable = retryable
        self.retry_after_s = retry_after_s
        self.fatal = fatal
        self.usage = usage


class RateLimited(EngineError):  # noqa: N818 - the word of the field
    """The server refuses because too much was asked of it (429). Every worker pauses, and asking again is right."""

    def __init__(self, reason: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(reason, retryable=True, retry_after_s=retry_after_s)


class Engine(Protocol):
    """Answers questions.

    name: "rules", "endpoint", ...; model: what exactly answers, with its revision; settings: whatever else changes the
    answer (temperature, seed, max tokens). All three are part of a question's content address, so a change of any of
    them asks again.
    """

    @property
    def name(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def settings(self) -> Mapping[str, Any]: ...

    async def reply(self, question: Question, complaints: Sequence[Complaint]) -> Reply:
        """Give the answer's JSON text, unchecked.

        Raises:
            EngineError: no answer came.
        """
        ...
