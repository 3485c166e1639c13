"""The endpoint engine against a server that misbehaves in every way we know of, over both HTTP transports."""

import asyncio
import functools
import json
import logging
import socket
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import openai
import pytest

from labeling.facts import read_answer, wire_schema
from labeling.runtime.ask import Policy, ask_all
from labeling.runtime.engine import Complaint, EngineError, InvalidAnswer, Message, Question, Usage
from labeling.runtime.engines import endpoint
from labeling.runtime.engines.endpoint import EndpointEngine
from tests.stub_server import CACHED_TOKENS, Fault, running_stub

MARKER = "Zebrafish"  # stands for what a report says; must never be seen in a log or a reason
KEY = "sk-verysecret"
PREFIX = (Message("system", "Read the report. " * 200), Message("user", "An example."), Message("assistant", "{}"))
SCHEMA = wire_schema("chest_tube")
EMPTY = '{"lines_and_tubes": []}'
QUICK = Policy(concurrency=2, max_attempts=3, max_refusals=3, backoff_base_s=0.001, backoff_cap_s=0.01)


@pytest.fixture(autouse=True)
def _quiet_environment(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@functools.cache
def has_aiohttp():
    try:
        openai.DefaultAioHttpClient()
    except RuntimeError:
        return False
    return True


@pytest.fixture(params=["aiohttp", "httpx"])
def transport(request, monkeypatch):
    """Each of the two HTTP libraries that the client may stand on."""
    if request.param == "httpx":

        def missing(**_):
            raise RuntimeError("the aiohttp extra is not installed")

        monkeypatch.setattr(openai, "DefaultAioHttpClient", missing)
    else:
        assert has_aiohttp(), "openai's aiohttp extra is a dependency: set the environment up with make test"
    return request.param


both = pytest.mark.usefixtures("transport")


def question(number=0, words=""):
    text = f"[1] The {MARKER} of the chest, report {number}. {words}"
    return Question(str(number).encode(), "chest_tube", PREFIX, lambda: text, SCHEMA, None)


def check(asked, text):
    try:
        answer = read_answer(asked.prompt_name, text)
    except ValueError as error:
        raise InvalidAnswer(str(error), kind="breaks the schema") from None
    for entry in answer.lines_and_tubes:
        if max(entry.sentences) > 1:
            raise InvalidAnswer(f"there is no sentence {max(entry.sentences)}", kind="cites no sentence")
    return text


def ask(url, count=1, *, policy=QUICK, words="", **settings):
    """Ask through a fresh engine; gives the outcomes in the order of the questions."""
    outcomes = []

    async def run():
        async with EndpointEngine("stub-model", url, **{"request_timeout_s": 5.0} | settings) as engine:
            asked = (question(number, words) for number in range(count))
            await ask_all(engine, asked, check, policy=policy, on_outcome=outcomes.append)

    asyncio.run(run())
    return sorted(outcomes, key=lambda outcome: int(outcome.question.key))


def ask_with(fault, **settings):
    """Ask one question of a server with this one rule; gives the outcome and the stub."""
    with running_stub(faults=[fault]) as stub:
        (outcome,) = ask(stub.url, **settings)
    return outcome, stub


def header(stub, name, index=-1):
    for line in stub.stats.heads[index].split("\r\n")[1:]:
        key, _, value = line.partition(": ")
        if key.lower() == name:
            return value
    return None


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


# ---- good answers


@both
def test_an_answer_comes_with_its_tokens():
    with running_stub() as stub:
        (outcome,) = ask(stub.url)
    prompt_tokens = sum(len(message["content"]) for message in stub.body_of(0)["messages"]) // 4
    assert outcome.answer == EMPTY
    assert outcome.usage == Usage(1, prompt_tokens, CACHED_TOKENS, 8)


@both
def test_a_server_that_counts_no_tokens_is_answered_all_the_same():
    outcome, _ = ask_with(Fault("no_usage"))
    assert (outcome.answer, outcome.usage) == (EMPTY, Usage(requests=1))


def test_token_counts_that_are_no_numbers_count_as_none():
    outcome, _ = ask_with(Fault("odd_usage"))
    assert (outcome.answer, outcome.usage) == (EMPTY, Usage(1, 0, 0, 8))


@both
def test_as_many_requests_are_in_flight_as_asked_for():
    with running_stub(latency_s=1.0) as stub:  # a slow machine needs a while to open 128 connections
        ask(stub.url, 256, policy=Policy(concurrency=128))
    assert stub.stats.max_in_flight == 128


@both
def test_connections_are_used_again():
    with running_stub(latency_s=0.002) as stub:
        ask(stub.url, 60, policy=Policy(concurrency=4))
    assert stub.stats.connections == 4


# ---- what is sent


@both
def test_the_request_is_strict_json_schema_with_the_static_part_first():
    with running_stub() as stub:
        ask(stub.url, 2, seed=7, temperature=0.5, max_tokens=99)
    body = stub.body_of(0)
    assert body["messages"][:3] == [{"role": m.role, "content": m.content} for m in PREFIX]
    assert body["messages"][3] == {"role": "user", "content": question().render()}
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "chest_tube", "strict": True, "schema": SCHEMA},
    }
    assert (body["model"], body["seed"], body["temperature"], body["max_tokens"]) == ("stub-model", 7, 0.5, 99)
    first, second = stub.stats.bodies
    shared = next(i for i, (one, other) in enumerate(zip(first, second, strict=False)) if one != other)
    assert first.index(b"Zebrafish") < shared  # they differ only behind the report's first words


