"""docs/faults.md 6: what Postgres refuses for its own reasons is waited for or stops us, never
poison."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from random import Random

import pytest
from support.flows import flowing, live_many
from support.ledgers import assert_sound, await_settled
from support.world import (
    count,
    do,
    ended_with,
    eventually,
    register,
    rows,
    running,
    sample,
)

from consumers.consumer import Consumer
from node.localstack import LocalStack
from node.postgres.connection import connected
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings
from producers.relay.relay import Relay

# docs/faults.md 6 holds the lock for 60 s; the soak does that, here it is long enough to be
# noticed.
_LOCK_SECONDS = 2.0
_TRIGGER = """
    create function refuse() returns trigger language plpgsql as $$
    begin raise exception 'made up by a test' using errcode = '%s'; end $$;
    create trigger refuse before insert on case_event execute function refuse()
"""
_NO_TRIGGER = "drop trigger refuse on case_event; drop function refuse()"
_READ_ONLY = "alter database petitionlink_000000 set default_transaction_read_only = on"
# Itself in a session that is read-only by default.
_WRITABLE = (
    "set transaction read write; "
    "alter database petitionlink_000000 reset default_transaction_read_only"
)
_CUT = """
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and application_name = 'petitionlink-consumer'
"""


@contextmanager
def raising(new_centre: Settings, code: str) -> Iterator[None]:
    """The centre's ledger refuses every event with this SQLSTATE."""
    rows(new_centre, _TRIGGER % code)
    try:
        yield
    finally:
        rows(new_centre, _NO_TRIGGER)


@contextmanager
def read_only(new_centre: Settings) -> Iterator[None]:
    """The centre's database takes no writes, as a standby before its promotion."""
    rows(new_centre, _READ_ONLY)
    rows(new_centre, _CUT)
    try:
        yield
    finally:
        rows(new_centre, _WRITABLE)
        rows(new_centre, _CUT)


REFUSALS: dict[tuple[str, str], Callable[[Settings], AbstractContextManager[None]]] = {
    ("disk full", "53100"): lambda new_centre: raising(new_centre, "53100"),
    ("serialization failure", "40001"): lambda new_centre: raising(new_centre, "40001"),
    ("lock timeout", "55P03"): lambda new_centre: raising(new_centre, "55P03"),
    ("read-only", "25006"): read_only,
}


