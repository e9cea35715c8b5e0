"""Foresight: what is worked out ahead comes true, or is worked out anew; the rows are the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import zip_longest
from random import Random
from typing import Any

import pytest
from support.walks import Walk
from support.world import count, event, eventually, raw, rows, running, sample, send

from cases import event_types as types
from cases.fold import fold
from cases.nodes import NATIONAL
from cases.topics import uplink
from consumers import foresight as foresights
from consumers.applying import Applied, write
from consumers.batch import MOST_CASES, Batch, DecodedRecord, next_size
from consumers.consumer import Consumer
from consumers.foresight import Foresight
from consumers.policy import ConsumerPolicy
from node import ledger, projection
from node.ledger import Entry, Source, body_json, pack
from node.localstack import LocalStack
from node.metrics import Metrics
from node.postgres import Connection, Cursor, Database, connect
from node.rebuilding import rebuild
from node.settings import Settings
from schemas.event import Event

CASE = "110000-20260401-7K3M9QXA"
NOW = 1_775_000_000_000_000
_SEED = 20261126
# What others see of a node; surrogate numbers and the time of writing are left out.
_CONTENT = {
    "petition_case": "select t::text from petition_case t order by case_id",
    "case_clock": "select t::text from case_clock t order by 1",
    "case_evaluation": "select t::text from case_evaluation t order by 1",
    "case_supervision": "select t::text from case_supervision t order by 1",
    "case_route": "select t::text from case_route t order by 1",
    "case_digest": "select t::text from case_digest t order by 1",
    "withheld_event": "select case_id, event_id, destination from withheld_event order by 1, 2, 3",
    "outbox": "select topic, case_id, array_agg((event_id, urgent)::text order by id) "
    "from outbox group by 1, 2 order by 1, 2",
}


@pytest.fixture(autouse=True)
def _few_events_are_foreseen_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foresights, "FEW", 0)


@pytest.fixture
def connection(centre: Settings) -> Iterator[Connection]:
    with closing(connect(centre.dsn, "test")) as made:
        yield made


@pytest.fixture
def foresight(centre: Settings) -> Iterator[Foresight]:
    with closing(Database(centre, "test")) as database:
        yield Foresight(NATIONAL, database)


def batch_of(events: Sequence[Event], first: int = 0) -> Batch:
    """A batch as the loop makes it, without Kafka."""
    decoded = []
    for offset, one in enumerate(events, first):
        source = Source(uplink(one.emitter), 0, offset, NOW)
        record: Any = _Record(source.topic, 0, offset)
        packed = pack(Entry(one, body_json(one.body), source))
        decoded.append(DecodedRecord(record, one, packed))
    return Batch(decoded, [], [], NOW)


class _Record:
    def __init__(self, topic: str, partition: int, offset: int) -> None:
        self.topic, self.partition, self.offset = topic, partition, offset


def apply(connection: Connection, batch: Batch) -> Applied:
    """The batch in a transaction, as the consumer applies it but for the offsets."""
    with connection, connection.cursor() as cursor:
        return write(cursor, NATIONAL, batch)


def apply_all(settings: Settings, batches: Sequence[Batch], foresee: bool) -> None:
    """Every other batch is foreseen before the one in front of it is applied."""
    with (
        closing(connect(settings.dsn, "test")) as connection,
        closing(Database(settings, "test")) as database,
    ):
        foresight = Foresight(settings.node, database)
        for first, second in zip_longest(batches[::2], batches[1::2]):
            pair = [one for one in (first, second) if one]
            if foresee:
                pair = [one.with_foreseen(foresight.of(one)) for one in pair]
            for one in pair:
                apply(connection, one)


def content(settings: Settings) -> dict[str, list[tuple[Any, ...]]]:
    return {table: rows(settings, query) for table, query in _CONTENT.items()}


def arrivals_of(walk: Walk, chance: Random) -> list[list[Event]]:
    """What provinces sent in a history, nearly in order, some of it twice, cut into batches."""
    ledgers = walk.universe.nodes[NATIONAL].ledger.values()
    sent = [one for ledger in ledgers for one in ledger.values() if one.emitter != NATIONAL]
    sent += chance.sample(sent, len(sent) // 8)
    sent.sort(key=lambda one: one.recorded_at + chance.randrange(3_600_000_000))
    batches = []
    while sent:
        size = chance.randrange(1, 6)
        batches.append(sent[:size])
        del sent[:size]
    return batches


def batches_of(chance: Random) -> list[Batch]:
    walk = Walk(chance)
    walk.run(120)
    batches: list[Batch] = []
    first = 0
    for events in arrivals_of(walk, chance):
        batches.append(batch_of(events, first))
        first += len(events)
    return batches


@pytest.fixture
def came_true(monkeypatch: pytest.MonkeyPatch) -> Counter[bool]:
    """How much of what was foreseen came true, and how much did not."""
    noted: Counter[bool] = Counter()
    asked = projection._come_true

    def asking(cursor: Cursor, case_ids: Any, foreseen: Any) -> Any:
        found = asked(cursor, case_ids, foreseen)
        noted.update({True: len(found), False: len(foreseen) - len(found)})
        return found

    monkeypatch.setattr(projection, "_come_true", asking)
    return noted


def test_with_and_without_foresight_the_node_holds_the_same(
    fresh_settings: Callable[..., Settings], came_true: Counter[bool]
) -> None:
    """Seen failing with every foreseen change taken (no stamps compared), and with facets of what
    was foreseen left out."""
    chance = Random(_SEED)
    for _ in range(8):
        batches = batches_of(chance)
        found = []
        for foresee in (False, True):
            settings = fresh_settings(NATIONAL)
            apply_all(settings, batches, foresee)
            found.append(content(settings))
        assert found[0] == found[1]
        assert len(found[0]["petition_case"]) > 1
    assert min(came_true[True], came_true[False]) > 5


def test_what_another_changed_meanwhile_is_worked_out_anew(
    centre: Settings, connection: Connection, foresight: Foresight
) -> None:
    """Seen failing with every foreseen change taken: its row is refused for ever."""
    apply(connection, batch_of([event(CASE)]))
    late = batch_of([event(CASE, 3, type_=types.PROGRESSED, body={"progress": "…"})])
    late = late.with_foreseen(foresight.of(late))
    assert late.foreseen
    apply(connection, batch_of([event(CASE, 2, type_=types.ACCEPTED, body={})]))
    apply(connection, late)
    query = "select state, version, conflicts, revision from petition_case"
    assert rows(centre, query) == [("accepted", 3, 0, 3)]


def test_what_goes_on_from_something_that_did_not_come_true_is_worked_out_anew(
    centre: Settings, connection: Connection, foresight: Foresight
) -> None:
    """Seen failing with the stamp given to all that was foreseen: the third row is refused for
    ever."""
    apply(connection, batch_of([event(CASE)]))
    second = batch_of([event(CASE, 2, type_=types.ACCEPTED, body={})])
    second = second.with_foreseen(foresight.of(second))
    third = batch_of([event(CASE, 3, type_=types.PROGRESSED, body={"progress": "…"})])
    third = third.with_foreseen(foresight.of(third))
    assert third.foreseen
    body = {"corrections": [{"field": "title", "value": "another"}], "reason": "…"}
    another = event(CASE, 2, NATIONAL, type_=types.CORRECTED, emitter_sequence=1, body=body)
    apply(connection, batch_of([another]))
    apply(connection, second)
    apply(connection, third)
    assert rows(centre, "select version, revision from petition_case") == [(3, 4)]
    assert folded_anew(centre) == folded(centre)


def folded(settings: Settings) -> list[tuple[Any, ...]]:
    return rows(settings, "select case_id, fold from petition_case order by 1")


def folded_anew(settings: Settings) -> list[tuple[Any, ...]]:
    """The cases as the ledger's events give them."""
    with closing(connect(settings.dsn, "test")) as connection, connection.cursor() as cursor:
        events = ledger.read(cursor, [CASE])
    return [(case_id, fold(case_id, some).to_json()) for case_id, some in sorted(events.items())]


