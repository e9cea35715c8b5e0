"""Rows written few at a time, as JSON, and many at a time, by COPY, on a real Postgres."""

from collections.abc import Callable
from contextlib import closing
from typing import Any

import psycopg2
import pytest
from support.world import rows

from cases.case import Case, Clock, State
from node.postgres import table
from node.postgres.connection import Connection, connect
from node.postgres.statements import Prepared, Statement, run
from node.runtime.settings import Settings
from node.store import case_details, case_rows
from node.store.case_rows import CaseRow
from schemas.limits import MAX_INSTANT_MICROS, MIN_INSTANT_MICROS

TABLES = ("petition_case", "case_clock", "case_evaluation", "case_supervision")
EVENT = "01990000-0000-7000-8000-000000000001"
TEXTS = ("", "信访", "a\\b 'c' \"d\" {e,f}\n\t\u2028 🙂", "null", "x" * 3000)
INSTANTS = (MIN_INSTANT_MICROS, -1, 0, 1_767_225_600_000_001, MAX_INSTANT_MICROS)


def odd_case(number: int) -> Case:
    """Return a case with values that are hard to write."""
    text, at = TEXTS[number], INSTANTS[number]
    supervision = {"kind": "urged", "grounds": [6, 1], "by": "000000", "to": "370000"}
    instants = {"issued_at": at, "due_at": at, "replied_at": None, "lifted_at": at}
    return Case(
        f"110000-{number}",
        state=State.ACCEPTED,
        registered_by="110000",
        participants=[text, "370000"] if number else [],
        registration={"title": text, "received_at": at, "persons": 3, "urgent": number % 2 == 0},
        milestones={State.REGISTERED: at},
        clocks=[Clock("D01", EVENT, "110000", at, at, True, text, None, at)],
        evaluations={"office": "satisfied"},
        evaluated_at={"office": at},
        dissatisfactions={"office": text},
        supervisions={f"{EVENT[:-1]}{number + 2}": supervision | instants},
        version=9_007_199_254_740_993,
    )


@pytest.fixture
def connection(fresh_settings: Callable[..., Settings]) -> Any:
    """One to an empty database."""
    with closing(connect(fresh_settings("110000").dsn, "test")) as made:
        yield made


def test_few_rows_are_written_as_many_are(
    fresh_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen failing with milliseconds instead of microseconds in JSON, and with an empty array as
    NULL."""
    found = []
    for few in (0, 1000):
        monkeypatch.setattr(table, "MAX_ROWS_IN_STATEMENT", few)
        settings = fresh_settings("110000")
        for revision in (1, 2):  # the second time rows are changed
            _write(settings, [odd_case(number) for number in range(len(TEXTS))], revision)
        found.append({one: rows(settings, f"select t::text from {one} t order by 1")
                      for one in TABLES})  # fmt: skip
    assert found[0] == found[1]
    assert {name: len(some) for name, some in found[0].items()} == dict.fromkeys(TABLES, 5)


def _write(settings: Settings, cases: list[Case], revision: int) -> None:
    before = [Case(case.case_id) for case in cases]
    with closing(connect(settings.dsn, "test")) as made, made, made.cursor() as cursor:
        written = [CaseRow(case, revision, INSTANTS[0]) for case in cases]
        assert case_rows.put(cursor, written) == len(cases)
        case_details.write(cursor, [*zip(before, cases, strict=True)])


@pytest.mark.parametrize("few", [0, 1000], ids=["many", "few"])
def test_a_row_that_another_changed_meanwhile_is_not_overwritten(
    connection: Connection, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen failing without `where` of the upsert, both ways."""
    monkeypatch.setattr(table, "MAX_ROWS_IN_STATEMENT", few)
    case = odd_case(1)
    with connection, connection.cursor() as cursor:
        assert case_rows.put(cursor, [CaseRow(case, 1, None)]) == 1
        assert case_rows.put(cursor, [CaseRow(case, 3, None)]) == 0
        assert case_rows.put(cursor, [CaseRow(case, 1, None)]) == 0


def test_a_prepared_statement_outlives_what_fails_after_it(connection: Connection) -> None:
    """Seen failing with the name recorded after the first use: it was prepared twice."""
    twice = Prepared("twice", "select 2 / %s::integer")
    with pytest.raises(psycopg2.errors.DivisionByZero), connection, connection.cursor() as cursor:
        run(cursor, [Statement(twice, (0,))])
    with connection, connection.cursor() as cursor:
        run(cursor, [Statement("select 1"), Statement(twice, (1,))])
        assert cursor.fetchall() == [(2,)]


def test_a_prepared_statement_may_have_no_places(connection: Connection) -> None:
    """Seen failing with empty parentheses, which Postgres does not read."""
    one = Prepared("one", "select 1")
    with connection, connection.cursor() as cursor:
        for _ in range(2):
            run(cursor, [Statement(one)])
            assert cursor.fetchall() == [(1,)]


def test_of_statements_that_travel_together_all_are_run(connection: Connection) -> None:
    """Seen failing with the last one run alone."""
    with connection, connection.cursor() as cursor:
        cursor.execute("create temporary table seen (name text)")
        run(
            cursor, [Statement("insert into seen values (%s)", (one,)) for one in ("a;", "b%", "'")]
        )
        cursor.execute("select name from seen")
        assert cursor.fetchall() == [("a;",), ("b%",), ("'",)]
        run(cursor, [])
