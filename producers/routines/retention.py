"""Clean up 保洁 every hour, at every node, in one of its processes."""

import logging

from node.keys.office import Office
from node.postgres.connection import Connection
from node.runtime.settings import Settings
from node.runtime.supervisor import Stop
from node.store import retention
from producers.routines.routine import Routine
from schemas.instants import Clock, now_micros

log = logging.getLogger(__name__)

_PERIOD_SECONDS = 3600.0
# The ledger was locked; months are made three ahead, so there is time.
_AGAIN_SECONDS = 300.0


class Housekeeping(Routine):
    """The routine of clean-up; a worker for `node.runtime.supervisor`."""

    name = "housekeeping"

    def __init__(self, settings: Settings, clock: Clock = now_micros) -> None:
        super().__init__(settings, clock)
        self._keep = retention.Retention(settings.outbox_days, settings.dead_letter_days)

    def round(self, connection: Connection, office: Office, stop: Stop) -> float:
        """Make partitions ahead, prune, and update the ledger's statistics."""
        made = retention.make_partitions(connection)
        pruned = retention.prune(connection, self._keep, stop)
        retention.analyse_ledger(connection)
        if made or any(pruned):
            log.info("housekeeping: months made %s, pruned %s", made or 0, pruned._asdict())
        if made is None:
            log.warning("housekeeping: a long transaction holds the ledger; months are made later")
        return _AGAIN_SECONDS if made is None else _PERIOD_SECONDS
