"""The scrub 校验: a ledger that was changed by hand is noticed from its bytes and healed by peers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from support.offices import (
    BEIJING,
    CENTRE,
    SHANDONG,
    Desk,
    Desks,
    at_work,
    await_case,
    await_confirmed,
    cross_case,
    loops,
    round_with,
)
from support.tampering import (
    event_of,
    folds,
    kinds,
    ledger,
    letter_changed,
    open_kinds,
    set_value,
    verify,
)
from support.world import do, eventually, rows

from node.auditing import audit
from node.lifecycle import Worker
from node.postgres import connected
from node.queries.snapshot import snapshot
from node.scrub.worker import Scrubber

NOTHING_LOST = "select count(*) from lost_event"


def all_loops(desk: Desk) -> list[Worker]:
    """With the background scrub, which answers requests; passes are driven by the tests."""
    settings = desk.settings.model_copy(update={"scrub_events_per_second": 0})
    return [*loops(desk), Scrubber(settings, desk.metrics)]


@contextmanager
def world(desks: Desks, cases: int = 1) -> Iterator[str]:
    """All three at work with cases that crossed; the id of the last one."""
    centre, beijing, shandong = desks
    with at_work(*desks, which=all_loops):
        for _ in range(cases):
            case_id = cross_case(beijing, centre, shandong)
        await_confirmed(*desks)
        yield case_id


def await_healed(desks: Desks, before: object, seconds: float = 60.0) -> None:
    """Until the centre holds what it held, nothing is open anywhere, and all nodes are equal."""
    centre, beijing, shandong = desks
    eventually(lambda: ledger(centre.settings) == before, "the ledger is whole again", seconds)
    for desk in desks:
        eventually(
            lambda desk=desk: open_kinds(desk.settings) == [], f"nothing open at {desk.node}"
        )
        assert kinds(verify(desk.settings)) == []
    for peer in (BEIJING, SHANDONG):
        assert round_with(centre, peer).equal
    assert ledger(beijing.settings) == ledger(shandong.settings) == before
    assert folds(centre.settings) == folds(beijing.settings) == folds(shandong.settings)
    for desk in desks:
        await_confirmed(desk)
        with connected(desk.settings.dsn, "test") as one, snapshot(one) as cursor:
            assert [flow for flow in audit(cursor, desk.node) if flow.unaccounted] == []
        assert rows(desk.settings, "select count(*) from dead_letter") == [(0,)]


@pytest.mark.parametrize("emitter", [SHANDONG, BEIJING, CENTRE])
def test_a_deleted_event_is_named_and_comes_back_from_the_node_that_holds_it(
    desks: Desks, emitter: str
) -> None:
    centre, *_ = desks
    with world(desks) as case_id:
        before = ledger(centre.settings)
        event_id, _ = event_of(centre, emitter)
        rows(centre.settings, "delete from case_event where event_id = %s", (event_id,))
        (found,) = verify(centre.settings).found
        assert (found.kind, found.case_id) == ("missing", case_id)
        assert f"event 1 of {emitter}" in found.detail
        await_healed(desks, before)
    assert rows(centre.settings, NOTHING_LOST) == [(0,)]


def test_a_truncated_ledger_comes_back_whole(desks: Desks) -> None:
    centre, *_ = desks
    with world(desks, cases=2):
        before = ledger(centre.settings)
        rows(centre.settings, "truncate case_event")
        assert kinds(verify(centre.settings)) == ["missing", "missing"]
        await_healed(desks, before)


def test_one_letter_changed_in_a_value_is_never_sent_on_and_is_healed(desks: Desks) -> None:
    """Nobody asks for a scrub here: the relay meets the damage when the case is assigned."""
    centre, beijing, shandong = desks
    with at_work(*desks, which=all_loops):
        case_id = do(shandong.settings, "register", title="甲村供暖", channel="web").case.case_id
        await_case(centre, case_id)
        await_confirmed(*desks)
        event_id, value = event_of(centre, SHANDONG)
        set_value(centre.settings, event_id, letter_changed(value, "甲", "乙"))
        do(centre.settings, "assign", case_id=case_id, to=BEIJING)
        await_case(beijing, case_id, "assigned")
        eventually(
            lambda: (
                ledger(beijing.settings) == ledger(shandong.settings) == ledger(centre.settings)
            ),
            "all hold the true bytes",
            60,
        )
        await_healed(desks, ledger(shandong.settings))
    assert rows(beijing.settings, "select title from petition_case") == [("甲村供暖",)]
    evidence = rows(centre.settings, "select event_id::text, reason, value from quarantined_event")
    assert [(one, reason) for one, reason, _ in evidence] == [(event_id, "value_altered")]
    assert "乙".encode() in bytes(evidence[0][2])


def test_a_value_that_no_longer_decodes_is_healed(desks: Desks) -> None:
    centre, *_ = desks
    with world(desks):
        before = ledger(centre.settings)
        event_id, value = event_of(centre, BEIJING)
        set_value(centre.settings, event_id, value[:20])
        assert kinds(verify(centre.settings)) == ["undecodable"]
        await_healed(desks, before)


def test_an_own_event_that_is_damaged_comes_home(desks: Desks) -> None:
    centre, beijing, _ = desks
    with world(desks):
        before = ledger(centre.settings)
        event_id, value = event_of(beijing, BEIJING)
        set_value(beijing.settings, event_id, letter_changed(value, "跨", "垮"))
        assert kinds(verify(beijing.settings)) == ["value_altered"]
        eventually(lambda: ledger(beijing.settings) == before, "it came home", 60)
        await_healed(desks, before)
