"""The node tells which matters people raise of late, and facts of the interconnect."""

from collections import Counter
from collections.abc import Callable
from datetime import date, datetime, timedelta
from itertools import count as count_up
from random import Random
from typing import Any

import pytest
from support.cli import as_environment, petitionlink
from support.facts import SHANGHAI, FactCase, FactClock, day_of, write_facts
from support.world import register, rows

from cases.clocks import names
from node.postgres.connection import connected
from node.queries.figures.overview import overview
from node.queries.figures.rising import KEYS, rising
from node.runtime.settings import Settings
from schemas.errors import Invalid

LAST = date(2026, 3, 31)
NUMBERS = count_up()
NOON = datetime(2026, 3, 31, 12, tzinfo=SHANGHAI)


@pytest.fixture
def dsn(fresh_dsn: Callable[..., str]) -> str:
    """The centre's database, empty."""
    return fresh_dsn("000000")


def raised(days_ago: float, count: int = 1, **more: Any) -> list[FactCase]:
    moment = NOON - timedelta(days=days_ago)
    return [FactCase(f"c{next(NUMBERS)}", moment, moment, **more) for _ in range(count)]


def ask(dsn: str, days: int = 10, by: str = "category", **more: Any) -> dict[str, Any]:
    with connected(dsn, "test") as connection:
        return rising(connection, LAST, days, by, **more)


def test_rising_ones_come_first_and_new_ones_are_marked(dsn: str) -> None:
    heat, roads, dust = (("供热", "", ""), ("道路", "", ""), ("扬尘", "", ""))
    write_facts(dsn, [
        *raised(1, 9, categories=heat), *raised(11, 6, categories=heat),
        *raised(2, 3, categories=dust),
        *raised(3, 2, categories=roads), *raised(12, 5, categories=roads),
        *raised(4, 1), *raised(13, 1),
        *raised(25, 50, categories=roads),
    ])  # fmt: skip
    found = ask(dsn)
    lines = [
        (item["key"], item["current"], item["previous"], item["difference"], item["ratio"],
         item["new"])
        for item in found["items"]
    ]  # fmt: skip
    assert lines == [
        (["扬尘"], 3, 0, 3, None, True),
        (["供热"], 9, 6, 3, 1.5, False),
        ([None], 1, 1, 0, 1.0, False),
        (["道路"], 2, 5, -3, 0.4, False),
    ]
    assert found["current"] == {"from": "2026-03-22", "to": "2026-03-31", "cases": 15}
    assert found["previous"] == {"from": "2026-03-12", "to": "2026-03-21", "cases": 12}
    assert [item["key"] for item in ask(dsn, limit=1)["items"]] == [["扬尘"]]
    assert ask(dsn, limit=1)["keys"] == 4


def test_every_key_counts_what_a_counter_counts(dsn: str) -> None:
    dice = Random(7)
    cases = [
        one
        for number in range(400)
        for one in raised(
            dice.uniform(0, 30) + number / 1e6,
            area=dice.choice(["110101", "110101003001", "370102", "3701", ""]),
            channel=dice.choice(["web", "visit", "phone"]),
            categories=(dice.choice("甲乙"), dice.choice("丙丁"), dice.choice("戊己")),
        )
    ]
    write_facts(dsn, cases)
    keys: dict[str, Callable[[FactCase], tuple[str | None, ...]]] = {
        "category": lambda case: case.categories[:1],
        "category_2": lambda case: case.categories[:2],
        "category_3": lambda case: case.categories,
        "area": lambda case: (case.area[:6] or None,),
        "province": lambda case: (case.area[:2] or None,),
        "channel": lambda case: (case.channel,),
    }
    assert set(keys) == set(KEYS)
    for by, key in keys.items():
        for days in (1, 7, 15):
            found = ask(dsn, days, by)
            ages = [((LAST - day_of(case.registered_at)).days, key(case)) for case in cases]
            now = Counter(one for age, one in ages if age < days)
            before = Counter(one for age, one in ages if days <= age < 2 * days)
            counted = {tuple(i["key"]): (i["current"], i["previous"]) for i in found["items"]}
            assert counted == {one: (now[one], before[one]) for one in {*now, *before}}
            differences = [item["difference"] for item in found["items"]]
            assert differences == sorted(differences, reverse=True)


def test_nothing_raised_is_an_empty_list(dsn: str) -> None:
    found = ask(dsn)
    assert (found["items"], found["keys"], found["current"]["cases"]) == ([], 0, 0)


@pytest.mark.parametrize(("days", "by"), [(0, "area"), (367, "area"), (7, "weather")])
def test_what_cannot_be_asked_is_refused(dsn: str, days: int, by: str) -> None:
    with pytest.raises(Invalid, match="choose"):
        ask(dsn, days, by)


def test_the_facts_of_the_interconnect_can_be_read_off(
    fresh_settings: Callable[..., Settings],
) -> None:
    centre = fresh_settings("000000")
    due = NOON + timedelta(days=1)
    in_time = FactClock(names.LANDING, "370000", NOON, due, NOON, NOON)
    write_facts(centre.dsn, [
        *raised(1, registered_by="110000", channel="web"),
        *raised(2, registered_by="110000", channel="visit"),
        *raised(1, registered_by="370000", channel="app", clocks=[in_time]),
        *raised(3, registered_by="370000", channel="letter", handled_by=None, conflicts=1),
        *raised(4, registered_by="370000", channel="phone",
                clocks=[FactClock(names.LANDING, "110000", NOON, due)]),
        *raised(400, registered_by="000000", channel="letter"),
    ])  # fmt: skip
    rows(
        centre,
        "insert into node_contact values ('110000', %s), ('370000', %s), ('000000', %s)",
        (NOON, NOON, NOON),
    )
    with connected(centre.dsn, "test") as connection:
        found = overview(connection)
        this_year = overview(connection, date(2026, 1, 1), LAST)
    online, joined = found["online"], found["connected"]
    assert (online["numerator"], online["denominator"]) == (3, 6)
    assert (this_year["online"]["numerator"], this_year["online"]["denominator"]) == (3, 5)
    # Half is not over half.
    assert (online["provinces_over_half"], online["over_half"]) == (1, ["370000"])
    assert (joined["connected"], joined["of"], len(joined["not_connected"])) == (2, 32, 30)
    landed = found["landed_within_one_working_day"]
    assert (landed["numerator"], landed["denominator"], landed["value"]) == (1, 2, 0.5)
    assert found["attention"] == {"unhandled": {"registered": 1}, "in_conflict": 1, "incomplete": 0}


def test_the_commands_print_one_document_each(fresh_settings: Callable[..., Settings]) -> None:
    settings = fresh_settings("110000")
    register(settings, area="110101")
    environment = as_environment(settings)
    shown = petitionlink(
        *("rising", "--days", "7", "--by", "area", "--format", "json"), settings=environment
    ).json()
    assert [item["key"] for item in shown["items"]] == [["110101"]]
    facts = petitionlink("overview", "--format", "json", settings=environment).json()
    assert facts["online"]["value"] == 1
    wrong = petitionlink("rising", "--by", "weather", settings=environment)
    assert (wrong.code, wrong.out) == (2, "")
    assert "choose from category" in wrong.err
