"""The findings 校验所见 of the scrub, each open until it is healed."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from node.postgres.connection import Cursor

# Further kinds besides those of `node.store.row_check`.
MISSING: Final = "missing"  # the kept digests, or the projection, count an event that is not there
ADDED: Final = "added"  # a row that the kept digests do not count
SUMS_DIFFER: Final = "sums_differ"  # rows and kept digests differ, and no row explains it
BUCKETS_DIFFER: Final = "buckets_differ"  # the sums of a bucket are not those of its cases
PROJECTION_DIFFERS: Final = "projection_differs"  # a projection is not the fold of the bytes
UNREADABLE: Final = "unreadable"  # Postgres cannot read a row of the case
PEER_DIFFERS: Final = "peer_differs"  # a peer holds other bytes for the same event

_NOTE = """
    insert into scrub_finding (kind, case_id, event_id, peer, detail, expected)
    values (%(kind)s, %(case_id)s, %(event_id)s, %(peer)s, %(detail)s, %(expected)s)
    on conflict do nothing
"""
_HEAL = """
    update scrub_finding set healed_at = now(), healed_by = %(how)s
    where healed_at is null and case_id = %(case)s and kind = any(%(kinds)s)
        and (event_id is null or not event_id = any(%(but)s::uuid[]))
        and (expected is null or expected <= %(events)s)
    returning kind, event_id::text
"""
_OPEN = """
    select kind, case_id, event_id::text, nullif(peer, ''), detail,
           extract(epoch from found_at)::float
    from scrub_finding where healed_at is null order by id limit %s
"""
_BY_KIND = "select kind, count(*) from scrub_finding where healed_at is null group by 1 order by 1"
_HEAL_OF_PEER = """
    update scrub_finding set healed_at = now(), healed_by = %(how)s
    where healed_at is null and kind = %(kind)s and peer = %(peer)s
        and (%(cases)s::text[] is null or case_id = any(%(cases)s::text[]))
"""


class ScrubFinding(NamedTuple):
    """A problem of a case; `event_id` is None where the event is not known.

    `expected` is the number of events that the case had, if some are missing.
    """

    kind: str
    case_id: str
    event_id: str | None
    detail: str
    peer: str = ""
    expected: int | None = None

    def as_json(self) -> dict[str, Any]:
        names = ("kind", "case_id", "event_id", "peer", "detail")
        return {name: getattr(self, name) for name in names} | {"peer": self.peer or None}


def note(cursor: Cursor, findings: Iterable[ScrubFinding]) -> list[ScrubFinding]:
    """Open these findings; return those that were not open already."""
    new = []
    for finding in findings:
        cursor.execute(_NOTE, finding._asdict())
        if cursor.rowcount:
            new.append(finding)
    return new


def heal(
    cursor: Cursor,
    case_id: str,
    kinds: Sequence[str],
    how: str,
    but: Iterable[str] = (),
    events: int = 0,
) -> list[tuple[str, str | None]]:
    """Close open findings of these kinds; return the kind and event id of each.

    Findings of the events `but`, and those that expect more than `events` events, stay open.
    """
    values = {"case": case_id, "kinds": [*kinds], "how": how, "but": [*but], "events": events}
    cursor.execute(_HEAL, values)
    return cursor.fetchall()


def heal_of_peer(
    cursor: Cursor, kind: str, peer: str, how: str, case_ids: Sequence[str] | None = None
) -> None:
    """Close the findings of this kind that concern `peer`, in these cases or in all."""
    values = {"how": how, "kind": kind, "peer": peer, "cases": case_ids}
    cursor.execute(_HEAL_OF_PEER, values)


def open_findings(cursor: Cursor, limit: int = 1000) -> list[dict[str, Any]]:
    cursor.execute(_OPEN, (limit,))
    names = ("kind", "case_id", "event_id", "peer", "detail", "found_at")
    return [dict(zip(names, row, strict=True)) for row in cursor]


def open_by_kind(cursor: Cursor) -> dict[str, int]:
    cursor.execute(_BY_KIND)
    return dict(cursor.fetchall())