def test_settings_that_are_none_are_left_to_the_server():
    body = json.loads(EndpointEngine("m", "http://localhost/v1", temperature=None, seed=None).request_body(question()))
    assert body.keys() == {"model", "max_tokens", "messages", "response_format"}


def test_openai_itself_gets_the_new_name_of_max_tokens():
    body = json.loads(EndpointEngine("m", "https://api.openai.com/v1", max_tokens=5).request_body(question()))
    assert (body.get("max_completion_tokens"), body.get("max_tokens")) == (5, None)


@pytest.mark.parametrize(("structured", "form"), [("json_object", {"type": "json_object"}), ("text", None)])
def test_without_an_enforced_schema_the_schema_stands_in_the_instructions(structured, form):
    body = json.loads(EndpointEngine("m", "http://localhost/v1", structured=structured).request_body(question()))
    assert body.get("response_format") == form
    assert body["messages"][0]["content"].startswith(PREFIX[0].content)
    assert json.dumps(SCHEMA) in body["messages"][0]["content"]


def test_instructions_that_change_are_not_taken_from_the_earlier_question():
    engine = EndpointEngine("m", "http://localhost/v1")
    engine.request_body(question())
    other = Question(b"", "chest_tube", (Message("system", "Other words."),), lambda: "text", {}, None)
    body = json.loads(engine.request_body(other))
    assert body["messages"][0]["content"] == "Other words."
    assert body["response_format"]["json_schema"]["schema"] == {}


def test_a_correction_shows_the_answer_and_its_problem():
    engine = EndpointEngine("m", "http://localhost/v1")
    body = json.loads(engine.request_body(question(), [Complaint("{1}", "no JSON"), Complaint("{2}", "no sentence 9")]))
    roles = [message["role"] for message in body["messages"][3:]]
    contents = [message["content"] for message in body["messages"][3:]]
    assert roles == ["user", "assistant", "user", "assistant", "user"]
    assert contents[0] == question().render()
    assert (contents[1], contents[3]) == ("{1}", "{2}")
    assert "no JSON" in contents[2]
    assert "no sentence 9" in contents[4]


def test_a_correction_of_an_empty_answer_keeps_the_turns_alternating():
    body = json.loads(EndpointEngine("m", "http://localhost/v1").request_body(question(), [Complaint("", "no JSON")]))
    assert [message["role"] for message in body["messages"][3:]] == ["user"]
    assert "no JSON" in body["messages"][-1]["content"]


def test_settings_hold_what_changes_an_answer_and_not_where_the_server_is():
    one = EndpointEngine("m", "http://localhost:1/v1", "a-key", request_timeout_s=1)
    other = EndpointEngine("m", "http://localhost:2/v1", "b-key", request_timeout_s=2)
    assert one.settings == other.settings
    assert one.settings == {"temperature": 0.0, "seed": 0, "max_tokens": 2048, "structured": "json_schema"}


