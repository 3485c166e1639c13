"""Being asked to stop, once or again."""

from __future__ import annotations

import signal
import time

import pytest

from llava.training.stop import StopRequest

BOTH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


@pytest.fixture(autouse=True)
def interrupting():
    """SIGTERM does what Ctrl-C does, as in a command."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    yield
    signal.signal(signal.SIGTERM, before)


@BOTH
def test_a_signal_is_a_request(number):
    with StopRequest() as stop:
        assert not stop.asked
        signal.raise_signal(number)
        assert stop.asked


@BOTH
def test_a_launchers_signal_after_the_schedulers_is_the_same_request(number):
    with StopRequest() as stop:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(number)
        assert stop.asked


@BOTH
def test_asked_again_after_a_second_it_ends_at_once(number, monkeypatch):
    with StopRequest():
        signal.raise_signal(number)
        later = time.monotonic() + 1.5
        monkeypatch.setattr(time, "monotonic", lambda: later)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)


@BOTH
def test_afterwards_signals_do_what_they_did(number):
    with StopRequest():
        pass
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)
