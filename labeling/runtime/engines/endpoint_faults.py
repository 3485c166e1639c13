"""What went wrong with a request, in words of our own.

A server's error message may quote the request, and so the report. Only its short codes are ever passed on.
"""

from __future__ import annotations

import re
from typing import Any

import openai

from labeling.runtime.engine import EngineError, RateLimited
from labeling.runtime.retry import read_retry_after

_CODE = re.compile(r"[A-Za-z][\w.\[\]-]{0,63}")
_RETRYABLE = frozenset({408, 409, 425, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529})


def unusable(finish_reason: Any, *, refused: bool, max_tokens: int) -> str | None:
    """Why a completion is no answer, or None when it may be one."""
    if finish_reason == "length":
        return f"the answer was cut off at max_tokens {max_tokens}"
    if finish_reason == "content_filter":
        return "the server's content filter cut the answer off"
    if refused:
        return "the model refused to answer"
    return None


def is_fault(error: Exception) -> bool:
    """Whether this comes from the network or the server, rather than from a slip in our own code.

    With aiohttp underneath, some of its errors come through the client as they are (a reply that is not HTTP).
    """
    return isinstance(error, (openai.OpenAIError, OSError)) or type(error).__module__.split(".")[0] == "aiohttp"


def no_reply(error: Exception, *, base_url: str, model: str, timeout_s: float) -> EngineError:
    """Name a failure of the client or the server, and whether asking again can help."""
    if isinstance(error, openai.APIStatusError):
        return _status(error, base_url, model)
    cause = _root(error)  # over aiohttp, the client calls broken connections timeouts as well
    if isinstance(cause, ConnectionRefusedError):
        return EngineError(f"nothing listens at {base_url} (connection refused)", retryable=True)
    if isinstance(cause, ConnectionError) or "Disconnect" in type(cause).__name__:
        return EngineError("the server closed the connection without an answer", retryable=True)
    if isinstance(error, (openai.APITimeoutError, TimeoutError)):
        return EngineError(f"no answer within {timeout_s:g} s", retryable=True)
    return EngineError(f"the connection to {base_url} broke ({type(cause).__name__})", retryable=True)


def _status(error: openai.APIStatusError, base_url: str, model: str) -> EngineError:
    status = error.status_code
    told = _told(error)
    if 300 <= status < 400:
        return EngineError(
            f"{base_url} redirects ({status}), which is not followed: the text could reach another host; "
            "give the final address as the base URL",
            fatal=True,
        )
    if status == 401:
        return EngineError(f"{base_url} refused the key (401); set OPENAI_API_KEY to a valid one", fatal=True)
    if status == 403:
        return EngineError(f"{base_url} forbids this key to use the model {model!r} (403)", fatal=True)
    if status in (404, 405):
        return EngineError(
            f"{base_url} knows no model {model!r}, or no /chat/completions ({status}{told}); "
            "check the model's name and that the base URL ends in /v1",
            fatal=True,
        )
    wait_s = read_retry_after(error.response.headers)
    if status == 429:
        if error.code == "insufficient_quota":
            return EngineError("the account's quota is used up (429 insufficient_quota)", fatal=True)
        return RateLimited("too many requests for the server (429)", retry_after_s=wait_s)
    if status in _RETRYABLE or status > 500:
        return EngineError(f"the server failed ({status}{told})", retryable=True, retry_after_s=wait_s)
    return _bad_request(error, status, told, model)


def _bad_request(error: openai.APIStatusError, status: int, told: str, model: str) -> EngineError:
    message = str(error)[:300].lower()  # read, never passed on; further in it may quote the request
    if error.param == "response_format" or re.search(r"response_format|json_schema|structured.output", message):
        return EngineError(
            f"the server does not take the answer's JSON schema ({status}{told}); "
            "try structured json_object or text, or a server that enforces JSON schemas",
            fatal=True,
        )
    if error.code == "context_length_exceeded" or re.search(r"context length|context size|context window", message):
        return EngineError(f"report and instructions are longer than the context of {model!r} ({status})")
    if error.code in ("unsupported_parameter", "unsupported_value"):
        return EngineError(f"the model {model!r} refuses a setting ({status}{told})", fatal=True)
    return EngineError(f"the server refused the request ({status}{told})")


def _told(error: openai.APIStatusError) -> str:
    """The server's own short codes, as ", code, parameter"; never its sentences."""
    return "".join(f", {word}" for word in (error.code, error.param) if isinstance(word, str) and _CODE.fullmatch(word))


def _root(error: BaseException) -> BaseException:
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return error
