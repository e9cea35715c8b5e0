"""How far the partitions are applied 消费进度, for whoever looks at a page or the status."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from kafka.errors import KafkaError

from consumers.partition_status import partition_status
from node.entrypoints.web.connection_pool import Connections
from node.postgres.connection import Connection
from node.runtime.clock import now_micros
from node.runtime.errors import classified
from node.runtime.settings import Settings

log = logging.getLogger(__name__)

# Asking Kafka takes a client of its own: however many look at the status, it is asked this often.
_FRESH_SECONDS = 3.0

Partitions = list[dict[str, Any]] | None


class Standing:
    """The standing of the partitions, asked for at most every few seconds; safe for threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._known: Partitions = None
        self._until: float | None = None

    def look(self, settings: Settings, connections: Connections) -> Partitions:
        """How far each partition is applied; None while Kafka is away.

        While another thread asks, what was known before is given: a broker that does not answer
        must not hold up every request.
        """
        asked_before = self._until is not None
        if not self._lock.acquire(blocking=not asked_before):
            return self._known
        try:
            if self._until is None or self._clock() >= self._until:
                with connections() as connection:
                    self._known = _asked(settings, connection)
                self._until = self._clock() + _FRESH_SECONDS
            return self._known
        finally:
            self._lock.release()


def _asked(settings: Settings, connection: Connection) -> Partitions:
    try:
        found = partition_status(settings, connection, now_micros())
    except KafkaError as error:
        log.warning("status without partitions: %s", classified(error))
        return None
    return [one._asdict() for one in found]
