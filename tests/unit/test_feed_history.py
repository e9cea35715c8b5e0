"""Whatever becomes of databases and whichever of them a reader asks, the feed skips no event."""

import copy
import itertools
from typing import Any, NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from node.queries.database_history import DatabaseHistory, Epoch, FeedPlace, UnknownHistory


class Row(NamedTuple):
    """An event that was committed."""

    transaction: int
    number: int
    event: int


class Server:
    """A model of Postgres with the table of epochs: only what the feed is made of."""

    _names = itertools.count()

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.running: dict[int, list[Row]] = {}
        self.next_transaction, self.next_number, self.generation = 100, 1, 0
        self.epochs: list[Epoch] = []  # newest first
        self.run: str | None = None
        self.database, self.noted_database = 0, -1

    def begin_run(self) -> None:
        """Postgres starts: what was not committed is gone, and the first writer notes an epoch."""
        self.running, self.run = {}, None

    def note_epoch(self) -> None:
        """Record an epoch as the function of migration 12 does."""
        if self.run is not None:
            return
        self.run = f"{next(self._names):010}"
        first_number, last = self.epochs[0][3:5] if self.epochs else (1, 0)
        if self.noted_database != self.database:
            self.noted_database = self.database
            self.generation += 1
            first_number = max((row.number for row in self.rows), default=0) + 1
            last = max((row.transaction for row in self.rows), default=0)
        horizon = min(self.running, default=self.next_transaction)
        epoch = Epoch(self.run, self.generation, horizon, first_number, last, True)
        self.epochs = [epoch, *(one._replace(runs_now=False) for one in self.epochs)]

    def write(self, event: int, slot: int) -> None:
        """Write an event in the oldest transaction that runs, or in a new one."""
        self.note_epoch()
        running = sorted(self.running)
        if not running or slot >= len(running):
            transaction, self.next_transaction = self.next_transaction, self.next_transaction + 1
        else:
            transaction = running[slot]
        row = Row(transaction, self.next_number, event)
        self.next_number += 1
        self.running.setdefault(transaction, []).append(row)

    def end(self, slot: int, *, commits: bool) -> None:
        """End one of the running transactions."""
        if self.running:
            ended = self.running.pop(sorted(self.running)[slot % len(self.running)])
            self.rows += ended if commits else []

    def read(self, place: FeedPlace, limit: int) -> tuple[list[Row], FeedPlace]:
        """Read as `read_feed` does."""
        self.note_epoch()
        history = DatabaseHistory(self.epochs)
        place = history.resume(place)
        horizon = min(self.running, default=self.next_transaction)
        found: list[Row] = []
        for part in history.parts(place):
            for row in sorted(self.rows):
                if row[:2] <= part.after or row.number < part.first_row:
                    continue
                in_part = row.transaction < horizon
                if part.end_row is not None:
                    assert part.last_transaction is not None
                    in_part = row.number < part.end_row and row.transaction <= part.last_transaction
                if in_part and len(found) < limit:
                    found.append(row)
                    place = place._replace(
                        generation=part.generation, transaction=row[0], row=row[1]
                    )
        return found, place


class World:
    """Servers, their backups, and one reader who asks any of them."""

    def __init__(self) -> None:
        self.servers = [Server()]
        self.backups: list[Server] = []
        self.place, self.seen = FeedPlace(), set[int]()
        self.events, self.databases = itertools.count(), itertools.count(1)

    def do(self, name: str, which: int, number: int) -> None:
        server = self.servers[which % len(self.servers)]
        match name:
            case "write":
                server.write(next(self.events), number)
            case "commit" | "abort":
                server.end(number, commits=name == "commit")
            case "restart":
                server.begin_run()
            case "back up":
                self.backups.append(copy.deepcopy(server))
            case "put back" | "run beside" if self.backups:
                restored = copy.deepcopy(self.backups[number % len(self.backups)])
                restored.begin_run()
                self._put(restored, which, beside=name == "run beside")
            case "load dump" if self.backups:
                loaded = copy.deepcopy(self.backups[number % len(self.backups)])
                loaded.begin_run()
                loaded.database = next(self.databases)
                loaded.next_transaction = 95 + number
                self._put(loaded, which, beside=False)
            case "read":
                self.read(server, number + 1)

    def _put(self, server: Server, which: int, *, beside: bool) -> None:
        if beside and len(self.servers) < 3:
            self.servers.append(server)
        else:
            self.servers[which % len(self.servers)] = server

    def read(self, server: Server, limit: int) -> int:
        try:
            found, self.place = server.read(self.place, limit)
        except UnknownHistory:
            found, self.place = server.read(FeedPlace(), limit)
        self.seen |= {row.event for row in found}
        return len(found)


NAMES = ("write", "write", "write", "commit", "commit", "abort", "restart", "back up", "put back",
         "run beside", "load dump", "read", "read", "read")  # fmt: skip
STEPS = st.lists(
    st.tuples(st.sampled_from(NAMES), st.integers(0, 2), st.integers(0, 6)), max_size=60
)


WRITTEN = [("write", 0, 6), ("commit", 0, 0)]
# Back from a copy that went on by itself, to the database that it was copied from.
BACK_FROM_A_COPY = [
    *[*WRITTEN, ("back up", 0, 0), ("run beside", 0, 0), ("read", 0, 6)],
    *[("write", 1, 6), ("commit", 1, 0), ("write", 1, 6), ("commit", 1, 0), ("read", 1, 6)],
    *[*WRITTEN, *WRITTEN],
]
# Its transactions have numbers that the new server has not come to.
INTO_A_YOUNG_SERVER = [*WRITTEN * 8, ("back up", 0, 0), ("load dump", 0, 0), *WRITTEN]


@settings(max_examples=300)
@given(STEPS)
@example(BACK_FROM_A_COPY)
@example(INTO_A_YOUNG_SERVER)
def test_a_reader_has_seen_every_event_of_whichever_database_it_reads_to_the_end(
    steps: list[Any],
) -> None:
    world = World()
    for step in steps:
        world.do(*step)
    for server in world.servers:
        while server.running:
            server.end(0, commits=True)
        while world.read(server, 3):
            """Until there is nothing new."""
        assert {row.event for row in server.rows} <= world.seen


def test_a_reader_is_not_sent_back_by_a_restart() -> None:
    world = World()
    for name in ("write", "commit", "read", "restart", "write", "commit"):
        world.do(name, 0, 5)
    before = world.place
    found, _ = world.servers[0].read(before, 10)
    assert [row.event for row in found] == [1]


def test_a_reader_of_a_database_that_is_gone_is_told() -> None:
    history = DatabaseHistory([Epoch("0123456789", 1, 0, 0, 0, True)])
    with pytest.raises(UnknownHistory):
        history.resume(FeedPlace(1, 1, 1, ("9876543210",)))
