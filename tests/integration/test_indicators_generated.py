"""The indicators in SQL agree with plain Python on generated cases."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.facts import SHANGHAI, FactCase, FactClock, expected, volumes, write_facts
from support.indicators import DATES, FIRST, LAST, NOW, ask, pair

from benchmarks.million import fill
from node.postgres.connection import connected
from node.queries.figures.indicators import indicators
from node.queries.figures.overview import overview
from node.queries.figures.ratios import RATIOS

NODES = st.sampled_from(["110000", "370000", "660000"])
# Around both ends of March and of its periods shifted by 15, 30 and 60 days, often at midnight.
MOMENTS = st.builds(
    lambda days, hours: datetime(2026, 1, 25, tzinfo=SHANGHAI) + timedelta(days=days, hours=hours),
    st.integers(0, 75),
    st.sampled_from([0, 0, 9, 23.999]),
)
MAYBE = st.none() | MOMENTS
RESULTS = st.sampled_from(["satisfied", "basically_satisfied", "dissatisfied", "expired"])


@st.composite
def a_clock(draw: st.DrawFn) -> FactClock:
    met = draw(MAYBE)
    return FactClock(
        draw(st.sampled_from(["D01", "D02", "D02", "D06", "D07", "D14", "D16"])),
        draw(NODES),
        *(draw(MOMENTS), draw(MOMENTS), met, met or draw(MAYBE)),
    )


@st.composite
def a_case(draw: st.DrawFn, number: int) -> FactCase:
    evaluations = [(about, draw(RESULTS), draw(MOMENTS)) for about in draw(st.sampled_from([
        (), ("office",), ("office", "unit"), ("unit",)
    ]))]  # fmt: skip
    return FactCase(
        *(f"c{number}", draw(MOMENTS), draw(MOMENTS), draw(NODES), draw(st.none() | NODES)),
        draw(st.sampled_from(["first", "repeat", None])),
        draw(st.sampled_from(["web", "visit", "letter", "phone", "other"])),
        *(draw(st.sampled_from([None, 1, 5])), draw(MAYBE), draw(MAYBE), draw(MAYBE)),
        clocks=draw(st.lists(a_clock(), max_size=4)),
        evaluations=evaluations,
    )


HISTORIES = st.integers(0, 12).flatmap(lambda n: st.tuples(*(a_case(i) for i in range(n))))


@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(cases=HISTORIES)
def test_any_facts_give_what_plain_python_makes_of_them(dsn: str, cases: tuple[FactCase]) -> None:
    write_facts(dsn, cases)
    assert_agrees(ask(dsn), [*cases], FIRST, LAST, NOW)


def assert_agrees(
    found: dict[str, Any], cases: list[FactCase], first: date, last: date, now: datetime
) -> None:
    total = expected(cases, first, last, now)
    assert {name: pair(found["total"], name) for name in total} == total
    assert set(total) == set(RATIOS)
    for one in found["nodes"]:
        by_node = expected(cases, first, last, now, one["node"])
        assert {name: pair(one, name) for name in by_node} == by_node
    for name in RATIOS:
        assert sum(one[name]["denominator"] for one in found["nodes"]) == total[name][1]
    for basis, column in DATES.items():
        counted = found["total"]["volumes"][basis]
        assert (counted["cases"], counted["persons"]) == volumes(cases, column, first, last)


def test_thousands_of_generated_cases_agree_too(dsn: str) -> None:
    """The benchmark's generator, so that its figures are of a database that is right."""
    now = datetime.now(UTC)
    fill(dsn, 3_000, now, lambda text: None)
    cases = read_facts(dsn)
    assert len(cases) == 3_000
    last = now.astimezone(SHANGHAI).date() - timedelta(days=20)
    first = last - timedelta(days=200)
    with connected(dsn, "test") as connection:
        found = indicators(connection, first, last, now=now)
        facts = overview(connection)
    assert_agrees(found, cases, first, last, now)
    assert all(found["total"][name]["denominator"] for name in RATIOS)
    everything = expected(cases, date(2000, 1, 1), date(2100, 1, 1), now)
    assert (facts["online"]["numerator"], facts["online"]["denominator"]) == everything[
        "online_share"
    ]


def read_facts(dsn: str) -> list[FactCase]:
    columns = [
        *("case_id", "registered_at", "received_at", "registered_by", "handled_by", "finding"),
        *("channel", "persons", "accepted_at", "decided_at", "exchanged_at"),
    ]
    with connected(dsn, "test") as connection, connection.cursor() as cursor:
        cursor.execute(f"select {', '.join(columns)} from petition_case")
        cases = {row[0]: FactCase(*row) for row in cursor}
        cursor.execute(
            "select case_id, clock, owner, started_at, due_at, met_at, ended_at from case_clock"
        )
        for case_id, *row in cursor:
            cases[case_id].clocks.append(FactClock(*row))
        cursor.execute("select case_id, object, result, evaluated_at from case_evaluation")
        for case_id, *evaluation in cursor:
            cases[case_id].evaluations.append(tuple(evaluation))
    return [*cases.values()]
