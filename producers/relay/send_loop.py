"""The send loop of the relay takes, sends and marks rows, under a backlog in parallel.

While a thread sends a take and waits for the broker, the relay's own thread marks what was
acknowledged before and takes the next rows, mostly waiting for Postgres. The order is as if they
ran in turn: nothing is sent before the outcome of all earlier rows is known, nor after a failure.
Rows taken ahead are then dropped; they are still pending.
"""

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

# Fewer rows are sent without a thread, which would not be faster.
ROWS_IN_FLIGHT = 300


class Acknowledged(NamedTuple):
    """The rows that may be marked, and the number of rows by topic and result."""

    rows: list[Published]
    counts: Counter[tuple[str, str]]


class SendLoop:
    """The send loop of one session. At its end the context marks the last acknowledged rows."""

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
        """Return the rows to send now: those taken ahead, or else pending ones."""
        ahead, self._ahead = self._ahead, []
        return ahead or take(self._connection, topics, of_each, at_most)

    def publish(self, pending: Sequence[Pending], ahead: Sequence[str] = (), more: int = 0) -> None:
        """Send, and mark what was acknowledged; raise the first failure.

        Meanwhile up to `more` rows of each topic in `ahead` are taken, if many are being sent.
        """
        *before, last = lanes(pending)
        for lane in before:
            self._settle(lane, self._publisher.publish(lane))
        if more and len(last) >= self._rows_in_flight:
            thread = _SendThread(self._publisher, last)
            self._mark()
            self._ahead = take(self._connection, ahead, more, in_flight=last)
            self._settle(last, thread.outcome())
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


class _SendThread(threading.Thread):
    """A thread that sends one lane. If abandoned, it ends when its producer is closed."""

    def __init__(self, publisher: Publisher, lane: Sequence[Pending]) -> None:
        super().__init__(name="relay-send", daemon=True)
        self._publisher = publisher
        self._lane = lane
        self._outcome: tuple[list[Published], Failure | None] | None = None
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self._outcome = self._publisher.publish(self._lane)
        except BaseException as error:
            self._error = error

    def outcome(self) -> tuple[list[Published], Failure | None]:
        """Wait for `Publisher.publish`; return its result or raise its error."""
        self.join()
        if self._outcome is None:
            raise self._error or RuntimeError("a send without outcome")
        return self._outcome


def _counts(lane: Sequence[Pending], published: Sequence[Published]) -> Counter[tuple[str, str]]:
    acknowledged = {row.id for row in published}
    return Counter(
        (row.topic, "acknowledged" if row.id in acknowledged else "failed") for row in lane
    )
