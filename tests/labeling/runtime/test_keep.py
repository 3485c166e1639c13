"""The keeper: asks what is not known yet, once, and has each answer on the disk while the rest is being asked."""

import asyncio

import pytest

from labeling.runtime.ask import Policy
from labeling.runtime.engine import EngineError, InvalidAnswer, Question, Reply, Usage
from labeling.runtime.keep import Failure, Keeper
from labeling.runtime.store import Store, StoreError

QUICK = Policy(concurrency=4, max_attempts=1, max_corrections=0, backoff_base_s=0.0)
USAGE = Usage(requests=1, prompt_tokens=10, completion_tokens=2)


def question(name):
    return Question(name.encode().ljust(16, b"."), "prompt", (), lambda: name, {}, name)


def questions(names):
    return [question(name) for name in names]


class Speaker:
    """Says a question's name in capitals; small letters in `silent` get no answer. `on_reply` is awaited first."""

    name, model, settings = "speaker", "1", {}

    def __init__(self, silent="", on_reply=None):
        self.asked = []
        self._silent = silent
        self._on_reply = on_reply

    async def reply(self, question, complaints):
        del complaints
        self.asked.append(question.subject)
        if self._on_reply is not None:
            await self._on_reply(question.subject)
        if question.subject in self._silent:
            raise EngineError("the server is silent", usage=USAGE)
        return Reply(question.subject.upper(), USAGE)


def check(question, text):
    if question.subject == "x":
        raise InvalidAnswer("no X, please", kind="is an X")
    return f"<{text}>"


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "answers.sqlite") as opened:
        yield opened


def ask(keeper, *chunks, on_progress=lambda _: None):
    asyncio.run(keeper.ask([questions(names) for names in chunks], check, on_progress))


def kept(store, names):
    return {
        key.decode().rstrip("."): answer for key, answer in store.get([one.key for one in questions(names)]).items()
    }


def counts(keeper):
    tally = keeper.tally
    return tally.questions, tally.reused, tally.answered, tally.failed


def test_every_answer_is_kept_as_checked_and_counted(store):
    keeper = Keeper(Speaker(), store, QUICK)
    ask(keeper, "ab", "c")
    assert kept(store, "abcd") == {"a": "<A>", "b": "<B>", "c": "<C>"}
    assert counts(keeper) == (3, 0, 3, 0)
    assert keeper.tally.done == 3
    assert keeper.tally.usage == Usage(requests=3, prompt_tokens=30, completion_tokens=6)


def test_what_is_known_is_not_asked_again_by_another_keeper(store):
    ask(Keeper(Speaker(), store, QUICK), "ab")
    engine = Speaker()
    keeper = Keeper(engine, store, QUICK)
    ask(keeper, "abc")
    assert engine.asked == ["c"]
    assert counts(keeper) == (3, 2, 1, 0)


@pytest.mark.parametrize("chunks", [["aba"], ["ab", "a"], ["a", "b", "a"]])
def test_a_question_that_stands_twice_is_asked_once(store, chunks):
    engine = Speaker()
    keeper = Keeper(engine, store, QUICK)
    ask(keeper, *chunks)
    assert sorted(engine.asked) == ["a", "b"]
    assert counts(keeper) == (3, 1, 2, 0)


def test_what_stands_twice_is_asked_once_even_when_it_is_answered_before_its_turn_comes_again(store):
    # One worker: "a" is answered, and long kept, when the second "a" of the portion is pulled.
    engine = Speaker(on_reply=lambda _: asyncio.sleep(0.06))
    ask(Keeper(engine, store, Policy(concurrency=1)), "abca")
    assert engine.asked == ["a", "b", "c"]


def test_failures_have_their_reason_and_kind_and_nothing_is_kept_for_them(store):
    keeper = Keeper(Speaker(silent="b"), store, QUICK)
    ask(keeper, "abx")
    assert kept(store, "abx") == {"a": "<A>"}
    assert counts(keeper) == (3, 0, 1, 2)
    assert keeper.failures == {
        question("b").key: Failure("prompt", "the server is silent", None),
        question("x").key: Failure("prompt", "no valid answer in 1 tries; the last one is an X", "is an X"),
    }
    assert str(keeper.failures[question("b").key]) == "prompt: the server is silent"


def test_what_failed_is_asked_again_by_the_next_run(store):
    ask(Keeper(Speaker(silent="b"), store, QUICK), "ab")
    engine = Speaker()
    ask(Keeper(engine, store, QUICK), "ab")
    assert engine.asked == ["b"]


def test_what_failed_and_stands_in_a_later_portion_is_asked_again(store):
    engine = Speaker(silent="b")
    keeper = Keeper(engine, store, Policy(concurrency=1, max_attempts=1))
    ask(keeper, "b", "b")
    assert engine.asked == ["b", "b"]
    assert counts(keeper) == (2, 0, 0, 2)


def test_answers_are_on_the_disk_while_others_are_still_asked(store):
    seen = {}

    async def slow(name):
        if name == "z":
            await asyncio.sleep(0.3)  # several times the longest an answer waits
            seen.update(kept(store, "ab"))

    ask(Keeper(Speaker(on_reply=slow), store, QUICK), "abz")
    assert seen == {"a": "<A>", "b": "<B>"}


def test_a_run_that_is_cancelled_keeps_what_was_answered(store):
    async def hang(name):
        if name == "z":
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        ask(Keeper(Speaker(on_reply=hang), store, Policy(concurrency=1)), "abz")
    assert kept(store, "ab") == {"a": "<A>", "b": "<B>"}


def test_a_fault_of_the_engine_ends_it_and_keeps_what_was_answered(store):
    async def broken(name):
        if name == "z":
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ask(Keeper(Speaker(on_reply=broken), store, Policy(concurrency=1)), "abz")
    assert kept(store, "ab") == {"a": "<A>", "b": "<B>"}


def test_asking_stops_when_answers_cannot_be_kept(tmp_path):
    with Store(tmp_path / "answers.sqlite") as store:
        engine = Speaker(on_reply=lambda _: asyncio.sleep(0.03))
        full = StoreError("disk full")

        def put(_):
            raise full

        store.put = put
        with pytest.raises(StoreError, match="disk full"):
            ask(Keeper(engine, store, QUICK), [f"q{n}" for n in range(400)])
    assert len(engine.asked) < 100  # it would take 400


def test_progress_is_told_after_each_answer_and_at_the_end(store):
    ask(Keeper(Speaker(), store, QUICK), "a")
    told = []
    ask(Keeper(Speaker(silent="c"), store, QUICK), "abc", on_progress=lambda tally: told.append(tally.done))
    assert told[-1] == 3
    assert sorted(told) == told
    assert 2 in told
    nothing = []
    ask(Keeper(Speaker(), store, QUICK), "a", on_progress=lambda tally: nothing.append(tally.done))
    assert nothing == [1]  # all of it was known, and that is told too


def test_unanswered_gives_what_would_be_asked_and_asks_nothing(store):
    ask(Keeper(Speaker(), store, QUICK), "a")
    engine = Speaker()
    keeper = Keeper(engine, store, QUICK)
    assert [one.subject for one in keeper.unanswered([questions("abb"), questions("bc")])] == ["b", "c"]
    assert engine.asked == []
    assert counts(keeper) == (5, 3, 0, 0)
