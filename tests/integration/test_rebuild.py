"""Rebuild: the ledger's truth takes the place of the projections, and nobody notices."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import pytest
from support.cli import as_environment, environment, petitionlink, refused
from support.routines import ago, all_events, registered, served
from support.world import WAIT_SECONDS, count, do, register, rows

from node.keys.office import open_office
from node.postgres.connection import connect, connected
from node.rebuild import compare as rebuild_compare
from node.rebuild import refold, run, shadow_tables
from node.rebuild.run import Rebuilt, rebuild
from node.runtime.clock import now_micros
from node.runtime.errors import Fatal, Transient
from node.runtime.settings import Settings
from node.store import events as store_events
from node.store.write_events import pack, write_events
from producers.commands.handle import handled
from producers.commands.parse import parse
from schemas.event import Event

TABLES = shadow_tables.TABLES
_SHADOW = "select count(*) from pg_namespace where nspname = 'petitionlink_rebuild'"


@pytest.fixture
def lived(centre: Settings, fresh_settings: Callable[..., Settings]) -> Settings:
    """The centre with cases of its own and of Shandong, clocks, evaluations and a supervision."""
    shandong = fresh_settings("370000")
    theirs = served(shandong, 20)
    do(shandong, "evaluate", case_id=theirs, object="office", satisfaction="satisfied")
    arrive(centre, all_events(shandong))
    ours = registered(centre, 40).case_id
    do(centre, "assign", case_id=ours, to="370000", occurred_at=ago(39))
    do(
        centre,
        "supervise",
        case_id=ours,
        to="370000",
        kind="urged",
        grounds=[1],
        requirement="请办",
    )
    for _ in range(3):
        register(centre)
    return centre


def arrive(settings: Settings, events: Sequence[Event]) -> None:
    """Apply events as the consumer does, without Kafka."""
    now = now_micros()
    entries = [
        store_events.Entry(
            one,
            store_events.body_json(one.body),
            store_events.RecordSource("petition.test", 0, n, now),
        )
        for n, one in enumerate(events)
    ]
    with connected(settings.dsn, "test") as connection, connection, connection.cursor() as cursor:
        write_events(cursor, settings.node, pack(entries), now)


def quiet(done: int, total: int) -> None:
    """No progress bar."""


def again(settings: Settings, **how: Any) -> Rebuilt:
    return rebuild(settings, quiet, **how)


def content(settings: Settings) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of the projections."""
    query = "select (to_jsonb(t) - 'revision')::text from {} t order by 1"
    return {table: rows(settings, query.format(table)) for table in TABLES}


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


def test_what_was_right_is_the_same_afterwards_in_content_and_form(lived: Settings) -> None:
    """Only the revisions are higher. Seen failing without the live revision, without `_CROSSED`,
    without `_OPTIONS`."""
    rows(lived, "grant select on petition_case to public")
    before = content(lived), form(lived)
    raised = {case_id: revision + 1 for case_id, revision in revisions(lived).items()}
    assert all(content(lived).values())
    done = again(lived)
    assert (done.cases, done.events, done.swapped) == (5, count(lived, "case_event"), True)
    assert not done.differs
    assert (content(lived), form(lived)) == before
    assert revisions(lived) == raised
    assert rows(lived, _SHADOW) == [(0,)]
    again(lived)
    assert (content(lived), form(lived)) == before


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


def test_what_the_ledger_knows_nothing_of_is_superfluous_and_gone(lived: Settings) -> None:
    right = content(lived)
    rows(
        lived,
        "insert into petition_case select (jsonb_populate_record(p, "
        """'{"case_id": "ghost"}')).* from petition_case p limit 1""",
    )
    rows(
        lived,
        "insert into case_clock select (jsonb_populate_record(c, "
        """'{"case_id": "orphan"}')).* from case_clock c limit 1""",
    )
    found = again(lived).differences
    assert found.names["superfluous"] == ["ghost", "orphan"]
    assert sum(found.counts.values()) == 2
    assert content(lived) == right