def test_a_database_that_cannot_serve_now_is_waited_for_and_nothing_is_dead_lettered(
    new_centre: Settings,
    new_shandong: Settings,
    new_nodes: LocalStack,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """docs/faults.md 6. Seen failing with the SQLSTATE taken out of `_TRANSIENT_CLASSES` or
    `_TRANSIENT_CODES` (node/runtime/errors.py): the consumer ends. Each is waited for until it is
    said: the connection that `read_only` cuts is away for another reason."""
    with flowing(new_centre, new_shandong) as flow:
        made = live_many(new_shandong, 1)
        await_settled(new_nodes)
        for (name, code), refusing in REFUSALS.items():
            with refusing(new_centre):
                held, made = made, made + live_many(new_shandong, 1)
                said = f"cannot serve now ({code})"
                eventually(partial(is_said, caplog, said), f"{name}: {code} is met")
                eventually(partial(is_away, flow.applied), f"{name}: it says so")
                assert count(new_centre, "case_event") == held, name
            await_settled(new_nodes)
    assert count(new_centre, "case_event") == made
    assert_sound(new_nodes)


def is_away(metrics: Metrics) -> bool:
    """Tell if it says that Postgres is away."""
    return sample(metrics, "dependency_up", dependency="postgres") == 0


def is_said(caplog: pytest.LogCaptureFixture, text: str) -> bool:
    return text in caplog.text


def test_a_lost_privilege_stops_the_process_and_nothing_is_dead_lettered(
    new_centre: Settings, new_shandong: Settings, new_nodes: LocalStack
) -> None:
    """docs/faults.md 6. Seen failing with 42501 among the data errors (node/runtime/errors.py): the
    whole batch goes to the dead letters one by one."""
    metrics, relayed = Metrics(), Metrics()
    made = live_many(new_shandong, 2)
    with running(Relay(new_shandong, relayed), relayed):
        with raising(new_centre, "42501"), running(Consumer(new_centre, metrics), metrics) as ended:
            assert "42501" in ended_with(ended)
        assert count(new_centre, "dead_letter") == count(new_centre, "case_event") == 0
        with running(Consumer(new_centre, metrics), metrics):
            await_settled(new_nodes)
    assert count(new_centre, "case_event") == made
    assert_sound(new_nodes)


def test_a_lock_held_for_long_holds_up_its_batch_and_nothing_is_lost(
    new_centre: Settings, new_shandong: Settings, new_nodes: LocalStack
) -> None:
    """docs/faults.md 6. Seen failing with a lock timeout of 1 s that counts as a data error."""
    with flowing(new_centre, new_shandong) as flow:
        made = live_many(new_shandong, 1)
        await_settled(new_nodes)
        with connected(new_centre.dsn, "test") as other, other, other.cursor() as cursor:
            cursor.execute("lock table petition_case in exclusive mode")
            held = threading.Thread(target=lambda: live_many(new_shandong, 2))
            held.start()
            time.sleep(_LOCK_SECONDS)
            assert count(new_centre, "case_event") == made
        held.join()
        await_settled(new_nodes)
        assert sample(flow.applied, "consumer_rebalances_total") == 1
    assert count(new_centre, "case_event") == made + 6
    assert_sound(new_nodes)


_SLOW = """
    create function slow() returns trigger language plpgsql as $$
    begin perform pg_sleep(0.02); return new; end $$;
    create trigger slow before insert on case_event for each row execute function slow();
    create trigger slow before update on outbox for each row execute function slow();
    alter database petitionlink_%s set statement_timeout = '300ms'
"""
_NO_SLOW = """
    set statement_timeout = 0; drop function slow() cascade;
    alter database petitionlink_%s reset statement_timeout
"""


def test_a_batch_that_takes_longer_than_statement_timeout_is_tried_in_smaller_ones(
    new_centre: Settings, new_shandong: Settings, new_nodes: LocalStack
) -> None:
    """docs/faults.md 37. Seen failing with batches of one size (consumers/session.py), none of
    which is ever applied, and with takes of one size (producers/relay/relay.py), none of which is
    ever marked.

    Sixty events take 1.2 s of the 0.3 s that a statement has.
    """
    made = live_many(new_shandong, 20)
    for one in (new_centre, new_shandong):
        rows(one, _SLOW % one.node)
    try:
        with flowing(new_centre, new_shandong):
            await_settled(new_nodes)
    finally:
        for one in (new_centre, new_shandong):
            rows(one, _NO_SLOW % one.node)
    assert count(new_centre, "case_event") == made
    assert count(new_centre, "dead_letter") == 0
    assert_sound(new_nodes)


# 10,000 characters of no pattern: their index row is larger than a page of the index may hold.
_INDEX = "create index too_small on case_event ((body ->> 'opinion'))"


def test_a_record_too_large_for_an_index_is_dead_lettered_alone(
    new_centre: Settings, new_shandong: Settings, new_nodes: LocalStack
) -> None:
    """docs/faults.md 37: SQLSTATE 54000. Seen failing with class 54 out of `_DATA_CLASSES`
    (node/runtime/errors.py): the process ends, and ends again when it is started."""
    draw = Random(54000)
    opinion = "".join(chr(draw.randrange(0x4E00, 0x9FA5)) for _ in range(10_000))
    made = live_many(new_shandong, 3)
    case_id = register(new_shandong)
    do(new_shandong, "accept", case_id=case_id)
    do(new_shandong, "decide", case_id=case_id, outcome="explained", opinion=opinion)
    rows(new_centre, _INDEX)
    try:
        with flowing(new_centre, new_shandong):
            eventually(
                lambda: count(new_centre, "case_event") == made + 2, "all others are applied"
            )
            eventually(lambda: count(new_centre, "dead_letter") == 1, "it is kept")
    finally:
        rows(new_centre, "drop index too_small")
    found = rows(new_centre, "select reason, detail from dead_letter")
    assert [(reason, "54000" in detail) for reason, detail in found] == [
        ("refused_by_database", True)
    ]
