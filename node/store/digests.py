"""Digests 摘要 of the events that this node and each peer must both hold.

The digest of several events is the exclusive or of theirs, so their order does not matter and an
event is added by one operation. The transaction that writes the events updates a row of each case
and appends a change of its bucket, so that writers of different cases never wait for each other.
`compact` adds the changes up.

A province shares all its events with the centre. The centre shares with a province the events that
this emitted and those that were put into the outbox for it.
"""

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NamedTuple, TypeVar

from node.postgres.connection import Cursor
from node.postgres.statements import Prepared, Statement, columns

BUCKETS: Final = 256

_Key = TypeVar("_Key")


class Digest(NamedTuple):
    """A number of events and the exclusive or of their digests."""

    events: int
    digest: int


EMPTY: Final = Digest(0, 0)


class Share(NamedTuple):
    """Events of a case that this node and `peer` both must hold from now on."""

    peer: str
    case_id: str
    digest: int
    events: int = 1


_CASES = Prepared(
    "note_case_digests",
    """
    insert into case_digest (peer, case_id, bucket, events, digest)
    select * from unnest(%s::text[], %s::text[], %s::integer[], %s::integer[], %s::bigint[])
    on conflict (peer, case_id) do update set
        events = case_digest.events + excluded.events, digest = case_digest.digest # excluded.digest
    """,
)
_CHANGES = Prepared(
    "note_digest_changes",
    """
    insert into digest_change (peer, bucket, events, digest)
    select * from unnest(%s::text[], %s::integer[], %s::integer[], %s::bigint[])
    """,
)
_COMPACT = """
    with taken as (delete from digest_change returning peer, bucket, events, digest)
    insert into digest_bucket (peer, bucket, events, digest)
    select peer, bucket, sum(events), bit_xor(digest) from taken group by peer, bucket
    on conflict (peer, bucket) do update set
        events = digest_bucket.events + excluded.events,
        digest = digest_bucket.digest # excluded.digest
"""
_BUCKETS = """
    select bucket, sum(events)::bigint, bit_xor(digest) from (
        select bucket, events, digest from digest_bucket where peer = %(peer)s
        union all
        select bucket, events, digest from digest_change where peer = %(peer)s
    ) both_parts group by bucket
"""
_IN_BUCKET = "select case_id, events, digest from case_digest where peer = %s and bucket = %s"
_PEERS = """
    select peer from digest_bucket where events > 0
    union select peer from digest_change order by 1
"""


def of_event(event_id: bytes, value: bytes) -> int:
    """Return the digest of an event: 64 signed bits of sha256 over its id and wire value."""
    return int.from_bytes(hashlib.sha256(event_id + value).digest()[:8], signed=True)


@lru_cache(maxsize=65536)  # the cases of a batch come again and again
def bucket_of(case_id: str) -> int:
    """Return the bucket of a case, 0 to 255; the same at every node."""
    return hashlib.md5(case_id.encode(), usedforsecurity=False).digest()[0]


def delta_statements(shares: Iterable[Share]) -> list[Statement]:
    """Return the statements that add `shares` to the digests.

    Run them in the transaction that writes the events and holds the rows of their cases.
    """
    cases: dict[tuple[str, str], list[int]] = {}
    for peer, case_id, digest, events in shares:
        _add(cases, (peer, case_id), events, digest)
    if not cases:
        return []
    # Sorted, or two writers of the same new cases would deadlock.
    rows: list[tuple[object, ...]] = []
    changes: dict[tuple[str, int], list[int]] = {}
    for (peer, case_id), (events, digest) in sorted(cases.items()):
        bucket = bucket_of(case_id)
        rows.append((peer, case_id, bucket, events, digest))
        _add(changes, (peer, bucket), events, digest)
    return [
        Statement(_CASES, columns(rows)),
        Statement(_CHANGES, columns((*key, *sums) for key, sums in changes.items())),
    ]


def _add(sums: dict[_Key, list[int]], key: _Key, events: int, digest: int) -> None:
    known = sums.get(key)
    if known is None:
        sums[key] = [events, digest]
    else:
        known[0] += events
        known[1] ^= digest


def compact(cursor: Cursor) -> None:
    """Add the changes up; only one process of a node may do it at a time."""
    cursor.execute(_COMPACT)


def buckets(cursor: Cursor, peer: str) -> list[Digest]:
    """Return the digest of each of the 256 buckets shared with `peer`."""
    cursor.execute(_BUCKETS, {"peer": peer})
    digests = {bucket: Digest(events, digest) for bucket, events, digest in cursor}
    return [digests.get(number, EMPTY) for number in range(BUCKETS)]


def cases_in(cursor: Cursor, peer: str, bucket: int) -> dict[str, Digest]:
    cursor.execute(_IN_BUCKET, (peer, bucket))
    return {case_id: Digest(events, digest) for case_id, events, digest in cursor}


def peers(cursor: Cursor) -> list[str]:
    cursor.execute(_PEERS)
    return [peer for (peer,) in cursor]
