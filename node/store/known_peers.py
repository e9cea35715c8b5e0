"""Which nodes are connected 已联网节点: who was heard for the first time, and when."""

from __future__ import annotations

from collections.abc import Iterable

from node.postgres.statements import Prepared, Statement

_NOTE = Prepared(
    "note_contacts",
    """
    insert into node_contact (node, connected_since)
    select node, 'epoch'::timestamptz + %s::bigint * interval '1 microsecond'
    from unnest(%s::text[]) node order by node on conflict do nothing
    """,
)


def noted(nodes: Iterable[str], now: int) -> list[Statement]:
    """Events of `nodes` are applied in the transaction that runs these; `now` in micros."""
    heard = [*nodes]
    return [Statement(_NOTE, (now, heard))] if heard else []
