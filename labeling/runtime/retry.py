"""How long to wait before asking again: backoff with full jitter, and the server's own Retry-After."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime


def backoff_s(failures: int, *, base_s: float, cap_s: float, draw: float) -> float:
    """Seconds to wait after the given number of failures in a row (1 or more).

    Full jitter: anything from nothing to base * 2^(failures - 1), so that workers that failed together do not come
    back together. draw: uniform on 0 to 1. Source: "Exponential Backoff and Jitter", AWS Architecture Blog, 2015.
    """
    return draw * min(cap_s, base_s * 2.0 ** min(failures - 1, 64))


def read_retry_after(headers: Mapping[str, str], *, now_s: float | None = None) -> float | None:
    """Seconds that a server asks us to wait, or None when it does not say or what it says cannot be read.

    headers: a mapping that ignores case, or one with lower-case names. Understands `retry-after-ms` (a number of
    milliseconds, OpenAI's and Azure's own) and `retry-after` in both forms of RFC 9110, seconds and HTTP date.
    now_s: the time of day as of `time.time()`, for dates.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after")
    seconds = _number(text)
    if seconds is not None or text is None:
        return seconds
    try:
        when = parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
    return max(0.0, when - (time.time() if now_s is None else now_s))


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None
