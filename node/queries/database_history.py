"""The history of the database 数据库沿革, and where a reader of the feed stands in it (ADR 26).

An epoch is one run of one Postgres server on this database; the table `feed_epoch` has them all. A
restored database has the epochs of its backup and then others than the database that was lost, so
a place that names its epoch is either in this history, or after the point at which it ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from node.postgres.connection import Cursor

# So many epochs are named in a place, newest first: one that is common shows where to go on.
MOST_EPOCHS = 8
EPOCH_ID_CHARACTERS = 10

_EPOCHS = """
    select id, generation, first_xid::text::numeric, first_feed_id, earlier_last_xid::text::numeric,
        database = (select oid from pg_database where datname = current_database())
            and postmaster_started = pg_postmaster_start_time()
    from feed_epoch order by number desc
"""
_IN_RECOVERY = "select pg_is_in_recovery()"


class FeedPlace(NamedTuple):
    """The event after which the feed is read on, and the newest epochs when that was said.

    Transactions are compared within a `generation`. A place of a release before this one names no
    epoch: what was then in the database is generation 1.
    """

    generation: int = 0
    transaction: int = 0
    row: int = 0
    epochs: tuple[str, ...] = ()

    @property
    def position(self) -> tuple[int, int, int]:
        """What places are ordered by."""
        return (self.generation, self.transaction, self.row)


class Epoch(NamedTuple):
    """A run of Postgres: where its events begin, and whether it is the present one.

    No event of an earlier generation has a transaction above `earlier_last`.
    """

    id: str
    generation: int
    first_transaction: int
    first_row: int
    earlier_last: int
    runs_now: bool

    @property
    def beginning(self) -> tuple[int, int, int]:
        """The position before its first event."""
        return (self.generation, self.first_transaction, 0)


class Part(NamedTuple):
    """Events of one generation: rows from `first_row` and before `end_row`, after a place.

    None of them has a transaction above `last_transaction`. The last part has no end: transactions
    of that generation still run.
    """

    generation: int
    after: tuple[int, int]
    first_row: int
    end_row: int | None
    last_transaction: int | None


class UnknownHistory(Exception):
    """The place was made in a database with which this one has nothing in common."""


class History:
    """The epochs of the database, newest first."""

    def __init__(self, epochs: Sequence[Epoch]) -> None:
        self._epochs = epochs

    @property
    def is_up_to_date(self) -> bool:
        """Whether the present run of Postgres is in it."""
        return self._epochs[0].runs_now

    @property
    def names(self) -> tuple[str, ...]:
        """What a place says about it."""
        return tuple(epoch.id for epoch in self._epochs[:MOST_EPOCHS])

    def resume(self, place: FeedPlace) -> FeedPlace:
        """Where to read on after `place`: never after an event that its reader has not seen.

        Raises `UnknownHistory` if the place names epochs and none of them is known.
        """
        if place.epochs:
            place = self._no_later(place, self._last_common(place))
        return place._replace(epochs=self.names)

    def _last_common(self, place: FeedPlace) -> tuple[int, int, int] | None:
        """Up to where the reader's history is ours; None if that has no end."""
        known = {epoch.id: number for number, epoch in enumerate(self._epochs)}
        for name in place.epochs:
            if name in known:
                break
        else:
            raise UnknownHistory
        number = known[name]
        if name != place.epochs[0]:
            # The reader's history went on differently, we do not know at which event of this epoch.
            return self._epochs[number].beginning
        return self._epochs[number - 1].beginning if number else None

    @staticmethod
    def _no_later(place: FeedPlace, bound: tuple[int, int, int] | None) -> FeedPlace:
        if bound is None or place.position <= bound:
            return place
        return FeedPlace(*bound)

    def parts(self, place: FeedPlace) -> list[Part]:
        """What is to be read after `place`, in this order."""
        first: dict[int, Epoch] = {}
        for epoch in self._epochs:
            first[epoch.generation] = epoch  # the oldest of each comes last
        parts: list[Part] = []
        end: tuple[int, int] | tuple[None, None] = (None, None)
        for generation, epoch in sorted(first.items(), reverse=True):
            if generation < place.generation:
                break
            after = (epoch.first_transaction, 0)
            if generation == place.generation:
                after = (place.transaction, place.row)
            if epoch.first_row != end[0]:
                parts.append(Part(generation, after, epoch.first_row, *end))
            end = (epoch.first_row, epoch.earlier_last)
        return parts[::-1]


def read_history(cursor: Cursor) -> History:
    """The epochs as the transaction of `cursor` sees them."""
    cursor.execute(_EPOCHS)
    return History(
        [
            Epoch(id_, generation, int(first), row, int(last), now)
            for id_, generation, first, row, last, now in cursor
        ]
    )


def is_standby(cursor: Cursor) -> bool:
    """Whether this server follows another one, whose epoch is then the present one."""
    cursor.execute(_IN_RECOVERY)
    return cursor.fetchone() == (True,)
