"""Deadlines: only duties, the longest due first, paged without loss, counted, and as metrics."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from support.cli import as_environment, petitionlink
from support.facts import FactCase, FactClock, write_facts
from support.world import eventually, register, running, sample

from cases.regulations import regulation
from node.postgres.connection import connected
from node.queries.database_gauges import Observer
from node.queries.deadlines import (
    Span,
    deadline_counts,
    deadlines,
    due_within,
    duties,
    overdue,
    place_of,
)
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings
from schemas.errors import Invalid

NOW = datetime(2026, 3, 20, 4, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def dsn(fresh_dsn: Callable[..., str]) -> str:
    """The centre's database, empty."""
    return fresh_dsn("000000")


def clock(name: str, due: datetime, owner: str = "110000", **more: Any) -> FactClock:
    return FactClock(name, owner, NOW - 1000 * HOUR, due, **more)


def case(number: int, *clocks: FactClock) -> FactCase:
    return FactCase(f"c{number:04d}", NOW, NOW, clocks=[*clocks], state="accepted")


def ask(dsn: str, span: Span, **more: Any) -> list[dict[str, Any]]:
    with connected(dsn, "test") as connection:
        return deadlines(connection, span, **more)


def test_windows_are_never_overdue_and_duties_are_those_of_the_rule_sets() -> None:
    assert {"D05", "D08", "D10", "D16"}.isdisjoint(duties())
    assert {"D02", "D03", "D06", "D07", "D12", "D13", "D14"} <= {*duties()}
    rules = regulation("XF2005").clocks
    assert all(rules[name].duty for name in duties() if name in rules)


def test_overdue_is_what_runs_is_a_duty_and_was_due_before_now(dsn: str) -> None:
    write_facts(dsn, [
        case(1, clock("D06", NOW - HOUR), clock("D08", NOW - HOUR), clock("D16", NOW - HOUR)),
        case(2, clock("D06", NOW - 2 * HOUR, met_at=NOW, ended_at=NOW)),
        case(3, clock("D06", NOW - 2 * HOUR, ended_at=NOW)),
        case(4, clock("D03", NOW - 3 * HOUR, owner="370000")),
        case(5, clock("D06", NOW), clock("D12", NOW + 24 * HOUR)),
    ])  # fmt: skip
    found = [(one["case_id"], one["clock"], one["owner"]) for one in ask(dsn, overdue(NOW))]
    assert found == [("c0004", "D03", "370000"), ("c0001", "D06", "110000")]
    # Due now is not overdue yet; due in 24 hours is not due within them.
    soon = [(one["case_id"], one["clock"]) for one in ask(dsn, due_within(NOW, 24))]
    assert soon == [("c0005", "D06")]
    assert ask(dsn, overdue(NOW))[0]["state"] == "accepted"


def test_pages_follow_one_another_without_loss_or_repetition(dsn: str) -> None:
    dice = Random(3)
    cases = [
        case(
            number,
            *(
                clock(
                    dice.choice(["D02", "D03", "D06", "D08"]),
                    NOW - dice.randint(1, 5) * HOUR,
                    dice.choice(["110000", "370000"]),
                    event_id=f"00000000-0000-7000-8000-{dice.randint(0, 1):012d}",
                )
                for _ in range(1)
            ),
        )
        for number in range(300)
    ]
    # One event starts two clocks of one case, due at the same instant.
    twins = (clock("D02", NOW - HOUR), clock("D03", NOW - HOUR))
    twins[1].event_id = twins[0].event_id
    cases.append(case(999, *twins))
    write_facts(dsn, cases)
    for chosen in ({}, {"clock": "D03"}, {"owner": "370000"}):
        wanted = sorted(
            (one.due_at, each.case_id, one.event_id, one.clock)
            for each in cases
            for one in each.clocks
            if one.clock != "D08"
            and one.clock == chosen.get("clock", one.clock)
            and one.owner == chosen.get("owner", one.owner)
        )
        assert pages(dsn, **chosen) == wanted


def pages(dsn: str, **chosen: Any) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []
    after = None
    while page := ask(dsn, overdue(NOW), limit=7, after=after, **chosen):
        found += [tuple(place_of(row)) for row in page]
        after = place_of(page[-1])
    return found