@contextmanager
def writing(settings: Settings, several: int = 3) -> Iterator[list[str]]:
    """Desks that register and accept without a pause; what they wrote, what refused them."""
    stop, failures = threading.Event(), []

    def desk() -> None:
        try:
            while not stop.is_set():
                case_id = register(settings)
                do(settings, "accept", case_id=case_id, unit="示例", procedure="ordinary")
                do(settings, "progress", case_id=case_id, progress="办理中")
        except Exception as error:
            failures.append(repr(error))

    threads = [threading.Thread(target=desk) for _ in range(several)]
    for thread in threads:
        thread.start()
    try:
        yield failures
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_a_node_that_goes_on_writing_loses_nothing_and_waits_for_nobody(
    lived: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen failing without the last folding under the lock: cases of the last moment were gone."""
    for _ in range(20):
        register(lived)
    monkeypatch.setattr(refold, "_CASES_AT_A_TIME", 3)
    with writing(lived) as failures:
        several = [again(lived) for _ in range(3)]
    assert failures == []
    assert [done.differences.counts for done in several] == [
        {"differing": 0, "missing": 0, "superfluous": 0}
    ] * 3
    assert several[-1].cases > several[0].cases
    after = content(lived)
    assert not again(lived).differs
    assert content(lived) == after
    assert rows(lived, "select count(*) from case_event e where not exists (select from "
                "petition_case p where p.case_id = e.case_id)") == [(0,)]  # fmt: skip


@contextmanager
def open_command(settings: Settings, case_id: str) -> Iterator[Callable[[], None]]:
    """A command whose transaction has written everything and commits when it is told to."""
    written, commit = threading.Event(), threading.Event()

    def command() -> None:
        office = open_office(settings)
        with closing(connect(settings.dsn, "test")) as connection:
            given = {"command": "withdraw", "case_id": case_id, "reason": "已解决"}
            with handled(connection, office, parse(given, office)):
                written.set()
                commit.wait(WAIT_SECONDS)

    def finish() -> None:
        commit.set()
        thread.join()

    thread = threading.Thread(target=command)
    thread.start()
    assert written.wait(WAIT_SECONDS)
    try:
        yield finish
    finally:
        finish()


def test_a_transaction_that_commits_late_is_in_the_swapped_tables(
    lived: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen failing with the newest transaction's number in place of the horizon: `registered`."""
    fold_all, case_id = refold.fold_all, register(lived)
    with open_command(lived, case_id) as commit:
        register(lived)  # a later transaction commits first

        def folded(*arguments: Any) -> None:
            fold_all(*arguments)
            commit()

        monkeypatch.setattr(refold, "fold_all", folded)
        assert not again(lived).differs
    state = "select state from petition_case where case_id = %s"
    assert rows(lived, state, (case_id,)) == [("withdrawn",)]


def test_a_transaction_that_holds_a_case_for_long_is_waited_for_and_stops_nobody(
    lived: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen failing without lock_timeout: it hangs, and every writer behind it."""
    monkeypatch.setattr(run, "_WRITERS_OUT_WAIT", "100ms")
    monkeypatch.setattr(run, "_PAUSE_SECONDS", 0.1)
    monkeypatch.setattr(run, "_ATTEMPTS", 3)
    case_id = register(lived)
    with open_command(lived, case_id):
        before = content(lived)
        with pytest.raises(Transient, match="in use whenever we tried"):
            again(lived)
        assert content(lived) == before
        register(lived)
    assert rows(lived, _SHADOW) == [(0,)]
    assert not again(lived).differs


def test_more_changes_than_writers_can_wait_for_are_not_swapped_in(
    lived: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "_MOST_CASES", 0)
    compare = rebuild_compare.compare

    def compared(*arguments: Any) -> None:
        compare(*arguments)
        register(lived)

    monkeypatch.setattr(rebuild_compare, "compare", compared)
    with pytest.raises(Fatal, match="1 cases changed while they were folded"):
        again(lived)
    assert rows(lived, _SHADOW) == [(0,)]


def test_a_report_that_begins_before_the_swap_and_reads_behind_it_sees_every_case(
    lived: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen failing with the snapshot taken in front of `settle`: as one connection would do it."""
    compare, swap = rebuild_compare.compare, run._swap
    report = connect(lived.dsn, "test")
    report.set_session(isolation_level="REPEATABLE READ", readonly=True)

    def compared(*arguments: Any) -> None:
        compare(*arguments)
        register(lived)  # is folded while writers are locked out

    def swapped(*arguments: Any) -> None:
        with report.cursor() as cursor:
            cursor.execute("select node from node_identity")  # the snapshot of all that follows
        swap(*arguments)

    monkeypatch.setattr(rebuild_compare, "compare", compared)
    monkeypatch.setattr(run, "_swap", swapped)
    with closing(report):
        assert again(lived).cases == 6
        with report.cursor() as cursor:
            cursor.execute("select count(*) from petition_case")
            assert cursor.fetchone() == (6,)


def test_a_migration_in_between_is_not_undone_by_the_swap(
    lived: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen failing without the check: the new index was gone with the table that had it."""
    fold_all = refold.fold_all

    def folded(*arguments: Any) -> None:
        fold_all(*arguments)
        rows(lived, "create index made_later on case_supervision (kind)")
        rows(lived, "insert into schema_migration values (9999, 'later', '')")

    monkeypatch.setattr(refold, "fold_all", folded)
    with pytest.raises(Fatal, match="migrated meanwhile"):
        again(lived)
    assert rows(lived, "select to_regclass('made_later') is not null") == [(True,)]


def test_what_somebody_built_upon_the_tables_is_named_and_left_alone(lived: Settings) -> None:
    rows(lived, "create view local_report as select state, count(*) from petition_case group by 1")
    before = content(lived)
    with pytest.raises(Fatal, match="view local_report depends on table petition_case: drop that"):
        again(lived)
    assert content(lived) == before
    assert sum(number for _, number in rows(lived, "select * from local_report")) == 5
    assert rows(lived, _SHADOW) == [(0,)]


# ── Several, killed, by hand ────────────────────────────────────────────────────────────────

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
    """A rebuild in a process of its own that stands still at `place`; killed behind the block."""
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
    lived: Settings, place: str
) -> None:
    """Seen failing without `clear` at the start, and with a commit between swap and audit."""
    right, case_id = content(lived), register(lived)
    rows(lived, "update petition_case set title = 'x' where case_id = %s", (case_id,))
    before = content(lived)
    with stalled(lived, place) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert content(lived) == before != right
    assert rows(lived, _SHADOW) == [(1,)]
    assert again(lived).differences.names["differing"] == [case_id]
    assert not again(lived).differs
    assert count(lived, "audit_log") == 2
    assert rows(lived, _SHADOW) == [(0,)]


def test_a_second_rebuild_at_the_same_time_is_refused_in_one_line(lived: Settings) -> None:
    """Seen failing without the advisory lock: it dropped the first one's tables."""
    with stalled(lived, "folding"):
        said = refused(petitionlink("rebuild", settings=as_environment(lived)))
        assert said == "node 000000 is being rebuilt already: wait until that is done"
        assert rows(lived, _SHADOW) == [(1,)]


def test_the_command_tells_what_differs_and_ends_with_one_on_a_dry_run(lived: Settings) -> None:
    case_id = register(lived)
    desk = as_environment(lived)
    assert petitionlink("rebuild", "--dry-run", settings=desk).code == 0
    rows(lived, "update petition_case set title = 'x' where case_id = %s", (case_id,))
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
    assert (after["cases"], after["events"]) == (6, count(lived, "case_event"))
    assert (after["swapped"], after["seconds"] >= 0) == (True, True)
