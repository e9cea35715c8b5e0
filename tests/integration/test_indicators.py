"""Indicators are those of docs/domain.md §6: by vectors, by an independent oracle, by a case's
life."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from support.cli import as_environment, petitionlink
from support.facts import SHANGHAI, FactCase, FactClock, write_facts
from support.indicators import FIRST, LAST, ask, pair
from support.world import do, register

from cases.clocks import names
from node.postgres.connection import connected
from node.queries.figures.indicators import indicators
from node.queries.figures.ratios import BASES, RATIOS
from node.runtime.settings import Settings
from schemas.errors import Invalid


def at(text: str) -> datetime:
    """Return an instant in China, e.g. "03-31 24:00" of 2026."""
    day, _, hour = text.partition(" ")
    midnight = datetime.fromisoformat(f"2026-{day}T00:00").replace(tzinfo=SHANGHAI)
    hours, minutes = hour.split(":") if hour else ("12", "0")
    return midnight + timedelta(hours=int(hours), minutes=int(minutes))


def case(number: int, registered: str, **more: Any) -> FactCase:
    moment = at(registered)
    return FactCase(f"c{number}", moment, more.pop("received_at", moment), **more)


def test_nothing_to_count_is_neither_nought_nor_a_hundred_per_cent(dsn: str) -> None:
    found = ask(dsn)
    assert found["nodes"] == []
    for name in RATIOS:
        ratio = found["total"][name]
        assert (ratio["numerator"], ratio["denominator"], ratio["value"]) == (0, 0, None)


def test_acceptance_is_in_time_until_the_last_day_ends(dsn: str) -> None:
    write_facts(dsn, [
        case(1, "03-02 09:00", accepted_at=at("03-17 23:59")),
        case(2, "03-02 09:00", accepted_at=at("03-17 24:00")),
        case(3, "03-02 00:00", accepted_at=None),
    ])  # fmt: skip
    assert pair(ask(dsn)["total"], "timely_acceptance_office") == (1, 3)


def test_units_have_thirty_days_and_answers_fifteen_or_sixty(dsn: str) -> None:
    write_facts(dsn, [
        case(1, "03-01 09:00", accepted_at=at("03-31 23:59"), decided_at=at("03-16 23:59")),
        case(2, "03-01 00:00", accepted_at=at("03-31 24:00"), decided_at=at("03-16 24:00")),
        # Received a day before it was registered: the answer is due from receipt.
        case(3, "03-01", received_at=at("02-28 23:59"), decided_at=at("04-29 23:59")),
        case(4, "03-01", received_at=at("02-28 23:59"), decided_at=at("04-29 24:00")),
    ])  # fmt: skip
    total = ask(dsn)["total"]
    assert pair(total, "timely_acceptance_unit") == (1, 4)
    assert pair(total, "answered_within_15_days") == (1, 4)
    assert pair(total, "answered_within_60_days") == (3, 4)


def test_an_evaluation_expires_on_the_day_that_its_deadline_ends(dsn: str) -> None:
    moments = ("03-01 00:00", "03-01 00:01", "03-31 24:00", "04-01 00:01")
    write_facts(dsn, [
        case(number, "02-01", evaluations=[("unit", result, at(moment))])
        for number, (moment, result) in enumerate(
            (moment, result) for moment in moments for result in ("expired", "satisfied")
        )
    ])  # fmt: skip
    # Expired: the second and third; satisfied: the first and second.
    assert pair(ask(dsn)["total"], "participation_unit") == (2, 4)


def test_the_period_of_acceptance_is_on_registration_and_the_days_allowed(dsn: str) -> None:
    write_facts(dsn, [
        case(1, "02-13 23:59"),  # + 15 d is 28 February
        case(2, "02-14 00:00"),  # + 15 d is 1 March
        case(3, "03-16 23:59"),  # + 15 d is 31 March
        case(4, "03-17 00:00"),
        case(5, "01-30 00:00"),  # + 30 d is 1 March
    ])  # fmt: skip
    total = ask(dsn)["total"]
    assert pair(total, "timely_acceptance_office") == (0, 2)
    assert pair(total, "timely_acceptance_unit") == (0, 3)


def test_a_deadline_at_24_00_belongs_to_the_day_that_it_ends(dsn: str) -> None:
    start, done = at("02-01"), at("02-20")

    def reply(due: str, **more: Any) -> FactClock:
        return FactClock(names.REPLY, "110000", start, at(due), **more)

    write_facts(dsn, [case(1, "02-01", clocks=[
        reply("02-28 24:00", met_at=done, ended_at=done),  # February's
        reply("03-01 24:00", met_at=at("03-01 24:00"), ended_at=at("03-01 24:00")),
        reply("03-31 24:00"),
        reply("03-20 12:00"),  # due now is not overdue
        reply("03-19 24:00"),
        reply("03-05 24:00", met_at=at("03-06"), ended_at=at("03-06")),
        reply("03-06 24:00", ended_at=done),  # replaced: no duty any more
        reply("04-01 24:00"),
    ])])  # fmt: skip
    ratio = ask(dsn)["total"]["on_time_reply"]
    assert (ratio["numerator"], ratio["denominator"]) == (1, 5)
    parts = {"on_time": 1, "late": 1, "not_yet_due": 2, "overdue_open": 1}
    assert ratio["parts"] == parts


def test_only_repeat_rate_and_online_share_count_repeats(dsn: str) -> None:
    start = at("03-02")
    clocks = [
        FactClock(name, "110000", start, at("03-20 24:00")) for name in (names.LANDING, names.REPLY)
    ]
    evaluations = [(about, "satisfied", at("03-10")) for about in ("office", "unit")]
    write_facts(dsn, [case(1, "03-01", finding="repeat", clocks=clocks, evaluations=evaluations)])
    total = ask(dsn)["total"]
    counted = {name for name in RATIOS if total[name]["denominator"]}
    assert counted == {"repeat_rate", "online_share"}
    assert total["volumes"]["registration"] == {"cases": 1, "persons": 1}


def test_office_and_unit_each_have_their_own(dsn: str) -> None:
    evaluations = [("office", "satisfied", at("03-10")), ("unit", "dissatisfied", at("03-10"))]
    write_facts(
        dsn,
        [
            case(1, "03-01", registered_by="110000", handled_by="370000", evaluations=evaluations),
            case(2, "03-01", registered_by="110000", handled_by=None, evaluations=evaluations),
        ],
    )
    found = ask(dsn)
    beijing, shandong, nobody = found["nodes"]
    assert [one["node"] for one in found["nodes"]] == ["110000", "370000", None]
    assert (beijing["name"], nobody["name"]) == ("北京市", None)
    assert beijing["satisfaction_office"]["value"] == 1
    assert beijing["satisfaction_unit"]["value"] is None
    assert pair(shandong, "satisfaction_unit") == pair(nobody, "satisfaction_unit") == (0, 1)
    assert pair(shandong, "answered_within_15_days") == (0, 1)


def test_the_online_share_can_be_taken_on_each_of_the_three_dates(dsn: str) -> None:
    write_facts(dsn, [
        case(1, "02-28", received_at=at("02-28"), exchanged_at=at("03-01 00:00"), channel="visit"),
        case(2, "03-31 23:59", received_at=at("02-28 23:59"), channel="wechat"),
    ])  # fmt: skip
    shares = {basis: pair(ask(dsn, by_date=basis)["total"], "online_share") for basis in BASES}
    assert shares == {"registration": (1, 1), "petition": (0, 0), "exchange": (0, 1)}
    with pytest.raises(Invalid, match="choose from registration"):
        ask(dsn, by_date="moon")


@pytest.mark.parametrize(
    ("first", "last"), [(LAST, FIRST), (date(1, 1, 1), LAST), (FIRST, date(9999, 12, 31))]
)
def test_an_impossible_period_is_refused(dsn: str, first: date, last: date) -> None:
    with connected(dsn, "test") as connection, pytest.raises(Invalid, match="period"):
        indicators(connection, first, last)


def test_a_case_that_was_really_lived_is_counted(fresh_settings: Callable[..., Settings]) -> None:
    beijing = fresh_settings("110000")
    when = {"occurred_at": "2026-03-02T09:00:00+08:00"}
    claim = {"petition_class": "claim", "claim_path": "6", "persons": 6}
    case_id = register(beijing, **when, **claim)
    register(beijing, **when)
    for name, moment, said in (
        ("accept", "2026-03-17T23:00:00+08:00", {"unit": "虚构单位", "procedure": "ordinary"}),
        ("decide", "2026-03-18T09:00:00+08:00", {"outcome": "supported", "opinion": "予以支持"}),
        ("serve", "2026-03-18T10:00:00+08:00", {"method": "online"}),
        ("close", "2026-03-18T11:00:00+08:00", {}),
        ("evaluate", "2026-03-19T09:00:00+08:00", {"object": "unit", "satisfaction": "satisfied"}),
    ):
        do(beijing, name, case_id=case_id, occurred_at=moment, **said)
    with connected(beijing.dsn, "test") as connection:
        found = indicators(connection, FIRST, date(2026, 5, 31))["total"]
    assert pair(found, "timely_acceptance_office") == (1, 2)
    assert pair(found, "on_time_reply") == (1, 1)
    assert pair(found, "satisfaction_unit") == pair(found, "participation_unit") == (1, 1)
    assert pair(found, "answered_within_15_days") == (0, 2)
    assert pair(found, "answered_within_60_days") == (1, 2)
    assert found["volumes"]["registration"] == {"cases": 2, "persons": 7}


def test_an_evaluated_case_that_is_found_to_be_a_repeat_is_counted_no_more(
    fresh_settings: Callable[..., Settings],
) -> None:
    centre = fresh_settings("000000")
    when = "2026-03-02T09:00:00+08:00"
    earlier, again = (register(centre, occurred_at=when) for _ in range(2))
    for name, said in (
        ("accept", {"unit": "虚构单位", "procedure": "ordinary"}),
        ("decide", {"outcome": "explained", "opinion": "已说明"}),
        ("serve", {"method": "online"}),
        ("close", {}),
        ("evaluate", {"object": "unit", "satisfaction": "satisfied"}),
    ):
        do(centre, name, case_id=again, occurred_at=when, **said)
    assert pair(ask(centre.dsn)["total"], "participation_unit") == (1, 1)
    do(centre, "identify", case_id=again, finding="repeat", repeat_of=earlier)
    total = ask(centre.dsn)["total"]
    assert pair(total, "participation_unit") == (0, 0)
    assert pair(total, "repeat_rate") == (1, 2)


def test_the_command_prints_one_document_or_tables_with_n_a(
    fresh_settings: Callable[..., Settings],
) -> None:
    settings = fresh_settings("110000")
    register(settings)
    period = ("--from", "2020-01-01", "--to", "2100-12-31")
    shown = petitionlink(
        *("indicators", *period, "--format", "json"), settings=as_environment(settings)
    ).json()
    assert shown["node"] == "110000"
    assert pair(shown["total"], "online_share") == (1, 1)
    assert shown["total"]["landing"] == {"numerator": 0, "denominator": 0, "value": None}
    table = petitionlink("indicators", *period, settings=as_environment(settings))
    assert table.code == 0
    assert "n/a" in table.out
    assert "110000" in table.out
