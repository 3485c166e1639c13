"""Keeps all workers together within a server's limits: requests and tokens a minute, and pauses after a refusal."""

from __future__ import annotations

from collections.abc import Callable

from labeling.runtime.engine import Question
from labeling.runtime.retry import backoff_s

CHARACTERS_PER_TOKEN = 4.0  # English prose, by OpenAI's rule of thumb; only until the first usage is known
ASSUMED_CHANGING_TOKENS = 500  # a report and its answer, until the first usage is known


class Allowance:
    """So many units a minute, spent evenly: at most one second's worth at once, then as they come in.

    What is taken is taken at once and may leave a debt, which the next ones wait for; so those who wait need no queue.
    clock: seconds, monotonic.
    """

    def __init__(self, per_minute: float, clock: Callable[[], float]) -> None:
        self._per_s = per_minute / 60
        self._most = max(1.0, self._per_s)
        self._balance = self._most
        self._clock = clock
        self._at = clock()

    def take(self, amount: float) -> float:
        """Spend, and give the seconds to wait before acting on it.

        An amount above one second's worth waits for that only, and the rest is debt: nothing is too large to be asked.
        """
        now = self._clock()
        self._balance = min(self._most, self._balance + (now - self._at) * self._per_s)
        self._at = now
        wait_s = max(0.0, (min(amount, self._most) - self._balance) / self._per_s)
        self._balance -= amount
        return wait_s

    def correct(self, amount: float) -> None:
        """Spend more (or, negative, less) than was taken."""
        self._balance -= amount


class RateLimiter:
    """Requests and tokens a minute, over all workers. A None limit is none.

    A request's tokens are known only from its answer; before it, the mean of the prompt's earlier answers is taken,
    and the difference corrected.
    """

    def __init__(
        self, requests_per_minute: float | None, tokens_per_minute: float | None, clock: Callable[[], float]
    ) -> None:
        self._requests = Allowance(requests_per_minute, clock) if requests_per_minute else None
        self._tokens = Allowance(tokens_per_minute, clock) if tokens_per_minute else None
        self._means: dict[str, tuple[float, int]] = {}  # prompt -> mean tokens, over how many answers
        self.limits_anything = self._requests is not None or self._tokens is not None

    def take(self, question: Question) -> tuple[float, float]:
        """Spend one request: the seconds to wait, and the tokens taken for it, which `settle` wants back."""
        wait_s = self._requests.take(1) if self._requests else 0.0
        if self._tokens is None:
            return wait_s, 0.0
        tokens = self._expected_tokens(question)
        return max(wait_s, self._tokens.take(tokens)), tokens

    def settle(self, question: Question, taken: float, used: int) -> None:
        """Correct what was taken by what the request really used (nothing, if it never reached the model)."""
        if self._tokens is None:
            return
        self._tokens.correct(used - taken)
        if used:
            mean, count = self._means.get(question.prompt_name, (0.0, 0))
            count = min(count + 1, 1000)  # follow the drift of a long run
            self._means[question.prompt_name] = (mean + (used - mean) / count, count)

    def _expected_tokens(self, question: Question) -> float:
        known = self._means.get(question.prompt_name)
        if known is not None:
            return known[0]
        static = sum(len(message.content) for message in question.prefix)
        return static / CHARACTERS_PER_TOKEN + ASSUMED_CHANGING_TOKENS


class CoolDown:
    """A pause of all workers after the server has refused for load.

    Many workers are refused at the same moment: only a refusal of a request that was sent after the last pause began
    makes the next pause longer. draw: uniform on 0 to 1.
    """

    def __init__(
        self,
        *,
        base_s: float,
        cap_s: float,
        max_retry_after_s: float,
        clock: Callable[[], float],
        draw: Callable[[], float],
    ) -> None:
        self._base_s = base_s
        self._cap_s = cap_s
        self._max_retry_after_s = max_retry_after_s
        self._clock = clock
        self._draw = draw
        self._rounds = 0
        self._refused_since: float | None = None
        self._began = float("-inf")
        self._until = float("-inf")

    def refused(self, *, sent_at: float, retry_after_s: float | None) -> None:
        """Take note of a refusal of a request that was sent at the given time of the clock."""
        now = self._clock()
        if self._refused_since is None:
            self._refused_since = now
        again = sent_at >= self._began
        if retry_after_s is not None:
            pause_s = min(retry_after_s, self._max_retry_after_s)
        elif again:
            # half is certain: a pause of nearly nothing would only be refused again
            pause_s = backoff_s(self._rounds + 1, base_s=self._base_s, cap_s=self._cap_s, draw=(1 + self._draw()) / 2)
        else:
            return
        if again:
            self._rounds += 1
            self._began = now
        self._until = max(self._until, now + pause_s)

    def answered(self) -> None:
        self._rounds = 0
        self._refused_since = None

    def refused_for_s(self) -> float:
        """How long the server has only refused; 0 after an answer."""
        return 0.0 if self._refused_since is None else self._clock() - self._refused_since

    def wait_s(self) -> float:
        """Seconds that this worker has still to wait: 0, or the rest of the pause and up to a quarter of it more, so
        that the workers do not come back as one."""
        rest_s = self._until - self._clock()
        if rest_s <= 0:
            return 0.0
        return rest_s + 0.25 * self._draw() * min(self._cap_s, self._until - self._began)
