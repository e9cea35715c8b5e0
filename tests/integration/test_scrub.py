"""The scrub 校验: a ledger that was changed by hand is noticed from its bytes, healed by peers."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import orjson
import pytest
from support.cli import as_environment, petitionlink
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

from node.postgres.connection import connected
from node.postgres.snapshot import snapshot
from node.reconcile.flow_audit import audit
from node.runtime.supervisor import Worker
from node.scrub.worker import Scrubber

_FORGE = """update case_event set body = body || '{"title": "假"}'"""
LOST = "select count(*) from lost_event"


def all_loops(desk: Desk) -> list[Worker]:
    """Add the background scrub, which answers requests; tests drive its passes."""
    settings = desk.settings.model_copy(update={"scrub_events_per_second": 0})
    return [*loops(desk), Scrubber(settings, desk.metrics)]


@contextmanager
def world(
    desks: Desks, cases: int = 1, which: Callable[[Desk], list[Worker]] = all_loops
) -> Iterator[str]:
    """Run all three with cases that crossed; give the id of the last one."""
    centre, beijing, shandong = desks
    with at_work(*desks, which=which):
        for _ in range(cases):
            case_id = cross_case(beijing, centre, shandong)
        await_confirmed(*desks)
        yield case_id


def await_healed(desks: Desks, before: object) -> None:
    """Wait until the centre holds what it held, no finding is open, and all nodes are equal."""
    centre, beijing, shandong = desks
    eventually(lambda: ledger(centre.settings) == before, "the ledger is whole again")
    for desk in desks:
        eventually(partial(nothing_open, desk), f"nothing open at {desk.node}")
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


def nothing_open(desk: Desk) -> bool:
    return open_kinds(desk.settings) == []


def names_a_difference(desk: Desk) -> bool:
    return "peer_differs" in open_kinds(desk.settings)


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
    assert rows(centre.settings, LOST) == [(0,)]


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
        eventually(lambda: ledger(beijing.settings) == before, "it came home")
        await_healed(desks, before)


def test_what_the_value_proves_is_put_right_without_any_peer(desks: Desks) -> None:
    """Body, columns, digest column, projection, sums of a bucket: each is named and healed."""
    centre, *_ = desks
    with world(desks, which=loops) as case_id:
        before = ledger(centre.settings), folds(centre.settings)
        for change, kind in (
            (f"{_FORGE} where version = 1", "body_differs"),
            ("update case_event set actor = 'x' where version = 1", "columns_differ"),
            ("update case_event set case_id = 'elsewhere' where version = 2", "columns_differ"),
            ("update case_event set digest = digest + 1 where version = 2", "digest_altered"),
            ("update petition_case set title = '假'", "projection_differs"),
            ("delete from petition_case", "projection_differs"),
            ("delete from case_clock", "projection_differs"),
            ("insert into digest_change values ('370000', 7, 1, 5)", "buckets_differ"),
        ):
            rows(centre.settings, change)
            found = verify(centre.settings, heals=False)
            assert kind in kinds(found), change
            assert {one.case_id for one in found.found} <= {case_id, "elsewhere", ""}
            assert kind in open_kinds(centre.settings)
            verify(centre.settings)
            assert kinds(verify(centre.settings)) == [], change
            assert open_kinds(centre.settings) == []
            assert (ledger(centre.settings), folds(centre.settings)) == before, change
        await_healed(desks, before[0])


def test_a_row_that_nobody_sent_is_named_and_moved_to_quarantine(desks: Desks) -> None:
    centre, *_ = desks
    with world(desks) as case_id:
        before = ledger(centre.settings)
        rows(
            centre.settings,
            "insert into case_event (event_id, case_id, event_type, version, emitter, "
            "emitter_sequence, occurred_at, recorded_at, actor, rule_set, body, value, "
            "traceparent, digest) select gen_random_uuid(), case_id, event_type, version, emitter, "
            "7, occurred_at, recorded_at, actor, rule_set, body, value, traceparent, 4711 "
            "from case_event where version = 1",
        )
        (forged,) = {one[0] for one in ledger(centre.settings)} - {one[0] for one in before}
        found = verify(centre.settings).found
        assert {(one.case_id, one.event_id) for one in found} == {(case_id, forged)}
        assert ledger(centre.settings) == before
        assert rows(centre.settings, "select event_id::text from quarantined_event") == [(forged,)]
        await_healed(desks, before)


def test_one_id_with_different_bytes_at_two_nodes_is_named_at_both_and_never_chosen(
    desks: Desks,
) -> None:
    """Value, digest and sums were altered together: neither side's own evidence shows it."""
    centre, beijing, _ = desks
    with world(desks) as case_id:
        event_id, value = event_of(centre, BEIJING)
        forged = letter_changed(value, "跨", "垮")
        altered = (
            "with old as (select digest from case_event where event_id = %(id)s), new as (update "
            "case_event set value = %(value)s, digest = ('x' || encode(substring(sha256(uuid_send("
            "event_id) || %(value)s) for 8), 'hex'))::bit(64)::bigint where event_id = %(id)s "
            "returning digest), sums as (update case_digest set digest = case_digest.digest # "
            "old.digest # new.digest from old, new returning peer, bucket, old.digest # new.digest "
            "as d) insert into digest_change select peer, bucket, 0, d from sums"
        )
        rows(centre.settings, altered, {"id": event_id, "value": forged})
        verify(centre.settings)
        outcome = round_with(beijing, CENTRE)
        assert [(one.case_id, one.differing) for one in outcome.findings] == [(case_id, [event_id])]
        for desk in (centre, beijing):
            eventually(partial(names_a_difference, desk), "named")
        assert not round_with(beijing, CENTRE).equal
        assert event_of(centre, BEIJING)[1] == forged
        assert event_of(beijing, BEIJING)[1] == value


def test_reconcile_and_audit_claim_only_what_they_looked_at(desks: Desks) -> None:
    centre, *_ = desks
    desk = as_environment(centre.settings)
    with world(desks, which=loops):
        said = petitionlink("reconcile", "--with", BEIJING, "--format", "json", settings=desk)
        assert (said.code, said.json()["equal"], said.json()["verified_here"]) == (0, True, None)
        assert said.json()["rows"] == [{"peer": BEIJING, "kept": 3, "rows": 3}]
        verify(centre.settings)
        said = petitionlink("reconcile", "--with", BEIJING, "--format", "json", settings=desk)
        assert said.json()["verified_here"] > 0
        assert said.json()["verified_there"] is None
        rows(centre.settings, "create table kept as select * from case_event")
        rows(centre.settings, "truncate case_event")
        for command in (("reconcile", "--with", BEIJING), ("audit",)):
            said = petitionlink(*command, settings=desk)
            assert said.code == 1
            assert "3 events are counted with" in said.err
            assert "0 are there" in said.err
        rows(centre.settings, "insert into case_event select * from kept")
        event_id, value = event_of(centre, BEIJING)
        set_value(centre.settings, event_id, letter_changed(value, "跨", "垮"))
        said = petitionlink("verify", "--no-heal", "--format", "json", settings=desk)
        assert (said.code, orjson.loads(said.out)["open"][0]["event_id"]) == (1, event_id)
        for command in (("reconcile", "--with", BEIJING), ("audit",)):
            said = petitionlink(*command, settings=desk)
            assert said.code == 1
            assert "1 open findings" in said.err
        shown = petitionlink("status", "--format", "json", settings=desk).json()["scrub"]
        assert shown["open_by_kind"] == {"value_altered": 1}
