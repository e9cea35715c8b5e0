"""Recovery 恢复 on real parts: yesterday's backup, a lost database, a log that is gone."""

from functools import partial

from support.backups import Backup, lose_database, lose_records
from support.cli import as_environment, petitionlink
from support.gate import await_open
from support.offices import (
    BEIJING,
    CENTRE,
    SHANDONG,
    Desk,
    Desks,
    at_work,
    await_confirmed,
    cross_case,
    round_with,
)
from support.topics import delete_topic, make_topic
from support.world import do, eventually, rows, running, stopped_with

from consumers.consumer import Consumer
from node.kafka.topic_names import downlink, uplink
from node.localstack import LocalStack

LEDGER = "select event_id::text, md5(value) from case_event order by 1"
FOLDS = "select case_id, fold::text from petition_case order by 1"
SEQUENCES = """
    select case_id, emitter from case_event group by 1, 2
    having count(*) <> max(emitter_sequence) or count(distinct emitter_sequence) <> count(*)
"""
TROUBLES = """
    select count(*) from petition_case where conflicts > 0 or incomplete
    union all select count(*) from dead_letter
"""


def same_ledger(one: Desk, other: Desk) -> bool:
    return rows(one.settings, LEDGER) == rows(other.settings, LEDGER)


def await_equal(*desks: Desk) -> None:
    """Wait until all hold the same ledger, with nothing doubled, missing, in conflict or dead."""
    first, *others = desks
    for other in others:
        eventually(
            partial(same_ledger, first, other),
            f"{other.node} holds what {first.node} holds",
        )
    for desk in desks:
        assert rows(desk.settings, FOLDS) == rows(first.settings, FOLDS)
        assert rows(desk.settings, SEQUENCES) == []
        assert rows(desk.settings, TROUBLES) == [(0,), (0,)]


def recover(desk: Desk) -> dict[str, object]:
    found: dict[str, object] = petitionlink(
        "recover", "--format", "json", settings=as_environment(desk.settings)
    ).json()
    return found


def test_a_province_restored_from_last_nights_backup_has_all_its_own_events_again(
    desks: Desks, stack: LocalStack
) -> None:
    """docs/faults.md 7. Seen failing with nothing read by `bring_home`: its own events stay
    lost."""
    centre, beijing, shandong = desks
    with at_work(*desks):
        case_id = cross_case(beijing, centre, shandong)
        await_confirmed(*desks)
    backup = Backup(stack, shandong.settings)
    with at_work(*desks):
        do(shandong.settings, "accept", case_id=case_id)
        do(shandong.settings, "progress", case_id=case_id, progress="…")
        await_confirmed(*desks)
    backup.put_back()
    assert len(rows(shandong.settings, LEDGER)) == 3
    with at_work(*desks):
        await_equal(*desks)
        await_open(shandong.settings)
        do(shandong.settings, "decide", case_id=case_id, outcome="explained", opinion="…")
        await_equal(*desks)
        await_confirmed(*desks)
        assert round_with(shandong, CENTRE).equal


def test_a_province_whose_database_and_log_are_lost_comes_back_complete_from_the_centre(
    desks: Desks, stack: LocalStack
) -> None:
    """docs/faults.md 7, 14. Seen failing with `peer_recovers` always False: own events stay
    away."""
    centre, beijing, shandong = desks
    with at_work(*desks):
        for _ in range(3):
            cross_case(beijing, centre, shandong)
        await_confirmed(*desks)
    lose_database(stack, shandong.settings)
    lose_records(shandong.settings, uplink(SHANDONG), downlink(SHANDONG))
    found = recover(shandong)
    assert (found["came_home"], found["recovered"]) == (0, False)
    with at_work(*desks):
        await_equal(*desks)
        await_confirmed(*desks)
        assert round_with(shandong, CENTRE).equal
    assert rows(shandong.settings, "select distinct exchanged_at is null, emitter from case_event "
                "order by 2") == [(False, CENTRE), (False, BEIJING), (True, SHANDONG)]  # fmt: skip


