"""Precomputing 预演: optimistic concurrency for the batches of a consumer.

While one batch is applied, the next one is folded from unlocked snapshots of its cases, and its
rows are packed. The transaction of that batch locks the rows and compares their revisions: either
everything that was precomputed is valid and is used, or everything is folded again from the locked
rows (docs/adr/0031).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from threading import Event as Flag
from typing import NamedTuple

import psycopg2

from node.postgres.connection import Cursor, Database
from node.runtime.errors import PetitionLinkError
from node.store import projection
from node.store.projection import (
    CaseSnapshot,
    CaseTransition,
    Change,
    EventsByCase,
    PackedRows,
    change_of,
    no_case,
)
from schemas.event import Event

# A batch of no more events than this is applied sooner than it is precomputed.
_SMALL_BATCH = 24
# For no more cases than this, a statement of its own costs more than folding them when locked.
_FEW_CASES = 24


class Precomputed(NamedTuple):
    """What the events of a batch make of its cases, folded and packed before the transaction.

    `revisions`: the revision of each case's row when it was read, 0 if there was none. Cases of the
    batch that are not in it are folded in the transaction. `based_on`: `committed` of the previous
    batch, if a case was folded from what that batch makes of it. `committed` is set when a
    transaction that used this has committed.
    """

    revisions: Mapping[str, int]
    changes: Sequence[Change]
    rows: PackedRows
    based_on: Flag | None
    committed: Flag

    @property
    def is_outdated(self) -> bool:
        """Return whether it is based on a batch that was not committed as precomputed."""
        return self.based_on is not None and not self.based_on.is_set()


def still_valid(cursor: Cursor, precomputed: Precomputed | None, case_ids: Iterable[str]) -> bool:
    """Return whether what was precomputed may be written; then the rows of `case_ids` are locked.

    It is valid if every row has the revision that was read, and if the batch that it is based on
    was committed as precomputed.
    """
    if precomputed is None or precomputed.is_outdated:
        return False
    locked = projection.lock_revisions(cursor, case_ids)
    revisions = precomputed.revisions.items()
    return all(locked.get(case_id, 0) == revision for case_id, revision in revisions)


class Precompute:
    """Precomputes the batches of one consumer, in their order, on a connection of its own.

    It only saves work: cases of which it has no snapshot, and all of them while Postgres is away,
    are folded in the transaction. Meanwhile the previous batch may be applied, but no other.
    """

    def __init__(self, node: str, database: Database) -> None:
        self._node = node
        self._database = database
        self.forget()

    def forget(self) -> None:
        """Free the memory that the previous batch takes."""
        self._previous: Precomputed | None = None
        # The cases of the previous batch as it will leave them; None if that is not known.
        self._left: dict[str, CaseSnapshot | None] = {}

    def batch(self, events: Sequence[Event], exchanged_at: int) -> Precomputed | None:
        """Fold and pack the next batch, whose events arrived at `exchanged_at` (micros).

        A small batch is not precomputed.
        """
        grouped = projection.by_case(events)
        if self._previous is None or self._previous.is_outdated:
            self._left = dict.fromkeys(self._left)
        snapshots = self._snapshots(grouped) if len(events) > _SMALL_BATCH else {}
        known = {case_id: grouped[case_id] for case_id in snapshots}
        transitions = projection.fold_batch(known, snapshots, self._node, exchanged_at)
        made = self._packed(transitions) if transitions else None
        self._left = dict.fromkeys(grouped)
        for one in transitions:
            self._left[one.row.case.case_id] = CaseSnapshot(one.row.case, one.row.revision)
        self._previous = made
        return made

    def _packed(self, transitions: Sequence[CaseTransition]) -> Precomputed:
        revisions = {one.row.case.case_id: one.row.revision - 1 for one in transitions}
        depends = self._previous is not None and not self._left.keys().isdisjoint(revisions)
        return Precomputed(
            revisions=revisions,
            changes=[*map(change_of, transitions)],
            rows=projection.pack(transitions),
            based_on=self._previous.committed if self._previous and depends else None,
            committed=Flag(),
        )

    def _snapshots(self, events: EventsByCase) -> dict[str, CaseSnapshot]:
        """Return the snapshots of these cases, as the previous batch will leave them, without those
        that are not known."""
        found: dict[str, CaseSnapshot] = {}
        unread: list[str] = []
        for case_id, several in events.items():
            if case_id in self._left:
                snapshot = self._left[case_id]
                if snapshot is not None:
                    found[case_id] = snapshot
            elif any(event.version == 1 for event in several):
                found[case_id] = no_case(case_id)  # or the event is a duplicate
            else:
                unread.append(case_id)
        return found | (self._read(unread) if len(unread) > _FEW_CASES else {})

    def _read(self, case_ids: Iterable[str]) -> dict[str, CaseSnapshot]:
        try:
            connection = self._database.connection()
            with connection, connection.cursor() as cursor:
                return projection.read_cases(cursor, case_ids)
        except (psycopg2.Error, PetitionLinkError):
            self._database.discard()
            return {}
