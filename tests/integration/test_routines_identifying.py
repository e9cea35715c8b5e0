"""The centre finds first and repeat: once, nationwide, quickly, beside other processes."""

from collections.abc import Callable
from typing import Any

import pytest
from support.routines import ago, events_of, person, registered
from support.world import count, do, eventually, receive, rows, running

from cases.case import Case
from cases.errors import Refusal
from node.keys.office import Office, open_office
from node.postgres.connection import Connection, connected
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings
from node.runtime.supervisor import Stop
from node.runtime.watchdog import WatchedCursor
from producers.commands import act_on_many
from producers.commands.draft_event import Command, draft
from producers.routines import identify_repeats
from producers.routines.identify_repeats import Identifying, identify_some
from producers.routines.routine import Resting, RoutinePolicy
from schemas.event import Event

_UNFOUND = "select count(*) from petition_case where finding is null"


def identify_all(settings: Settings) -> int:
    """Identify as the worker does, until nothing is left; return the number of findings."""
    total = 0
    with connected(settings.dsn, "test") as connection:
        while found := identify_some(connection, open_office(settings))[0]:
            total += found
    return total


def findings(settings: Settings) -> dict[str, tuple[str, str | None, bool]]:
    return {
        case_id: (finding, repeat_of, group)
        for case_id, finding, repeat_of, group in rows(
            settings, "select case_id, finding, repeat_of, is_group from petition_case"
        )
    }


def test_of_two_provinces_that_register_one_matter_exactly_one_has_the_first(
    centre: Settings, fresh_settings: Callable[..., Settings]
) -> None:
    beijing, shandong = fresh_settings("110000"), fresh_settings("370000")
    first = registered(beijing, 0.0001, petitioner=person(1))
    second = registered(shandong, 0.00005, petitioner=person(1), title="供暖 不足!")
    other = registered(shandong, petitioner=person(2))
    receive(centre, second, other, first)
    assert identify_all(centre) == 3
    assert findings(centre) == {
        first.case_id: ("first", None, False),
        second.case_id: ("repeat", first.case_id, False),
        other.case_id: ("first", None, False),
    }
    found = dict(events_of(centre, "petition.case.identified.v1"))
    assert "同一人且标题相同" in found[second.case_id]["reason"]
    owed = "select right(topic, 6), count(*) from outbox where topic like '%%downlink%%' group by 1"
    assert dict(rows(centre, owed)) == {"110000": 1, "370000": 2}


def test_an_earlier_case_that_arrives_after_the_finding_is_the_repeat(
    centre: Settings, fresh_settings: Callable[..., Settings]
) -> None:
    beijing, shandong = fresh_settings("110000"), fresh_settings("370000")
    early, late = (registered(node, days, petitioner=person(1)) for node, days in
                   ((beijing, 9), (shandong, 2)))  # fmt: skip
    receive(centre, late)
    identify_all(centre)
    receive(centre, early)
    identify_all(centre)
    assert findings(centre)[late.case_id] == ("first", None, False)
    assert findings(centre)[early.case_id] == ("repeat", late.case_id, False)


def test_the_registrars_word_counts_only_for_a_case_of_the_same_person(centre: Settings) -> None:
    mine, of_another = (
        registered(centre, 3, petitioner=person(number)).case_id for number in (1, 2)
    )
    named = registered(centre, petitioner=person(1), title="物业费", repeat_of=mine).case_id
    wrong = registered(centre, petitioner=person(1), title="公交", repeat_of=of_another).case_id
    identify_all(centre)
    assert findings(centre)[named] == ("repeat", mine, False)
    assert findings(centre)[wrong] == ("first", None, False)


def test_without_an_identity_a_case_is_a_first_and_five_persons_are_a_group(
    centre: Settings,
) -> None:
    several = [registered(centre, persons=persons).case_id for persons in (4, 5)]
    identify_all(centre)
    assert [findings(centre)[one] for one in several] == [
        ("first", None, False),
        ("first", None, True),
    ]
    reasons = [body["reason"] for _, body in events_of(centre, "petition.case.identified.v1")]
    assert all("no identity given" in reason for reason in reasons)


def test_a_case_of_which_only_a_later_event_arrived_waits(
    centre: Settings, fresh_settings: Callable[..., Settings]
) -> None:
    beijing = fresh_settings("110000")
    first = registered(beijing)
    landed = do(beijing, "accept", case_id=first.case_id).event
    receive(centre, landed)
    assert identify_all(centre) == 0
    receive(centre, first)
    assert identify_all(centre) == 1


def test_a_corrected_identity_is_looked_at_again(centre: Settings) -> None:
    mine = registered(centre, 3, petitioner=person(1)).case_id
    mistaken = registered(centre, 2, petitioner=person(2)).case_id
    identify_all(centre)
    assert findings(centre)[mistaken][0] == "first"
    do(centre, "correct", case_id=mistaken, reason="证件号码录入有误", petitioner=person(1))
    identify_all(centre)
    assert findings(centre)[mistaken] == ("repeat", mine, False)
    assert identify_all(centre) == 0


def test_what_was_identified_by_hand_is_left_alone(centre: Settings) -> None:
    mine, by_hand = (registered(centre, days, petitioner=person(1)).case_id for days in (3, 2))
    do(centre, "identify", case_id=by_hand, finding="first", reason="经核实为新事项")
    identify_all(centre)
    assert findings(centre)[by_hand] == ("first", None, False)
    assert findings(centre)[mine] == ("repeat", by_hand, False)


