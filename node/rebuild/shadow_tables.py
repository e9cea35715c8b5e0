"""Shadow tables 影子表 are copies of the projections' tables in a schema of their own.

A connection whose search path begins with that schema fills them by the SQL that fills the live
tables. Indexes and constraints have the same names, so that the database after the swap looks as
the migrations made it.
"""

from typing import Final

from node.postgres.connection import Cursor
from node.postgres.statements import read_value

SCHEMA: Final = "petitionlink_rebuild"
# In the order in which writers lock them.
TABLES: Final = ("petition_case", "case_clock", "case_evaluation", "case_supervision")

_CONSTRAINTS = """
    select conname, pg_get_constraintdef(oid) from pg_constraint
    where conrelid = %s::regclass and contype in ('p', 'u') order by contype, conname
"""
# The definition names the table after ON; its schema there depends on the search path.
_INDEXES = r"""
    select regexp_replace(pg_get_indexdef(indexrelid), ' ON \S+ USING ', ' ON ' || %s || ' USING ')
    from pg_index i where indrelid = %s::regclass
        and not exists (select from pg_constraint c where c.conindid = i.indexrelid)
"""
_OPTIONS = """
    select option from pg_class c left join pg_class t on t.oid = c.reltoastrelid, lateral (
        select unnest(c.reloptions) union all select 'toast.' || unnest(t.reloptions)) o (option)
    where c.oid = %s::regclass
"""
_GRANTS = """
    select distinct
        case grantee when 0 then 'public' else quote_ident(pg_get_userbyid(grantee)) end,
        privilege_type, case when is_grantable then ' with grant option' else '' end
    from pg_class, lateral aclexplode(relacl) where oid = %s::regclass
"""


def current_schema(cursor: Cursor) -> str:
    query = "select relnamespace::regnamespace::text from pg_class where oid = %s::regclass"
    return str(read_value(cursor, query, ("petition_case",)))


def clear(cursor: Cursor) -> None:
    """Drop the shadow schema with all that a killed rebuild left in it."""
    cursor.execute("set local client_min_messages = warning")
    cursor.execute(f"drop schema if exists {SCHEMA} cascade")


def make(cursor: Cursor, live: str) -> None:
    """Make empty shadow tables with primary keys; the other indexes are made after the rows."""
    clear(cursor)
    cursor.execute(f"create schema {SCHEMA}")
    for table in TABLES:
        ours, theirs = f"{SCHEMA}.{table}", f"{live}.{table}"
        cursor.execute(
            f"create table {ours} (like {theirs} including defaults including constraints "
            "including storage including compression including comments including generated)"
        )
        for (option,) in _all(cursor, _OPTIONS, theirs):
            cursor.execute(f"alter table {ours} set ({option})")
        for name, definition in _all(cursor, _CONSTRAINTS, theirs):
            cursor.execute(f"alter table {ours} add constraint {name} {definition}")
        for grantee, privilege, option in _all(cursor, _GRANTS, theirs):
            cursor.execute(f"grant {privilege} on {ours} to {grantee}{option}")


def make_indexes(cursor: Cursor, live: str) -> None:
    for table in TABLES:
        for (definition,) in _all(cursor, _INDEXES, f"{SCHEMA}.{table}", f"{live}.{table}"):
            cursor.execute(definition)


def lock(cursor: Cursor, live: str, mode: str, wait: str) -> None:
    """Lock the live tables until the transaction ends; `LockNotAvailable` after `wait`."""
    cursor.execute("select set_config('lock_timeout', %s, true)", (wait,))
    cursor.execute(f"lock table {', '.join(f'{live}.{table}' for table in TABLES)} in {mode} mode")


def swap(cursor: Cursor, live: str) -> None:
    """Drop the live tables and put the shadow tables in their place."""
    for table in TABLES:
        cursor.execute(f"drop table {live}.{table}")
        cursor.execute(f"alter table {SCHEMA}.{table} set schema {live}")


def _all(cursor: Cursor, query: str, *values: str) -> list[tuple[str, ...]]:
    cursor.execute(query, values)
    return cursor.fetchall()
