"""The intake of control messages 控制消息: each is handled, or dropped, counted and logged once.

Nothing that a peer writes ends a process or another peer's conversation. An invalid message, or one
that the database or our code cannot handle, is dropped; only an error of the environment (Kafka or
Postgres away) is raised, because it affects every message.
"""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

import psycopg2
from kafka.errors import KafkaError, MessageSizeTooLargeError

from node.reconcile import protocol
from node.reconcile.control_channel import Received
from node.reconcile.protocol import Message, UnreadableMessage
from node.runtime.metrics import Metrics
from schemas.errors import PetitionLinkError

log = logging.getLogger(__name__)

RESULTS: Final = ("handled", "unknown_kind", "too_large", "malformed", "refused")
# SQLSTATE classes of errors in the statement's own values.
_OF_THE_VALUES = (
    "21",  # cardinality violation: one row twice
    "22",  # data exception: out of range, NUL, no such date
    "23",  # integrity constraint violation
    "54",  # program limit exceeded
)


class Intake:
    """Counts the messages of each peer by result, and logs each kind of refusal once a peer."""

    def __init__(self, metrics: Metrics | None = None, peers: Iterable[str] = ()) -> None:
        self._metrics = metrics
        self._told: set[tuple[str, str, str]] = set()
        if metrics is not None:
            for peer in peers:
                for result in RESULTS:
                    metrics.control_messages.labels(peer, result)

    def read(self, received: Received) -> Message | None:
        """Return the message; None if it was dropped."""
        try:
            message = protocol.read(received.kind, received.payload)
        except UnreadableMessage as error:
            self._drop(received, error.reason, str(error))
            return None
        if message is None:
            self._count(received.peer, "unknown_kind")  # of a newer release
        return message

    @contextmanager
    def handling(self, received: Received) -> Iterator[None]:
        """Count a message that the block handles; raise only errors of the environment."""
        try:
            yield
        except Exception as error:
            if not _is_about_the_message(error):
                raise
            self._drop(received, "refused", f"control message {received.kind[:20]}: {error!r:.200}")
            log.debug("a control message of %s was refused", received.peer, exc_info=error)
        else:
            self._count(received.peer, "handled")

    def _drop(self, received: Received, result: str, why: str) -> None:
        self._count(received.peer, result)
        key = (received.peer, received.kind, result)
        if key not in self._told:
            self._told.add(key)
            log.warning(
                "from %s: %s: dropped; more of this kind are only counted (control_messages_total)",
                *(received.peer, why),
            )

    def _count(self, peer: str, result: str) -> None:
        if self._metrics is not None:
            self._metrics.control_messages.labels(peer, result).inc()


def _is_about_the_message(error: Exception) -> bool:
    if isinstance(error, psycopg2.Error):
        if error.pgcode is None:  # the driver cannot adapt a value, or the connection is lost
            return isinstance(error, (psycopg2.DataError, psycopg2.ProgrammingError))
        return error.pgcode[:2] in _OF_THE_VALUES
    if isinstance(error, MessageSizeTooLargeError):  # our answer would be too large
        return True
    return not isinstance(error, (PetitionLinkError, KafkaError, OSError))
