"""Compare shadow with live tables: the cases that differ are stored as rows, not in memory."""

from typing import Final, NamedTuple

from node.postgres.connection import Cursor
from node.postgres.statements import read_value
from node.rebuild.shadow_tables import SCHEMA, TABLES

# More names than this are of no use; the count is exact.
_MOST_NAMES: Final = 100
_KINDS: Final = ("differing", "missing", "superfluous")
_FINDING = f"{SCHEMA}.finding"

_MAKE = f"create table {_FINDING} (case_id text primary key, kind text not null)"
_FORGET = f"delete from {_FINDING} where case_id = any(%s)"
# Rows of details count as their case; its own row decides whether it is missing or superfluous.
_DIFFERING = """
    select case_id, case
        when not exists (select from {schema}.petition_case s where s.case_id = d.case_id)
            then 'superfluous'
        when not exists (select from {live}.petition_case l where l.case_id = d.case_id)
            then 'missing'
        else 'differing' end
    from (
        select coalesce(l.case_id, s.case_id) as case_id
        from (select * from {live}.{table} {some}) l
        full join (select * from {schema}.{table} {some}) s using ({key})
        where (l.case_id, {left}) is distinct from (s.case_id, {right})
        group by 1
    ) d
"""
_FIND = f"insert into {_FINDING} %s on conflict do nothing"
_SOME = "where case_id = any(%(cases)s)"
_KEY = """
    select string_agg(quote_ident(attname), ', ' order by array_position(conkey, attnum))
    from pg_constraint join pg_attribute on attrelid = conrelid and attnum = any(conkey)
    where conrelid = %s::regclass and contype = 'p'
"""
# Revisions count writes: a fold from the beginning has none of its own.
_COLUMNS = """
    select quote_ident(attname) from pg_attribute
    where attrelid = %s::regclass and attnum > 0 and not attisdropped and attname <> 'revision'
    order by attnum
"""
_COUNT = f"select count(*) from {_FINDING} where kind = %s"
_NAMES = f"select case_id from {_FINDING} where kind = %s order by 1 limit {_MOST_NAMES}"


class Differences(NamedTuple):
    """The numbers of cases that differ, are missing or superfluous, and the first names."""

    counts: dict[str, int]
    names: dict[str, list[str]]


def compare(cursor: Cursor, live: str) -> None:
    """Store every case that is not the same in both."""
    cursor.execute(_MAKE)
    for table in TABLES:
        cursor.execute(_FIND % _statement(cursor, live, SCHEMA, table, ""))


def compare_again(cursor: Cursor, live: str, case_ids: list[str]) -> None:
    """Compare these cases again, which changed meanwhile."""
    cursor.execute(_FORGET, (case_ids,))
    for table in TABLES:
        statement = _FIND % _statement(cursor, live, SCHEMA, table, _SOME)
        cursor.execute(statement, {"cases": case_ids})


def differing(cursor: Cursor, live: str, schema: str, case_ids: list[str]) -> dict[str, str]:
    """Return those of these cases that differ between `live` and `schema`, and the kind."""
    kinds: dict[str, str] = {}
    for table in TABLES:
        cursor.execute(_statement(cursor, live, schema, table, _SOME), {"cases": case_ids})
        for case_id, kind in cursor:
            kinds.setdefault(case_id, kind)
    return kinds


def differences(cursor: Cursor) -> Differences:
    counts, names = {}, {}
    for kind in _KINDS:
        counts[kind] = read_value(cursor, _COUNT, (kind,))
        cursor.execute(_NAMES, (kind,))
        names[kind] = [case_id for (case_id,) in cursor]
    return Differences(counts, names)


def _statement(cursor: Cursor, live: str, schema: str, table: str, some: str) -> str:
    key = read_value(cursor, _KEY, (f"{live}.{table}",))
    cursor.execute(_COLUMNS, (f"{live}.{table}",))
    columns = [name for (name,) in cursor]
    return _DIFFERING.format(
        schema=schema,
        live=live,
        table=table,
        some=some,
        key=key,
        left=", ".join(f"l.{name}" for name in columns),
        right=", ".join(f"s.{name}" for name in columns),
    )
