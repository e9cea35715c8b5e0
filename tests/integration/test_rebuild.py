"""Rebuild: the ledger's truth takes the place of the projections, and nobody notices."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from support.cli import as_environment, environment, petitionlink, refused
from support.rebuilding import SHADOW, TABLES, again, content
from support.routines import served
from support.world import count, do, register, rows

from node.postgres.connection import connect
from node.runtime.errors import Fatal
from node.runtime.settings import Settings


def revisions(settings: Settings) -> dict[str, int]:
    return dict(rows(settings, "select case_id, revision from petition_case"))


def form(settings: Settings) -> list[tuple[Any, ...]]:
    """Columns, constraints, indexes, options and rights of the projections, by name."""
    query = """
        select relname, 'column' as what, attname as name, concat_ws(' ', format_type(
               atttypid, atttypmod), attnotnull, attstorage, pg_get_expr(adbin, adrelid)) as how
        from pg_class c join pg_attribute a on attrelid = c.oid and attnum > 0
        left join pg_attrdef on adrelid = c.oid and adnum = attnum
        where c.oid = any(%(tables)s::regclass[])
        union all select relname, 'constraint', conname, pg_get_constraintdef(o.oid)
        from pg_constraint o join pg_class c on c.oid = conrelid
        where c.oid = any(%(tables)s::regclass[])
        union all select tablename, 'index', indexname, indexdef from pg_indexes
        where tablename = any(%(tables)s)
        union all select relname, 'options', reloptions::text, relacl::text from pg_class
        where oid = any(%(tables)s::regclass[])
        order by 1, 2, 3, 4
    """
    with closing(connect(settings.dsn, "test")) as connection, connection.cursor() as cursor:
        cursor.execute(query, {"tables": [*TABLES]})
        return cursor.fetchall()


def test_what_was_right_is_the_same_afterwards_in_content_and_form(lived_centre: Settings) -> None:
    """Only the revisions are higher. Seen failing without the live revision, without `_CROSSED`,
    without `_OPTIONS`."""
    rows(lived_centre, "grant select on petition_case to public")
    before = content(lived_centre), form(lived_centre)
    raised = {case_id: revision + 1 for case_id, revision in revisions(lived_centre).items()}
    assert all(content(lived_centre).values())
    done = again(lived_centre)
    assert (done.cases, done.events, done.swapped) == (5, count(lived_centre, "case_event"), True)
    assert not done.differs
    assert (content(lived_centre), form(lived_centre)) == before
    assert revisions(lived_centre) == raised
    assert rows(lived_centre, SHADOW) == [(0,)]
    again(lived_centre)
    assert (content(lived_centre), form(lived_centre)) == before


_DAMAGES = {
    "a row": ("update petition_case set state = 'closed' where case_id = %s", "differing"),
    "a fold": (
        "update petition_case set fold = jsonb_set(fold, '{version}', '77') where case_id = %s",
        "differing",
    ),
    "a row is missing": ("delete from petition_case where case_id = %s", "missing"),
    "a clock is gone": ("delete from case_clock where case_id = %s", "differing"),
    "a clock is wrong": (
        "update case_clock set due_at = due_at + interval '1 day' where case_id = %s",
        "differing",
    ),
    "an evaluation is wrong": (
        "update case_evaluation set result = 'expired' where case_id = %s",
        "differing",
    ),
}


@pytest.mark.parametrize("damage", _DAMAGES)
def test_damage_is_named_and_mended(centre: Settings, damage: str) -> None:
    """Seen failing for facets when only `petition_case` is compared."""
    case_id, other = served(centre, 20), served(centre, 20)
    do(centre, "evaluate", case_id=case_id, object="unit", satisfaction="satisfied")
    right = content(centre)
    statement, kind = _DAMAGES[damage]
    rows(centre, statement, (case_id,))
    assert content(centre) != right

    looked = again(centre, dry_run=True)
    assert (looked.differs, looked.swapped) == (True, False)
    assert content(centre) != right
    done = again(centre)
    assert done.differences == looked.differences
    assert done.differences.names[kind] == [case_id]
    assert sum(done.differences.counts.values()) == 1
    assert other not in str(done)
    assert content(centre) == right
    ((detail,),) = rows(centre, "select detail from audit_log where action = 'rebuild'")
    assert detail[kind] == [case_id]
    assert not again(centre).differs


def test_what_the_ledger_knows_nothing_of_is_superfluous_and_gone(lived_centre: Settings) -> None:
    right = content(lived_centre)
    rows(
        lived_centre,
        "insert into petition_case select (jsonb_populate_record(p, "
        """'{"case_id": "ghost"}')).* from petition_case p limit 1""",
    )
    rows(
        lived_centre,
        "insert into case_clock select (jsonb_populate_record(c, "
        """'{"case_id": "orphan"}')).* from case_clock c limit 1""",
    )
    found = again(lived_centre).differences
    assert found.names["superfluous"] == ["ghost", "orphan"]
    assert sum(found.counts.values()) == 2
    assert content(lived_centre) == right


def test_what_somebody_built_upon_the_tables_is_named_and_left_alone(
    lived_centre: Settings,
) -> None:
    rows(
        lived_centre,
        "create view local_report as select state, count(*) from petition_case group by 1",
    )
    before = content(lived_centre)
    with pytest.raises(Fatal, match="view local_report depends on table petition_case: drop that"):
        again(lived_centre)
    assert content(lived_centre) == before
    assert sum(number for _, number in rows(lived_centre, "select * from local_report")) == 5
    assert rows(lived_centre, SHADOW) == [(0,)]


_STALLED = """
import sys, time
from node.rebuild.run import rebuild
from node.rebuild import refold
from node.rebuild import run
from node.runtime.settings import load_settings
def stall(*_):
    print("here", flush=True)
    time.sleep(60)
