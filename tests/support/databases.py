"""Databases for tests: made from a migrated template, and used again if only their rows changed.

`create database` copies some four hundred files; emptying the few tables that a test has written to
takes a tenth of its processor time. A database whose schema, settings or rights a test has changed
is dropped.
"""

import itertools
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import ISOLATION_LEVEL_AUTOCOMMIT, connection, make_dsn

from node.postgres.connection import migrate

_OTHERS_END = """
    select pg_terminate_backend(pid, 10000) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid()
"""
_TABLES = """
    select c.oid::regclass::text, c.relispartition from pg_class c
    where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' order by 1
"""
_SEQUENCES = """
    select c.oid::regclass::text from pg_class c
    where c.relnamespace = 'public'::regnamespace and c.relkind = 'S' order by 1
"""
# All that a test may have changed besides rows and sequences, without oids and statistics.
_SCHEMA = """
    with own as (
        select oid, nspname from pg_namespace
        where nspname <> 'information_schema' and nspname !~ '^pg_'
    ), relation as (
        select c.* from pg_class c join own on own.oid = c.relnamespace
    )
    select md5(string_agg(line, chr(10) order by line)) from (
        select concat_ws(' ', 'relation', oid::regclass, relkind, relpersistence, reloptions,
            relacl, relrowsecurity, relreplident, relowner::regrole,
            pg_get_expr(relpartbound, oid), pg_get_partkeydef(oid)) from relation
        union all select concat_ws(' ', 'column', attrelid::regclass, attname, atttypid::regtype,
            attnotnull, attgenerated, attidentity, attcompression, attacl, attoptions,
            attstattarget,
            (select pg_get_expr(adbin, adrelid) from pg_attrdef
             where adrelid = attrelid and adnum = attnum))
            from pg_attribute join relation on relation.oid = attrelid
            where attnum > 0 and not attisdropped
        union all select concat_ws(' ', 'constraint', conrelid::regclass, conname, convalidated,
            pg_get_constraintdef(c.oid)) from pg_constraint c join own on own.oid = connamespace
        union all select concat_ws(' ', 'index', indexrelid::regclass, indisvalid,
            pg_get_indexdef(indexrelid)) from pg_index join relation on relation.oid = indrelid
        union all select concat_ws(' ', 'trigger', tgenabled, pg_get_triggerdef(t.oid))
            from pg_trigger t join relation on relation.oid = tgrelid where not tgisinternal
        union all select concat_ws(' ', 'rule', pg_get_ruledef(r.oid))
            from pg_rewrite r join relation on relation.oid = ev_class
        union all select concat_ws(' ', 'function', p.oid::regprocedure, proacl, proconfig, prosrc)
            from pg_proc p join own on own.oid = pronamespace
        union all select concat_ws(' ', 'type', t.oid::regtype, typtype, typacl)
            from pg_type t join own on own.oid = typnamespace
        union all select concat_ws(' ', 'schema', nspname, nspacl, nspowner::regrole)
            from pg_namespace where oid in (select oid from own)
        union all select concat_ws(' ', 'extension', extname, extversion) from pg_extension
        union all select concat_ws(' ', 'event trigger', evtname) from pg_event_trigger
        union all select concat_ws(' ', 'publication', pubname) from pg_publication
        union all select concat_ws(' ', 'default rights', defaclacl) from pg_default_acl
        union all select concat_ws(' ', 'settings', setrole, setconfig) from pg_db_role_setting
            where setdatabase = (select oid from pg_database where datname = current_database())
        union all select concat_ws(' ', 'database', datallowconn, datconnlimit, datacl,
            datdba::regrole) from pg_database where datname = current_database()
    ) lines (line)
"""


# The planner's and those of the activity; a superuser may write to the catalogue.
_FORGET_STATISTICS = """
    delete from pg_statistic using pg_class
    where starelid = pg_class.oid and relnamespace = 'public'::regnamespace;
    select pg_stat_reset()
"""


class _Original(NamedTuple):
    """The content of a template: its schema, the rows of its tables, the state of its sequences."""

    schema: str
    tables: Mapping[str, str | None]
    sequences: Mapping[str, tuple[int, bool]]


