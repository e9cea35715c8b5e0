"""The outbox rows that wait, and the marks of those that were acknowledged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from node.ledger import stored_headers
from node.postgres import Connection
from schemas.event import Event
from schemas.headers import wire_headers


class Pending(NamedTuple):
    """One outbox row as a Kafka record: the bytes come from the ledger as they were."""

    id: int
    topic: str
    case_id: str
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


class Published(NamedTuple):
    """Where the broker acknowledged a row."""

    id: int
    partition: int
    offset: int


# The same number of rows of each topic, so that no destination waits behind another's backlog.
_TAKE = """
    select o.id, o.topic, e.event_type, e.event_id::text, e.case_id, e.version, e.emitter,
           e.emitter_sequence, (extract(epoch from e.occurred_at) * 1000000)::bigint,
           (extract(epoch from e.recorded_at) * 1000000)::bigint, e.actor, e.rule_set,
           e.value, e.traceparent, e.extra_headers
    from unnest(%s::text[]) as held (topic)
    cross join lateral (
        select id, topic, event_id from outbox
        where topic = held.topic and published_at is null
        order by id limit %s
    ) o
    join case_event e using (event_id)
    order by o.id
"""
# One statement, thus one transaction: the account tells exactly what is marked.
_MARK = """
    with marked as (
        update outbox set published_at = now(), partition = done.partition, "offset" = done."offset"
        from unnest(%s::bigint[], %s::integer[], %s::bigint[]) as done (id, partition, "offset")
        where outbox.id = done.id
        returning topic, day, resent
    )
    insert into flow_change (topic, day, published)
    select topic, day, count(*) from marked where not resent group by topic, day
"""


def take(connection: Connection, topics: Sequence[str], limit: int) -> list[Pending]:
    """The oldest pending rows of `topics`, at most `limit` of each, in the order of their ids."""
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, ([*topics], limit))
        return [_pending(row) for row in cursor]


def mark(connection: Connection, published: Sequence[Published]) -> None:
    """Note for each row where it was acknowledged; it is not pending any more."""
    if not published:
        return
    with connection.cursor() as cursor:
        cursor.execute(_MARK, tuple(list(column) for column in zip(*published, strict=True)))


def _pending(row: tuple[Any, ...]) -> Pending:
    (outbox_id, topic, *envelope, value, traceparent, extra) = row
    event = Event._make((*envelope, {}, bytes(value), traceparent, _extra(extra)))
    return Pending(outbox_id, topic, event.case_id, event.key, event.value, [*wire_headers(event)])


def _extra(stored: list[list[str]] | None) -> tuple[tuple[str, bytes], ...] | None:
    return None if stored is None else stored_headers(stored)
