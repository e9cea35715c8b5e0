"""A rebuild beside writers, reports and migrations loses nothing and makes nobody wait."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from support.rebuilding import SHADOW, again, content
from support.world import WAIT_SECONDS, do, register, rows

from node.keys.office import open_office
from node.postgres.connection import connect
from node.rebuild import compare as rebuild_compare
from node.rebuild import refold, run
from node.rebuild.run import RebuildPolicy
from node.runtime.errors import Fatal, Transient
from node.runtime.settings import Settings
from producers.commands.handle import handled
from producers.commands.parse import parse


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
    lived_centre: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen failing without the last folding under the lock: cases of the last moment were gone."""
    for _ in range(20):
        register(lived_centre)
    monkeypatch.setattr(refold, "_CASES_AT_A_TIME", 3)
    with writing(lived_centre) as failures:
        several = [again(lived_centre) for _ in range(3)]
    assert failures == []
    assert [done.differences.counts for done in several] == [
        {"differing": 0, "missing": 0, "superfluous": 0}
    ] * 3
    assert several[-1].cases > several[0].cases
    after = content(lived_centre)
    assert not again(lived_centre).differs
    assert content(lived_centre) == after
    assert rows(lived_centre, "select count(*) from case_event e where not exists (select from "
                "petition_case p where p.case_id = e.case_id)") == [(0,)]  # fmt: skip


@contextmanager
def open_command(settings: Settings, case_id: str) -> Iterator[Callable[[], None]]:
    """Run a command whose transaction has written everything and commits when it is told to."""
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
    lived_centre: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen failing with the newest transaction's number in place of the horizon: `registered`."""
    fold_all, case_id = refold.fold_all, register(lived_centre)
    with open_command(lived_centre, case_id) as commit:
        register(lived_centre)  # a later transaction commits first

        def folded(*arguments: Any) -> None:
            fold_all(*arguments)
            commit()

        monkeypatch.setattr(refold, "fold_all", folded)
        assert not again(lived_centre).differs
    state = "select state from petition_case where case_id = %s"
    assert rows(lived_centre, state, (case_id,)) == [("withdrawn",)]


def test_a_transaction_that_holds_a_case_for_long_is_waited_for_and_stops_nobody(
    lived_centre: Settings,
) -> None:
    """Seen failing without lock_timeout: it hangs, and every writer after it."""
    policy = RebuildPolicy(writers_out_wait="100ms", pause_seconds=0.1, attempts=3)
    case_id = register(lived_centre)
    with open_command(lived_centre, case_id):
        before = content(lived_centre)
        with pytest.raises(Transient, match="in use whenever we tried"):
            again(lived_centre, policy=policy)
        assert content(lived_centre) == before
        register(lived_centre)
    assert rows(lived_centre, SHADOW) == [(0,)]
    assert not again(lived_centre).differs


def test_more_changes_than_writers_can_wait_for_are_not_swapped_in(
    lived_centre: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    compare = rebuild_compare.compare

    def compared(*arguments: Any) -> None:
        compare(*arguments)
        register(lived_centre)

    monkeypatch.setattr(rebuild_compare, "compare", compared)
    with pytest.raises(Fatal, match="1 cases changed while they were folded"):
        again(lived_centre, policy=RebuildPolicy(most_cases=0))
    assert rows(lived_centre, SHADOW) == [(0,)]


def test_a_report_that_begins_before_the_swap_and_reads_after_it_sees_every_case(
    lived_centre: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen failing with the snapshot taken in front of `settle`: as one connection would do it."""
    compare, swap = rebuild_compare.compare, run._swap
    report = connect(lived_centre.dsn, "test")
    report.set_session(isolation_level="REPEATABLE READ", readonly=True)

    def compared(*arguments: Any) -> None:
        compare(*arguments)
        register(lived_centre)  # is folded while writers are locked out

    def swapped(*arguments: Any) -> None:
        with report.cursor() as cursor:
            cursor.execute("select node from node_identity")  # the snapshot of all that follows
        swap(*arguments)

    monkeypatch.setattr(rebuild_compare, "compare", compared)
    monkeypatch.setattr(run, "_swap", swapped)
    with closing(report):
        assert again(lived_centre).cases == 6
        with report.cursor() as cursor:
            cursor.execute("select count(*) from petition_case")
            assert cursor.fetchone() == (6,)


def test_a_migration_in_between_is_not_undone_by_the_swap(
    lived_centre: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen failing without the check: the new index was gone with the table that had it."""
    fold_all = refold.fold_all

    def folded(*arguments: Any) -> None:
        fold_all(*arguments)
        rows(lived_centre, "create index made_later on case_supervision (kind)")
        rows(lived_centre, "insert into schema_migration values (9999, 'later', '')")

    monkeypatch.setattr(refold, "fold_all", folded)
    with pytest.raises(Fatal, match="migrated meanwhile"):
        again(lived_centre)
    assert rows(lived_centre, "select to_regclass('made_later') is not null") == [(True,)]
