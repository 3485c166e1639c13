import pytest

from labeling.runtime.engine import Message, Question
from labeling.runtime.limits import Allowance, CoolDown, RateLimiter


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def question(prompt_name="findings", instructions=""):
    return Question(b"", prompt_name, (Message("system", instructions),), str, {}, None)


def cool_down(clock, draw=0.0):
    return CoolDown(base_s=1, cap_s=60, max_retry_after_s=30, clock=clock, draw=lambda: draw)


def test_an_allowance_gives_one_second_s_worth_at_once_and_the_rest_evenly(clock):
    allowance = Allowance(240, clock)  # four a second
    assert [allowance.take(1) for _ in range(7)] == [0, 0, 0, 0, 0.25, 0.5, 0.75]


def test_an_allowance_fills_up_with_time_but_not_beyond_one_second_s_worth(clock):
    allowance = Allowance(240, clock)
    for _ in range(4):
        allowance.take(1)
    clock.now += 3600
    assert [allowance.take(1) for _ in range(5)] == [0, 0, 0, 0, 0.25]


def test_an_amount_above_one_second_s_worth_passes_and_leaves_a_debt(clock):
    allowance = Allowance(60, clock)  # one a second
    assert allowance.take(10) == 0
    assert allowance.take(1) == 10


def test_fewer_than_one_a_second_are_spaced_by_the_whole_interval(clock):
    allowance = Allowance(6, clock)
    assert [allowance.take(1) for _ in range(3)] == [0, 10, 20]


def test_tokens_are_first_estimated_from_the_prompt_and_then_from_the_answers(clock):
    limiter = RateLimiter(None, 60_000, clock)
    asked = question(instructions="x" * 4000)
    assert limiter.take(asked)[1] == 4000 / 4 + 500
    limiter.settle(asked, 1500, 300)
    assert limiter.take(asked)[1] == 300
    limiter.settle(asked, 300, 500)
    assert limiter.take(asked)[1] == 400


def test_tokens_used_above_the_estimate_make_the_next_wait(clock):
    limiter = RateLimiter(None, 6000, clock)  # 100 a second
    asked = question()
    wait_s, taken = limiter.take(asked)  # 500 taken of the 100 that are there
    assert (wait_s, taken) == (0, 500)
    limiter.settle(asked, taken, 1100)  # 1000 in debt; the next 1100 pass when 100 are there
    assert limiter.take(asked)[0] == 11


def test_tokens_taken_for_a_request_that_failed_are_given_back(clock):
    limiter = RateLimiter(None, 6000, clock)
    _, taken = limiter.take(question())
    limiter.settle(question(), taken, 0)
    assert limiter.take(question())[0] == 0


def test_the_stricter_of_both_limits_counts(clock):
    limiter = RateLimiter(60, 6000, clock)
    assert limiter.take(question())[0] == 0
    assert limiter.take(question())[0] == 5  # 500 tokens at 100 a second, against 1 s for the request


def test_without_limits_nothing_is_counted(clock):
    assert not RateLimiter(None, None, clock).limits_anything


def test_refusals_of_requests_sent_before_the_pause_are_one_refusal(clock):
    pause = cool_down(clock)
    sent_at = clock.now
    clock.now += 0.1
    for _ in range(64):
        pause.refused(sent_at=sent_at, retry_after_s=None)
    assert pause.wait_s() == pytest.approx(0.5)  # base 1 s, of which half is certain


def test_each_refusal_after_a_pause_doubles_the_next_and_an_answer_starts_over(clock):
    pause = cool_down(clock)
    waits = []
    for _ in range(3):
        pause.refused(sent_at=clock.now, retry_after_s=None)
        waits.append(pause.wait_s())
        clock.now += waits[-1] + 1
    pause.answered()
    pause.refused(sent_at=clock.now, retry_after_s=None)
    assert [*waits, pause.wait_s()] == [pytest.approx(w) for w in (0.5, 1.0, 2.0, 0.5)]


def test_the_server_s_own_wish_is_followed_up_to_a_cap(clock):
    pause = cool_down(clock)
    pause.refused(sent_at=clock.now, retry_after_s=7)
    assert pause.wait_s() == pytest.approx(7)
    pause.refused(sent_at=clock.now, retry_after_s=3600)
    assert pause.wait_s() == pytest.approx(30)


def test_a_later_wish_never_shortens_the_pause(clock):
    pause = cool_down(clock)
    pause.refused(sent_at=clock.now, retry_after_s=7)
    pause.refused(sent_at=clock.now - 1, retry_after_s=1)
    assert pause.wait_s() == pytest.approx(7)


def test_workers_come_back_spread_over_a_quarter_of_the_pause(clock):
    pause = cool_down(clock, draw=1.0)
    pause.refused(sent_at=clock.now, retry_after_s=8)
    assert pause.wait_s() == pytest.approx(10)


def test_how_long_the_server_has_only_refused_is_known(clock):
    pause = cool_down(clock)
    pause.refused(sent_at=clock.now, retry_after_s=None)
    clock.now += 50
    pause.refused(sent_at=clock.now, retry_after_s=None)
    assert pause.refused_for_s() == 50
    pause.answered()
    assert pause.refused_for_s() == 0
