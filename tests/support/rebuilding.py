"""Rebuilds in tests, and the content of the projections."""

from collections.abc import Sequence
from typing import Any

from support.world import rows

from node.postgres.connection import connected
from node.rebuild import shadow_tables
from node.rebuild.run import Rebuilt, rebuild
from node.runtime.settings import Settings
from node.store import events as store_events
from node.store.write_events import pack, write_events
from schemas.event import Event
from schemas.instants import now_micros

TABLES = shadow_tables.TABLES
SHADOW = "select count(*) from pg_namespace where nspname = 'petitionlink_rebuild'"


def arrive(settings: Settings, events: Sequence[Event]) -> None:
    """Apply events as the consumer does, without Kafka."""
    now = now_micros()
    entries = [
        store_events.Entry(
            one,
            store_events.body_json(one.body),
            store_events.RecordSource("petition.test", 0, n, now),
        )
        for n, one in enumerate(events)
    ]
    with connected(settings.dsn, "test") as connection, connection, connection.cursor() as cursor:
        write_events(cursor, settings.node, pack(entries), now)


def quiet(done: int, total: int) -> None:
    """Show no progress."""


def again(settings: Settings, **how: Any) -> Rebuilt:
    return rebuild(settings, quiet, **how)


def content(settings: Settings) -> dict[str, list[tuple[Any, ...]]]:
    """Return every row of the projections."""
    query = "select (to_jsonb(t) - 'revision')::text from {} t order by 1"
    return {table: rows(settings, query.format(table)) for table in TABLES}
