"""Check the rows of a case against its stored digests: find missing and surplus rows.

The stored digests are written in the transaction that writes the rows. So a row that they do not
count was not written by a node, and a row that they count and that is not there was deleted.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from cases.nodes import NATIONAL
from node.kafka.topic_names import peers_of
from node.postgres.connection import Cursor
from node.postgres.statements import run
from node.store import digests
from node.store.digests import EMPTY, Digest, Share
from node.store.row_check import Checked

# Up to this many surplus rows are found by trying; of more only the number is reported.
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
    """The routes of some cases, which decide who shares their events, and the stored digests."""

    node: str
    routes: Mapping[str, set[str]]
    withheld: set[tuple[str, str, str]]
    kept: Mapping[str, Mapping[str, Digest]]

    def peers(self, case_id: str, event_id: str, emitter: str) -> list[str]:
        """Return the peers that must hold this event too; see `node.reconcile.shared_events`."""
        if self.node != NATIONAL:
            return [NATIONAL]
        routes = self.routes.get(case_id, set())
        sent = [to for to in routes if (case_id, to, event_id) not in self.withheld]
        return [emitter, *(to for to in sent if to != emitter)] if emitter != NATIONAL else sent

    def covers_own_events(self, case_id: str) -> bool:
        """Return whether any digest counts the events that this node emitted in the case."""
        return self.node != NATIONAL or bool(self.routes.get(case_id))


def load(cursor: Cursor, node: str, case_ids: Sequence[str]) -> Shares:
    """Read the shares of these cases, in the snapshot in which their rows are read."""
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
    """Return the digest of these rows for each peer, from the digest column or from the bytes."""
    sums: dict[str, Digest] = {}
    for checked in rows:
        digest = checked.computed if by_bytes else checked.digest
        for peer in shares.peers(case_id, checked.row.event_id, checked.emitter):
            events, total = sums.get(peer, EMPTY)
            sums[peer] = Digest(events + 1, total ^ digest)
    return sums


def agree(kept: Mapping[str, Digest], sums: Mapping[str, Digest]) -> bool:
    """Return whether both are the same for every peer."""
    return all(kept.get(peer, EMPTY) == sums.get(peer, EMPTY) for peer in kept.keys() | sums)


def surplus(
    shares: Shares, case_id: str, rows: Sequence[Checked], kept: Mapping[str, Digest]
) -> list[Checked]:
    """Return the rows without which the others agree with the stored digests, if they are few.

    Each further one multiplies the tries.
    """
    whole = add_up(shares, case_id, rows)
    for number in range(1, _MOST_TRIED + 1):
        if len(rows) ** number > _MOST_TRIES:
            return []
        for tried in combinations([checked for checked in rows if checked.digest], number):
            if agree(kept, _without(whole, add_up(shares, case_id, tried))):
                return [*tried]
    return []


def _without(whole: Mapping[str, Digest], part: Mapping[str, Digest]) -> dict[str, Digest]:
    left = dict(whole)
    for peer, (events, digest) in part.items():
        left[peer] = Digest(left[peer].events - events, left[peer].digest ^ digest)
    return left


def correct(
    cursor: Cursor, case_id: str, kept: Mapping[str, Digest], true: Mapping[str, Digest]
) -> None:
    """Change the stored digests of the case and its bucket from `kept` to `true`."""
    changes = [
        Share(peer, case_id, there.digest ^ here.digest, there.events - here.events)
        for peer in sorted(kept.keys() | true)
        if (here := kept.get(peer, EMPTY)) != (there := true.get(peer, EMPTY))
    ]
    run(cursor, digests.delta_statements(changes))
