"""Stands between the command and the server, and writes down what was asked and what came back.

It keeps its own port while the server behind it dies and comes back, as a load balancer would; while there is no server
it closes the connection without a word.
"""

from __future__ import annotations

import http.client
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


@dataclass
class Exchange:
    """One request for a completion; `completion` stays None when no answer came back."""

    request: dict[str, Any]
    completion: dict[str, Any] | None = None

    @property
    def content(self) -> str:
        assert self.completion is not None
        return str(self.completion["choices"][0]["message"]["content"])

    @property
    def finish_reason(self) -> str:
        assert self.completion is not None
        return str(self.completion["choices"][0]["finish_reason"])


@dataclass
class _Book:
    exchanges: list[Exchange] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)


class Recorder:
    """A forwarding server on 127.0.0.1. `exchanges`: all so far, oldest first."""

    def __init__(self, upstream_port: int) -> None:
        self._book = _Book()
        self._server = _Forwarding(upstream_port, self._book)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    @property
    def exchanges(self) -> list[Exchange]:
        with self._book.changed:
            return list(self._book.exchanges)

    def wait_for_answers(self, count: int, *, after: int, timeout_s: float) -> bool:
        """Wait until `count` of the exchanges from number `after` on are answered; False when that took too long."""
        with self._book.changed:
            return self._book.changed.wait_for(
                lambda: sum(e.completion is not None for e in self._book.exchanges[after:]) >= count, timeout_s
            )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Forwarding(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, upstream_port: int, book: _Book) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream_port = upstream_port
        self.book = book


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections are kept, as the client expects
    server: _Forwarding

    def do_GET(self) -> None:
        self._forward(None)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        exchange = Exchange(json.loads(body))
        book = self.server.book
        with book.changed:
            book.exchanges.append(exchange)
        answer = self._forward(body)
        if answer is not None:
            with book.changed:
                exchange.completion = json.loads(answer)
                book.changed.notify_all()

    def _forward(self, body: bytes | None) -> bytes | None:
        """Pass the request on and the answer back; gives the body of a 200, None of anything else."""
        upstream = http.client.HTTPConnection("127.0.0.1", self.server.upstream_port, timeout=600)
        try:
            upstream.request(self.command, self.path, body, {"Content-Type": "application/json"})
            response = upstream.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException):
            self.close_connection = True  # the server is down or died on the way
            return None
        finally:
            upstream.close()
        self.send_response(response.status)
        self.send_header("Content-Type", response.headers.get("Content-Type", "application/json"))
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
        return answer if response.status == 200 else None

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass  # no word on stderr for each request
