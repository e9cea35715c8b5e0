"""A million cases 百万信访件: invented, made by Postgres itself, a year of a busy node.

Set-based SQL, one pass a table: a few minutes for a million. Everything follows from the case's
number, so a second run makes the same cases relative to `now`. Secondary indexes are made behind
the rows, as a restore makes them.
"""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

from cases.nodes import NATIONAL, PROVINCES
from node.postgres.connection import Cursor, connect

_SQL = Path(__file__).with_name("million.sql")
_TABLES = ("petition_case", "case_clock", "case_evaluation", "case_event")
_SECONDARY = """
    select indexname, replace(indexdef, ' ON ONLY ', ' ON ') from pg_indexes i
    where tablename = any(%s) and not exists (
        select from pg_constraint c where c.conname = i.indexname)
    order by indexname
"""


def fill(dsn: str, cases: int, now: datetime, say: Callable[[str], None]) -> None:
    """Write `cases` cases with clocks, evaluations and events; vacuumed and analysed behind."""
    with closing(connect(dsn, "bench")) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("set maintenance_work_mem = '512MB'; set work_mem = '128MB'")
            with _without_indexes(cursor, say):
                for title, statement in _steps():
                    say(f"    {title}")
                    cursor.execute(statement, _values(cases, now))
            say("    vacuum")
            cursor.execute(f"vacuum (analyze) {', '.join(_TABLES)}")
            cursor.execute("checkpoint")


def _values(cases: int, now: datetime) -> dict[str, object]:
    return {"cases": cases, "now": now, "provinces": [*PROVINCES], "national": NATIONAL}


def _steps() -> Iterator[tuple[str, str]]:
    """The statements of million.sql, each with the title that stands above it as `-- == title`."""
    for part in _SQL.read_text(encoding="utf-8").split("-- == ")[1:]:
        title, _, statement = part.partition("\n")
        yield title, statement


@contextmanager
def _without_indexes(cursor: Cursor, say: Callable[[str], None]) -> Iterator[None]:
    cursor.execute(_SECONDARY, ([*_TABLES],))
    indexes: list[tuple[str, str]] = cursor.fetchall()
    for name, _ in indexes:
        cursor.execute(f"drop index {name}")
    try:
        yield
    finally:
        say("    indexes")
        for _, definition in indexes:
            cursor.execute(definition)
