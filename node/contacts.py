"""Which nodes are connected 已联网节点: who was heard for the first time, and when."""

from __future__ import annotations

from collections.abc import Iterable

from node.postgres import Cursor

_NOTE = """
    insert into node_contact (node, connected_since)
    select node, 'epoch'::timestamptz + %s * interval '1 microsecond' from unnest(%s::text[]) node
    order by node on conflict do nothing
"""


def note(cursor: Cursor, nodes: Iterable[str], now: int) -> None:
    """Events of `nodes` are applied in this transaction; `now` in micros."""
    heard = [*nodes]
    if heard:
        cursor.execute(_NOTE, (now, heard))
