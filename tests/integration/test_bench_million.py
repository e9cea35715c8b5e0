"""The generator of the benchmark's million cases gives a valid database, with a few of them."""

from collections.abc import Callable
from datetime import UTC, datetime

from benchmarks import million
from node.postgres.connection import connected

_CASES = 1_000
_INDEXES = """
    select i.tablename, regexp_replace(i.indexdef, 'INDEX \\S+', ''), x.indisvalid
    from pg_indexes i join pg_index x on x.indexrelid = i.indexname::regclass
    where i.tablename = any(%s) or i.tablename like 'case_event_%%' order by 1, 2
"""


def test_indexes_are_afterwards_what_they_were_in_each_month_too(
    fresh_dsn: Callable[..., str],
) -> None:
    """Seen failing when those of the ledger came back without those of its months."""
    dsn = fresh_dsn("000000")
    before = indexes(dsn)
    million.fill(dsn, _CASES, datetime.now(UTC), lambda _: None)
    assert indexes(dsn) == before
    with connected(dsn, "test") as connection, connection.cursor() as cursor:
        cursor.execute("select count(*) from petition_case")
        assert cursor.fetchone() == (_CASES,)


def indexes(dsn: str) -> list[tuple[str, str, bool]]:
    with connected(dsn, "test") as connection, connection.cursor() as cursor:
        cursor.execute(_INDEXES, ([*million._TABLES],))
        return cursor.fetchall()
