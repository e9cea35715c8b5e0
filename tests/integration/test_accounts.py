"""The audit of loss in numbers 清点 and receipts 回执: both ends of a flow, by day."""

import time
from contextlib import closing

from support.cli import as_environment, petitionlink, refused
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
from support.world import count, do, eventually, rows, running, sample, send

from consumers.consumer import Consumer
from node.kafka import clients
from node.kafka.topic_names import control_downlink, control_uplink, uplink
from node.postgres.connection import connected
from node.postgres.snapshot import snapshot
from node.reconcile.flow_audit import Audited, audit
from producers.relay.outbox_reader import take
from producers.relay.publisher import Publisher

_SKIP = "update consumer_offset set next_offset = %s + 1 where topic = %s and partition = %s"


def audited(desk: Desk) -> dict[tuple[str, str], Audited]:
    """Return the flows of a node in which anything flowed."""
    with connected(desk.settings.dsn, "test") as connection, snapshot(connection) as cursor:
        return {(one.source, one.destination): one for one in audit(cursor, desk.node)}


def settled(desk: Desk, way: tuple[str, str]) -> Audited:
    """Return the flow, once the other end has told its figures."""
    eventually(
        lambda: (
            (one := audited(desk).get(way)) is not None
            and 0 < one.committed == one.published
            and one.received > 0
            and not one.in_flight
        ),
        f"{desk.node} has settled {way}",
    )
    return audited(desk)[way]


def await_flow(desk: Desk, way: tuple[str, str], number: int) -> None:
    """Wait until both ends have counted `number` events; a peer's figures come in messages."""

    def is_complete() -> bool:
        flow = settled(desk, way)
        return (flow.committed, flow.applied, flow.unaccounted) == (number, number, 0)

    eventually(is_complete, f"{desk.node} counts {number} events on {way}")


def test_both_ends_tell_the_same_of_what_was_committed_published_received_and_applied(
    desks: Desks,
) -> None:
    """Seen failing without the counts of flows in `apply_batch`."""
    centre, beijing, shandong = desks
    with at_work(*desks):
        cross_case(beijing, centre, shandong)
        await_confirmed(*desks)
        for desk, peer, sent, got in ((beijing, CENTRE, 1, 2), (shandong, CENTRE, 1, 2)):
            await_flow(desk, (desk.node, peer), sent)
            await_flow(desk, (peer, desk.node), got)
        eventually(
            lambda: (
                sample(
                    *(centre.metrics, "flow_events"),
                    source=BEIJING,
                    destination=CENTRE,
                    stage="applied",
                )
                == 1
            ),
            "the centre's metrics show the flow",
        )
    shown = petitionlink("audit", "--format", "json", settings=as_environment(centre.settings))
    assert shown.json()["unaccounted"] == 0
    assert {line["explanation"] for line in shown.json()["flows"]} == {"complete"}


def test_a_row_that_is_published_twice_is_counted_once(desks: Desks) -> None:
    centre, beijing, _ = desks
    do(beijing.settings, "register", title="供暖不足", channel="web")
    with (
        connected(beijing.settings.dsn, "test") as connection,
        closing(Publisher(beijing.settings)) as publisher,
    ):
        publisher.publish(take(connection, [uplink(BEIJING)], 10))  # and killed before the mark
    with at_work(centre, beijing):
        one = settled(beijing, (BEIJING, CENTRE))
    assert (one.committed, one.received, one.applied, one.duplicates) == (1, 2, 1, 1)
    assert one.unaccounted == 0


def test_what_is_dead_lettered_is_explained_and_the_sender_learns_of_it(desks: Desks) -> None:
    """Nor is it sent again at every round. Seen failing with `reported_dead_letter` taken out of
    the resend: a new letter each time."""
    centre, beijing, _ = desks
    case_id = do(beijing.settings, "register", title="供暖不足", channel="web").case.case_id
    # Trailing bytes; a value that does not match its recorded digest would not be sent at all.
    rows(beijing.settings, "update case_event set value = value || '\\x00', digest = 0")
    with at_work(centre, beijing):
        one = settled(beijing, (BEIJING, CENTRE))
        assert (one.committed, one.applied, one.dead_lettered, one.unaccounted) == (1, 0, 1, 0)
        eventually(lambda: count(beijing.settings, "reported_dead_letter") == 1, "it is told")
        assert round_with(beijing, CENTRE).findings != []
        assert rows(beijing.settings, "select count(*) from outbox where resent") == [(0,)]
    traced = petitionlink(
        "case", "trace", case_id, "--format", "json", settings=as_environment(beijing.settings)
    ).json()
    hops = [(hop["hop"], hop["node"]) for hop in traced["hops"]]
    assert hops == [("emitted", BEIJING), ("published", BEIJING), ("dead-lettered", CENTRE)]


