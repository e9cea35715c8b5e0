"""A count 计数 of the rows in the ledger, to compare with the number in the kept digests.

It detects a deleted or truncated ledger at once, but no changed byte, which the scrub does. On a
large ledger it takes too long, and is given up.
"""

from collections import Counter
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
    """The number of events shared with a peer by the kept digests, and that of rows; None if
    there are too many to count in two seconds."""

    peer: str
    kept: int
    rows: int | None

    @property
    def differs(self) -> bool:
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
    rows: Counter[str] = Counter()
    with snapshot(connection) as cursor:
        cursor.execute(_LIMIT)
        cursor.execute(_KEPT)
        kept: dict[str, int] = dict(cursor.fetchall())
        for query in _ROWS_AT_CENTRE if node == NATIONAL else _ROWS_AT_PROVINCE:
            cursor.execute(query, {"centre": NATIONAL})
            rows.update(dict(cursor.fetchall()))
    return [Counted(peer, kept.get(peer, 0), rows[peer]) for peer in peers_of(node)]
