"""Read the node's own topics to their end, so that it may take commands.

Any process of the node may do it; the relay does. Records that were sent from a database that is
gone may still arrive for as long as a producer tries to deliver them. So for another database than
the one confirmed last the topics are read twice, the second time after that long.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Final

from node.kafka import clients
from node.kafka.topic_names import own_topic, produced_topics
from node.postgres.connection import Connection, own_connected
from node.recovery.own_events import bring_home
from node.runtime.errors import Fatal, PetitionLinkError, Transient, classified
from node.runtime.settings import Settings
from node.store import command_gate
from node.store.command_gate import OPEN, Confirmation

log = logging.getLogger(__name__)

# A producer gives up after 30 s, and a record is visible a moment after the broker took it.
SETTLE_SECONDS: Final = clients.DELIVERY_TIMEOUT_SECONDS + 5.0
_STOPPED_SECONDS = 1.0


def confirm(
    settings: Settings, settle_seconds: float = SETTLE_SECONDS, stop: threading.Event | None = None
) -> float:
    """Restore own events and open the gate of commands; return 0.0 if it is open.

    Otherwise return the seconds after which to call again. Raises `Fatal` if the own topic is
    missing, `HeldUp` while another producer's transaction is open on one of the topics, and what
    the driver or client raises.
    """
    with own_connected(settings, "own-topics") as connection:
        known, seconds = command_gate.confirmation_since(connection)
        if known is Confirmation.CONFIRMED:
            return 0.0
        topics = existing_own_topics(settings)
        bring_home(settings, topics, stop, waits=False)
        if stop is not None and stop.is_set():
            return _STOPPED_SECONDS  # reading may not have ended
        remaining = settle_seconds - seconds
        if known is Confirmation.OTHER and remaining > 0 and not _are_new(settings, topics):
            return remaining
        # The server is still the same: otherwise this connection would fail.
        with connection, connection.cursor() as cursor:
            command_gate.confirm(cursor)
    log.info("commands are taken: the database has all events of the node's own topics")
    return 0.0


def existing_own_topics(settings: Settings) -> list[str]:
    """Return the existing topics with events of this node; `Fatal` if the own topic is missing."""
    existing = clients.existing_topics(settings)
    own = own_topic(settings.node)
    if own not in existing:
        raise Fatal(f"topic {own} is missing: run `petitionlink topics apply`")
    return [topic for topic in produced_topics(settings.node) if topic in existing]


@contextmanager
def trusting_if_kafka_is_away(connection: Connection) -> Iterator[None]:
    """If the block fails because Kafka is away, trust the database if it was confirmed before."""
    try:
        yield
    except Exception as error:
        known = error if isinstance(error, PetitionLinkError) else classified(error)
        if isinstance(known, Transient) and known.dependency == "kafka":
            with connection.cursor() as cursor:
                command_gate.trust(cursor)
        raise


def await_gate(settings: Settings) -> None:
    """Open the gate of commands for a command of the console script, if it can be done now.

    Raises `NotConfirmed` if not, and `Fatal` as `confirm` does.
    """
    with own_connected(settings, "own-topics") as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            if command_gate.confirmation(cursor) in OPEN:
                return
        try:
            with trusting_if_kafka_is_away(connection):
                confirm(settings)
        except Fatal:
            raise
        except Exception as error:
            log.debug("own topics cannot be read: %s", error)
        with connection.cursor() as cursor:
            command_gate.require_confirmed(cursor, settings.node)


def _are_new(settings: Settings, topics: list[str]) -> bool:
    """Return whether no record was ever written to these topics, so that none can still arrive."""
    with closing(clients.plain_consumer(settings, "own-topics")) as client:
        return not any(client.end_offsets(clients.partitions_of(client, topics)).values())
