"""Flows 流量 between this node and its peers, from its own tables.

A province sees its link to the centre, the centre its links to all 32 provinces.
"""

from datetime import datetime
from typing import Final, NamedTuple

from cases.nodes import NATIONAL, PROVINCES
from node.kafka.topic_names import downlink, uplink
from node.postgres.connection import Connection, Cursor
from node.postgres.statements import read_value

# Long enough for a steady rate, short enough for a current one.
MINUTES: Final = 5

_RECEIVED = f"""
    select source_topic, count(*) from case_event
    where exchanged_at > now() - interval '{MINUTES} minutes' group by source_topic
"""
_SENT = f"""
    select topic, count(*) from outbox
    where published_at > now() - interval '{MINUTES} minutes' group by topic
"""
_PENDING = """
    select topic, count(*), extract(epoch from now() - min(enqueued_at))::float
    from outbox where published_at is null group by topic
"""
_CONTACTS = "select node, connected_since from node_contact"
_DEAD_LETTERS = "select count(*) from dead_letter where status = 'open'"


class Flow(NamedTuple):
    """The link of a province with the centre: events of the last minutes, each way."""

    node: str
    connected_since: datetime | None  # when the first event of the peer was applied here
    up: int  # 上行: province → centre
    down: int  # 下行: centre → province
    pending: int  # what this node has not yet published 待发
    oldest_pending_seconds: float


def flows(connection: Connection, node: str) -> list[Flow]:
    """Return the links of `node`, in the order of the provinces' codes."""
    with connection, connection.cursor() as cursor:
        cursor.execute(_RECEIVED)
        received: dict[str, int] = dict(cursor.fetchall())
        cursor.execute(_SENT)
        sent: dict[str, int] = dict(cursor.fetchall())
        cursor.execute(_PENDING)
        pending = {topic: (count, oldest) for topic, count, oldest in cursor}
        since = contacts(cursor)
    links, counted = [], {**received, **sent}
    if node != NATIONAL and since:
        # All that a province has from others came through the centre.
        since = {node: min(since.values())}
    for province in PROVINCES if node == NATIONAL else (node,):
        up, down = uplink(province), downlink(province)
        ours = down if node == NATIONAL else up
        links.append(
            Flow(province, since.get(province), counted.get(up, 0), counted.get(down, 0),
                 *pending.get(ours, (0, 0.0)))
        )  # fmt: skip
    return links


def contacts(cursor: Cursor) -> dict[str, datetime]:
    """Return when the first event of each node was applied here."""
    cursor.execute(_CONTACTS)
    return dict(cursor.fetchall())


def open_dead_letters(cursor: Cursor) -> int:
    return int(read_value(cursor, _DEAD_LETTERS))