def test_a_centre_whose_database_and_log_are_lost_comes_back_complete_from_its_provinces(
    desks: Desks, stack: LocalStack
) -> None:
    """docs/faults.md 7. Seen failing with `may_come_home` always False: the centre's events are
    poison."""
    centre, beijing, shandong = desks
    with at_work(*desks):
        for _ in range(2):
            cross_case(beijing, centre, shandong)
        await_confirmed(*desks)
    lose_database(stack, centre.settings)
    both = [way(node) for node in (BEIJING, SHANDONG) for way in (uplink, downlink)]
    lose_records(centre.settings, *both)
    recover(centre)
    with at_work(*desks):
        await_equal(*desks)
        await_confirmed(*desks)
        assert round_with(centre, SHANDONG).equal
        assert round_with(centre, BEIJING).equal


def test_a_foreign_event_on_an_uplink_stays_refused_while_nobody_recovers(desks: Desks) -> None:
    """docs/faults.md 19; with the recovery open it would be the centre's own event come home."""
    centre, beijing, shandong = desks
    with at_work(*desks):
        cross_case(beijing, centre, shandong)
        await_confirmed(*desks)
        from_centre = rows(
            shandong.settings,
            "select value, case_id, event_id::text from case_event where emitter = %s",
            (CENTRE,),
        )
        assert len(from_centre) == 1
        rows(
            shandong.settings,
            "insert into outbox (topic, case_id, event_id) values (%s, %s, %s)",
            (uplink(SHANDONG), *from_centre[0][1:]),
        )
        eventually(
            lambda: rows(centre.settings, "select reason from dead_letter") == [("wrong_emitter",)],
            "the centre refuses it",
        )


def test_a_truncated_topic_stops_the_consumer_until_recover_and_a_resend_heal_it(
    desks: Desks,
) -> None:
    """docs/faults.md 14. Seen failing with auto_offset_reset='earliest': nothing stops, nothing is
    said."""
    centre, beijing, shandong = desks
    with at_work(centre, beijing):
        case_id = cross_case_until_assigned(beijing, centre, shandong)
        eventually(
            lambda: (
                rows(centre.settings, "select count(*) from outbox where published_at is null")
                == [(0,)]
            ),
            "the centre has published",
        )
        lose_records(shandong.settings, downlink(SHANDONG))
        with running(Consumer(*shandong), shandong.metrics) as ended:
            assert "are gone from Kafka" in stopped_with(shandong.settings, "records_gone")
            assert ended == []
        moved = recover(shandong)["positions_moved"]
        assert [one["reason"] for one in moved if one["before"] != one["after"]]  # type: ignore[attr-defined]
        with at_work(shandong):
            await_equal(centre, shandong)
    audited = rows(
        shandong.settings, "select count(*) from audit_log where action = 'recover.position_moved'"
    )
    assert audited == [(len(moved),)]  # type: ignore[arg-type]
    assert case_id


def cross_case_until_assigned(beijing: Desk, centre: Desk, shandong: Desk) -> str:
    """Send Shandong a case while its consumer, which has begun to read, is stopped."""
    with running(Consumer(*shandong), shandong.metrics):
        eventually(
            lambda: rows(shandong.settings, "select count(*) from consumer_offset") != [(0,)],
            "positions are noted",
        )
    case_id = do(beijing.settings, "register", title="跨省欠薪", channel="web").case.case_id
    eventually(
        lambda: rows(centre.settings, "select case_id from petition_case") == [(case_id,)],
        "the centre knows the case",
    )
    do(centre.settings, "assign", case_id=case_id, to=SHANDONG)
    return case_id


def test_a_topic_made_again_stops_the_consumer_even_if_it_has_grown_past_the_position(
    desks: Desks, stack: LocalStack
) -> None:
    """docs/faults.md 14. Seen failing with `strangers` giving nothing: records are skipped in
    silence."""
    centre, beijing, shandong = desks
    with at_work(*desks):
        cross_case(beijing, centre, shandong)
        await_confirmed(*desks)
    delete_topic(stack, downlink(SHANDONG))
    make_topic(stack, downlink(SHANDONG))
    rows(shandong.settings, "update consumer_offset set next_offset = 0")
    with running(Consumer(*shandong), shandong.metrics) as ended:
        assert "deleted and made again" in stopped_with(shandong.settings, "recreated")
        assert ended == []
    recover(shandong)
    with at_work(*desks):
        cross_case(beijing, centre, shandong)
        await_equal(*desks)
