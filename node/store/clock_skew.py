"""The skew 时钟偏差 between this process's clock and the broker's, which all nodes share.

Kafka tells its time only when it takes a record: on a topic with `message.timestamp.type` =
`LogAppendTime`, such as a control topic, the acknowledgement carries the broker's time. So the
reconciler measures how far Postgres's clock is ahead of the broker's and stores it. Every other
process compares its own clock with Postgres's, and so with the broker's, also on another machine.

    unknown    never measured: the node acts as if its clock were right
    stale      measured long ago, or the clock has jumped since: routines wait, commands continue
    wrong      beyond a bound: routines wait; beyond a larger one, commands are refused
"""

import time
from typing import NamedTuple

from node.postgres.connection import Cursor
from node.runtime.settings import Settings
from schemas.errors import PetitionLinkError
from schemas.instants import Clock, now_micros

_MICROS = 1_000_000
# A process uses a reading for this long, unless its clock jumps.
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
    """The clock of this machine is wrong, so commands must not be dated by it."""


class ClockSkew(NamedTuple):
    """The micros that this clock is ahead of the broker's, negative if it is slow.

    `ahead` is None if it was never measured; `stale` if that was too long ago, or seems to be.
    """

    ahead: int | None
    stale: bool = False

    @property
    def seconds(self) -> float | None:
        return None if self.ahead is None else self.ahead / _MICROS

    def exceeds(self, seconds: int) -> bool:
        """Return whether the clock is known to be wrong by more than `seconds`."""
        return self.ahead is not None and abs(self.ahead) > seconds * _MICROS

    def __str__(self) -> str:
        if self.ahead is None:
            return "the clock of this machine was never compared with the broker's"
        return (
            f"the clock of this machine is {_span(abs(self.ahead))} "
            f"{'ahead of' if self.ahead >= 0 else 'behind'} the broker's"
        )


class ClockCheck:
    """Checks the clock of a process before it is used; safe for threads."""

    def __init__(self, settings: Settings, clock: Clock = now_micros) -> None:
        self._bound = settings.clock_bound_seconds
        self._refuse = settings.clock_refuse_seconds
        self._clock = clock
        self._known: tuple[ClockSkew, int, float] | None = None

    def reading(self, cursor: Cursor) -> ClockSkew:
        """Return the present skew; the database is asked every few seconds at most."""
        now, ticks = self._clock(), time.monotonic()
        if self._known is not None:
            reading, then, ticked = self._known
            jumped = abs((now - then) - (ticks - ticked) * _MICROS) > _JUMP_MICROS
            if ticks - ticked < _FRESH_SECONDS and not jumped:
                return reading
        reading = read(cursor, now)
        self._known = (reading, now, ticks)
        return reading

    def true_now(self, cursor: Cursor) -> int | None:
        """Return the present instant (micros) by the broker's clock; by ours if never measured.

        Return None while our clock is in doubt.
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
        """Return why a routine must not act by this clock now; empty if it may."""
        reading = self.reading(cursor)
        if reading.exceeds(self._bound):
            return (
                f"{reading}: set it (NTP); routines wait until then "
                f"(PETITIONLINK_CLOCK_BOUND_SECONDS is {self._bound})"
            )
        if reading.stale:
            return (
                "the clock of this machine was not compared with the broker's recently, or has "
                "jumped: routines wait until Kafka answers"
            )
        return ""


def note(cursor: Cursor, ahead: int, now: int) -> None:
    """Store that this process's clock was `ahead` micros of the broker's when it showed `now`."""
    cursor.execute(_NOTE, (ahead, now))


def read(cursor: Cursor, now: int) -> ClockSkew:
    """Return the skew of a clock that shows `now` (micros)."""
    cursor.execute(_READ)
    database, database_ahead, age = cursor.fetchone() or (0, None, None)
    if database_ahead is None:
        return ClockSkew(None)
    return ClockSkew(now - database + database_ahead, abs(age) > _STALE_MICROS)


def _span(micros: int) -> str:
    seconds = micros / _MICROS
    for unit, length in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 1.5 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"