def test_counts_are_by_clock_and_node(dsn: str) -> None:
    dice = Random(5)
    made = [
        (dice.choice(["D01", "D06", "D16"]), dice.choice(["110000", "370000"]), dice.randint(-9, 9))
        for _ in range(200)
    ]
    write_facts(dsn, [
        case(number, clock(name, NOW + hours * HOUR, owner))
        for number, (name, owner, hours) in enumerate(made)
    ])  # fmt: skip
    for span, wanted_hours in (
        (overdue(NOW), range(-9, 0)),
        (due_within(NOW, 5), range(5)),
    ):
        wanted = Counter(
            (n, owner) for n, owner, hours in made if n != "D16" and hours in wanted_hours
        )
        with connected(dsn, "test") as connection:
            found = deadline_counts(connection, span)
            some = deadline_counts(connection, span, clock="D06", owner="370000")
        assert {(one["clock"], one["owner"]): one["running"] for one in found} == dict(wanted)
        assert [one["running"] for one in some] == [wanted["D06", "370000"]]


@pytest.mark.parametrize("chosen", [{"clock": "D16"}, {"clock": "x"}, {"limit": 0}, {"limit": 999}])
def test_what_is_no_duty_or_no_page_is_refused(dsn: str, chosen: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match="choose"):
        ask(dsn, overdue(NOW), **chosen)
    with pytest.raises(Invalid, match="choose"):
        due_within(NOW, 0)


def test_the_list_is_read_from_the_index_of_running_clocks(dsn: str) -> None:
    """Lapsed windows of years must not be looked through for one duty."""
    write_facts(dsn, [case(n, clock("D08", NOW - n * HOUR)) for n in range(3_000)])
    write_facts(dsn, [case(5_000, clock("D06", NOW - HOUR))], anew=False)
    with connected(dsn, "test") as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute("vacuum analyze case_clock")
        cursor.execute("load 'auto_explain'; set auto_explain.log_min_duration = 0")
        cursor.execute("set auto_explain.log_analyze = on; set client_min_messages = log")
        assert len(deadlines(connection, overdue(NOW))) == 1
        plan = connection.notices[-1]
    assert "Index Only Scan using case_clock_running" in plan
    assert "Rows Removed" not in plan


def test_the_observer_shows_what_is_overdue_due_unhandled_and_in_conflict(
    fresh_settings: Callable[..., Settings],
) -> None:
    settings = fresh_settings("110000")
    diverted = FactCase("d1", NOW, NOW, handled_by=None, state="diverted", conflicts=2)
    write_facts(settings.dsn, [
        case(1, clock("D06", NOW - HOUR), clock("D12", NOW - HOUR), clock("D12", NOW - 2 * HOUR)),
        case(2, clock("D06", NOW + 30 * HOUR)),
        diverted,
    ])  # fmt: skip
    metrics = Metrics()
    now_micros = int(NOW.timestamp()) * 1_000_000
    with running(Observer(settings, metrics, lambda: now_micros), metrics):
        eventually(lambda: sample(metrics, "cases_in_conflict") == 1, "one case is in conflict")
    assert sample(metrics, "cases_overdue", clock="D06") == 1
    # Cases are counted: one with two assignments is one.
    assert sample(metrics, "cases_overdue", clock="D12") == 1
    assert sample(metrics, "cases_overdue", clock="D02") == 0
    due = [sample(metrics, "cases_due", clock="D06", within=w) for w in ("24h", "72h", "168h")]
    assert due == [0, 1, 1]
    assert sample(metrics, "cases_unhandled", state="diverted") == 1
    labels = {"clock": "D08"}
    assert metrics.registry.get_sample_value("petitionlink_cases_overdue", labels) is None


def test_the_command_pages_and_refuses(fresh_settings: Callable[..., Settings]) -> None:
    settings = fresh_settings("110000")
    environment = as_environment(settings)
    for _ in range(3):
        register(settings, occurred_at="2026-01-05T09:00:00+08:00")
    first = petitionlink(
        *("deadlines", "--overdue", "--limit", "2", "--format", "json"), settings=environment
    ).json()
    assert [(one["clock"], one["owner"], one["running"]) for one in first["counts"]] == [
        ("D01", "110000", 3)
    ]
    rest = petitionlink(
        *("deadlines", "--limit", "2", "--after", first["next"], "--format", "json"),
        settings=environment,
    ).json()
    assert rest["next"] is None
    items = first["items"] + rest["items"]
    assert len({one["case_id"] for one in items}) == len(items) == 3
    wrong = petitionlink("deadlines", "--after", "moon", settings=environment)
    assert wrong.code == 1
    assert "take it from `next`" in wrong.err