if sys.argv[1] == "folding":
    refold._CASES_AT_A_TIME = 1
    rebuild(load_settings(), stall)
run.audit_log.note = stall  # after the swap, before the entry of the audit log
rebuild(load_settings(), lambda *_: None)
"""


@contextmanager
def stalled(settings: Settings, place: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a rebuild in a process that stops at `place`; kill it after the block."""
    process = subprocess.Popen(
        [sys.executable, "-c", _STALLED, place],
        stdout=subprocess.PIPE,
        env=environment() | as_environment(settings),
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"here\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout and process.stdout.close()


@pytest.mark.parametrize("place", ["folding", "swapping"])
def test_a_rebuild_that_is_killed_leaves_the_live_tables_and_the_next_one_succeeds(
    lived_centre: Settings, place: str
) -> None:
    """Seen failing without `clear` at the start, and with a commit between swap and audit."""
    right, case_id = content(lived_centre), register(lived_centre)
    rows(lived_centre, "update petition_case set title = 'x' where case_id = %s", (case_id,))
    before = content(lived_centre)
    with stalled(lived_centre, place) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert content(lived_centre) == before != right
    assert rows(lived_centre, SHADOW) == [(1,)]
    assert again(lived_centre).differences.names["differing"] == [case_id]
    assert not again(lived_centre).differs
    assert count(lived_centre, "audit_log") == 2
    assert rows(lived_centre, SHADOW) == [(0,)]


def test_a_second_rebuild_at_the_same_time_is_refused_in_one_line(lived_centre: Settings) -> None:
    """Seen failing without the advisory lock: it dropped the first one's tables."""
    with stalled(lived_centre, "folding"):
        said = refused(petitionlink("rebuild", settings=as_environment(lived_centre)))
        assert said == "node 000000 is being rebuilt already: wait until that is done"
        assert rows(lived_centre, SHADOW) == [(1,)]


def test_the_command_tells_what_differs_and_ends_with_one_on_a_dry_run(
    lived_centre: Settings,
) -> None:
    case_id = register(lived_centre)
    desk = as_environment(lived_centre)
    assert petitionlink("rebuild", "--dry-run", settings=desk).code == 0
    rows(lived_centre, "update petition_case set title = 'x' where case_id = %s", (case_id,))
    looked = petitionlink("rebuild", "--dry-run", "--format", "json", settings=desk)
    assert looked.code == 1
    assert b"differing" in looked.out.encode()
    assert "run it without --dry-run to mend them" in looked.err
    shown = petitionlink("rebuild", settings=desk)
    assert case_id in shown.out
    assert "mended by the swap" in shown.err
    after = petitionlink("rebuild", "--format", "json", settings=desk).json()
    assert after["counts"] == {"differing": 0, "missing": 0, "superfluous": 0}
    assert (after["differing"], after["missing"], after["superfluous"]) == ([], [], [])
    assert (after["cases"], after["events"]) == (6, count(lived_centre, "case_event"))
    assert (after["swapped"], after["seconds"] >= 0) == (True, True)
