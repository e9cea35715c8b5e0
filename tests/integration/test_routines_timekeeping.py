"""As time passes, unused windows expire and provisional due instants become final."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from support.routines import ago, all_events, events_of, registered, served
from support.world import count, do, receive, rows

from cases.calendar import WorkingDays, due
from cases.clocks import names
from node.keys.office import open_office
from node.postgres.connection import connected
from node.queries.case_history import read_case
from node.runtime.settings import Settings
from node.runtime.supervisor import Stop
from producers.routines import expiry
from producers.routines.expiry import Timekeeping
from schemas.instants import now_micros

_DAY = 86_400_000_000
# Holds for cases that were accepted and served long ago: a window of 30 days.
LAPSED, IN_GRACE, OPEN = 40.0, 30.9, 10.0


def turn(settings: Settings, calendar: WorkingDays | None = None, now: int | None = None) -> float:
    """Do one round, as the worker does it."""
    worker = Timekeeping(settings, calendar=calendar)
    office = open_office(settings, clock=now_micros if now is None else lambda: now)
    with connected(settings.dsn, "test") as connection:
        return worker.round(connection, office, Stop())


def evaluations(settings: Settings, case_id: str) -> dict[str, str]:
    query = "select object, result from case_evaluation where case_id = %s"
    return dict(rows(settings, query, (case_id,)))


def test_a_window_that_passed_unused_expires_for_both_at_its_deadline(shandong: Settings) -> None:
    case_id = served(shandong, LAPSED)
    turn(shandong)
    assert evaluations(shandong, case_id) == {"office": "expired", "unit": "expired"}
    ((due_at, ended_at),) = rows(
        shandong, "select due_at, ended_at from case_clock where clock = 'D16'"
    )
    assert due_at == ended_at
    assert rows(shandong, "select distinct evaluated_at from case_evaluation") == [(due_at,)]


def test_what_was_evaluated_does_not_expire_and_what_was_not_does(shandong: Settings) -> None:
    case_id = served(shandong, LAPSED)
    evaluated = {"object": "office", "satisfaction": "satisfied", "occurred_at": ago(LAPSED - 1)}
    do(shandong, "evaluate", case_id=case_id, **evaluated)
    turn(shandong)
    assert evaluations(shandong, case_id) == {"office": "satisfied", "unit": "expired"}


def test_nothing_expires_in_the_window_nor_in_the_grace_after_it(shandong: Settings) -> None:
    case_id = served(shandong, OPEN)
    (window,) = [one for one in _clocks(shandong, case_id) if one["clock"] == names.EVALUATION]
    day_later = window["due_at"] + _DAY
    turn(shandong)
    turn(shandong, now=day_later - 1)
    assert evaluations(shandong, case_id) == {}
    turn(shandong, now=day_later)
    assert evaluations(shandong, case_id) == {"office": "expired", "unit": "expired"}


def _clocks(settings: Settings, case_id: str) -> list[dict[str, Any]]:
    with connected(settings.dsn, "test") as connection:
        shown = read_case(connection, case_id)
        assert shown is not None
        clocks: list[dict[str, Any]] = shown["clocks"]
        return clocks


def test_an_evaluation_made_in_time_that_arrives_after_the_expiry_still_counts(
    shandong: Settings, fresh_settings: Callable[..., Settings]
) -> None:
    beijing = fresh_settings("110000")
    case_id = registered(beijing, LAPSED + 2).case_id
    do(beijing, "copy", case_id=case_id, to="370000", occurred_at=ago(LAPSED + 1))
    for name, more in (
        ("accept", {}),
        ("decide", {"outcome": "supported", "opinion": "…"}),
        ("serve", {}),
    ):
        do(beijing, name, case_id=case_id, occurred_at=ago(LAPSED), **more)
    receive(shandong, *all_events(beijing))
    in_time = {"object": "office", "satisfaction": "satisfied", "occurred_at": ago(LAPSED - 1)}
    late_mail = do(shandong, "evaluate", case_id=case_id, **in_time).event
    turn(beijing)
    assert evaluations(beijing, case_id) == {"office": "expired", "unit": "expired"}
    receive(beijing, late_mail)
    assert evaluations(beijing, case_id) == {"office": "satisfied", "unit": "expired"}
    turn(beijing)
    assert rows(beijing, "select conflicts from petition_case") == [(0,)]


def test_the_owner_of_the_window_lets_it_expire_and_nobody_else(
    shandong: Settings, fresh_settings: Callable[..., Settings]
) -> None:
    case_id = served(shandong, LAPSED)
    centre = fresh_settings("000000")
    receive(centre, *all_events(shandong))
    turn(centre)
    assert evaluations(centre, case_id) == {}


def test_a_second_round_and_a_restart_do_nothing_more(shandong: Settings) -> None:
    served(shandong, LAPSED)
    turn(shandong)
    before = count(shandong, "case_event")
    turn(shandong)
    assert count(shandong, "case_event") == before


def test_many_windows_are_worked_off_in_batches_and_a_refusal_stops_none(
    shandong: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiry, "BATCH_CASES", 2)
    several = [served(shandong, LAPSED) for _ in range(5)]
    refusing = several[1]
    _make_unevaluable(shandong, refusing)
    turn(shandong)
    done = [evaluations(shandong, case_id) for case_id in several if case_id != refusing]
    assert done == [{"office": "expired", "unit": "expired"}] * 4
    assert evaluations(shandong, refusing) == {}


def _make_unevaluable(settings: Settings, case_id: str) -> None:
    """Put the case into a state in which the rules refuse an expiry."""
    query = """update petition_case set fold = jsonb_set(fold, '{state}', '"diverted"')
               where case_id = %s"""
    rows(settings, query, (case_id,))


# ── Provisional due instants ────────────────────────────────────────────────────────────────


def calendar(last_year: int, name: str, off: set[date]) -> WorkingDays:
    return WorkingDays(name, 2004, last_year, off, frozenset())


OLD = calendar(2025, "old 1", set())
NEW = calendar(2099, "new 2", {date(2026, 1, day) for day in range(1, 9)})


@pytest.fixture
def provisional(shandong: Settings, monkeypatch: pytest.MonkeyPatch) -> str:
    """A case accepted in the simple procedure at the end of a year whose next is not published."""
    monkeypatch.setattr("cases.calendar.installed", lambda: OLD)
    at = "2025-12-30T10:00:00+08:00"
    case_id = registered(shandong, occurred_at=at, received_at=at).case_id
    do(shandong, "accept", case_id=case_id, occurred_at=at, procedure="simple")
    return case_id


def test_a_provisional_due_instant_is_set_right_when_the_calendar_is_known(
    shandong: Settings, provisional: str
) -> None:
    (before,) = [
        one for one in _clocks(shandong, provisional) if one["clock"] == names.SIMPLE_REPLY
    ]
    assert before["provisional"]
    turn(shandong, NEW)
    first, second = [
        one for one in _clocks(shandong, provisional) if one["clock"] == names.SIMPLE_REPLY
    ]
    certain = due(before["started_at"], 10, "working_day", calendar=NEW)
    assert (second["due_at"], second["provisional"], second["calendar"]) == certain
    assert second["due_at"] > first["due_at"]
    assert (second["started_at"], second["owner"]) == (first["started_at"], "370000")
    assert first["ended_at"] is not None
    assert second["ended_at"] is None
    ((_, body),) = events_of(shandong, "petition.case.corrected.v1")
    assert names.SIMPLE_REPLY in body["reason"]
    assert body["corrections"] == []
    turn(shandong, NEW)
    assert len(events_of(shandong, "petition.case.corrected.v1")) == 1


def test_the_same_calendar_or_one_that_ends_too_soon_corrects_nothing(
    shandong: Settings, provisional: str
) -> None:
    turn(shandong, OLD)
    turn(shandong, calendar(2025, "old 2", set()))
    assert events_of(shandong, "petition.case.corrected.v1") == []


def test_a_clock_of_another_node_is_left_to_it(
    shandong: Settings, provisional: str, fresh_settings: Callable[..., Settings]
) -> None:
    centre = fresh_settings("000000")
    receive(centre, *all_events(shandong))
    turn(centre, NEW)
    assert events_of(centre, "petition.case.corrected.v1") == []


def test_nobody_can_give_clocks_in_a_command_of_his_own(
    shandong: Settings, provisional: str
) -> None:
    from schemas.errors import Invalid

    clock = {"clock": names.SIMPLE_REPLY, "started_at": 0, "due_at": 1}
    with pytest.raises(Invalid, match="clocks"):
        do(shandong, "correct", case_id=provisional, reason="…", clocks=[clock])


def test_answers_to_requests_are_forgotten_after_two_weeks(shandong: Settings) -> None:
    rows(
        shandong,
        "insert into idempotent_result (key, place, request_digest, response, created_at) values "
        "('old', 0, '', '{}', now() - interval '15 days'), ('new', 0, '', '{}', now())",
    )
    turn(shandong)
    assert rows(shandong, "select key from idempotent_result") == [("new",)]
