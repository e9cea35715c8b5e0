"""Relay 中继: outbox → Kafka, acknowledged and marked.

The reference is the client library's own producer with the relay's settings, the same records from
memory to the same topic, one flush at the end: no database, no marks.
"""

import time
from collections.abc import Iterable
from contextlib import closing

from benchmarks.events import events_together
from benchmarks.figures import Figure, Goal
from benchmarks.filling import write_ledger
from benchmarks.home import empty, know_own_records, process
from benchmarks.pace import pace
from benchmarks.plan import Plan
from node.kafka import clients
from node.kafka.topic_names import uplink
from node.keys.office import open_office
from node.localstack import LocalStack
from node.localstack.stack import stack_settings
from node.postgres.connection import connect
from schemas.event import Event
from schemas.wire import wire_headers

_NODE = "660000"
# The producer alone is fastest when batches may fill up.
_LINGER_MS = 20
_FILL = """
    truncate outbox restart identity;
    insert into outbox (topic, case_id, event_id)
    select %s, case_id, event_id from case_event order by event_id;
"""
# Rows are marked in the order of their ids, so the first pending one tells how many are done.
_MARKED = (
    "select coalesce((select min(id) from outbox where topic = '{}' and not urgent and "
    "published_at is null), "
    "(select max(id) + 1 from outbox)) - 1"
)


def measure(stack: LocalStack, plan: Plan) -> list[Figure]:
    """Events per second of the relay, and of the plain producer in the same run."""
    empty(stack, [_NODE])
    office = open_office(stack_settings(_NODE))
    events = list(events_together(office, min(plan.events, 60_000)))
    write_ledger(stack.dsn(_NODE), events)
    rates, references = [], []
    for _ in plan.runs("relay"):
        references.append(_plain(events))
        rates.append(_run(stack, len(events)))
    about = f"{len(events):,} rows, one topic; reference: the same records from memory, flushed"
    return [
        Figure(
            "relay",
            "events/s",
            rates,
            about,
            "kafka-python's producer alone",
            references,
            Goal(0.6),
        )
    ]


def _run(stack: LocalStack, events: int) -> float:
    topic, dsn = uplink(_NODE), stack.dsn(_NODE)
    _fill_outbox(dsn, topic)
    know_own_records(_NODE)
    with process(stack, _NODE, "relay") as relay:
        return pace(dsn, _MARKED.format(topic), events, relay)


def _fill_outbox(dsn: str, topic: str) -> None:
    with closing(connect(dsn, "bench")) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(_FILL, (topic,))
            cursor.execute("vacuum analyze outbox")
            cursor.execute("checkpoint")


def _plain(events: Iterable[Event]) -> float:
    topic = uplink(_NODE)
    records = [(event.key, event.value, wire_headers(event)) for event in events]
    with closing(
        clients.producer(stack_settings(_NODE), "bench", linger_ms=_LINGER_MS)
    ) as producer:
        producer.partitions_for(topic)
        began = time.perf_counter()
        for key, value, headers in records:
            producer.send(topic, value, key, headers)
        producer.flush()
        return len(records) / (time.perf_counter() - began)
