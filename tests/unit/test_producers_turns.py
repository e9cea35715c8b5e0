"""The relay's turns beside one another: the promises are those of one after the other."""

import threading
from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from node.runtime.errors import Transient
from node.runtime.metrics import Metrics
from producers.relay import send_loop as turning
from producers.relay.outbox_reader import Pending, Published
from producers.relay.publisher import Failure
from producers.relay.send_loop import SendLoop

MANY = 4


class World:
    """An outbox of ids, a broker, and what happened in which order."""

    def __init__(self, ids: Iterable[int], refused: int = 0, urgent: int = 0) -> None:
        self.waiting = [_row(number, urgent=number <= urgent) for number in ids]
        self.refused = refused
        self.happened: list[tuple[str, list[int]]] = []
        self.postgres_is_gone = False
        self.threads: set[int] = set()

    def take(
        self, _: Any, topics: Sequence[str], of_each: int, at_most: int | None = None, **also: Any
    ) -> list[Pending]:
        self._ask()
        in_flight = {row.id for row in also.get("in_flight", ())}
        found = [row for row in self.waiting if row.id not in in_flight][:of_each]
        self.happened.append(("taken", [row.id for row in found]))
        return found

    def publish(self, lane: Sequence[Pending]) -> tuple[list[Published], Failure | None]:
        self.threads.add(threading.get_ident())
        self.happened.append(("sent", [row.id for row in lane]))
        fine = [Published(row.id, 0, row.id) for row in lane if row.id != self.refused]
        return fine, None if len(fine) == len(lane) else Transient("refused", "kafka")

    def mark(self, _: Any, published: Sequence[Published]) -> None:
        self._ask()
        marked = [row.id for row in published]
        self.happened.append(("marked", marked))
        self.waiting = [row for row in self.waiting if row.id not in marked]

    def _ask(self) -> None:
        if self.postgres_is_gone:
            raise Transient("gone", "postgres")

    def those(self, what: str) -> list[list[int]]:
        return [ids for name, ids in self.happened if name == what and ids]


def _row(number: int, *, urgent: bool) -> Pending:
    return Pending(number, "up", f"case {number}", b"", b"", [], urgent)


@pytest.fixture
def relaying(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a world's outbox through turns of four until nothing waits."""

    def relay(world: World, more: int = MANY) -> None:
        monkeypatch.setattr(turning, "take", world.take)
        monkeypatch.setattr(turning, "mark", world.mark)
        publisher: Any = world
        connection: Any = None
        with SendLoop(connection, publisher, Metrics(), MANY) as turns:
            while pending := turns.taken(["up"], MANY, MANY):
                turns.publish(pending, ["up"], more)

    return relay


def test_every_row_is_sent_and_marked_once_in_order(relaying: Any) -> None:
    """Seen failing with `in_flight=()`: what is being sent is taken again."""
    world = World(range(1, 19))
    relaying(world)
    for what in ("sent", "marked"):
        assert [one for ids in world.those(what) for one in ids] == [*range(1, 19)]
    assert len(world.threads) > 1
    assert world.waiting == []


def test_nothing_is_sent_after_a_failure_and_what_was_acknowledged_is_marked(
    relaying: Any,
) -> None:
    """Seen failing with the failure raised before `_settle` marks."""
    world = World(range(1, 19), refused=6)
    with pytest.raises(Transient, match="refused"):
        relaying(world)
    assert world.those("sent") == [[1, 2, 3, 4], [5, 6, 7, 8]]
    assert world.those("marked") == [[1, 2, 3, 4], [5, 7, 8]]


def test_urgent_rows_of_a_take_are_acknowledged_before_the_others_are_sent(relaying: Any) -> None:
    world = World(range(1, 9), urgent=2)
    relaying(world)
    assert world.those("sent")[:2] == [[1, 2], [3, 4]]


def test_what_was_acknowledged_is_marked_when_the_relay_ends(monkeypatch: Any) -> None:
    """Seen failing with an `__exit__` that does nothing: all of it would be sent again."""
    world = World(range(1, 19))
    monkeypatch.setattr(turning, "take", world.take)
    monkeypatch.setattr(turning, "mark", world.mark)
    untyped: Any = world
    with SendLoop(untyped, untyped, Metrics(), MANY) as turns:
        turns.publish(turns.taken(["up"], MANY, MANY), ["up"], MANY)
        assert world.those("marked") == []  # left for the next turn
    assert world.those("marked") == [[1, 2, 3, 4]]


def test_the_first_error_is_the_one_that_is_told(monkeypatch: Any) -> None:
    """Seen failing with an `__exit__` that raises what it meets itself."""
    world = World(range(1, 19))
    monkeypatch.setattr(turning, "take", world.take)
    monkeypatch.setattr(turning, "mark", world.mark)

    def break_off() -> None:
        untyped: Any = world
        with SendLoop(untyped, untyped, Metrics(), MANY) as turns:
            turns.publish(turns.taken(["up"], MANY, MANY), ["up"], MANY)
            world.postgres_is_gone = True
            raise ValueError("first")

    with pytest.raises(ValueError, match="first"):
        break_off()


def test_held_to_a_rate_nothing_is_taken_ahead(relaying: Any) -> None:
    world = World(range(1, 10))
    relaying(world, more=0)
    assert [name for name, _ in world.happened[:3]] == ["taken", "sent", "marked"]
    assert len(world.threads) == 1