class Databases:
    """The databases of one session on one Postgres; `dsn` leads to a database of its superuser."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._numbers = itertools.count(1)
        self._templates: dict[str, tuple[str, _Original]] = {}
        self._free: dict[str, list[str]] = defaultdict(list)

    def take(self, node: str) -> str:
        """Return the name of a database of `node` that is as if it was just migrated."""
        if self._free[node]:
            return self._free[node].pop(0)
        template, _ = self._templates.get(node) or self._make_template(node)
        name = f"test_{os.getpid()}_{next(self._numbers)}_{node}"
        self._execute("create database {} template {}", name, template)
        return name

    def give_back(self, node: str, name: str) -> None:
        """Take back a database that a test has used; it is dropped if it cannot be used again."""
        try:
            with self._opened(name) as server, server.cursor() as cursor:
                cursor.execute(_OTHERS_END)
                is_new = _reset(cursor, self._templates[node][1])
        except psycopg2.Error:
            is_new = False
        if is_new:
            self._free[node].append(name)
        else:
            self._execute("drop database if exists {} with (force)", name)

    def drop_all(self) -> None:
        """Drop the templates and the databases that nobody uses."""
        for names in self._free.values():
            for name in names:
                self._execute("drop database if exists {} with (force)", name)
        for template, _ in self._templates.values():
            self._execute("drop database {} with (force)", template)

    def _make_template(self, node: str) -> tuple[str, _Original]:
        name = f"template_{os.getpid()}_{node}"
        self._execute("create database {}", name)
        migrate(make_dsn(self._dsn, dbname=name), node)
        with self._opened(name) as server, server.cursor() as cursor:
            self._templates[node] = name, _original(cursor)
        return self._templates[node]

    def _execute(self, statement: str, *names: str) -> None:
        with self._opened() as server, server.cursor() as cursor:
            identifiers = [sql.Identifier(name) for name in names]
            cursor.execute(sql.SQL(statement).format(*identifiers))

    @contextmanager
    def _opened(self, name: str | None = None) -> Iterator[connection]:
        server = psycopg2.connect(make_dsn(self._dsn, dbname=name) if name else self._dsn)
        server.set_isolation_level(ISOLATION_LEVEL_AUTOCOMMIT)
        try:
            yield server
        finally:
            server.close()


def _original(cursor: Any) -> _Original:
    tables = {}
    for table in _tables(cursor):
        cursor.execute(f"select jsonb_agg(t)::text from {table} t")
        tables[table] = cursor.fetchone()[0]
    return _Original(_value(cursor, _SCHEMA), tables, _sequences(cursor))


def _reset(cursor: Any, original: _Original) -> bool:
    """Make rows and sequences as in the template; return False if anything else differs."""
    if _value(cursor, _SCHEMA) != original.schema:
        return False
    filled = _filled(cursor, original.tables)
    if filled:
        cursor.execute(f"truncate {', '.join(filled)}")
    for table in filled:
        rows = original.tables[table]
        if rows:
            cursor.execute(
                f"insert into {table} select * from jsonb_populate_recordset(null::{table}, %s)",
                (rows,),
            )
    for name, state in original.sequences.items():
        cursor.execute("select setval(%s, %s, %s)", (name, *state))
    cursor.execute(_FORGET_STATISTICS)
    return True


def _filled(cursor: Any, tables: Mapping[str, str | None]) -> list[str]:
    """Return the tables that a test has written to, and those that have rows from the start."""
    looks = " union all ".join(
        f"select '{table}' where exists (select from {table})" for table in tables
    )
    cursor.execute(looks)
    filled = {name for (name,) in cursor}
    return [table for table in tables if table in filled or tables[table]]


def _tables(cursor: Any) -> list[str]:
    cursor.execute(_TABLES)
    return [name for name, _ in cursor.fetchall()]


def _sequences(cursor: Any) -> dict[str, tuple[int, bool]]:
    cursor.execute(_SEQUENCES)
    states = {}
    for (name,) in cursor.fetchall():
        cursor.execute(f"select last_value, is_called from {name}")
        states[name] = cursor.fetchone()
    return states


def _value(cursor: Any, query: str) -> str:
    cursor.execute(query)
    return str(cursor.fetchone()[0])
