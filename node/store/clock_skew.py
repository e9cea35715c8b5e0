"""The skew 时钟偏差 between this process's clock and the broker's, which all nodes share.

Kafka tells its time only when it takes a record: on a topic with `message.timestamp.type` =
`LogAppendTime` (the control topics are such) the acknowledgement carries the broker's time. The
reconciler measures it and keeps by how much Postgres's clock is ahead of the broker's. Every other
process compares its own clock with Postgres's, and so with the broker's, also on another machine.

    unknown    never measured: the node acts as if its clock were right
    stale      measured long ago, or the clock has jumped since: routines wait, commands go on
    wrong      beyond a bound: routines wait; beyond a larger one, commands are refused
"""

from __future__ import annotations

import time
from typing import NamedTuple

from node.postgres.connection import Cursor
from node.runtime.clock import Clock, now_micros
from node.runtime.settings import Settings
from schemas.errors import PetitionLinkError

_MICROS = 1_000_000
# A reading serves this long in one process; a jump of its clock is noticed at once.
_FRESH_SECONDS = 5.0
_JUMP_MICROS = 1 * _MICROS
# Measured every 15 s while the broker answers.
_STALE_MICROS = 300 * _MICROS
_NOTE = """
    update node_state set clock_measured_at = clock_timestamp(), database_ahead_micros =
        %s + (extract(epoch from clock_timestamp()) * 1000000)::bigint - %s
"""
_READ = """
    select (extract(epoch from clock_timestamp()) * 1000000)::bigint, database_ahead_micros,
           (extract(epoch from clock_timestamp() - clock_measured_at) * 1000000)::bigint
    from node_state
"""


class ClockWrong(PetitionLinkError):
    """The clock of this machine is not to be believed: nothing is dated by it."""


class Reading(NamedTuple):
    """By how much this clock is ahead of the broker's (micros), negative if it is behind.

    `ahead` is None if it was never measured; `stale` if that was too long ago, or seems to be.
    """

    ahead: int | None
    stale: bool = False

    @property
    def seconds(self) -> float | None:
        """`ahead` in seconds."""
        return None if self.ahead is None else self.ahead / _MICROS

    def exceeds(self, seconds: int) -> bool:
        """True if the clock is known to be off by more than `seconds`, either way."""
        return self.ahead is not None and abs(self.ahead) > seconds * _MICROS

    def __str__(self) -> str:
        if self.ahead is None:
            return "the clock of this machine was never compared with the broker's"
        return (
            f"the clock of this machine is {_span(abs(self.ahead))} "
            f"{'ahead of' if self.ahead >= 0 else 'behind'} the broker's"
        )


class ClockCheck:
    """Answers for one process whether its clock may be used; safe for threads."""

    def __init__(self, settings: Settings, clock: Clock = now_micros) -> None:
        self._bound = settings.clock_bound_seconds
        self._refuse = settings.clock_refuse_seconds
        self._clock = clock
        self._known: tuple[Reading, int, float] | None = None

    def reading(self, cursor: Cursor) -> Reading:
        """The present skew; asks the database at most every few seconds."""
        now, ticks = self._clock(), time.monotonic()
        if self._known is not None:
            reading, then, ticked = self._known
            jumped = abs((now - then) - (ticks - ticked) * _MICROS) > _JUMP_MICROS
            if ticks - ticked < _FRESH_SECONDS and not jumped:
                return reading
        found = read(cursor, now)
        self._known = (found, now, ticks)
        return found

    def true_now(self, cursor: Cursor) -> int | None:
        """The present instant (micros) by the broker's clock, by ours if that was never measured.

        None while our clock is in doubt: nothing is judged by it then.
        """
        reading = self.reading(cursor)
        return None if reading.stale else self._clock() - (reading.ahead or 0)

    def check_command(self, cursor: Cursor) -> None:
        """Raise `ClockWrong` if a command given now would be dated by a wrong clock."""
        reading = self.reading(cursor)
        if reading.exceeds(self._refuse) and not reading.stale:
            raise ClockWrong(
                f"{reading}: set it (NTP); no command is taken until then, and nothing was lost: "
                "the outbox keeps what was written (PETITIONLINK_CLOCK_REFUSE_SECONDS is "
                f"{self._refuse})"
            )

    def why_not_act(self, cursor: Cursor) -> str:
        """Why a routine must not act by this clock now; empty if it may."""
        reading = self.reading(cursor)
        if reading.exceeds(self._bound):
            return (
                f"{reading}: set it (NTP); routines wait until then "
                f"(PETITIONLINK_CLOCK_BOUND_SECONDS is {self._bound})"
            )
        if reading.stale:
            return (
                "the clock of this machine was not compared with the broker's of late, or has "
                "jumped: routines wait until Kafka answers"
            )
        return ""


def note(cursor: Cursor, ahead: int, now: int) -> None:
    """Keep that this process's clock was `ahead` micros of the broker's when it showed `now`."""
    cursor.execute(_NOTE, (ahead, now))


def read(cursor: Cursor, now: int) -> Reading:
    """The skew of a clock that shows `now` (micros)."""
    cursor.execute(_READ)
    database, database_ahead, age = cursor.fetchone() or (0, None, None)
    if database_ahead is None:
        return Reading(None)
    return Reading(now - database + database_ahead, abs(age) > _STALE_MICROS)


def _span(micros: int) -> str:
    seconds = micros / _MICROS
    for unit, length in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 1.5 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"