def test_a_case_that_another_began_meanwhile_is_worked_out_anew(
    centre: Settings, connection: Connection, foresight: Foresight
) -> None:
    """Seen failing with a case that begins taken for new: its row is refused for ever."""
    begins = batch_of([event(CASE)])
    begins = begins.with_foreseen(foresight.of(begins))
    apply(connection, batch_of([event(CASE, 2, type_=types.ACCEPTED, body={})]))
    apply(connection, begins)
    assert rows(centre, "select state, incomplete from petition_case") == [("accepted", False)]


def test_what_a_rebuild_mended_meanwhile_stays_mended(
    centre: Settings, connection: Connection, foresight: Foresight
) -> None:
    """The row has the same revision as before. Seen failing with it in place of `xmin`."""
    apply(connection, batch_of([event(CASE)]))
    rows(centre, 'update petition_case set fold = fold || \'{"rule_set": "wrong"}\'')
    late = batch_of([event(CASE, 2, type_=types.ACCEPTED, body={})])
    late = late.with_foreseen(foresight.of(late))
    assert late.foreseen
    rebuild(centre, lambda _done, _total: None)
    apply(connection, late)
    assert rows(centre, "select fold->>'rule_set', state from petition_case") == [
        ("XF2022", "accepted")
    ]


def test_an_event_that_comes_twice_in_a_batch_counts_once(
    centre: Settings, connection: Connection, foresight: Foresight
) -> None:
    """Seen failing with foreseen changes kept although some events were not new."""
    apply(connection, batch_of([event(CASE)]))
    second = event(CASE, 2, type_=types.ACCEPTED, body={})
    twice = batch_of([second, second])
    twice = twice.with_foreseen(foresight.of(twice))
    assert twice.foreseen
    assert apply(connection, twice).fresh == {second.event_id}
    assert rows(centre, "select events from case_digest") == [(2,)]


