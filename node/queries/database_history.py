"""The history of the database 数据库沿革, and the place of a feed's reader in it (ADR 26).

An epoch is a run of a Postgres server on this database; the table `feed_epoch` has them all. A
restored database has the epochs of its backup and then other ones than the lost database, so a
place that names its epoch is either in this history or after the point where the two part.
"""

from collections.abc import Sequence
from typing import NamedTuple

from node.postgres.connection import Cursor
from node.postgres.statements import read_value

# Limit of the epochs in a cursor, newest first. The feed continues from the first epoch that the
# database has too.
MOST_EPOCHS = 8
EPOCH_ID_CHARACTERS = 10

_EPOCHS = """
    select id, generation, first_xid::text::numeric, first_feed_id, earlier_last_xid::text::numeric,
        database = (select oid from pg_database where datname = current_database())
            and postmaster_started = pg_postmaster_start_time()
    from feed_epoch order by number desc
"""


class FeedPlace(NamedTuple):
    """The event after which the feed is read on, and the newest epochs at that time.

    Transactions are compared within a `generation`. A place of an earlier release names no epoch:
    its events are generation 1.
    """

    generation: int = 0
    transaction: int = 0
    row: int = 0
    epochs: tuple[str, ...] = ()

    @property
    def position(self) -> tuple[int, int, int]:
        return (self.generation, self.transaction, self.row)


class Epoch(NamedTuple):
    """A run of Postgres: where its events begin, and whether it is the present run.

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
        return (self.generation, self.first_transaction, 0)


class FeedPart(NamedTuple):
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
    """The place was made in a database that has no epoch in common with this one."""


class DatabaseHistory:
    """The epochs of the database, newest first."""

    def __init__(self, epochs: Sequence[Epoch]) -> None:
        self._epochs = epochs

    @property
    def is_up_to_date(self) -> bool:
        """Return True if the present run of Postgres is recorded."""
        return self._epochs[0].runs_now

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(epoch.id for epoch in self._epochs[:MOST_EPOCHS])

    def resume(self, place: FeedPlace) -> FeedPlace:
        """Return where to read on after `place`, never after an event that its reader has not seen.

        Raises `UnknownHistory` if the place names epochs and none of them is known.
        """
        if place.epochs:
            bound = self._last_common(place)
            if bound is not None and place.position > bound:
                place = FeedPlace(*bound)
        return place._replace(epochs=self.names)

    def _last_common(self, place: FeedPlace) -> tuple[int, int, int] | None:
        """Return up to where the reader's history is ours; None if it is wholly."""
        known = {epoch.id: number for number, epoch in enumerate(self._epochs)}
        name = next((name for name in place.epochs if name in known), None)
        if name is None:
            raise UnknownHistory
        number = known[name]
        if name != place.epochs[0]:
            # The reader's history parted from ours at an unknown event of this epoch.
            return self._epochs[number].beginning
        return self._epochs[number - 1].beginning if number else None

    def parts(self, place: FeedPlace) -> list[FeedPart]:
        first: dict[int, Epoch] = {}
        for epoch in self._epochs:
            first[epoch.generation] = epoch  # the oldest of each comes last
        parts: list[FeedPart] = []
        end: tuple[int, int] | tuple[None, None] = (None, None)
        for generation, epoch in sorted(first.items(), reverse=True):
            if generation < place.generation:
                break
            after = (epoch.first_transaction, 0)
            if generation == place.generation:
                after = (place.transaction, place.row)
            if epoch.first_row != end[0]:
                parts.append(FeedPart(generation, after, epoch.first_row, *end))
            end = (epoch.first_row, epoch.earlier_last)
        return parts[::-1]


def read_history(cursor: Cursor) -> DatabaseHistory:
    """Read the epochs, as the transaction of `cursor` sees them."""
    cursor.execute(_EPOCHS)
    return DatabaseHistory(
        [
            Epoch(id_, generation, int(first), row, int(last), now)
            for id_, generation, first, row, last, now in cursor
        ]
    )


def is_standby(cursor: Cursor) -> bool:
    """Return True if this server follows another one, whose epoch is then the present one."""
    return bool(read_value(cursor, "select pg_is_in_recovery()"))
