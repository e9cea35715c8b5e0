"""Read the pending outbox rows, and mark those that were acknowledged."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

from node.postgres.connection import Connection, Cursor
from node.postgres.statements import Prepared, Statement, run
from node.store import lost_events
from node.store.digests import of_event
from node.store.events import stored_headers
from schemas.event import Event
from schemas.wire import wire_headers

log = logging.getLogger(__name__)


class Pending(NamedTuple):
    """An outbox row as a Kafka record, with unchanged bytes from the ledger."""

    id: int
    topic: str
    case_id: str
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]
    urgent: bool
    is_damaged: bool = False


class Published(NamedTuple):
    """The partition and offset at which the broker acknowledged a row."""

    id: int
    partition: int
    offset: int


# Rows are always looked up by their ids: reading all of a small table took longer than the update.
_SESSION = """
    set enable_hashjoin = off;
    set enable_mergejoin = off;
    set jit = off;
"""
# A take is held in memory twice, as rows and in the producer. The usual 4000 events have 4 MB;
# the same number of the largest allowed would have a gigabyte.
_BYTES_PER_TAKE = 8_000_000
# The same number of rows of each topic, so that no destination waits for another's backlog. If not
# all may be taken, the first of each topic comes before the second of any, in random order. This is
# always a prefix of each topic's rows, urgent ones first.
_TAKE = Prepared(
    "take_pending",
    """
    with due as (
        select o.*, row_number() over (order by o.urgent desc, o.place, random()) as turn
        from unnest(%s::text[]) as held (topic)
        cross join lateral (
            select id, topic, event_id, urgent,
                   row_number() over (order by urgent desc, id) as place
            from outbox
            where topic = held.topic and published_at is null and id <> all(%s::bigint[])
            order by urgent desc, id limit %s::bigint
        ) o
        order by turn limit %s::bigint
    ), sized as (
        select due.id, due.topic, due.urgent, e.*,
               sum(octet_length(e.value)) over (order by turn rows unbounded preceding) as size
        from due join case_event e using (event_id)
    )
    select id, topic, urgent, event_type, event_id::text, case_id, emitter,
           (extract(epoch from recorded_at) * 1000000)::bigint, value, traceparent, extra_headers,
           digest
    from sized where size - octet_length(value) < %s::bigint
    order by urgent desc, id
    """,
)
# A single statement is atomic, so the flow counts include exactly the rows that it marks.
_MARK = Prepared(
    "mark_published",
    """
    with marked as (
        update outbox set published_at = now(), partition = done.partition, "offset" = done."offset"
        from unnest(%s::bigint[], %s::integer[], %s::bigint[]) as done (id, partition, "offset")
        where outbox.id = done.id
        returning topic, day, resent
    )
    insert into flow_change (topic, day, published)
    select topic, day, count(*) from marked where not resent group by topic, day
    """,
)


def prepare(cursor: Cursor) -> None:
    """Make this session the relay's: see `_SESSION`."""
    cursor.execute(_SESSION)


def take(
    connection: Connection,
    topics: Sequence[str],
    of_each: int,
    at_most: int | None = None,
    in_flight: Iterable[Pending] = (),
    max_bytes: int = _BYTES_PER_TAKE,
) -> list[Pending]:
    """Return the oldest pending rows of `topics`, urgent ones first, then by their ids.

    At most `of_each` of a topic, `at_most` in all, of about `max_bytes`, without rows `in_flight`,
    which are not marked yet. An event whose value does not match its digest is not returned, so
    that damage does not spread to other nodes; the scrub is asked to repair it.
    """
    known = _array(row.id for row in in_flight)
    with connection.cursor() as cursor:
        values = ([*topics], known, of_each, at_most, max_bytes)
        run(cursor, [Statement(_TAKE, values)])
        taken = [_pending(row) for row in cursor]
        damaged = [row for row in taken if row.is_damaged]
        if damaged:
            lost_events.request(cursor, [row.case_id for row in damaged])
            log.warning("relay: %d damaged events are not sent", len(damaged))
    return [row for row in taken if not row.is_damaged] if damaged else taken


def lanes(pending: Iterable[Pending]) -> Iterator[list[Pending]]:
    """Yield the urgent rows of a take, then the others; an empty lane is left out."""
    return (list(lane) for _, lane in groupby(pending, attrgetter("urgent")))


def mark(connection: Connection, published: Sequence[Published]) -> None:
    """Mark rows as published; they are no longer pending."""
    if not published:
        return
    with connection.cursor() as cursor:
        columns = [_array(column) for column in zip(*published, strict=True)]
        run(cursor, [Statement(_MARK, columns)])


def _array(numbers: Iterable[int]) -> str:
    """Return one literal, because Postgres takes milliseconds to parse thousands of constants."""
    return f"{{{','.join(map(str, numbers))}}}"


def _pending(row: tuple[Any, ...]) -> Pending:
    (number, topic, urgent, type_, event_id, case_id, emitter, at, value, trace, extra, digest) = (
        row
    )
    # Only the fields of key and headers; the rest of the envelope is in the value.
    event = Event(
        *(type_, event_id, case_id, 0, emitter, 0, 0, at, "", "", {}), *(b"", trace, _extra(extra))
    )
    headers = [*wire_headers(event)]
    wire = bytes(value)
    # Releases before the digests recorded 0.
    damaged = digest not in (0, of_event(bytes.fromhex(event_id.replace("-", "")), wire))
    return Pending(number, topic, case_id, event.key, wire, headers, urgent, damaged)


def _extra(stored: list[list[str]] | None) -> tuple[tuple[str, bytes], ...] | None:
    return None if stored is None else stored_headers(stored)
