"""A local OpenAI-compatible server for tests and benchmarks, which can misbehave on demand.

It answers `/v1/chat/completions` with the smallest JSON that is valid for the schema asked for (or with an answer from
a file), and `/v1/models`. Standard library only; one asyncio protocol, so that it is never the slow side of a
measurement. As a script it prints its port on the first line and runs until it is ended:

    python tests/stub_server.py --port 0 --latency-s 1 --faults '[{"fault": "500", "times": 3}]'

In a test: `with running_stub(faults=[Fault("429", times=1, retry_after="1")]) as stub:` and then `stub.url`,
`stub.stats`.

Faults are tried in order; the first rule that still has `times` left (none: for ever) and whose `marker` stands in the
last message decides the request. Names: see `FAULTS`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FAULTS = {
    "401": "wrong key",
    "403": "key without rights",
    "404": "no such model",
    "400_schema": "the server knows no response_format json_schema",
    "400_context": "the request is longer than the model's context",
    "408": "request timeout told by the server",
    "409": "conflict",
    "429": "too many requests; `retry_after` gives the header",
    "429_quota": "no money left: retrying cannot help",
    "500": "internal error",
    "503": "overloaded; `retry_after` gives the header",
    "timeout": "never answers",
    "dribble": "sends the head, then a byte now and then, never the end",
    "reset": "closes the connection in the middle of the body",
    "reset_before_answer": "closes the connection without a byte",
    "garbage": "answers in another protocol",
    "truncated_json": "status 200 and a body that ends half-way, of the length that was announced",
    "html": "status 200 and an HTML page",
    "html_502": "status 502 and an HTML page",
    "not_an_object": "status 200 and a JSON list",
    "redirect": "307 to `location`",
    "no_choices": "an empty list of choices",
    "null_content": "an answer without text",
    "refusal": "the model declines",
    "length": "cut off at max_tokens",
    "content_filter": "cut off by a filter",
    "not_json": "prose instead of JSON",
    "wrong_schema": "JSON of another shape",
    "no_usage": "a good answer without token counts",
    "odd_usage": "a good answer with token counts that are no numbers",
    "answer": "the text in `answer`, word for word (sentence ids that don't exist, say)",
}
CACHED_TOKENS = 640
_REASONS = {200: "OK", 307: "Temporary Redirect", 404: "Not Found"}


@dataclass
class Fault:
    """One rule of misbehaviour. times: how many requests it hits, None for all; marker: only those that hold it."""

    fault: str
    times: int | None = None
    marker: str = ""
    retry_after: str | None = None
    location: str = ""
    answer: str = ""

    def __post_init__(self) -> None:
        if self.fault not in FAULTS:
            raise ValueError(f"no fault {self.fault!r}; known: {', '.join(FAULTS)}")


@dataclass
class Stats:
    """What has arrived. `bodies` and `heads` are the last ones only."""

    chat_requests: int = 0
    model_requests: int = 0
    in_flight: int = 0
    max_in_flight: int = 0
    connections: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    bodies: deque[bytes] = field(default_factory=lambda: deque(maxlen=32))
    heads: deque[str] = field(default_factory=lambda: deque(maxlen=32))
    times_s: deque[float] = field(default_factory=lambda: deque(maxlen=4096))

    def as_json(self) -> dict[str, Any]:
        return {
            "chat_requests": self.chat_requests,
            "model_requests": self.model_requests,
            "max_in_flight": self.max_in_flight,
            "connections": self.connections,
            "faults": dict(self.faults),
            "bodies": [json.loads(body) for body in self.bodies],
        }


class StubServer:
    """Answers by rule; see the module. `answers` maps a marker in the last message to the answer's JSON."""

    def __init__(
        self,
        *,
        latency_s: float = 0.0,
        models: tuple[str, ...] = ("stub-model",),
        faults: list[Fault] | None = None,
        answers: dict[str, Any] | None = None,
        completion_tokens: int = 8,
    ) -> None:
        self.latency_s = latency_s
        self.models = models
        self.faults = faults or []
        self.answers = {marker: json.dumps(answer) for marker, answer in (answers or {}).items()}
        self.completion_tokens = completion_tokens
        self.stats = Stats()
        self.port = 0
        self._server: asyncio.Server | None = None
        self._open: set[_Connection] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def start(self, port: int = 0) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", port, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for connection in list(self._open):
            connection.abort()

    def body_of(self, index: int) -> Any:
        return json.loads(self.stats.bodies[index])

    def choose(self, body: Any) -> Fault | None:
        """The rule that this chat request falls under, its count taken."""
        if not self.faults:
            return None
        last = str(body["messages"][-1]["content"])
        for rule in self.faults:
            if rule.times != 0 and rule.marker in last:
                if rule.times is not None:
                    rule.times -= 1
                self.stats.faults[rule.fault] += 1
                return rule
        return None

    def answer(self, body: Any) -> str:
        if self.answers:
            last = str(body["messages"][-1]["content"])
            for marker, answer in self.answers.items():
                if marker in last:
                    return answer
        asked = body.get("response_format") or {}
        schema = asked.get("json_schema", {}).get("schema", {})
        return json.dumps(smallest_instance(schema, schema))