def test_the_loop_foresees_batches_and_cuts_them_to_the_cases_that_it_keeps(
    centre: Settings, empty_topics: LocalStack, came_true: Counter[bool]
) -> None:
    """Seen failing without `with_foreseen`, and without `max_records` (consumers/session.py)."""
    cases = [f"110000-20260401-7K3M{number:04d}" for number in range(60)]
    metrics = Metrics()
    consumer = Consumer(centre, metrics, policy=ConsumerPolicy(most_cases=10))
    with running(consumer, metrics):
        send(centre, uplink("110000"), [raw(event(cases[0]))])
        eventually(lambda: count(centre, "case_event") == 1, "the first one is applied")
        send(centre, uplink("110000"), [raw(event(case_id)) for case_id in cases[1:]])
        eventually(lambda: count(centre, "case_event") == 60, "all are applied")
    assert came_true[True] == 60
    assert sample(metrics, "consumer_batch_records_count") >= 7
    assert rows(centre, "select node from node_contact") == [("110000",)]
    assert rows(centre, "select count(*), min(state), max(state) from petition_case") == [
        (60, "registered", "registered")
    ]


def test_of_cases_that_differ_the_next_batch_has_no_more_than_are_kept_in_memory() -> None:
    """Seen failing with the size left as it is set."""
    apart = batch_of([event(f"110000-20260401-7K3M{number:04d}") for number in range(40)])
    together = batch_of([event(CASE, number) for number in range(1, 41)])
    assert next_size(2000, apart) == MOST_CASES
    assert next_size(500, apart) == 500
    assert next_size(2000, together) == 2000
    assert next_size(2000, batch_of([])) == 2000


def test_without_postgres_nothing_is_foreseen_and_afterwards_it_is(centre: Settings) -> None:
    """Seen failing with the error let through: it would be taken for one of Kafka's loop."""
    late = batch_of([event(CASE, 2, type_=types.ACCEPTED, body={})])
    with closing(connect(centre.dsn, "test")) as connection:
        apply(connection, batch_of([event(CASE)]))
    with closing(Database(centre, "test-ahead")) as database:
        assert Foresight(NATIONAL, database).of(late)
        rows(centre, "select pg_terminate_backend(pid) from pg_stat_activity "
                     "where application_name = 'petitionlink-test-ahead'")  # fmt: skip
        assert not Foresight(NATIONAL, database).of(late)
        assert Foresight(NATIONAL, database).of(late)
