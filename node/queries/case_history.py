"""Queries 查询 of a case, its events, and the hops of each event."""

from typing import Any

from cases.case import Case
from node.postgres.connection import Connection, Cursor
from node.postgres.statements import query_rows, read_value
from node.runtime.errors import PetitionLinkError

_CASE = "select fold from petition_case where case_id = %s"
_EVENTS = """
    select event_id::text, event_type, version, emitter, emitter_sequence, occurred_at,
           recorded_at, exchanged_at, actor, rule_set, body, implausible.detail as time_in_doubt
    from case_event left join implausible_time implausible using (event_id)
    where case_id = %s order by version, emitter, event_id
"""
_HOPS = """
    select e.event_id::text, e.event_type, e.version, e.emitter, e.emitter_sequence,
           e.recorded_at, e.traceparent, max(i.detail) as time_in_doubt,
           e.exchanged_at, e.source_topic, e.source_partition, e.source_offset,
           coalesce(json_agg(json_build_object(
               'topic', o.topic, 'partition', o.partition, 'offset', o."offset",
               'enqueued_at', o.enqueued_at, 'published_at', o.published_at, 'resent', o.resent,
               'confirmed_at', r.applied_at, 'dead_lettered', d.reason
           ) order by o.id) filter (where o.id is not null), '[]') as published
    from case_event e left join outbox o using (event_id)
    -- The receipt 回执: when the receiver first told that it has applied the record.
    left join lateral (
        select applied_at from receipt
        where topic = o.topic and partition = o.partition and next_offset > o."offset"
        order by next_offset limit 1
    ) r on true
    left join implausible_time i on i.event_id = e.event_id
    left join reported_dead_letter d
        on d.topic = o.topic and d.partition = o.partition and d."offset" = o."offset"
    where e.case_id = %s group by e.event_id order by e.version, e.emitter, e.event_id
"""


def fold_of(cursor: Cursor, case_id: str) -> Case | None:
    """Return the case as the rules see it; None if this node knows nothing of it."""
    fold = read_value(cursor, _CASE, (case_id,))
    return None if fold is None else Case.from_json(fold)


def read_case(connection: Connection, case_id: str) -> dict[str, Any]:
    """Return the fold of a case; raises `PetitionLinkError` if this node does not know it."""
    with connection, connection.cursor() as cursor:
        case = fold_of(cursor, case_id)
    if case is None:
        raise PetitionLinkError(
            f"case {case_id} is unknown to this node: it has no part in it, or nothing of it "
            "has arrived yet (`petitionlink status` shows the lag)"
        )
    return case.to_json(whole=True)


def read_events(connection: Connection, case_id: str) -> list[dict[str, Any]]:
    """Return the events of a case in fold order, each with its body."""
    return query_rows(connection, _EVENTS, (case_id,))


def read_hops(connection: Connection, case_id: str) -> list[dict[str, Any]]:
    """Return for each event where and when it was published by this node and confirmed by the
    receiver, and from where it was applied here."""
    return query_rows(connection, _HOPS, (case_id,))
