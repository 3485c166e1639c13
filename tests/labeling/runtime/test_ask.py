"""`ask_all` with engines that follow a script, without any network."""

import asyncio
import itertools
import time

import pytest

from labeling.runtime.ask import Outcome, Policy, ask_all
from labeling.runtime.engine import EngineError, InvalidAnswer, Question, RateLimited, Reply, Usage

QUICK = Policy(concurrency=1, backoff_base_s=0.001, backoff_cap_s=0.004)
TIMEOUT = EngineError("no answer within 1 s", retryable=True)


class ScriptedEngine:
    """Gives the script's steps one after the other, then "{}": an EngineError is raised, a Reply or text given back."""

    name, model, settings = "scripted", "1", {}

    def __init__(self, *script, delay_s=None):
        self.script = iter(script)
        self.delay_s = delay_s
        self.seen = []  # (subject, complaints) of each request
        self.sent_at = []
        self.in_flight = self.max_in_flight = 0

    async def reply(self, question, complaints):
        self.seen.append((question.subject, tuple(complaints)))
        self.sent_at.append(time.monotonic())
        step = next(self.script, "{}")
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        try:
            if self.delay_s is not None:
                await asyncio.sleep(self.delay_s)
        finally:
            self.in_flight -= 1
        if isinstance(step, Exception):
            raise step
        return step if isinstance(step, Reply) else Reply(step, Usage(1, 10, 4, 2))


def questions(count):
    for number in itertools.islice(itertools.count(), count):
        yield Question(str(number).encode(), "prompt", (), lambda: "secret report text", {}, number)


def keep(_question, text):
    return text


def refuse_prose(_question, text):
    if not text.startswith("{"):
        raise InvalidAnswer(f"{text!r} is not an object", kind="is no object")
    return text


def ask(engine, count=1, check=keep, policy=QUICK) -> list[Outcome]:
    outcomes: list[Outcome] = []
    asked = questions(count) if isinstance(count, (int, type(None))) else count
    asyncio.run(ask_all(engine, asked, check, policy=policy, on_outcome=outcomes.append))
    return outcomes


def test_each_question_gets_one_outcome_with_its_checked_answer():
    outcomes = ask(ScriptedEngine(), 100, lambda question, _: f"kept {question.subject}", Policy(concurrency=7))
    assert sorted(int(o.answer.removeprefix("kept ")) for o in outcomes) == list(range(100))
    assert {(o.failure, o.attempts, o.usage) for o in outcomes} == {(None, 1, Usage(1, 10, 4, 2))}


def test_no_questions_give_no_outcomes():
    assert ask(ScriptedEngine(), 0) == []


def test_as_many_questions_are_in_flight_as_the_policy_says():
    engine = ScriptedEngine(delay_s=0.005)
    ask(engine, 60, policy=Policy(concurrency=20))
    assert engine.max_in_flight == 20


def test_outcomes_come_in_the_order_in_which_they_are_done():
    class Backwards(ScriptedEngine):
        async def reply(self, question, complaints):
            await asyncio.sleep(0.03 - 0.01 * question.subject)
            return await super().reply(question, complaints)

    outcomes = ask(Backwards(), 3, policy=Policy(concurrency=3))
    assert [o.question.subject for o in outcomes] == [2, 1, 0]


def test_the_iterator_is_pulled_no_further_than_what_is_in_flight():
    pulled = 0
    done = 0
    most_ahead = 0

    def endless():
        nonlocal pulled, most_ahead
        for question in questions(None):
            pulled += 1
            most_ahead = max(most_ahead, pulled - done)
            yield question

    def count_done(_outcome):
        nonlocal done
        done += 1
        if done == 200:
            raise StopAsyncIteration

    async def run():
        with pytest.raises(StopAsyncIteration):
            await ask_all(
                ScriptedEngine(delay_s=0.001), endless(), keep, policy=Policy(concurrency=8), on_outcome=count_done
            )

    asyncio.run(run())
    assert most_ahead == 8


