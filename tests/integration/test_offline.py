"""A node that was long without the centre: a backlog drains in order, at a rate, urgent first."""

import threading
from collections import defaultdict
from collections.abc import Callable
from importlib import resources
from typing import Any

from support.offices import SHANDONG
from support.slow_line import (
    CASE,
    TOPIC,
    backlog,
    drained,
    relaying,
    taken,
    waiting,
)
from support.world import (
    do,
    event,
    eventually,
    read_topic,
    receive,
    register,
    rows,
)

from cases.vocabulary import event_types as types
from node.kafka.topic_names import downlink
from node.keys.office import Office, open_office
from node.postgres.connection import Connection, connected
from node.reconcile.resend import resend
from node.runtime.settings import Settings
from producers.commands.handle import handle
from producers.commands.parse import parse

CORPS = "660000"


def correct(settings: Settings, case_id: str, field: str, value: str) -> None:
    corrections = [{"field": field, "value": value}]
    do(settings, "correct", case_id=case_id, corrections=corrections, reason="更正")


def lane(settings: Settings) -> list[bool]:
    """Return the urgency of each outbox row, in the order of their ids."""
    return [urgent for (urgent,) in rows(settings, "select urgent from outbox order by id")]


def test_an_urgent_case_leaves_before_the_backlog_that_is_older(
    beijing_on_slow_line: Settings,
) -> None:
    """Fails when `take` goes by ids alone, or when `enqueue` writes no urgency."""
    backlog(beijing_on_slow_line, 150)
    with relaying(beijing_on_slow_line):
        eventually(lambda: waiting(beijing_on_slow_line) < 150, "it drains")
        urgent = register(beijing_on_slow_line, urgent=True)
        drained(beijing_on_slow_line)
    behind = rows(
        beijing_on_slow_line,
        "select count(*) from outbox o, outbox u where u.case_id = %s "
        "and o.published_at > u.published_at",
        (urgent,),
    )
    assert behind[0][0] > 50


def test_a_case_that_becomes_urgent_in_the_middle_of_a_backlog_keeps_its_order(
    beijing_on_slow_line: Settings,
) -> None:
    """Fails when what waits is not promoted: the correction then overtakes the registration."""
    office = open_office(beijing_on_slow_line)
    cases: list[list[str]] = [[], [], [], []]
    backlog(beijing_on_slow_line, 60)  # ahead of what follows
    together(cases, lambda own: write_early(beijing_on_slow_line, office, own))
    with relaying(beijing_on_slow_line):
        together(cases, lambda own: write_late(beijing_on_slow_line, office, own))
        drained(beijing_on_slow_line)
    promoted = "select count(*) from outbox join case_event using (event_id) where urgent and {}"
    assert rows(beijing_on_slow_line, promoted.format("version <= 4"))[0][0] > 10
    version = dict(rows(beijing_on_slow_line, "select event_id::text, version from case_event"))
    found: dict[str, list[int]] = defaultdict(list)
    for one in read_topic(beijing_on_slow_line, TOPIC, 60 + 4 * 5 * 7):
        found[one.key.decode()].append(version[dict(one.headers)["ce_id"].decode()])
    found = {case_id: order for case_id, order in found.items() if order != [1]}
    assert sorted(found) == sorted(case_id for own in cases for case_id in own)
    assert all(order == [1, 2, 3, 4, 5, 6, 7] for order in found.values()), found


def together(cases: list[list[str]], work: Callable[[list[str]], None]) -> None:
    """`work` on each list in a thread of its own."""
    writers = [threading.Thread(target=work, args=(own,)) for own in cases]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()


def write_early(settings: Settings, office: Office, own: list[str]) -> None:
    """Five cases of four events each."""
    with connected(settings.dsn, "test") as connection:
        for _ in range(5):
            made = give(connection, office, "register", title="供暖不足", channel="web")
            own.append(made)
            for number in range(3):
                give_correction(connection, office, made, "title", f"供暖不足{number}")


def write_late(settings: Settings, office: Office, own: list[str]) -> None:
    """Three more events each; four of the five become urgent, one of them for a moment."""
    with connected(settings.dsn, "test") as connection:
        for place, case_id in enumerate(own):
            steps = [
                ("urgent", "true"),
                ("title", "停暖"),
                ("urgent", "false" if not place else "true"),
            ]
            for field, value in steps if place < 4 else [("title", "停暖")] * 3:
                give_correction(connection, office, case_id, field, value)


def give_correction(
    connection: Connection, office: Office, case_id: str, field: str, value: str
) -> None:
    corrections = [{"field": field, "value": value}]
    give(connection, office, "correct", case_id=case_id, corrections=corrections, reason="更正")


