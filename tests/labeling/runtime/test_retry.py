from datetime import UTC, datetime

import pytest

from labeling.runtime.retry import backoff_s, read_retry_after

NOON_S = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC).timestamp()


def test_backoff_doubles_up_to_its_cap():
    waits = [backoff_s(failures, base_s=1, cap_s=10, draw=1.0) for failures in (1, 2, 3, 4, 5, 6)]
    assert waits == [1, 2, 4, 8, 10, 10]


def test_backoff_with_full_jitter_reaches_down_to_nothing():
    assert backoff_s(4, base_s=1, cap_s=10, draw=0.0) == 0
    assert backoff_s(4, base_s=1, cap_s=10, draw=0.25) == 2


def test_backoff_of_very_many_failures_is_the_cap():
    assert backoff_s(10_000, base_s=1, cap_s=60, draw=1.0) == 60


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after": "Sun, 22 Nov 2026 12:00:30 GMT"}, 30),
        ({"retry-after": "Sun, 22 Nov 2026 11:00:00 GMT"}, 0),  # already past
        ({"retry-after": "Sunday, 22-Nov-26 12:01:00 GMT"}, 60),  # RFC 850, which RFC 9110 still allows
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "Sun, 99 Nov 2026 99:99:99 GMT"}, None),
    ],
)
def test_retry_after_is_read_in_all_its_forms(headers, seconds):
    assert read_retry_after(headers, now_s=NOON_S) == seconds
