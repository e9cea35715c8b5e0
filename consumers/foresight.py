"""Foresight 预演: what a batch will make of its cases, while the one before is applied.

On a connection of its own, for the thread that makes the batches. It is help only: where it sees
nothing, the transaction works out everything itself, and it is the one that meets Postgres' faults.
"""

from __future__ import annotations

from collections.abc import Mapping

import psycopg2

from consumers.batch import Batch
from node.errors import PetitionLinkError
from node.foreseeing import Crossing, Seen, begins, foresee, look
from node.postgres import Database
from node.projection import NOTHING, Foreseen, by_case
from node.table import MAX_ROWS_IN_STATEMENT as FEW
from schemas.event import Event


class Foresight:
    """Of one consumer."""

    def __init__(self, node: str, database: Database) -> None:
        self._node = node
        self._database = database
        # How the cases of the batch in front will stand when that is applied.
        self._ahead: dict[str, Seen] = {}

    def of(self, batch: Batch) -> Mapping[str, Foreseen]:
        """What is foreseen of the next batch; of a few events nothing, they are quicker done."""
        if len(batch.arrivals) <= FEW:
            self.forget()
            return NOTHING
        grouped = by_case(arrival.event for arrival in batch.arrivals)
        seen = self._seen(grouped)
        foreseen, self._ahead = foresee(grouped, seen, Crossing(batch.read_at, self._node))
        return foreseen

    def forget(self) -> None:
        """Keep nothing in memory of the batch in front."""
        self._ahead = {}

    def _seen(self, grouped: Mapping[str, list[Event]]) -> Mapping[str, Seen]:
        ahead = self._ahead
        unseen = [
            case_id
            for case_id, events in grouped.items()
            if case_id not in ahead and not begins(events)
        ]
        return ahead | self._look(unseen) if len(unseen) > FEW else ahead

    def _look(self, case_ids: list[str]) -> dict[str, Seen]:
        try:
            connection = self._database.connection()
            with connection, connection.cursor() as cursor:
                return look(cursor, case_ids)
        except (psycopg2.Error, PetitionLinkError):
            self._database.discard()
            return {}