# ---- the key


@pytest.mark.parametrize(
    ("given", "environment", "sent"),
    [("one", "two", "Bearer one"), (None, "two", "Bearer two"), (None, None, "Bearer none")],
)
def test_the_key_is_the_given_one_or_the_environment_s_or_a_placeholder(monkeypatch, given, environment, sent):
    if environment:
        monkeypatch.setenv("OPENAI_API_KEY", environment)
    with running_stub() as stub:
        ask(stub.url, api_key=given)
    assert header(stub, "authorization") == sent


# ---- faults that pass


@both
@pytest.mark.parametrize(
    "fault",
    [
        "408", "409", "429", "500", "503", "reset", "reset_before_answer", "garbage",
        "truncated_json", "html", "html_502", "not_an_object", "no_choices",
    ],
)  # fmt: skip
def test_a_passing_fault_is_asked_again(fault):
    outcome, stub = ask_with(Fault(fault, times=1))
    assert (outcome.answer, outcome.attempts, stub.stats.chat_requests) == (EMPTY, 2, 2)
    assert outcome.usage.requests == 2


@both
@pytest.mark.parametrize("fault", ["timeout", "dribble"])
def test_a_request_without_an_end_is_given_up_and_asked_again(fault):
    started = time.monotonic()
    outcome, _ = ask_with(Fault(fault, times=1), request_timeout_s=1.0)  # a busy machine answers the second in time
    assert (outcome.answer, outcome.attempts) == (EMPTY, 2)
    assert time.monotonic() - started >= 1.0


@both
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("408", "the server failed (408)"),
        ("500", "the server failed (500)"),
        ("html_502", "the server failed (502)"),
        ("429", "too many requests for the server (429)"),
        ("html", "the server answered 200 with an HTML page"),
        ("truncated_json", "the server answered 200 with no chat completion"),
        ("not_an_object", "the server answered 200 with no chat completion"),
        ("no_choices", "the server's completion holds no choice"),
        ("timeout", "no answer within 0.1 s"),
        ("dribble", "no answer within 0.1 s"),
    ],
)
def test_a_fault_that_stays_is_named(fault, reason):
    outcome, _ = ask_with(Fault(fault), request_timeout_s=0.1 if fault in ("timeout", "dribble") else 5.0)
    assert outcome.answer is None
    assert outcome.failure.startswith(f"{reason} (tried ")


@both
@pytest.mark.parametrize("fault", ["reset", "reset_before_answer", "garbage"])
def test_a_broken_connection_is_told_from_a_timeout(fault):
    outcome, _ = ask_with(Fault(fault))
    assert "connection" in outcome.failure
    assert outcome.failure.endswith("(tried 3 times)")


@both
def test_retry_after_in_seconds_is_waited_for():
    with running_stub(faults=[Fault("429", times=1, retry_after="0.4")]) as stub:
        ask(stub.url)
    first, second = stub.stats.times_s
    assert second - first >= 0.4


def test_retry_after_as_a_date_is_waited_for():
    when = datetime.now(UTC) + timedelta(seconds=2)
    with running_stub(faults=[Fault("503", times=1, retry_after=format_datetime(when, usegmt=True))]) as stub:
        ask(stub.url)
    first, second = stub.stats.times_s
    assert second - first >= 0.9  # dates carry whole seconds


def test_a_429_pauses_all_workers():
    with running_stub(latency_s=0.2, faults=[Fault("429", times=1, retry_after="0.6")]) as stub:
        ask(stub.url, 12, policy=Policy(concurrency=4))
    started = stub.stats.times_s[0]
    assert [at - started >= 0.6 for at in stub.stats.times_s] == [False] * 4 + [True] * 9


