"""A routine 例行任务 does rounds in one process of a node.

The session's connection holds an advisory lock of the node's database: one of several processes
works, and another takes over when that connection ends. A round writes through this connection, so
a process that lost the lock cannot write.
"""

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import closing
from typing import NamedTuple

from node.keys.office import Office, open_office
from node.postgres.advisory_lock import Lock, try_lock
from node.postgres.connection import Connection, connect, own_database
from node.postgres.synchronous_standby import refuse_while_unconfirmed
from node.runtime.settings import Settings
from node.runtime.supervisor import Stop
from schemas.instants import Clock, now_micros

log = logging.getLogger(__name__)

# A case that refused is not tried again for this time, by which it may have changed.
_REST_SECONDS = 900.0


class RoutinePolicy(NamedTuple):
    """The waits of a routine."""

    # A process that waits for the lock tries it this often, and so takes over within this time.
    try_seconds: float = 1.0
    # While the clock is wrong it is checked this often.
    clock_seconds: float = 5.0


DEFAULT_POLICY = RoutinePolicy()


class Routine(ABC):
    """A worker for `node.runtime.supervisor` that acts in rounds."""

    name: str

    def __init__(
        self,
        settings: Settings,
        clock: Clock = now_micros,
        policy: RoutinePolicy = DEFAULT_POLICY,
    ) -> None:
        self._waits = policy
        self._settings = settings
        self._clock = clock
        self._told = ""

    def session(self, stop: Stop) -> None:
        """Do round after round until `stop`, while this process holds the lock."""
        office = open_office(self._settings, self._clock)
        with closing(connect(self._settings.dsn, self.name)) as connection:
            with connection, connection.cursor() as cursor:
                own_database(cursor, self._settings.node)
                refuse_while_unconfirmed(cursor)
            while not stop.is_set() and not self._take_lock(connection):
                stop.wait(self._waits.try_seconds)
            while not stop.is_set():
                if self._may_act(connection, office):
                    stop.wait(self.round(connection, office, stop))
                else:
                    stop.wait(self._waits.clock_seconds)

    @abstractmethod
    def round(self, connection: Connection, office: Office, stop: Stop) -> float:
        """Do a bounded round; return how many seconds to wait for the next one.

        Raises errors of the driver; then what was not committed is not done.
        """

    def _may_act(self, connection: Connection, office: Office) -> bool:
        """Return False while the clock is wrong, because it decides what is due."""
        with connection, connection.cursor() as cursor:
            why = office.clock_check.why_not_act(cursor) if office.clock_check else ""
        if why != self._told:
            log.warning("%s: %s", self.name, why or "the clock is right again: going on")
            self._told = why
        return not why

    def _take_lock(self, connection: Connection) -> bool:
        with connection, connection.cursor() as cursor:
            return try_lock(cursor, Lock.ROUTINE, self.name)


class Resting:
    """Cases that refused and are left alone for a while, in memory only."""

    def __init__(self, seconds: float = _REST_SECONDS) -> None:
        self._seconds = seconds
        self._until: dict[str, float] = {}

    def add(self, case_ids: Iterable[str]) -> None:
        """Leave these alone from now on."""
        until = time.monotonic() + self._seconds
        self._until |= dict.fromkeys(case_ids, until)

    def case_ids(self) -> list[str]:
        """Return the cases to leave alone now."""
        now = time.monotonic()
        self._until = {case_id: until for case_id, until in self._until.items() if until > now}
        return [*self._until]
