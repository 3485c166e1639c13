"""Asks a language model behind any OpenAI-compatible server (vLLM, llama.cpp, OpenAI, ...).

The official client sends the requests; the body is put together here, since the same instructions, examples and schema
go out with every question and are written as JSON only once.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import ssl
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self, get_args

import openai

from labeling.runtime.address import is_this_machine, read_url
from labeling.runtime.ask import MAX_CONCURRENCY
from labeling.runtime.engine import Complaint, EngineError, Message, Question, Reply, Usage
from labeling.runtime.engines.endpoint_faults import is_fault, no_reply, unusable

Structured = Literal["json_schema", "json_object", "text"]
KEY_VARIABLE = "OPENAI_API_KEY"
_NO_KEY = "none"  # the client insists on a key; servers without keys ignore it
_OPENAI_HOST = re.compile(r"https://api\.openai\.com(/|$)")


class EndpointEngine:
    """An engine; use it as an async context manager, in the event loop that asks.

    Args:
        model: the server's name of the model.
        base_url: up to and with `/v1`. Not part of `settings`: a server that moved gives the same answers.
        api_key: without one the environment's OPENAI_API_KEY, or a placeholder for servers that need none.
        request_timeout_s: for one whole request, the server's queue included.
        temperature, seed: None leaves them to the server, for models that refuse them.
        max_tokens: of one answer; an answer cut off there is a failure.
        structured: how the answer's form is asked for. "json_schema" lets the server enforce it; "json_object"
            promises only JSON, "text" nothing: then the schema is written into the instructions, and only our own
            checks enforce it.

    Raises:
        ValueError: `base_url` cannot be read or holds a password, or a number is out of range.
    """

    name = "endpoint"

    def __init__(
        self,
        model: str,
        base_url: str,
        api_key: str | None = None,
        *,
        request_timeout_s: float = 300.0,
        temperature: float | None = 0.0,
        seed: int | None = 0,
        max_tokens: int = 2048,
        structured: Structured = "json_schema",
    ) -> None:
        if structured not in get_args(Structured):
            raise ValueError(f"structured {structured!r} is not one of {', '.join(get_args(Structured))}")
        if request_timeout_s <= 0 or max_tokens < 1:
            raise ValueError(f"request_timeout_s {request_timeout_s:g} and max_tokens {max_tokens} must be above 0")
        if "@" in read_url(base_url).netloc:  # it would be seen in logs and failures
            raise ValueError(f"base_url holds a user name or password; give the key as {KEY_VARIABLE} instead")
        self.model = model
        self.base_url = base_url.rstrip("/")
        self.settings: Mapping[str, Any] = {
            "temperature": temperature,
            "seed": seed,
            "max_tokens": max_tokens,
            "structured": structured,
        }
        self._structured = structured
        self._timeout_s = request_timeout_s
        self._frames: dict[str, _Frame] = {}
        # its debug messages hold the whole request in some versions (2.25 does), whoever turned them on
        logging.getLogger("openai._base_client").setLevel(logging.INFO)
        self._client = openai.AsyncOpenAI(
            base_url=self.base_url,
            api_key=api_key or os.environ.get(KEY_VARIABLE) or _NO_KEY,
            max_retries=0,  # `ask_all` retries, for all workers together
            http_client=_http_client(self.base_url, request_timeout_s),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()

    async def reply(self, question: Question, complaints: Sequence[Complaint]) -> Reply:
        """Ask once.

        Raises:
            EngineError: no usable answer came; the reason never quotes the server, which may quote the report.
        """
        body = self.request_body(question, complaints)
        try:
            # the client's own limit is on each read: a server that sends a byte now and then would never meet it
            async with asyncio.timeout(self._timeout_s):
                text = await self._client.post(
                    "/chat/completions",
                    cast_to=str,
                    content=body,
                    options={"headers": {"Content-Type": "application/json"}},
                )
        except Exception as error:
            raise self._named(error) from None  # what it chains holds the request, and so the report
        return _read(text, self.settings["max_tokens"])

    def request_body(self, question: Question, complaints: Sequence[Complaint] = ()) -> bytes:
        """The request's JSON: the settings, the prompt's unchanging part, then the question and what came of it."""
        frame = self._frames.get(question.prompt_name)
        if frame is None or frame.prefix is not question.prefix or frame.schema is not question.schema:
            frame = self._frames[question.prompt_name] = self._frame(question)
        return frame.body(question.render(), complaints)

    async def served_models(self) -> list[str]:
        """The names of the models that the server offers, in its order.

        Raises:
            EngineError: the server cannot be asked or does not answer with a list of models.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                text = await self._client.get("/models", cast_to=str)
        except Exception as error:
            raise self._named(error) from None
        try:
            return [str(entry["id"]) for entry in json.loads(text)["data"]]
        except (ValueError, KeyError, TypeError):
            raise EngineError(f"{self.base_url}/models gave no list of models; does the base URL end in /v1?") from None

    def _named(self, error: Exception) -> EngineError:
        if not is_fault(error):
            raise error
        return no_reply(error, base_url=self.base_url, model=self.model, timeout_s=self._timeout_s)

    def _frame(self, question: Question) -> _Frame:
        rest: dict[str, Any] = {
            "model": self.model,
            # OpenAI's newer models refuse the old name, and older servers know no other
            "max_completion_tokens" if _OPENAI_HOST.match(self.base_url) else "max_tokens": self.settings["max_tokens"],
        }
        rest |= {name: self.settings[name] for name in ("temperature", "seed") if self.settings[name] is not None}
        messages = list(question.prefix)
        if self._structured == "json_schema":
            name = re.sub(r"[^a-zA-Z0-9_-]", "_", question.prompt_name)[:64]
            form = {"name": name, "strict": True, "schema": question.schema}
            rest["response_format"] = {"type": "json_schema", "json_schema": form}
        else:
            rule = "Answer with one JSON object and nothing else. Its JSON Schema:\n" + json.dumps(question.schema)
            if messages and messages[0].role == "system":
                messages[0] = Message("system", f"{messages[0].content}\n\n{rule}")
            else:
                messages.insert(0, Message("system", rule))
            if self._structured == "json_object":
                rest["response_format"] = {"type": "json_object"}
        parts = [_message(message.role, message.content) for message in messages]
        head = json.dumps(rest)[:-1] + ', "messages": [' + "".join(part + ", " for part in parts)
        return _Frame(question.prefix, question.schema, head)


