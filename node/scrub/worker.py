"""The scrubber 校验 checks the ledger again and again at a rate, in one process of the node.

1. Check first the cases that a peer, the relay or a restored event requested.
2. Read our own topics again if own events are missing.
3. Recompute the next cases of the pass, and rest as the rate demands.

The position is stored in Postgres, so that a pass continues after a restart. The advisory lock of
the connection lets one process of the node work.
"""

import logging
import time
from collections.abc import Sequence
from contextlib import closing
from typing import Final, NamedTuple

from kafka import errors as kafka_errors

from node.kafka import clients
from node.kafka.topic_names import produced_topics
from node.postgres.advisory_lock import Lock, try_lock
from node.postgres.connection import Connection, connect, own_database
from node.recovery.own_events import bring_home
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings
from node.runtime.supervisor import Stop
from node.scrub import findings, position, projection_check
from node.scrub.ledger_pass import CASES_AT_A_TIME, Verified, verify_buckets, verify_cases
from node.scrub.repair import Context
from node.scrub.verifier import next_cases

log = logging.getLogger(__name__)

_TRY_SECONDS: Final = 1.0
# Requests are answered within about this time.
_LOOK_SECONDS: Final = 1.0
_SHOW_SECONDS: Final = 5.0
# A small ledger is not checked again at once.
_LEAST_BETWEEN_PASSES_SECONDS: Final = 3600.0
# Own topics that could not be read are tried again after this.
_KAFKA_PAUSE_SECONDS: Final = 30.0


class ScrubPolicy(NamedTuple):
    """The sizes of a scrub."""

    cases_at_a_time: int = CASES_AT_A_TIME
    # More rows than this in one pass are not one accident: the others wait for `verify --heal`.
    most_quarantined: int = 1000


DEFAULT_POLICY = ScrubPolicy()


class Scrubber:
    """The background scrub of a node; a worker for `node.runtime.supervisor`."""

    name = "scrubber"

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics

    def session(self, stop: Stop) -> None:
        """Scrub until `stop`, once this process holds the lock."""
        with closing(connect(self._settings.dsn, "scrubber")) as connection:
            with connection, connection.cursor() as cursor:
                own_database(cursor, self._settings.node)
            while not stop.is_set() and not _takes_the_lock(connection):
                stop.wait(_TRY_SECONDS)
            if stop.is_set():
                return
            try:
                Scrub(self._settings, self._metrics, connection).work_until(stop)
            finally:
                self._metrics.scrub_findings_open.clear()


class Scrub:
    """A session of the scrubber and the times of its next steps."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        connection: Connection,
        policy: ScrubPolicy = DEFAULT_POLICY,
    ) -> None:
        self._policy = policy
        self._settings = settings
        self._metrics = metrics
        self._connection = connection
        self._rate = settings.scrub_events_per_second
        self._context = Context(settings.node, settings.actor, projection_check.prepare(connection))
        self._next_at = self._show_at = self._own_at = time.monotonic()

    def work_until(self, stop: Stop) -> None:
        """Check requested cases and the next ones of the pass, until `stop`."""
        while not stop.is_set():
            self.answer_requests()
            self._bring_own_home()
            if self._rate and time.monotonic() >= self._next_at:
                self._next_at = time.monotonic() + self.step()
            if time.monotonic() >= self._show_at:
                self._show_at = time.monotonic() + _SHOW_SECONDS
                self.show()
            left = self._next_at - time.monotonic() if self._rate else _LOOK_SECONDS
            stop.wait(min(_LOOK_SECONDS, max(0.0, left)))

    def step(self) -> float:
        """Recompute the next cases of the pass; return the seconds to rest."""
        with self._connection, self._connection.cursor() as cursor:
            state = position.read(cursor)
            if state.began_at is None:
                since = state.now - (state.complete_at or 0.0)
                if since < _LEAST_BETWEEN_PASSES_SECONDS:
                    return _LEAST_BETWEEN_PASSES_SECONDS - since
                position.begin(cursor)
            size = self._policy.cases_at_a_time
            case_ids = next_cases(cursor, self._settings.node, state.last_case, size)
        if not case_ids:
            self._complete()
            return _LOOK_SECONDS
        done = self._verify(case_ids, heals=state.quarantined < self._policy.most_quarantined)
        with self._connection, self._connection.cursor() as cursor:
            position.move(cursor, case_ids[-1], done.events, done.quarantined)
        return done.events / self._rate

    def answer_requests(self) -> None:
        with self._connection, self._connection.cursor() as cursor:
            asked = position.take_requests(cursor, self._policy.cases_at_a_time)
        if asked:
            self._verify(asked, heals=True)
            self.show()

    def show(self) -> None:
        with self._connection, self._connection.cursor() as cursor:
            state = position.read(cursor)
            by_kind = findings.open_by_kind(cursor)
        self._metrics.scrub_last_complete_timestamp_seconds.set(state.complete_at or 0)
        self._metrics.scrub_pass_events.set(state.events)
        self._metrics.scrub_findings_open.clear()
        for kind, number in by_kind.items():
            self._metrics.scrub_findings_open.labels(kind).set(number)

    def _verify(self, case_ids: Sequence[str], *, heals: bool) -> Verified:
        done = verify_cases(self._connection, self._context, case_ids, heals=heals)
        for found in done.found:
            log.warning("scrub: case %s: %s: %s", found.case_id, found.kind, found.detail)
        return done

    def _complete(self) -> None:
        for found in verify_buckets(self._connection, self._context, heals=True):
            log.warning("scrub: %s", found.detail)
        with self._connection, self._connection.cursor() as cursor:
            position.complete(cursor)

    def _bring_own_home(self) -> None:
        if time.monotonic() < self._own_at:
            return
        self._own_at = time.monotonic() + _LOOK_SECONDS
        with self._connection, self._connection.cursor() as cursor:
            wanted = position.wants_own_topics(cursor)
        if not wanted:
            return
        try:
            read_own_topics(self._settings, self._connection)
        except kafka_errors.KafkaError as error:
            self._own_at = time.monotonic() + _KAFKA_PAUSE_SECONDS
            log.warning("scrub: our own topics cannot be read now: %s", type(error).__name__)


def read_own_topics(settings: Settings, connection: Connection) -> int:
    """Restore own events from the whole of our own topics; return the number of lost ones.

    Raises a Kafka error while the cluster is away; then it is tried again.
    """
    existing = clients.existing_topics(settings)
    mine = [topic for topic in produced_topics(settings.node) if topic in existing]
    home = bring_home(settings, mine, whole=True)
    with connection, connection.cursor() as cursor:
        position.own_topics_read(cursor)
    return home


def _takes_the_lock(connection: Connection) -> bool:
    with connection, connection.cursor() as cursor:
        return try_lock(cursor, Lock.SCRUB)
