"""Turns 轮次 of the relay: rows taken, sent, and marked; under a backlog beside one another.

While a thread hands a take to the producer and waits for the broker, the relay's own marks what was
acknowledged before it and takes what comes next: most of both is waiting for Postgres. The order is
that of one after the other: nothing is sent before the fate of all that was taken before it is
known, and behind a failure nothing is. What had been taken ahead then is forgotten: it still waits.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple, Self

from node.postgres.connection import Connection
from node.runtime.metrics import Metrics
from producers.relay.outbox_reader import Pending, Published, lanes, mark, take
from producers.relay.publisher import Failure, Publisher

log = logging.getLogger(__name__)

# Fewer are sent at once by the relay itself: there is nothing to win, and a thread to wake.
ROWS_IN_FLIGHT = 300


class Acknowledged(NamedTuple):
    """What may be marked, and how many rows of each topic came to which result."""

    rows: list[Published]
    counts: Counter[tuple[str, str]]


class Turns:
    """Of one session. As a context it marks at its end what was acknowledged last."""

    def __init__(
        self,
        connection: Connection,
        publisher: Publisher,
        metrics: Metrics,
        rows_in_flight: int = ROWS_IN_FLIGHT,
    ) -> None:
        self._connection = connection
        self._rows_in_flight = rows_in_flight
        self._publisher = publisher
        self._metrics = metrics
        self._ahead: list[Pending] = []
        self._unmarked: Acknowledged | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            self._mark()
        except Exception as lost:  # sent again, as after any crash between the two
            if error is None:
                raise
            log.debug("not marked: %s", lost)

    def taken(self, topics: Sequence[str], of_each: int, at_most: int) -> list[Pending]:
        """What is to be sent now: what was taken ahead, or else what waits."""
        ahead, self._ahead = self._ahead, []
        return ahead or take(self._connection, topics, of_each, at_most)

    def publish(self, pending: Sequence[Pending], ahead: Sequence[str] = (), more: int = 0) -> None:
        """Send, and mark what was acknowledged; raises the first failure.

        Of the topics `ahead` up to `more` rows each are taken meanwhile, if so many are being sent
        that others may wait.
        """
        *before, last = lanes(pending)
        for lane in before:
            self._settle(lane, self._publisher.publish(lane))
        if more and len(last) >= self._rows_in_flight:
            flight = _Flight(self._publisher, last)
            self._mark()
            self._ahead = take(self._connection, ahead, more, flying=last)
            self._settle(last, flight.outcome())
        else:
            self._settle(last, self._publisher.publish(last))

    def _settle(
        self, lane: Sequence[Pending], outcome: tuple[list[Published], Failure | None]
    ) -> None:
        self._mark()
        published, failure = outcome
        self._unmarked = Acknowledged(published, _counts(lane, published))
        if failure is not None or not self._ahead:
            self._mark()
        if failure is not None:
            raise failure
        self._metrics.dependency_up.labels("kafka").set(1)

    def _mark(self) -> None:
        unmarked, self._unmarked = self._unmarked, None
        if unmarked is not None:
            mark(self._connection, unmarked.rows)
            for (topic, result), number in unmarked.counts.items():
                self._metrics.outbox_published.labels(topic, result).inc(number)


class _Flight(threading.Thread):
    """One lane being sent. Abandoned, it ends with its producer, which sends nothing any more."""

    def __init__(self, publisher: Publisher, lane: Sequence[Pending]) -> None:
        super().__init__(name="relay-flight", daemon=True)
        self._publisher = publisher
        self._lane = lane
        self._outcome: tuple[list[Published], Failure | None] | None = None
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        """Send, and keep what came of it."""
        try:
            self._outcome = self._publisher.publish(self._lane)
        except BaseException as error:
            self._error = error

    def outcome(self) -> tuple[list[Published], Failure | None]:
        """What `Publisher.publish` gave or raised, once it has."""
        self.join()
        if self._outcome is None:
            raise self._error or RuntimeError("a flight without outcome")
        return self._outcome


def _counts(lane: Sequence[Pending], published: Sequence[Published]) -> Counter[tuple[str, str]]:
    acknowledged = {row.id for row in published}
    return Counter(
        (row.topic, "acknowledged" if row.id in acknowledged else "failed") for row in lane
    )