class _Frame(NamedTuple):
    """What all requests of one prompt share, as JSON text up to the last message."""

    prefix: tuple[Message, ...]
    schema: Mapping[str, Any]
    head: str

    def body(self, last: str, complaints: Sequence[Complaint]) -> bytes:
        turns = []
        for complaint in complaints:
            if complaint.answer.strip():
                turns += [_message("user", last), _message("assistant", complaint.answer)]
                last = _correction(complaint)
            else:  # chat templates refuse an empty turn of the assistant, and two turns of the user
                last += "\n\n" + _correction(complaint)
        turns.append(_message("user", last))
        return (self.head + ", ".join(turns) + "]}").encode()


def _message(role: str, content: str) -> str:
    return json.dumps({"role": role, "content": content})


def _correction(complaint: Complaint) -> str:
    return (
        f"This answer cannot be accepted: {complaint.problem}\n"
        "Give the whole answer again with this corrected, as JSON only."
    )


def _read(text: str, max_tokens: int) -> Reply:
    """Take from a completion only what is needed; building the client's own objects costs more than the request."""
    try:
        completion = json.loads(text)
        choices = completion["choices"]
    except (ValueError, KeyError, TypeError, RecursionError):
        what = "an HTML page" if text.lstrip()[:1] == "<" else "no chat completion"
        raise EngineError(f"the server answered 200 with {what}", retryable=True) from None
    usage = _usage(completion.get("usage"))
    try:
        choice = choices[0]
        message = choice["message"]
        content, refusal, reason = message.get("content"), message.get("refusal"), choice.get("finish_reason")
    except (LookupError, TypeError, AttributeError):
        raise EngineError("the server's completion holds no choice", retryable=True, usage=usage) from None
    problem = unusable(reason, refused=bool(refusal), max_tokens=max_tokens)
    if problem is not None:
        raise EngineError(problem, usage=usage)
    return Reply(content if isinstance(content, str) else "", usage)


def _usage(counts: Any) -> Usage:
    """Tokens as the server counted them; zeros where it does not say."""
    if not isinstance(counts, dict):
        return Usage(requests=1)
    details = counts.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    found = (counts.get("prompt_tokens"), cached, counts.get("completion_tokens"))
    return Usage(1, *(count if isinstance(count, int) else 0 for count in found))


def _http_client(base_url: str, timeout_s: float) -> Any:
    """The HTTP client, made through openai's own classes, since its versions build on different HTTP libraries."""
    settings: dict[str, Any] = {
        "follow_redirects": False,  # a redirect could lead the text to another host
        # the environment's proxy must not carry away what is meant for this machine
        "trust_env": not is_this_machine(base_url),
        "timeout": openai.Timeout(timeout_s, connect=min(10.0, timeout_s)),
        "limits": type(openai.DEFAULT_CONNECTION_LIMITS)(
            max_connections=MAX_CONCURRENCY, max_keepalive_connections=MAX_CONCURRENCY
        ),
    }
    if base_url.startswith("http:"):
        # trusts nobody, and is not used: reading the list of authorities takes 30 ms
        settings["verify"] = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        return openai.DefaultAioHttpClient(**settings)  # a third of the other's work for a request
    except RuntimeError:  # its extra is not installed
        return openai.DefaultAsyncHttpxClient(**settings)