def test_an_engine_that_never_waits_leaves_the_loop_its_turns():
    ticks = 0

    async def run():
        nonlocal ticks

        async def tick():
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        ticking = asyncio.create_task(tick())
        deadline = time.monotonic() + 0.15
        until = itertools.takewhile(lambda _: time.monotonic() < deadline, questions(None))
        await ask_all(ScriptedEngine(), until, keep, policy=QUICK, on_outcome=lambda _: None)
        ticking.cancel()

    asyncio.run(run())
    assert ticks >= 4  # every 20 ms


def test_an_invalid_answer_is_shown_its_problem_and_asked_again():
    engine = ScriptedEngine("prose", "{}")
    (outcome,) = ask(engine, check=refuse_prose)
    assert (outcome.answer, outcome.attempts) == ("{}", 2)
    assert engine.seen[0] == (0, ())
    ((answer, problem),) = engine.seen[1][1]
    assert (answer, problem) == ("prose", "'prose' is not an object")


def test_an_answer_invalid_three_times_is_a_failure_without_its_words():
    engine = ScriptedEngine("secret one", "secret two", "secret three")
    (outcome,) = ask(engine, check=refuse_prose)
    assert outcome.answer is None
    assert outcome.failure == "no valid answer in 3 tries; the last one is no object"
    assert [len(complaints) for _, complaints in engine.seen] == [0, 1, 2]


def test_a_failure_tells_what_kind_of_fault_the_last_answer_had():
    def refuse(_question, _text):
        raise InvalidAnswer("no sentence 99", kind="cites no sentence")

    (outcome,) = ask(ScriptedEngine(), check=refuse)
    assert outcome.failure == "no valid answer in 3 tries; the last one cites no sentence"


def test_brackets_without_end_are_an_invalid_answer_like_any_other():
    (outcome,) = ask(ScriptedEngine(*["[" * 100_000] * 3), check=refuse_prose)
    assert outcome.failure == "no valid answer in 3 tries; the last one is no object"


def test_the_number_of_corrections_is_the_policy_s():
    engine = ScriptedEngine("a", "b", "c")
    ask(engine, check=refuse_prose, policy=Policy(concurrency=1, max_corrections=0))
    assert len(engine.seen) == 1


def test_a_passing_fault_is_asked_again_with_the_same_complaints():
    engine = ScriptedEngine("prose", TIMEOUT, "{}")
    (outcome,) = ask(engine, check=refuse_prose)
    assert (outcome.answer, outcome.attempts) == ("{}", 3)
    assert engine.seen[1] == engine.seen[2]


def test_faults_are_counted_afresh_after_an_answer():
    (outcome,) = ask(
        ScriptedEngine(TIMEOUT, TIMEOUT, "prose", TIMEOUT, TIMEOUT, "{}"),
        check=refuse_prose,
        policy=Policy(concurrency=1, max_attempts=3, backoff_base_s=0),
    )
    assert outcome.answer == "{}"


def test_a_fault_that_stays_is_a_failure_after_the_policy_s_attempts():
    engine = ScriptedEngine(*[TIMEOUT] * 9)
    (outcome,) = ask(engine)
    assert outcome.failure == "no answer within 1 s (tried 5 times)"
    assert outcome.attempts == len(engine.seen) == 5


def test_a_fault_that_asking_again_cannot_help_is_a_failure_at_once():
    engine = ScriptedEngine(EngineError("the answer was cut off at max_tokens 5"))
    first, second = ask(engine, 2)
    assert (first.failure, first.attempts) == ("the answer was cut off at max_tokens 5", 1)
    assert second.answer == "{}"


def test_the_usage_of_failed_attempts_counts():
    costly = EngineError("no choice", retryable=True, usage=Usage(1, 100, 0, 50))
    (outcome,) = ask(ScriptedEngine(costly, "prose", TIMEOUT, "{}"), check=refuse_prose)
    # 100+50 of the failed one, 1 request of the timeout, 10+2 tokens (4 cached) of each answer
    assert outcome.usage == Usage(4, 120, 8, 54)


