"""Beijing on a slow line in tests: a relay at a rate, and what waits."""

from collections.abc import Iterator
from contextlib import contextmanager

from support.offices import BEIJING
from support.world import (
    eventually,
    rows,
    running,
)

from cases.case import Case
from node.kafka.topic_names import uplink
from node.keys.office import open_office
from node.postgres.connection import connected
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings
from node.store.write_events import pack_own, write_own_events
from producers.commands.draft_event import draft
from producers.commands.parse import parse
from producers.relay.outbox_reader import Pending, take
from producers.relay.relay import Relay

TOPIC = uplink(BEIJING)
RATE = 100  # records a second
CASE = "110000-20260401-7K3M9QXA"


@contextmanager
def relaying(settings: Settings) -> Iterator[None]:
    metrics = Metrics()
    with running(Relay(settings, metrics), metrics) as ended:
        yield
    assert ended == []


def drained(settings: Settings) -> None:
    eventually(lambda: waiting(settings) == 0, "an empty outbox")


def waiting(settings: Settings) -> int:
    return int(rows(settings, "select count(*) from outbox where published_at is null")[0][0])


def backlog(settings: Settings, cases: int) -> None:
    """Write `cases` ordinary cases in one transaction, as an import does."""
    office = open_office(settings)
    with connected(settings.dsn, "test") as connection, connection, connection.cursor() as cursor:
        events = []
        for _ in range(cases):
            command = parse({"command": "register", "title": "供暖不足", "channel": "web"}, office)
            events.append(draft(office, Case(command.case_id), command))
        write_own_events(cursor, office.node, pack_own(events))


def taken(
    settings: Settings, *topics: str, of_each: int = 1000, max_bytes: int = 1_000_000
) -> list[Pending]:
    """Take the rows that wait for these topics."""
    with connected(settings.dsn, "test") as connection:
        return take(connection, topics, of_each, max_bytes=max_bytes)
