"""Counting rows 计数: do as many rows stand in the ledger as the kept digests say?

A count finds a deleted or truncated ledger at once, but no changed byte; that is the scrub's work.
On a large ledger it takes longer than anybody waits for: then it is given up and said so.
"""

from __future__ import annotations

from typing import NamedTuple

from psycopg2.errors import QueryCanceled

from cases.nodes import NATIONAL
from node.kafka.topic_names import peers_of
from node.postgres.connection import Connection
from node.postgres.snapshot import snapshot

_LIMIT = "set local statement_timeout = '2s'"
_KEPT = """
    select peer, sum(events)::bigint from (
        select peer, events from digest_bucket union all select peer, events from digest_change
    ) both_parts group by 1
"""
_ROWS_AT_PROVINCE = ("select %(centre)s, count(*) from case_event",)
_EMITTED = "select emitter, count(*) from case_event where emitter <> %(centre)s group by 1"
_PASSED_ON = """
    select r.destination, count(*) from case_route r join case_event e using (case_id)
    where e.emitter <> r.destination and not exists (
        select from withheld_event w where w.case_id = e.case_id and w.event_id = e.event_id
        and w.destination = r.destination)
    group by 1
"""
_ROWS_AT_CENTRE = (_EMITTED, _PASSED_ON)


class Counted(NamedTuple):
    """Events that the kept digests say are shared with a peer, and rows that there are; None if
    there are too many to count in two seconds."""

    peer: str
    kept: int
    rows: int | None

    @property
    def differs(self) -> bool:
        """Whether rows are missing, or too many."""
        return self.rows is not None and self.rows != self.kept


def count(connection: Connection, node: str) -> list[Counted]:
    """Count the rows shared with each peer against the kept digests, in one snapshot."""
    with snapshot(connection) as cursor:
        cursor.execute(_KEPT)
        kept: dict[str, int] = dict(cursor.fetchall())
    try:
        return _count(connection, node)
    except QueryCanceled:
        return [Counted(peer, kept.get(peer, 0), None) for peer in peers_of(node)]


def _count(connection: Connection, node: str) -> list[Counted]:
    found: dict[str, int] = {}
    with snapshot(connection) as cursor:
        cursor.execute(_LIMIT)
        cursor.execute(_KEPT)
        kept: dict[str, int] = dict(cursor.fetchall())
        for query in _ROWS_AT_CENTRE if node == NATIONAL else _ROWS_AT_PROVINCE:
            cursor.execute(query, {"centre": NATIONAL})
            for peer, number in cursor:
                found[peer] = found.get(peer, 0) + number
    return [Counted(peer, kept.get(peer, 0), found.get(peer, 0)) for peer in peers_of(node)]