def test_the_wait_between_attempts_keeps_to_its_cap():
    engine = ScriptedEngine(*[TIMEOUT] * 4)
    ask(engine, policy=Policy(concurrency=1, backoff_base_s=60, backoff_cap_s=0.03))
    waits = [later - earlier for earlier, later in itertools.pairwise(engine.sent_at)]
    assert len(waits) == 4
    assert max(waits) < 1  # four of at most 0.03 s, on a machine that is busy


def test_a_refusal_for_load_pauses_every_worker():
    engine = ScriptedEngine(RateLimited("429", retry_after_s=0.2), delay_s=0.01)
    started = time.monotonic()
    outcomes = ask(engine, 12, policy=Policy(concurrency=4))
    assert {o.answer for o in outcomes} == {"{}"}
    # the other three in flight were sent before the refusal came back; nothing is sent within the pause
    late = [at - started for at in engine.sent_at[4:]]
    assert len(late) == 9
    assert min(late) >= 0.2


def test_a_retry_after_of_any_fault_pauses_every_worker():
    engine = ScriptedEngine(EngineError("503", retryable=True, retry_after_s=0.1), delay_s=0.01)
    started = time.monotonic()
    ask(engine, 6, policy=Policy(concurrency=2))
    assert min(at - started for at in engine.sent_at[2:]) >= 0.1


def test_a_refusal_for_load_does_not_use_up_the_attempts():
    refusals = [RateLimited("429", retry_after_s=0.0)] * 8
    (outcome,) = ask(ScriptedEngine(*refusals))
    assert (outcome.answer, outcome.attempts) == ("{}", 9)


def test_a_question_refused_for_load_too_often_is_a_failure():
    engine = ScriptedEngine(*[RateLimited("too many requests (429)", retry_after_s=0.0)] * 9)
    (outcome,) = ask(engine, policy=Policy(concurrency=1, max_refusals=3))
    assert outcome.failure == "too many requests (429) (tried 4 times)"


def test_the_longest_retry_after_followed_is_the_policy_s():
    started = time.monotonic()
    ask(ScriptedEngine(RateLimited("429", retry_after_s=3600)), policy=Policy(concurrency=1, max_retry_after_s=0.05))
    assert time.monotonic() - started < 5


def test_a_server_that_only_refuses_for_long_is_not_asked_any_more():
    engine = ScriptedEngine(*[RateLimited("429", retry_after_s=0.02)] * 99)
    first, second = ask(engine, 2, policy=Policy(concurrency=1, max_refused_s=0.05, max_refusals=99))
    assert first.failure.startswith("429 (tried")
    assert second.failure.startswith("not asked: 429, and nothing else for")
    assert len(engine.seen) < 9


def test_a_fault_of_every_question_stops_the_asking_at_once():
    engine = ScriptedEngine(EngineError("wrong key", fatal=True))
    outcomes = ask(engine, 1000)
    assert len(engine.seen) == 1
    assert outcomes[0].failure == "wrong key"
    assert {(o.failure, o.attempts, o.usage) for o in outcomes[1:]} == {("not asked: wrong key", 0, Usage())}
    assert len(outcomes) == 1000


def test_a_stop_wakes_those_who_wait_to_try_again():
    engine = ScriptedEngine(TIMEOUT, EngineError("wrong key", fatal=True), delay_s=0.01)
    started = time.monotonic()
    outcomes = ask(engine, 2, policy=Policy(concurrency=2, backoff_base_s=3600, backoff_cap_s=3600))
    assert time.monotonic() - started < 5
    assert {o.failure for o in outcomes} == {"wrong key", "stopped: wrong key"}


def test_failures_without_end_stop_the_asking_after_eight_questions():
    engine = ScriptedEngine(*[TIMEOUT] * 99)
    outcomes = ask(engine, 20, policy=Policy(concurrency=1, max_attempts=2, backoff_base_s=0))
    assert len(engine.seen) == 8 * 2  # each of the eight was really tried twice
    assert [o.failure for o in outcomes[:8]] == ["no answer within 1 s (tried 2 times)"] * 8
    told = "not asked: 8 questions in a row failed, the last one with: no answer within 1 s"
    assert {o.failure for o in outcomes[8:]} == {told}


