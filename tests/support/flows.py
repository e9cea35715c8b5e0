"""A flow of events in this process: Shandong's relay and the centre's consumer as threads."""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import NamedTuple

from support.world import eventually, rows, running

from cases.vocabulary.commands import event_type_of
from consumers.consumer import Consumer
from node.keys.office import Office, open_office
from node.postgres.connection import Connection, connect
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings
from producers.commands.handle import handle
from producers.commands.parse import parse
from producers.relay.relay import Relay
from schemas.instants import Clock, now_micros

# A short life within one office: whatever happens, these three are legal in this order.
LIFE = (
    {"command": "register", "title": "供暖不足", "channel": "web"},
    {"command": "accept"},
    {"command": "decide", "outcome": "explained", "opinion": "已核实"},
)


class Flow(NamedTuple):
    """The metrics of both ends."""

    applied: Metrics
    published: Metrics


@contextmanager
def flowing(centre: Settings, source: Settings, clock: Clock = now_micros) -> Iterator[Flow]:
    """From `source` to `centre` inside the block; no worker may end by an error."""
    applied, published = Metrics(), Metrics()
    consumer, relay = Consumer(centre, applied, clock), Relay(source, published)
    with running(consumer, applied) as first, running(relay, published) as second:
        try:
            yield Flow(applied, published)
        finally:
            for error in (*first, *second):
                raise AssertionError("a worker ended by an error") from error


def live(connection: Connection, office: Office, number: int = len(LIFE)) -> str:
    """Make a new case with `number` events of its office; return its id."""
    case_id = None
    for given in LIFE[:number]:
        named = given if case_id is None else {**given, "case_id": case_id}
        case_id = handle(connection, office, parse(named, office)).case.case_id
    assert case_id is not None
    return case_id


def live_many(settings: Settings, cases: int, number: int = len(LIFE)) -> int:
    """Make `cases` new cases; return the number of their events."""
    office = open_office(settings)
    with closing(connect(settings.dsn, "test")) as connection:
        for _ in range(cases):
            live(connection, office, number)
    return cases * number


class Load(threading.Thread):
    """Cases that live at an office, one after the other with a pause, until it is told to end."""

    def __init__(self, settings: Settings, pause_seconds: float = 0.02) -> None:
        super().__init__(daemon=True)
        self._settings = settings
        self._pause_seconds = pause_seconds
        self._end = threading.Event()
        self.cases: list[str] = []
        self.failure: BaseException | None = None

    def run(self) -> None:
        office = open_office(self._settings)
        try:
            with closing(connect(self._settings.dsn, "test-load")) as connection:
                while not self._end.wait(self._pause_seconds):
                    self.cases.append(live(connection, office))
        except BaseException as error:
            self.failure = error

    def await_more(self, cases: int) -> None:
        """Wait until `cases` further cases were made."""
        wanted = len(self.cases) + cases
        eventually(lambda: len(self.cases) >= wanted or self.failure is not None, "load")

    def finish(self) -> None:
        """End after the case in hand; raise what it failed with."""
        self._end.set()
        self.join()
        if self.failure:
            raise self.failure


@contextmanager
def loaded(settings: Settings, pause_seconds: float = 0.02) -> Iterator[Load]:
    """Run a load inside the block."""
    load = Load(settings, pause_seconds)
    load.start()
    try:
        yield load
    finally:
        load.finish()


_ORDER = """
    select case_id, array_agg(event_type order by feed_id),
           array_agg(source_offset order by feed_id) from case_event
    where emitter = %s and source_topic is not null group by case_id
"""


def assert_in_order(centre: Settings, source: Settings) -> None:
    """The centre has applied each case's events in the order in which they were made."""
    life = [event_type_of(given["command"]) for given in LIFE]
    for case_id, found, offsets in rows(centre, _ORDER, (source.node,)):
        assert found == life[: len(found)], (case_id, found, offsets)
