"""Housekeeping 保洁 as a routine: every hour, at every node, by one of its processes."""

from __future__ import annotations

import logging

from node import housekeeping
from node.clock import Clock, now_micros
from node.lifecycle import Stop
from node.postgres import Connection
from node.settings import Settings
from producers.office import Office
from producers.routines.worker import Routine

log = logging.getLogger(__name__)

_PERIOD_SECONDS = 3600.0
# The ledger was in somebody's hands: months are made three ahead, so there is time.
_AGAIN_SECONDS = 300.0


class Housekeeping(Routine):
    """A node's clean-up; a worker for `node.lifecycle`."""

    name = "housekeeping"

    def __init__(self, settings: Settings, clock: Clock = now_micros) -> None:
        super().__init__(settings, clock)
        self._keep = housekeeping.Retention(settings.outbox_days, settings.dead_letter_days)

    def round(self, connection: Connection, office: Office, stop: Stop) -> float:
        """Make partitions ahead, prune, and keep the ledger's statistics fresh."""
        made = housekeeping.make_partitions(connection)
        pruned = housekeeping.prune(connection, self._keep, stop)
        housekeeping.analyse_ledger(connection)
        if made or any(pruned):
            log.info("housekeeping: months made %s, pruned %s", made or 0, pruned._asdict())
        if made is None:
            log.warning("housekeeping: a long transaction holds the ledger; months are made later")
        return _AGAIN_SECONDS if made is None else _PERIOD_SECONDS
