"""Accounts and receipts 收支与回执, which a node and a peer exchange about their link.

The receiver's position is the receipt: it has durably applied everything below, but for the open
dead letters that it names. An account is sent after each change, and a whole one from time to time,
which makes up for lost ones.
"""

from collections.abc import Sequence
from datetime import date

from node.kafka.topic_names import topic_between
from node.postgres.connection import Cursor
from node.reconcile import consistent_cut, flow_audit
from node.reconcile.protocol import MOST_DEAD_LETTERS, Day, DeadLettered, LinkAccount, SentDay
from node.store import flow_counts

_DEAD_LETTERS = """
    select id, partition, "offset", reason from dead_letter
    where topic = %s and status = 'open' order by id desc limit %s
"""
_REPORT = """
    insert into flow_report (topic, day, {columns}, reported_at)
    select *, now() from unnest(%s::text[], %s::date[], {arrays})
    on conflict (topic, day) do update set {updates}, reported_at = now()
"""
_RECEIVED = ("received", "applied", "duplicates", "dead_lettered")
_SENT = ("committed", "published", "unaccounted")
_POSITION = """
    insert into peer_position (topic, partition, next_offset)
    select %s, * from unnest(%s::integer[], %s::bigint[])
    on conflict (topic, partition) do update set next_offset = excluded.next_offset
        where peer_position.next_offset <> excluded.next_offset
"""
# A row every 15 seconds is enough to tell when at the latest something was applied; a newest row
# that is younger is raised.
_RAISE = """
    update receipt r set next_offset = now_at.position, applied_at = now()
    from unnest(%(partitions)s::integer[], %(positions)s::bigint[]) as now_at (partition, position)
    where r.topic = %(topic)s and r.partition = now_at.partition
        and r.next_offset < now_at.position
        and r.applied_at > now() - interval '15 seconds'
        and r.next_offset = (select max(next_offset) from receipt
                             where topic = r.topic and partition = r.partition)
"""
_RECEIPT = """
    insert into receipt (topic, partition, next_offset, applied_at)
    select %(topic)s, partition, position, now()
    from unnest(%(partitions)s::integer[], %(positions)s::bigint[]) as now_at (partition, position)
    where position > coalesce((select max(next_offset) from receipt r
        where r.topic = %(topic)s and r.partition = now_at.partition), 0)
"""
_FORGET = "delete from reported_dead_letter where topic = %s"
_REMEMBER = """
    insert into reported_dead_letter (topic, partition, "offset", reason, letter)
    select %s, * from unnest(%s::integer[], %s::bigint[], %s::text[], %s::bigint[])
    on conflict do nothing
"""


def account(
    cursor: Cursor, node: str, peer: str, since: date = date.min, *, whole: bool = True
) -> LinkAccount:
    """Return this node's account for `peer`, with the days from `since` on; needs a snapshot.

    Only a `whole` one tells what was sent, because that takes a scan of the outbox.
    """
    incoming = topic_between(peer, node)
    received = flow_counts.days(cursor, incoming)
    sent = [*flow_audit.outgoing(cursor, node, peer)] if whole else []
    cursor.execute(_DEAD_LETTERS, (incoming, MOST_DEAD_LETTERS))
    letters = [DeadLettered(letter=id_, partition=p, offset=o, reason=r) for id_, p, o, r in cursor]
    return LinkAccount(
        positions=consistent_cut.applied(cursor, node, peer),
        received=[Day(day=day, **row._asdict()) for day, row in received.items() if day >= since],
        dead_letters=letters,
        sent=[SentDay(**row._asdict()) for row in sent if row.day >= since],
    )


def take(cursor: Cursor, node: str, peer: str, said: LinkAccount) -> bool:
    """Save the account of `peer`: its receipts, figures, and dead letters of our records.

    Return True if its position has changed.
    """
    outgoing = topic_between(node, peer)
    moved = _receive(cursor, outgoing, said.positions)
    _report(cursor, outgoing, _RECEIVED, said.received)
    _report(cursor, topic_between(peer, node), _SENT, said.sent)
    cursor.execute(_FORGET, (outgoing,))
    if said.dead_letters:
        rows = [(d.partition, d.offset, d.reason, d.letter) for d in said.dead_letters]
        cursor.execute(_REMEMBER, [outgoing, *map(list, zip(*rows, strict=True))])
    return moved


def _receive(cursor: Cursor, topic: str, positions: dict[int, int]) -> bool:
    partitions, offsets = [*positions], [*positions.values()]
    cursor.execute(_POSITION, (topic, partitions, offsets))
    moved = bool(cursor.rowcount)
    if moved:
        values = {"topic": topic, "partitions": partitions, "positions": offsets}
        cursor.execute(_RAISE, values)
        cursor.execute(_RECEIPT, values)
    return moved


def _report(
    cursor: Cursor, topic: str, columns: tuple[str, ...], days: Sequence[Day | SentDay]
) -> None:
    if not days:
        return
    statement = _REPORT.format(
        columns=", ".join(columns),
        arrays=", ".join(["%s::bigint[]"] * len(columns)),
        updates=", ".join(f"{name} = excluded.{name}" for name in columns),
    )
    arrays = [[getattr(row, name) for row in days] for name in ("day", *columns)]
    cursor.execute(statement, [[topic] * len(days), *arrays])
