from __future__ import annotations

import pytest

from services.evaluation.events import rate_limits
from services.evaluation.events.rate_limits import RateLimits
from services.runtime.errors import ResourceExhausted


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def pushback(limits: RateLimits, key_id: str = "a") -> int:
    with pytest.raises(ResourceExhausted) as caught:
        limits.take(key_id, 1)
    return caught.value.pushback_ms


def test_after_the_pushback_that_was_asked_for_there_is_room_again(clock: Clock) -> None:
    limits = RateLimits(100, clock)
    limits.take("a", 250)  # 200 at once, and 50 more than there are
    wait_ms = pushback(limits)
    assert wait_ms == 510
    clock.now += wait_ms / 1_000 - 0.02
    assert pushback(limits) == pytest.approx(20, abs=1)  # it is rounded up
    clock.now += 0.021
    limits.take("a", 1)


def test_a_batch_larger_than_the_burst_is_taken_and_paid_for(clock: Clock) -> None:
    limits = RateLimits(100, clock)
    limits.take("a", 10_000)
    assert pushback(limits) == 98_010
    limits.take("b", 10_000)  # each key pays for itself


def test_what_is_not_used_adds_up_to_the_burst_and_no_further(clock: Clock) -> None:
    limits = RateLimits(100, clock)
    clock.now += 3_600
    limits.take("a", 200)
    assert pushback(limits) == 10


def test_an_empty_batch_counts_as_one(clock: Clock) -> None:
    limits = RateLimits(1, clock)
    limits.take("a", 0)
    limits.take("a", 0)
    assert pushback(limits) == 1_000


def test_keys_that_are_remembered_are_bounded_and_those_in_debt_stay(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limits, "KEYS", 3)
    limits = RateLimits(100, clock)
    limits.take("debtor", 10_000)
    clock.now += 10
    for number in range(20):
        limits.take(f"key-{number}", 1)
        clock.now += 1
    assert pushback(limits, "debtor") > 0
