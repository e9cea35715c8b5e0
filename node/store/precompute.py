"""Precomputation 预演 gives the batches of a consumer optimistic concurrency.

While one batch is applied, the next one is folded from unlocked snapshots of its cases, and its
rows are packed. The transaction of that batch locks the rows and compares their revisions: either
all that was precomputed is valid and is used, or all is folded again from the locked rows (ADR 31).
"""

from collections.abc import Iterable, Mapping, Sequence
from threading import Event as Flag
from typing import NamedTuple

import psycopg2

from node.postgres.connection import Cursor, Database
from node.runtime.errors import PetitionLinkError
from node.store import projection
from schemas.event import Event

# Precomputing a batch of no more events than this takes longer than applying it.
_SMALL_BATCH = 24
# Reading no more cases than this costs more than folding them in the transaction.
_FEW_CASES = 24


class Precomputed(NamedTuple):
    """The cases after the events of a batch, folded and packed before the transaction.

    `revisions` has the revision of each case's row when it was read, 0 if there was none; other
    cases of the batch are folded in the transaction. `based_on` is `committed` of the previous
    batch, if a case was folded on top of it. `committed` is set by the transaction that used this.
    """

    revisions: Mapping[str, int]
    changes: Sequence[projection.CaseChange]
    rows: projection.PackedRows
    based_on: Flag | None
    committed: Flag

    @property
    def is_outdated(self) -> bool:
        """Return whether it is based on a batch that was not committed as precomputed."""
        return self.based_on is not None and not self.based_on.is_set()


def still_valid(cursor: Cursor, precomputed: Precomputed | None, case_ids: Iterable[str]) -> bool:
    """Lock the rows of `case_ids` and return whether what was precomputed may be written.

    It may if every row has the revision that was read, and if the batch that it is based on was
    committed as precomputed.
    """
    if precomputed is None or precomputed.is_outdated:
        return False
    locked = projection.lock_revisions(cursor, case_ids)
    revisions = precomputed.revisions.items()
    return all(locked.get(case_id, 0) == revision for case_id, revision in revisions)


class Precompute:
    """Precomputes the batches of one consumer, in their order, on a connection of its own.

    It only saves work: cases without a snapshot, and all of them while Postgres is away, are folded
    in the transaction. Meanwhile the previous batch may be applied, but no other.
    """

    def __init__(self, node: str, database: Database) -> None:
        self._node = node
        self._database = database
        self.forget()

    def forget(self) -> None:
        """Free the memory that the previous batch takes."""
        self._previous: Precomputed | None = None
        # The cases of the previous batch as it will leave them; None if that is not known.
        self._left: dict[str, projection.CaseSnapshot | None] = {}

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
        for _, row, _ in transitions:
            self._left[row.case.case_id] = projection.CaseSnapshot(row.case, row.revision)
        self._previous = made
        return made

    def _packed(self, transitions: Sequence[projection.CaseTransition]) -> Precomputed:
        revisions = {row.case.case_id: row.revision - 1 for _, row, _ in transitions}
        depends = self._previous is not None and not self._left.keys().isdisjoint(revisions)
        return Precomputed(
            revisions=revisions,
            changes=[*map(projection.change_of, transitions)],
            rows=projection.pack(transitions),
            based_on=self._previous.committed if self._previous and depends else None,
            committed=Flag(),
        )

    def _snapshots(self, events: projection.EventsByCase) -> dict[str, projection.CaseSnapshot]:
        """Return the known snapshots of these cases, as the previous batch will leave them."""
        known: dict[str, projection.CaseSnapshot] = {}
        unread: list[str] = []
        for case_id, several in events.items():
            if case_id in self._left:
                snapshot = self._left[case_id]
                if snapshot is not None:
                    known[case_id] = snapshot
            elif any(event.version == 1 for event in several):
                known[case_id] = projection.no_case(case_id)  # or the event is a duplicate
            else:
                unread.append(case_id)
        return known | (self._read(unread) if len(unread) > _FEW_CASES else {})

    def _read(self, case_ids: Iterable[str]) -> dict[str, projection.CaseSnapshot]:
        try:
            connection = self._database.connection()
            with connection, connection.cursor() as cursor:
                return projection.read_cases(cursor, case_ids)
        except (psycopg2.Error, PetitionLinkError):
            self._database.discard()
            return {}
