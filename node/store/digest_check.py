"""The rows of a case against its kept digests: what is missing, what is too many.

The kept digests are written in the transaction that writes the rows. So a row that they do not
count was not written by a node, and a row that they count and that is not there was deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from cases.nodes import NATIONAL
from node.kafka.topic_names import peers_of
from node.postgres.connection import Cursor
from node.postgres.statements import run
from node.store import digests
from node.store.digests import EMPTY, Digest, Joined
from node.store.row_check import Checked

# As many rows too many are found out by trying; more are named by their number.
_MOST_TRIED = 2
_MOST_TRIES = 20_000

_KEPT = """
    select case_id, peer, events, digest from case_digest
    where peer = any(%s) and case_id = any(%s)
"""
_ROUTES = "select case_id, destination from case_route where case_id = any(%s)"
_WITHHELD = (
    "select case_id, destination, event_id::text from withheld_event where case_id = any(%s)"
)


class Shares(NamedTuple):
    """What tells with whom the events of some cases are shared, and the kept digests."""

    node: str
    routes: Mapping[str, set[str]]
    withheld: set[tuple[str, str, str]]
    kept: Mapping[str, Mapping[str, Digest]]

    def peers(self, case_id: str, event_id: str, emitter: str) -> list[str]:
        """The peers that must hold this event too; see `node.reconcile.shared_events`."""
        if self.node != NATIONAL:
            return [NATIONAL]
        routes = self.routes.get(case_id, set())
        sent = [to for to in routes if (case_id, to, event_id) not in self.withheld]
        return [emitter, *(to for to in sent if to != emitter)] if emitter != NATIONAL else sent

    def covers_own_events(self, case_id: str) -> bool:
        """Whether what this node emitted in the case is counted in any digest."""
        return self.node != NATIONAL or bool(self.routes.get(case_id))


def load(cursor: Cursor, node: str, case_ids: Sequence[str]) -> Shares:
    """Routes, withheld events and kept digests of these cases; needs the snapshot of the rows."""
    ids = [*case_ids]
    kept: dict[str, dict[str, Digest]] = {}
    cursor.execute(_KEPT, (peers_of(node), ids))
    for case_id, peer, events, digest in cursor:
        kept.setdefault(case_id, {})[peer] = Digest(events, digest)
    routes: dict[str, set[str]] = {}
    withheld: set[tuple[str, str, str]] = set()
    if node == NATIONAL:
        cursor.execute(_ROUTES, (ids,))
        for case_id, destination in cursor:
            routes.setdefault(case_id, set()).add(destination)
        cursor.execute(_WITHHELD, (ids,))
        withheld.update(cursor.fetchall())
    return Shares(node, routes, withheld, kept)


def add_up(
    shares: Shares, case_id: str, rows: Iterable[Checked], *, by_bytes: bool = False
) -> dict[str, Digest]:
    """The digest that these rows give for each peer, from the digest column or from the bytes."""
    sums: dict[str, Digest] = {}
    for one in rows:
        digest = one.computed if by_bytes else one.row.digest
        for peer in shares.peers(case_id, one.row.event_id, one.emitter):
            events, total = sums.get(peer, EMPTY)
            sums[peer] = Digest(events + 1, total ^ digest)
    return sums


def agree(kept: Mapping[str, Digest], found: Mapping[str, Digest]) -> bool:
    """Whether both are the same for every peer."""
    return all(kept.get(peer, EMPTY) == found.get(peer, EMPTY) for peer in kept.keys() | found)


def surplus(
    shares: Shares, case_id: str, rows: Sequence[Checked], kept: Mapping[str, Digest]
) -> list[Checked]:
    """The rows without which the others agree with the kept digests; [] if that is not to be told.

    Only few are looked for: each further one multiplies the tries.
    """
    whole = add_up(shares, case_id, rows)
    for number in range(1, _MOST_TRIED + 1):
        if len(rows) ** number > _MOST_TRIES:
            return []
        for some in combinations([one for one in rows if one.row.digest], number):
            if agree(kept, _without(whole, add_up(shares, case_id, some))):
                return [*some]
    return []


def _without(whole: Mapping[str, Digest], part: Mapping[str, Digest]) -> dict[str, Digest]:
    left = dict(whole)
    for peer, (events, digest) in part.items():
        left[peer] = Digest(left[peer].events - events, left[peer].digest ^ digest)
    return left


def corrections(
    case_id: str, kept: Mapping[str, Digest], found: Mapping[str, Digest]
) -> list[Joined]:
    """What is to be added to the kept digests of the case so that they say what was found."""
    return [
        Joined(peer, case_id, there.events - here.events, there.digest ^ here.digest)
        for peer in sorted(kept.keys() | found)
        if (here := kept.get(peer, EMPTY)) != (there := found.get(peer, EMPTY))
    ]


def correct(cursor: Cursor, changes: Sequence[Joined]) -> None:
    """Add these differences to the kept digests of cases and buckets."""
    run(cursor, digests.noted((), changes))