def test_any_answer_in_between_keeps_the_asking_going():
    steps = ([TIMEOUT] * 7 + ["{}"]) * 3
    outcomes = ask(ScriptedEngine(*steps), 24, policy=Policy(concurrency=1, max_attempts=1))
    assert sum(o.answer is not None for o in outcomes) == 3


def test_a_model_that_answers_badly_is_not_taken_for_a_dead_server():
    cut_off = EngineError("cut off", usage=Usage(1, 10, 0, 2048))
    outcomes = ask(ScriptedEngine(*[cut_off] * 20), 20)
    assert {o.failure for o in outcomes} == {"cut off"}


def test_requests_a_minute_are_kept():
    engine = ScriptedEngine()
    ask(engine, 15, policy=Policy(concurrency=8, requests_per_minute=600))  # ten at once, then one each 0.1 s
    assert engine.sent_at[9] - engine.sent_at[0] < 0.3
    assert 0.45 <= engine.sent_at[14] - engine.sent_at[0] < 2


def test_tokens_a_minute_are_kept():
    # 20 a second, 12 an answer. The first is thought to take 500; its answer corrects that, and leaves 8 of the 20: the
    # second waits (12 - 8) / 20 = 0.2 s, the third 12 / 20 = 0.6 s.
    engine = ScriptedEngine()
    policy = Policy(concurrency=1, tokens_per_minute=1200)
    warm = Question(b"", "prompt", (), str, {}, 0)

    async def run():
        await ask_all(engine, iter([warm] * 3), keep, policy=policy, on_outcome=lambda _: None)

    started = time.monotonic()
    asyncio.run(run())
    assert 0.75 <= engine.sent_at[2] - started < 2.5


def test_cancelling_stops_every_worker_and_gives_no_more_outcomes():
    engine = ScriptedEngine(delay_s=3600)
    outcomes = []

    async def run():
        asking = asyncio.create_task(
            ask_all(engine, questions(None), keep, policy=Policy(concurrency=8), on_outcome=outcomes.append)
        )
        await asyncio.sleep(0.02)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(run())
    assert (len(engine.seen), engine.in_flight, outcomes) == (8, 0, [])


def test_cancelling_reaches_an_engine_that_never_waits():
    async def run():
        asking = asyncio.create_task(
            ask_all(ScriptedEngine(), questions(None), keep, policy=QUICK, on_outcome=lambda _: None)
        )
        await asyncio.sleep(0.05)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    asyncio.run(run())


@pytest.mark.parametrize("where", ["questions", "check", "on_outcome", "engine"])
def test_a_slip_in_our_own_code_ends_everything_and_is_not_hidden(where):
    class SlipError(Exception):
        pass

    def slip(*_):
        raise SlipError

    def asked():
        yield from questions(3)
        if where == "questions":
            slip()
        yield from questions(3)

    engine = ScriptedEngine(*[SlipError()] * (where == "engine"))

    async def run():
        await ask_all(
            engine,
            asked(),
            slip if where == "check" else keep,
            policy=Policy(concurrency=4),
            on_outcome=slip if where == "on_outcome" else (lambda _: None),
        )
        pytest.fail("the slip was swallowed")

    with pytest.raises(SlipError):
        asyncio.run(run())


@pytest.mark.parametrize(
    "wrong",
    [
        {"concurrency": 0},
        {"concurrency": 513},
        {"max_attempts": 0},
        {"max_refusals": -1},
        {"max_corrections": -1},
        {"requests_per_minute": 0},
        {"tokens_per_minute": -1},
        {"backoff_base_s": -1},
        {"max_refused_s": -1},
    ],
)
def test_a_policy_out_of_range_is_refused_by_name(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=name):
        Policy(**wrong)
