"""Limit the rate 限速 of the relay, so that a backlog leaves bandwidth on a slow line.

A bucket of tokens fills at the configured rate. A take is for a tenth to a fifth of a second, so
new and urgent rows wait for one take at most.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

_BURSTS_PER_SECOND = 5
_FEW_ROWS = 50
_LONGEST_REST_SECONDS = 0.02
# A tolerance for rounding: far below one token, far above the error of adding seconds.
_ROUNDING = 1e-6


class Rate(NamedTuple):
    """The number of records that may be sent in a second; 0 for no limit."""

    per_second: int

    @property
    def burst(self) -> int:
        """Return the largest take: the records of a fifth of a second, at least one."""
        return max(1, self.per_second // _BURSTS_PER_SECOND)

    @property
    def least(self) -> int:
        """Return the smallest take: half a burst, or takes would be single records.

        The other half compensates for waits that last too long.
        """
        return max(1, self.burst // 2)


class RateLimiter:
    """The tokens of a rate. `monotonic` returns seconds."""

    def __init__(self, rate: Rate, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._monotonic = monotonic
        self._tokens = float(rate.burst)
        self._filled_at = monotonic()

    @property
    def limited(self) -> bool:
        """Return whether there is a limit."""
        return self._rate.per_second > 0

    def wait_seconds(self) -> float:
        """Return how long to wait before the next take."""
        if not self._rate.per_second:
            return 0.0
        self._fill()
        missing = self._rate.least - self._tokens
        return missing / self._rate.per_second if missing > _ROUNDING else 0.0

    def allowed(self, wanted: int) -> int:
        """Return how many of `wanted` records may be sent now."""
        if not self._rate.per_second:
            return wanted
        self._fill()
        return min(wanted, int(self._tokens + _ROUNDING))

    def spend(self, records: int) -> None:
        """Take the tokens of these records, whatever the outcome."""
        self._tokens -= records

    def _fill(self) -> None:
        now = self._monotonic()
        gained = (now - self._filled_at) * self._rate.per_second
        self._tokens = min(self._tokens + gained, float(self._rate.burst))
        self._filled_at = now


def rest_seconds(rows: int, took: float) -> float:
    """Return how long to rest (seconds) after a take of `rows` that took `took` seconds.

    After few rows it is the time that they took: rows that arrive meanwhile are sent together,
    which saves more than it costs. After many rows there is no rest.
    """
    return min(took, _LONGEST_REST_SECONDS) if rows < _FEW_ROWS else 0.0