@both
def test_a_server_that_starts_late_is_waited_for():
    port = free_port()

    class Counting(EndpointEngine):
        failed = 0

        async def reply(self, question, complaints):
            try:
                return await super().reply(question, complaints)
            except EngineError:
                self.failed += 1
                raise

    async def run():
        outcomes = []
        async with Counting("stub-model", f"http://127.0.0.1:{port}/v1") as engine:
            policy = Policy(concurrency=4, max_attempts=1000, backoff_base_s=0.05, backoff_cap_s=0.05)
            asked = (question(number) for number in range(8))
            asking = asyncio.create_task(ask_all(engine, asked, check, policy=policy, on_outcome=outcomes.append))
            while engine.failed < 4:
                await asyncio.sleep(0.01)
            with running_stub(port=port):
                await asking
        return outcomes

    outcomes = asyncio.run(run())
    assert {o.answer for o in outcomes} == {EMPTY}
    assert max(o.attempts for o in outcomes) > 1


@both
def test_a_server_that_is_not_there_ends_the_asking_after_eight_questions():
    url = f"http://127.0.0.1:{free_port()}/v1"
    outcomes = ask(url, 20, policy=Policy(concurrency=1, max_attempts=2, backoff_base_s=0.001))
    refused = f"nothing listens at {url} (connection refused)"
    assert {o.failure for o in outcomes[:8]} == {f"{refused} (tried 2 times)"}
    assert {o.failure for o in outcomes[8:]} == {
        f"not asked: 8 questions in a row failed, the last one with: {refused}"
    }


# ---- faults of every question


@both
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("401", "OPENAI_API_KEY"),
        ("403", "forbids this key"),
        ("404", "knows no model 'stub-model'"),
        ("400_schema", "does not take the answer's JSON schema (400); try structured json_object"),
        ("429_quota", "quota is used up"),
    ],
)
def test_a_fault_of_every_question_is_met_once_and_says_what_to_do(fault, words):
    with running_stub(faults=[Fault(fault)]) as stub:
        outcomes = ask(stub.url, 50, policy=Policy(concurrency=1))
    assert stub.stats.chat_requests == 1
    assert words in outcomes[0].failure
    assert {o.failure for o in outcomes[1:]} == {f"not asked: {outcomes[0].failure}"}


def test_a_base_url_without_its_path_is_told_from_a_missing_model():
    with running_stub() as stub:
        (outcome,) = ask(stub.url.removesuffix("/v1"))
    assert "check the model's name and that the base URL ends in /v1" in outcome.failure


@both
def test_a_redirect_is_not_followed():
    with running_stub() as elsewhere, running_stub(faults=[Fault("redirect", location=elsewhere.url)]) as stub:
        stub.faults[0].location = f"{elsewhere.url}/chat/completions"
        (outcome,) = ask(stub.url)
    assert elsewhere.stats.connections == 0
    assert "redirects (307), which is not followed" in outcome.failure


@both
def test_the_environment_s_proxy_does_not_see_what_stays_on_this_machine(monkeypatch):
    with running_stub() as stub, running_stub() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        (outcome,) = ask(stub.url)
        assert (outcome.answer, proxy.stats.connections) == (EMPTY, 0)
        # the same proxy is used for another machine, or this test would show nothing
        monkeypatch.setattr(endpoint, "is_this_machine", lambda _url: False)
        ask(stub.url)
        assert proxy.stats.connections > 0


# ---- answers that are none


@both
@pytest.mark.parametrize(
    ("fault", "failure"),
    [
        ("length", "the answer was cut off at max_tokens 2048"),
        ("content_filter", "the server's content filter cut the answer off"),
        ("refusal", "the model refused to answer"),
        ("400_context", "report and instructions are longer than the context of 'stub-model' (400)"),
    ],
)
def test_what_asking_again_cannot_change_is_a_failure_at_once(fault, failure):
    outcome, stub = ask_with(Fault(fault))
    assert (outcome.failure, stub.stats.chat_requests) == (failure, 1)


def test_the_tokens_of_an_answer_that_was_cut_off_count():
    outcome, _ = ask_with(Fault("length"))
    assert outcome.usage.completion_tokens == 8


NO_SENTENCE_99 = json.dumps(
    {
        "lines_and_tubes": [
            {
                "type": "chest_tube", "sentences": [99], "side": "left", "status": "in_place", "tip": "upper",
                "tip_distance_cm": None, "tip_landmark": None, "tip_direction": None, "stated": "not_stated",
                "advice": "none", "pleural": "none", "pleural_sentences": [], "placement": None,
            }
        ]
    }
)  # fmt: skip