class _Connection(asyncio.Protocol):
    def __init__(self, server: StubServer) -> None:
        self.server = server
        self.buffer = b""
        self.transport: asyncio.Transport | None = None
        self.waiting: asyncio.TimerHandle | None = None
        self.busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.server._open.add(self)
        self.server.stats.connections += 1

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.server._open.discard(self)
        self._done()
        self.transport = None
        if self.waiting is not None:
            self.waiting.cancel()

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while True:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self.buffer[:end].decode("latin-1")
            length = 0
            for line in head.split("\r\n")[1:]:
                name, _, value = line.partition(":")
                if name.lower() == "content-length":
                    length = int(value)
            if len(self.buffer) < end + 4 + length:
                return
            body = self.buffer[end + 4 : end + 4 + length]
            self.buffer = self.buffer[end + 4 + length :]
            self._request(head, body)

    def _request(self, head: str, raw: bytes) -> None:
        method, path, _ = head.split(" ", 2)
        if path == "/v1/chat/completions" and method == "POST":
            self._chat(head, raw)
        elif path == "/v1/models":
            self.server.stats.model_requests += 1
            self.server.stats.heads.append(head)
            self._send(200, {"object": "list", "data": [{"id": m, "object": "model"} for m in self.server.models]})
        elif path == "/stub/stats":
            self._send(200, self.server.stats.as_json())
        elif path == "/stub/faults" and method == "POST":
            self.server.faults = [Fault(**rule) for rule in json.loads(raw)]
            self._send(200, {})
        else:
            self._send(404, {"error": {"message": f"no page {path}", "code": None}})

    def _chat(self, head: str, raw: bytes) -> None:
        stats = self.server.stats
        body = json.loads(raw)
        stats.chat_requests += 1
        stats.in_flight += 1
        stats.max_in_flight = max(stats.max_in_flight, stats.in_flight)
        stats.bodies.append(raw)
        stats.heads.append(head)
        stats.times_s.append(time.monotonic())
        self.busy = True
        if self.server.latency_s > 0:
            loop = asyncio.get_running_loop()
            self.waiting = loop.call_later(self.server.latency_s, self._answer, body)
        else:
            self._answer(body)

    def _done(self) -> None:
        if self.busy:
            self.busy = False
            self.server.stats.in_flight -= 1

    def _answer(self, body: Any) -> None:
        rule = self.server.choose(body)
        if rule is None:
            self._send(200, self._completion(body, self.server.answer(body)))
        else:
            self._misbehave(rule, body)

    def _misbehave(self, rule: Fault, body: Any) -> None:
        name = rule.fault
        wait = {} if rule.retry_after is None else {"retry-after": rule.retry_after}
        match name:
            case "401" | "403" | "408" | "409" | "429" | "500" | "503":
                self._send(int(name), _error(FAULTS[name]), headers=wait)
            case "404":
                self._send(404, _error(f"The model `{body.get('model')}` does not exist.", "model_not_found"))
            case "400_schema":
                self._send(400, _error("response_format.type 'json_schema' is not supported"))
            case "400_context":
                self._send(400, _error("maximum context length is 4096 tokens", "context_length_exceeded"))
            case "429_quota":
                self._send(429, _error("You exceeded your current quota", "insufficient_quota"))
            case "timeout":
                pass
            case "dribble":
                self._write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000000\r\n\r\n")
                self._dribble()
            case "reset":
                self._write(b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 999\r\n\r\n{"id"')
                self._close()
            case "garbage":
                self._write(b"SSH-2.0-stub\r\n")
                self._close()
            case "reset_before_answer":
                self._close()
            case "truncated_json":
                text = json.dumps(self._completion(body, self.server.answer(body)))
                self._send(200, text[: len(text) // 2])
            case "html" | "html_502":
                status = 502 if name == "html_502" else 200
                self._send(status, "<html><body>Bad gateway</body></html>", content_type="text/html")
            case "not_an_object":
                self._send(200, "[1, 2]")
            case "redirect":
                self._send(307, {}, headers={"location": rule.location})
            case _:
                self._send(200, self._odd_completion(rule, body))

    def _odd_completion(self, rule: Fault, body: Any) -> dict[str, Any]:
        completion = self._completion(body, self.server.answer(body))
        choice = completion["choices"][0]
        match rule.fault:
            case "no_choices":
                completion["choices"] = []
            case "null_content":
                choice["message"]["content"] = None
            case "refusal":
                choice["message"] |= {"content": None, "refusal": "I cannot help with that."}
            case "length" | "content_filter":
                choice["finish_reason"] = rule.fault
                choice["message"]["content"] = choice["message"]["content"][:5]
            case "not_json":
                choice["message"]["content"] = "Certainly! Here are the lines and tubes:"
            case "wrong_schema":
                choice["message"]["content"] = '{"devices": ["tube"]}'
            case "no_usage":
                del completion["usage"]
            case "odd_usage":
                completion["usage"] = {"prompt_tokens": "many", "prompt_tokens_details": 3, "completion_tokens": 8}
            case "answer":
                choice["message"]["content"] = rule.answer
        return completion

    def _completion(self, body: Any, answer: str) -> dict[str, Any]:
        prompt_tokens = sum(len(str(message["content"])) for message in body["messages"]) // 4
        return {
            "id": "chatcmpl-stub",
            "object": "chat.completion",
            "created": 1,
            "model": body.get("model", ""),
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": answer, "refusal": None},
                    "logprobs": None,
                    "finish_reason": "stop",
                }
            ],
            "usage": {
                "prompt_tokens": prompt_tokens,
                "completion_tokens": self.server.completion_tokens,
                "total_tokens": prompt_tokens + self.server.completion_tokens,
                "prompt_tokens_details": {"cached_tokens": min(CACHED_TOKENS, prompt_tokens)},
            },
        }

    def _send(
        self,
        status: int,
        body: dict[str, Any] | str,
        *,
        headers: dict[str, str] | None = None,
        content_type: str = "application/json",
    ) -> None:
        payload = (body if isinstance(body, str) else json.dumps(body)).encode()
        lines = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        head = (
            f"HTTP/1.1 {status} {_REASONS.get(status, 'Error')}\r\ncontent-type: {content_type}\r\n"
            f"content-length: {len(payload)}\r\n{lines}\r\n"
        )
        self._write(head.encode() + payload)
        self._done()

    def _write(self, data: bytes) -> None:
        if self.transport is not None:
            self.transport.write(data)

    def _dribble(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self._write(b" ")
            self.waiting = asyncio.get_running_loop().call_later(0.05, self._dribble)

    def _close(self) -> None:
        self._done()
        if self.transport is not None:
            self.transport.close()


def _error(message: str, code: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}


def smallest_instance(schema: Any, root: Any) -> Any:
    """The least JSON value that a schema of our kind (objects, arrays, enums, unions, `$ref`) allows."""
    if "$ref" in schema:
        target = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        return smallest_instance(target, root)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    for union in ("anyOf", "oneOf"):
        if union in schema:
            options = schema[union]
            return None if {"type": "null"} in options else smallest_instance(options[0], root)
    match schema.get("type"):
        case "object":
            properties = schema.get("properties", {})
            return {name: smallest_instance(properties[name], root) for name in schema.get("required", ())}
        case "array":
            return [smallest_instance(schema["items"], root) for _ in range(schema.get("minItems", 0))]
        case "string":
            return ""
        case "integer" | "number":
            return schema.get("minimum", 0)
        case "boolean":
            return False
        case "null":
            return None
    return {}


@contextlib.contextmanager
def running_stub(port: int = 0, **settings: Any) -> Iterator[StubServer]:
    """A stub server in a thread of its own, stopped on leaving; see `StubServer` for the settings."""
    server = StubServer(**settings)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(server.start(port), loop).result(5)
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()


async def _serve(server: StubServer, port: int) -> None:
    await server.start(port)
    sys.stdout.write(f"{server.port}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--latency-s", type=float, default=0.0)
    parser.add_argument("--model", action="append", help="a model that /v1/models lists; may be given again")
    parser.add_argument("--faults", default="[]", help="JSON list of rules, or a file that holds one")
    parser.add_argument("--answers", help="JSON file: marker in the last message -> answer")
    given = parser.parse_args()
    rules = given.faults if given.faults.lstrip().startswith("[") else Path(given.faults).read_text(encoding="utf-8")
    server = StubServer(
        latency_s=given.latency_s,
        models=tuple(given.model or ("stub-model",)),
        faults=[Fault(**rule) for rule in json.loads(rules)],
        answers=json.loads(Path(given.answers).read_text(encoding="utf-8")) if given.answers else None,
    )
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(server, given.port))


if __name__ == "__main__":
    main()
