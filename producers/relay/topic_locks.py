"""Lock the topics 认领 that this relay publishes, one relay per topic.

Each topic has an advisory lock of the session, which ends with the connection that also marks rows,
so a relay that lost its lock cannot mark either.
"""

import logging
import time
from collections.abc import Container, Iterable, Iterator, Mapping

from node.kafka import clients
from node.kafka.topic_names import produced_topics
from node.postgres.advisory_lock import Lock, try_lock
from node.postgres.connection import Connection
from node.runtime.errors import Fatal
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings

# A relay takes over a topic within this time after another relay released it.
_TRY_SECONDS = 1.0
# A topic on which another producer's transaction is open is checked again after this time.
_HELD_UP_SECONDS = 15.0
# A missing topic is checked again after this time: a province may be connected later.
_LOOK_SECONDS = 30.0
_WAITING = """
    select wanted.topic from unnest(%s::text[]) as wanted (topic)
    where exists (select from outbox o where o.topic = wanted.topic and o.published_at is null)
"""
_KNOWN = """
    select exists (select from own_position where topic = any(%(t)s))
        or exists (select from outbox where topic = any(%(t)s) and published_at is not null)
"""

log = logging.getLogger(__name__)


class TopicLocks:
    """The topics locked by one session's connection."""

    def __init__(
        self,
        connection: Connection,
        settings: Settings,
        metrics: Metrics | None = None,
        refused: Container[str] = frozenset(),
    ) -> None:
        """The first look leaves out topics in `refused`, which have just accepted no records."""
        self._connection = connection
        self._settings = settings
        self._metrics = metrics
        self._refused = refused
        self._told: set[str] = set()
        self._missing = produced_topics(settings.node)
        self._existing: list[str] = []
        self._try_due = self._look_due = 0.0
        self._held_up: dict[str, float] = {}
        self.held: list[str] = []

    def renew_if_due(self) -> Iterator[list[str]]:
        """Try to lock the other topics; yield those that were gained before they are `held`.

        Raises a Kafka error, or `Fatal` if no topic exists and none ever did.
        """
        now = time.monotonic()
        if self._missing and now >= self._look_due:
            self._look_due = now + _LOOK_SECONDS
            self._look()
        if len(self.held) < len(self._existing) and now >= self._try_due:
            self._try_due = now + _TRY_SECONDS
            gained = self._gained()
            if gained:
                yield gained
                self._hold([topic for topic in gained if topic not in self._held_up])

    def hold_up(self, reasons: Mapping[str, str]) -> None:
        """Try these topics again later, because they cannot be published yet for these reasons."""
        for topic, reason in reasons.items():
            if topic not in self._told:
                log.error("%s; nothing is published to %s until it ends", reason, topic)
            self._told.add(topic)
            self._held_up[topic] = time.monotonic() + _HELD_UP_SECONDS
            self._gauge(topic, stopped=True)

    def _hold(self, topics: Iterable[str]) -> None:
        for topic in topics:
            self.held.append(topic)
            self._told.discard(topic)
            self._gauge(topic, stopped=False)

    def _look(self) -> None:
        found = clients.existing_topics(self._settings)
        usable = [name for name in self._missing if name in found and name not in self._refused]
        self._refused = frozenset()
        self._existing += usable
        self._missing = [topic for topic in self._missing if topic not in usable]
        waiting = self._waiting()
        self._show(waiting)
        if not self._existing and not waiting and not found.intersection(self._missing):
            self._check_known()

    def _waiting(self) -> set[str]:
        """Return the topics that accept no records now and have pending rows."""
        with self._connection.cursor() as cursor:
            cursor.execute(_WAITING, (self._missing,))
            return {topic for (topic,) in cursor}

    def _show(self, waiting: set[str]) -> None:
        for topic in produced_topics(self._settings.node):
            self._gauge(topic, stopped=topic in waiting or topic in self._held_up)
        for topic in sorted(waiting - self._told):
            log.error(
                "topic %s is missing or takes nothing: its outbox waits, all others are published: "
                "run `petitionlink topics apply`, or see its ACL in Kafka",
                topic,
            )
        self._told = waiting | self._held_up.keys()

    def _gauge(self, topic: str, *, stopped: bool) -> None:
        if self._metrics is not None:
            self._metrics.outbox_stopped_topics.labels(topic).set(stopped)

    def _check_known(self) -> None:
        """Raise `Fatal` if this node never published anything: waiting would hide a mistake."""
        with self._connection.cursor() as cursor:
            cursor.execute(_KNOWN, {"t": self._missing})
            if cursor.fetchone() != (True,):
                raise Fatal(f"topic {self._missing[0]} is missing: run `petitionlink topics apply`")

    def _gained(self) -> list[str]:
        now = time.monotonic()
        wanted = [
            topic
            for topic in self._existing
            if topic not in self.held and now >= self._held_up.get(topic, now)
        ]
        with self._connection.cursor() as cursor:
            gained = [topic for topic in wanted if try_lock(cursor, Lock.RELAY, topic)]
        for topic in gained:
            self._held_up.pop(topic, None)
        return gained