@pytest.mark.parametrize(
    "fault", [Fault("not_json"), Fault("wrong_schema"), Fault("null_content"), Fault("answer", answer=NO_SENTENCE_99)]
)
def test_an_invalid_answer_is_shown_its_problem_and_never_kept(fault):
    outcome, stub = ask_with(fault)
    assert outcome.answer is None
    assert outcome.failure.startswith("no valid answer in 3 tries; the last one ")
    assert stub.stats.chat_requests == 3
    last = stub.body_of(-1)["messages"]
    assert "This answer cannot be accepted" in last[-1]["content"]


def test_a_corrected_answer_is_kept():
    outcome, stub = ask_with(Fault("answer", times=1, answer=NO_SENTENCE_99))
    assert (outcome.answer, outcome.attempts) == (EMPTY, 2)
    assert "there is no sentence 99" in stub.body_of(-1)["messages"][-1]["content"]


# ---- silence about patients and keys


@both
@pytest.mark.parametrize(
    "fault", ["401", "400_context", "429", "500", "reset", "html", "not_json", "wrong_schema", "length", "redirect"]
)
def test_no_log_or_failure_holds_report_text_or_the_key(fault, caplog):
    caplog.set_level(logging.DEBUG)
    outcome, _ = ask_with(Fault(fault, location="http://127.0.0.1:1"), api_key=KEY)
    logged = "\n".join(f"{record.getMessage()} {record.exc_text} {record.exc_info}" for record in caplog.records)
    assert logged
    for kept_back in (MARKER, KEY):
        assert kept_back not in logged
        assert kept_back not in outcome.failure


def test_a_server_s_error_that_quotes_the_report_is_not_passed_on():
    rule = Fault("400_context")
    with running_stub(faults=[rule]) as stub:

        async def run():
            async with EndpointEngine("stub-model", stub.url) as engine:
                with pytest.raises(EngineError) as caught:
                    await engine.reply(question(words=MARKER), ())
                return caught.value

        error = asyncio.run(run())
    assert MARKER not in error.reason
    assert error.__suppress_context__


# ---- cancellation, models, arguments


@both
def test_cancelling_ends_the_requests_in_flight():
    with running_stub(faults=[Fault("timeout")]) as stub:

        async def run():
            async with EndpointEngine("stub-model", stub.url) as engine:
                asked = (question(number) for number in range(100))
                asking = asyncio.create_task(
                    ask_all(engine, asked, check, policy=Policy(concurrency=8), on_outcome=lambda _: None)
                )
                while stub.stats.in_flight < 8:
                    await asyncio.sleep(0.01)
                asking.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await asking
            await asyncio.sleep(0.1)
            assert stub.stats.in_flight == 0  # the server saw every connection close

        asyncio.run(asyncio.wait_for(run(), 10))


def models_of(url):
    async def run():
        async with EndpointEngine("", url) as engine:
            return await engine.served_models()

    return asyncio.run(run())


@both
def test_the_server_s_models_are_listed():
    with running_stub(models=("first", "second")) as stub:
        assert models_of(stub.url) == ["first", "second"]


@both
def test_a_server_without_a_list_of_models_is_named():
    with running_stub() as stub, pytest.raises(EngineError, match="ends in /v1"):
        models_of(stub.url.removesuffix("/v1"))
    with pytest.raises(EngineError, match="nothing listens at"):
        models_of(f"http://127.0.0.1:{free_port()}/v1")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"structured": "guided_json"}, "structured 'guided_json' is not one of json_schema, json_object, text"),
        ({"max_tokens": 0}, "max_tokens 0"),
        ({"request_timeout_s": 0}, "request_timeout_s 0"),
        ({"base_url": "localhost:8000"}, "does not begin with http"),
        ({"base_url": "http://me:password@localhost/v1"}, "give the key as OPENAI_API_KEY"),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(settings, words):
    with pytest.raises(ValueError, match=words):
        EndpointEngine("m", **{"base_url": "http://localhost/v1"} | settings)
