"""Pacing 限速: how fast the relay may send, so that a backlog leaves room on a thin line.

A bucket of permits fills at the settable rate. Takes are small, a tenth to a fifth of a second's
worth: what is fresh and urgent waits for one of them at most.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

_BURSTS_PER_SECOND = 5
_FEW_ROWS = 50
_LONGEST_REST_SECONDS = 0.02
# What rounding may leave of a permit: far below one, far above the error of adding seconds.
_ROUNDING = 1e-6


class Rate(NamedTuple):
    """How many records may be sent in a second; 0 sets no limit."""

    per_second: int

    @property
    def burst(self) -> int:
        """The most records of one take: a fifth of a second's worth, one at least."""
        return max(1, self.per_second // _BURSTS_PER_SECOND)

    @property
    def least(self) -> int:
        """A take waits until so many may be sent: half a burst, or takes would be single records.

        The other half makes up for a wait that lasted a little longer than it should.
        """
        return max(1, self.burst // 2)


class Pace:
    """What a rate allows at the moment. `monotonic` gives seconds."""

    def __init__(self, rate: Rate, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._monotonic = monotonic
        self._permits = float(rate.burst)
        self._filled_at = monotonic()

    @property
    def limited(self) -> bool:
        """Whether there is a rate to keep."""
        return self._rate.per_second > 0

    def wait_seconds(self) -> float:
        """How long to wait before the next take; 0 if it may be made now."""
        if not self._rate.per_second:
            return 0.0
        self._fill()
        missing = self._rate.least - self._permits
        return missing / self._rate.per_second if missing > _ROUNDING else 0.0

    def allowed(self, wanted: int) -> int:
        """How many of `wanted` records may be sent now."""
        if not self._rate.per_second:
            return wanted
        self._fill()
        return min(wanted, int(self._permits + _ROUNDING))

    def spend(self, records: int) -> None:
        """So many are being sent, whatever becomes of them."""
        self._permits -= records

    def _fill(self) -> None:
        now = self._monotonic()
        gained = (now - self._filled_at) * self._rate.per_second
        self._permits = min(self._permits + gained, float(self._rate.burst))
        self._filled_at = now


def rest_seconds(rows: int, took: float) -> float:
    """How long to rest behind a take of so many rows that took so many seconds.

    Behind few rows as long as they took: what comes meanwhile goes together, which spares all
    behind it more than it costs, and what comes alone does not wait. Behind many, not at all.
    """
    return min(took, _LONGEST_REST_SECONDS) if rows < _FEW_ROWS else 0.0