def give(connection: Connection, office: Office, name: str, **given: Any) -> str:
    return handle(connection, office, parse({"command": name, **given}, office)).case.case_id


def test_a_case_that_is_urgent_no_longer_stays_after_its_own_urgent_rows(
    beijing_on_slow_line: Settings,
) -> None:
    """Fails when `take` gives an ordinary row before an urgent one of the case, in any step."""
    ordinary = register(beijing_on_slow_line)
    case_id = register(beijing_on_slow_line, urgent=True)
    correct(beijing_on_slow_line, case_id, "title", "停暖")
    correct(beijing_on_slow_line, case_id, "urgent", "false")
    correct(beijing_on_slow_line, case_id, "title", "供暖恢复")
    assert lane(beijing_on_slow_line) == [False, True, True, False, False]
    assert [row.id for row in taken(beijing_on_slow_line, TOPIC)] == [2, 3, 1, 4, 5]
    correct(beijing_on_slow_line, case_id, "urgent", "true")
    assert lane(beijing_on_slow_line) == [False, True, True, True, True, True]
    assert [row.id for row in taken(beijing_on_slow_line, TOPIC)] == [2, 3, 4, 5, 6, 1]
    assert taken(beijing_on_slow_line, TOPIC)[-1].case_id == ordinary


def test_the_centre_passes_on_urgent_cases_first_and_promotes_what_waits_for_everybody(
    centre: Settings,
) -> None:
    """Fails when histories or onward copies are written without urgency, or none is promoted."""

    def later(version: int, type_: str, **body: Any) -> Any:
        return event(CASE, version, type_=type_, emitter_sequence=version, body=body)

    body = {"title": "停暖", "channel": "web", "received_at": 1_767_225_600_000_000}
    receive(centre, event(CASE, body=body), later(2, types.FORWARDED, to=SHANDONG))
    assert lane(centre) == [False, False]
    rise = [{"field": "urgent", "value": "true"}]
    receive(centre, later(3, types.CORRECTED, corrections=rise, reason="更正"))
    assert lane(centre) == [True, True, True]
    receive(centre, later(4, types.COPIED, to=CORPS))
    assert lane(centre) == [True] * 8
    assert {row.topic for row in taken(centre, downlink(SHANDONG), downlink(CORPS))} == {
        *(downlink(SHANDONG), downlink(CORPS))
    }


def test_what_a_peer_lost_of_an_urgent_case_is_sent_again_first(centre: Settings) -> None:
    """Fails when a resend writes no urgency: the event then waits for the backlog."""
    body = {"title": "停暖", "channel": "web", "received_at": 1_767_225_600_000_000}
    events = [event(CASE, body=body), event(f"{CASE}2", body={**body, "urgent": True})]
    receive(centre, *events)
    with connected(centre.dsn, "test") as connection, connection, connection.cursor() as cursor:
        ids = {one.event_id for one in events}
        assert resend(cursor, centre.node, CORPS, ids) == ids
    assert [row.case_id for row in taken(centre, downlink(CORPS))] == [f"{CASE}2", CASE]


def test_a_promotion_never_waits_for_rows_that_are_being_marked(
    beijing_on_slow_line: Settings,
) -> None:
    """Fails (lock timeout) without `skip locked`; two that wait for each other are a deadlock."""
    office, case_id = open_office(beijing_on_slow_line), register(beijing_on_slow_line)
    correct(beijing_on_slow_line, case_id, "title", "停暖")
    with (
        connected(beijing_on_slow_line.dsn, "relay") as relay,
        connected(beijing_on_slow_line.dsn, "desk") as desk,
    ):
        with relay.cursor() as cursor:
            cursor.execute("update outbox set published_at = now() where id = 1")
        with desk, desk.cursor() as cursor:
            cursor.execute("set lock_timeout = '2s'")
        give_correction(desk, office, case_id, "urgent", "true")
        relay.commit()
    assert lane(beijing_on_slow_line) == [False, True, True]
    assert [row.id for row in taken(beijing_on_slow_line, TOPIC)] == [2, 3]


def test_the_migration_promotes_what_waits_of_urgent_cases(beijing_on_slow_line: Settings) -> None:
    """Fails without the migration's `update`: new rows of the case would overtake those."""
    register(beijing_on_slow_line)
    register(beijing_on_slow_line, urgent=True)
    rows(beijing_on_slow_line, "alter table outbox drop column urgent")
    rows(
        beijing_on_slow_line,
        "create index outbox_pending on outbox (topic, id) where published_at is null",
    )
    file = resources.files("node.postgres").joinpath("migrations/0006_urgent_first.sql")
    rows(beijing_on_slow_line, file.read_text(encoding="utf-8"))
    assert lane(beijing_on_slow_line) == [False, True]