def test_a_record_that_was_skipped_is_unaccounted_named_and_healed(desks: Desks) -> None:
    """Seen failing with `_IN_FLIGHT` counting every published row: the loss looks like a delay."""
    centre, beijing, _ = desks
    with running(Consumer(*centre), centre.metrics):
        eventually(lambda: count(centre.settings, "consumer_offset") > 0, "positions")
    do(beijing.settings, "register", title="供暖不足", channel="web")
    with connected(beijing.settings.dsn, "test") as connection:
        with closing(Publisher(beijing.settings)) as publisher:
            (done,), _ = publisher.publish(take(connection, [uplink(BEIJING)], 10))
        # As if somebody had skipped what did not please him.
        rows(centre.settings, _SKIP, (done.offset, uplink(BEIJING), done.partition))
        rows(
            beijing.settings,
            'update outbox set published_at = now(), partition = %s, "offset" = %s',
            (done.partition, done.offset),
        )
    with at_work(centre, beijing):
        eventually(
            lambda: (
                (one := audited(beijing).get((BEIJING, CENTRE))) is not None
                and (one.unaccounted, one.in_flight) == (1, 0)
            ),
            "the loss is told in numbers",
        )
        assert not round_with(beijing, CENTRE).equal
        eventually(lambda: count(centre.settings, "case_event") == 1, "sent again")
        eventually(
            lambda: audited(beijing)[BEIJING, CENTRE].unaccounted == 0, "nothing is unaccounted for"
        )


def test_the_sender_knows_when_its_event_was_durably_applied(desks: Desks) -> None:
    """Seen failing with receipts that come from Kafka's acknowledgement: confirmed too early."""
    centre, beijing, _ = desks
    with at_work(beijing):
        case_id = do(beijing.settings, "register", title="供暖不足", channel="web").case.case_id
        eventually(
            lambda: (
                rows(beijing.settings, "select published_at is not null from outbox") == [(True,)]
            ),
            "acknowledged by the broker",
        )
        assert hops_of(beijing, case_id) == ["emitted", "published"]
        with at_work(centre):
            await_confirmed(beijing)
    assert hops_of(beijing, case_id) == ["emitted", "published", "confirmed"]


def hops_of(desk: Desk, case_id: str) -> list[str]:
    traced = petitionlink(
        "case", "trace", case_id, "--format", "json", settings=as_environment(desk.settings)
    ).json()
    return [hop["hop"] for hop in traced["hops"]]


def test_a_control_message_that_is_none_is_dropped_and_nothing_else_happens(desks: Desks) -> None:
    centre, beijing, shandong = desks
    with at_work(*desks) as ended:
        junk = [(None, value, [("ce_type", kind)]) for value, kind in (
            (b"", b"petition.control.account.v1"),
            (b"{}", b"petition.control.digests.v1"),
            (b"\xff", b"petition.control.findings.v1"),
            (b"[1, 2", b"petition.control.cases.v1"),
            (b"{}", b"petition.control.dreamt_of.v1"),
            (b'{"positions": {"0": -5}}', b"petition.control.account.v1"),
        )]  # fmt: skip
        send(beijing.settings, f"petition.control.uplink.{BEIJING}", junk)
        cross_case(beijing, centre, shandong)
        await_confirmed(*desks)
        assert round_with(beijing, CENTRE).equal
        assert [one for several in ended for one in several] == []


def test_reconcile_says_what_is_wrong_with_its_peer(desks: Desks) -> None:
    _, beijing, _ = desks
    own = as_environment(beijing.settings)
    assert "exchanges nothing with 370000" in refused(
        petitionlink("reconcile", "--with", SHANDONG, settings=own)
    )
    assert "unknown" in refused(petitionlink("reconcile", "--with", "999999", settings=own))


def test_without_control_topics_events_flow_and_kafka_is_not_called_away(desks: Desks) -> None:
    """Seen failing with a missing control topic as `Transient`: `dependency_up` of Kafka flaps."""
    centre, beijing, _ = desks
    names = [way(BEIJING) for way in (control_uplink, control_downlink)]
    with closing(clients.admin(beijing.settings)) as client:
        client.delete_topics(names)
        eventually(lambda: not {*client.list_topics()}.intersection(names), "they are gone")
    with at_work(centre, beijing) as ended:
        do(beijing.settings, "register", title="供暖不足", channel="web")
        eventually(lambda: count(centre.settings, "case_event") == 1, "it has come")
        seen = set()
        for _ in range(40):
            seen.add(sample(beijing.metrics, "dependency_up", dependency="kafka"))
            time.sleep(0.05)
        assert seen == {1.0}
        assert [one for several in ended for one in several] == []
    assert "is missing: run `petitionlink topics apply`" in refused(
        petitionlink("reconcile", "--with", CENTRE, settings=as_environment(beijing.settings))
    )
