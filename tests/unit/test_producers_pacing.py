"""The rate of the relay: arithmetic on a clock that the test moves."""

import random
from collections.abc import Callable

import pytest

from producers.relay.rate_limit import Rate, RateLimiter, rest_seconds


class Clock:
    """Seconds that pass only when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Driven:
    """A relay that always has rows, on a clock of its own: when it sent how many."""

    def __init__(self, per_second: int) -> None:
        self.clock = Clock()
        self.pace = RateLimiter(Rate(per_second), self.clock)
        self.sent: list[tuple[float, int]] = []

    def run(self, seconds: float, busy: Callable[[], float]) -> int:
        """Send for `seconds`; each take keeps the relay busy for `busy()`. Return the rows sent."""
        end = self.clock.now + seconds
        while self.clock.now < end:
            wait = self.pace.wait_seconds()
            if wait:
                self.clock.now += wait
                continue
            number = self.pace.allowed(4000)
            self.pace.spend(number)
            self.sent.append((self.clock.now, number))
            self.clock.now += busy()
        return sum(number for _, number in self.sent)


@pytest.mark.parametrize("per_second", [1, 2, 7, 100, 5000])
def test_over_a_long_time_the_rate_is_kept_and_used(per_second: int) -> None:
    """Fails without `spend`, without the cap of `_fill`, and with a burst of a whole second."""
    chance = random.Random(per_second)
    driven = Driven(per_second)
    sent = driven.run(60.0, lambda: chance.random() * 0.05)
    burst = max(1, per_second // 5)
    assert 60 * per_second - burst <= sent <= 60 * per_second + burst


@pytest.mark.parametrize("per_second", [1, 7, 100, 5000])
def test_no_take_and_no_moment_exceeds_a_fifth_of_a_second_over_the_rate(per_second: int) -> None:
    """Fails when what was not used is saved up without a limit: a stall is then made up at once."""
    chance = random.Random(per_second)
    driven = Driven(per_second)
    driven.run(60.0, lambda: 3.0 if chance.random() < 0.01 else 0.002)
    burst = max(1, per_second // 5)
    assert max(number for _, number in driven.sent) <= burst
    for first, (began, _) in enumerate(driven.sent[:500]):
        total = 0
        for at, number in driven.sent[first : first + 50]:
            total += number
            assert total <= (at - began) * per_second + burst + 1e-6


def test_takes_are_worth_a_round_trip_but_make_nobody_wait_long() -> None:
    """Fails when a take is made as soon as one record may be sent."""
    driven = Driven(1000)
    driven.run(10.0, lambda: 0.001)
    assert 9 * 10 <= len(driven.sent) <= 10 * 10 + 2


def test_without_a_rate_nothing_waits_and_nothing_is_cut() -> None:
    pace = RateLimiter(Rate(0), Clock())
    for _ in range(3):
        assert pace.wait_seconds() == 0
        assert pace.allowed(4000) == 4000
        pace.spend(4000)


@pytest.mark.parametrize(
    ("rows", "took", "rests"),
    [(1, 0.004, 0.004), (49, 0.019, 0.019), (49, 3.0, 0.02), (50, 0.004, 0.0), (2000, 0.1, 0.0)],
)
def test_after_few_rows_it_rests_as_long_as_they_took_and_never_long(
    rows: int, took: float, rests: float
) -> None:
    assert rest_seconds(rows, took) == rests
