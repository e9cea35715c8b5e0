"""The services that requests share 服务: settings, office, connections, partition status."""

import hashlib
import hmac
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, cast

from fastapi import Depends, Request
from kafka.errors import KafkaError

from consumers.partition_status import partition_status
from node.entrypoints.web.connection_pool import Connections, HeavyConnections
from node.keys.key_ring import NodeKeys
from node.keys.office import Office
from node.postgres.connection import Connection
from node.runtime.errors import classified
from node.runtime.settings import Settings
from schemas.instants import now_micros
from schemas.sealing.cipher_suites import Secret

log = logging.getLogger(__name__)

# Asking Kafka takes a client of its own: however many ask for the status, it is asked this often.
_FRESH_SECONDS = 3.0

Partitions = list[dict[str, Any]] | None


class PartitionCache:
    """A cache of the applied positions, read at most every few seconds; safe for threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._known: Partitions = None
        self._until: float | None = None

    def read(self, settings: Settings, connections: Connections) -> Partitions:
        """Return how far each partition is applied; None while Kafka is away.

        While another thread asks Kafka, the previous answer is returned: a broker that does not
        answer must not hold up every request.
        """
        asked_before = self._until is not None
        if not self._lock.acquire(blocking=not asked_before):
            return self._known
        try:
            if self._until is None or self._clock() >= self._until:
                with connections() as connection:
                    self._known = _read_partitions(settings, connection)
                self._until = self._clock() + _FRESH_SECONDS
            return self._known
        finally:
            self._lock.release()


def _read_partitions(settings: Settings, connection: Connection) -> Partitions:
    try:
        partitions = partition_status(settings, connection, now_micros())
    except KafkaError as error:
        log.warning("status without partitions: %s", classified(error))
        return None
    return [partition._asdict() for partition in partitions]


@dataclass(frozen=True)
class Services:
    """Built once per web service."""

    settings: Settings
    office: Office
    connections: Connections
    heavy: HeavyConnections
    partitions: PartitionCache = field(default_factory=PartitionCache)


def services_of(request: Request) -> Services:
    """Return the services of the application that answers this request."""
    return cast(Services, request.app.state.services)


ServicesOf = Annotated[Services, Depends(services_of)]


def web_key(keys: NodeKeys, purpose: str) -> Secret:
    """Return the node's own key for one purpose of the web service.

    It is derived from the node's private key, which no other node knows, and is the same for every
    web process of the node. The identity key would not do: all nodes share it.
    """
    label = f"petitionlink web|{purpose}".encode()
    return Secret(hmac.new(keys.pair.private, label, hashlib.sha256).digest())