def test_the_worker_sees_new_cases_soon_and_a_second_process_does_nothing_until_it_is_gone(
    centre: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = RoutinePolicy(try_seconds=0.05)
    first, second = (Identifying(centre, policy=policy) for _ in range(2))
    rounds: list[str] = []
    for name, worker in (("first", first), ("second", second)):
        _count_rounds(worker, name, rounds, monkeypatch)
    with running(first, Metrics()) as ended:
        eventually(lambda: "first" in rounds, "the first process should work")
        with running(second, Metrics()):
            registered(centre)
            eventually(lambda: rows(centre, _UNFOUND) == [(0,)], "identified")
            assert "second" not in rounds
            _lose_the_connection(centre)
            eventually(lambda: "second" in rounds, "the second process should take over")
            registered(centre)
            eventually(lambda: rows(centre, _UNFOUND) == [(0,)], "identified")
    assert count(centre, "case_event") == 4
    assert ended == []


def _count_rounds(
    worker: Identifying, name: str, rounds: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = worker.round

    def counted(connection: Connection, office: Office, stop: Stop) -> float:
        rounds.append(name)
        return inner(connection, office, stop)

    monkeypatch.setattr(worker, "round", counted)


def _lose_the_connection(settings: Settings) -> None:
    """End the connection of the process that holds the lock, as a kill does."""
    rows(
        settings,
        "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and granted "
        "and database = (select oid from pg_database where datname = current_database())",
    )


def test_a_case_that_refuses_stops_no_other_and_rests(
    centre: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = (registered(centre, title=title).case_id for title in ("坏", "好"))

    def refusing(office: Office, case: Case, command: Command) -> Event:
        if command.case_id == bad:
            raise Refusal("some_rule", "this one is refused")
        return draft(office, case, command)

    monkeypatch.setattr(act_on_many, "draft", refusing)
    worker, office = Identifying(centre), open_office(centre)
    worker._resting = Resting()
    with connected(centre.dsn, "test") as connection:
        assert worker.round(connection, office, Stop()) == 0.0
        for _ in range(3):
            assert worker.round(connection, office, Stop()) > 0
    assert findings(centre)[good][0] == "first"
    assert findings(centre)[bad][0] is None
    assert len([one for one in caplog.records if "is passed over" in one.message]) == 1


def test_a_batch_that_fails_is_undone_and_comes_again(
    centre: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered(centre)
    with monkeypatch.context() as patch:
        patch.setattr(act_on_many, "write_own_events", _fails)
        with pytest.raises(ConnectionError):
            identify_all(centre)
    assert rows(centre, _UNFOUND) == [(1,)]
    assert identify_all(centre) == 1


def _fails(*_: object) -> None:
    raise ConnectionError("cut off")


def test_an_import_is_identified_as_quickly_as_it_arrives(
    centre: Settings, fresh_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails with a statement for each case: then an import arrives faster than it is identified."""
    shandong = fresh_settings("370000")
    first = registered(shandong, petitioner=person(1))
    events = [_another(first, number) for number in range(1400)]
    for begin in range(0, len(events), 350):
        receive(centre, *events[begin : begin + 350])
    execute, statements = WatchedCursor.execute, list[Any]()

    def noted(cursor: WatchedCursor, query: Any, *values: Any) -> None:
        statements.append(query)
        execute(cursor, query, *values)

    monkeypatch.setattr(WatchedCursor, "execute", noted)
    assert identify_all(centre) == 1400
    assert 0 < len(statements) < 1400 / 10
    assert rows(centre, "select count(*) from petition_case where finding = 'repeat'") == [(700,)]


def _another(event: Event, number: int) -> Event:
    """Register the same for another case; there are two of each person."""
    from support.world import event as made

    body = {"title": "供暖不足", "channel": "web", "received_at": event.occurred_at}
    one = made(f"370000-20260101-{number:08d}", emitter="370000", body=body,
               occurred_at=event.occurred_at + number)  # fmt: skip
    one.body["identity_digest"] = f"{number // 2:064d}"
    return one


def test_a_placeholder_identity_of_thousands_is_decided_in_bounded_pieces(
    centre: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identify_repeats, "_PERSON_CASES", 3)
    monkeypatch.setattr(identify_repeats, "BATCH_CASES", 2)
    for number in range(8):
        registered(centre, 9 - number, petitioner=person(1))
    assert identify_all(centre) == 8
    found = [finding for finding, _, _ in findings(centre).values()]
    assert sorted(found) == ["first", *["repeat"] * 7]


def test_only_the_centre_has_this_routine(fresh_settings: Callable[..., Settings]) -> None:
    from producers.routines import routines

    names = {code: [one.name for one in routines(fresh_settings(code))] for code in
             ("000000", "370000")}  # fmt: skip
    assert names == {
        "000000": ["timekeeping", "housekeeping", "identifying", "supervising"],
        "370000": ["timekeeping", "housekeeping"],
    }


def test_the_search_for_cases_without_a_finding_uses_its_index(centre: Settings) -> None:
    query = "set enable_seqscan = off; explain " + identify_repeats._UNIDENTIFIED
    plan = "\n".join(line for (line,) in rows(centre, query, ([ago(1)], 500)))
    assert "petition_case_unidentified" in plan
