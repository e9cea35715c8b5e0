"""Comparison of what nodes hold: the oracle of the end-to-end tests."""

import time
from collections.abc import Iterable
from contextlib import closing
from functools import reduce
from operator import xor
from typing import Any

from kafka import KafkaConsumer
from kafka.admin import MemberToRemove
from kafka.errors import KafkaError
from support.processes import is_running
from support.world import WAIT_SECONDS, eventually, rows

from cases.nodes import NATIONAL
from node.kafka import clients, library_patches
from node.kafka.clients import TopicPartition
from node.kafka.topic_names import consumed_topics, produced_topics
from node.localstack import LocalStack
from node.localstack.stack import stack_settings
from node.postgres.connection import Cursor, connected
from node.postgres.snapshot import snapshot
from node.reconcile.flow_audit import outgoing
from node.reconcile.run_once import reconcile_side_by_side
from node.reconcile.shared_events import shared
from node.store import digests

_TABLES = (
    "case_event, petition_case, case_clock, case_evaluation, case_supervision, node_contact, "
    "case_route, outbox, consumer_offset, dead_letter, imported_row, case_digest, digest_bucket, "
    "digest_change, withheld_event, flow_day, flow_change, flow_report, receipt, peer_position, "
    "reported_dead_letter, own_position, reconciliation, lost_event, scrub_finding, scrub_request, "
    "quarantined_event, stopped_partition"
)
_EVENTS = "select event_id::text, md5(value) from case_event where case_id = any(%s)"
_FOLDS = "select case_id, fold::text from petition_case where case_id = any(%s)"
_CASES = "select case_id from petition_case"
# A broker that has just come up, on two busy cores.
_ANSWER_MS = 60_000
BAD_SEQUENCES = """
    select case_id, emitter, count(*), count(distinct emitter_sequence), max(emitter_sequence)
    from case_event group by case_id, emitter
    having count(*) <> max(emitter_sequence) or count(*) <> count(distinct emitter_sequence)
        or min(emitter_sequence) <> 1
"""
_TROUBLES = """
    select (select count(*) from petition_case where incomplete),
           (select count(*) from petition_case where conflicts > 0),
           (select count(*) from dead_letter),
           (select count(*) from outbox where published_at is null),
           (select count(*) from case_event e
            where not exists (select from petition_case c where c.case_id = e.case_id))
"""
_PENDING = "select count(*) from outbox where published_at is null"
_TO_IDENTIFY = """
    select count(*) from petition_case where finding is null and registered_by is not null
"""
_COUNT = "select count(*) from case_event where event_type not like '%%.case.identified.%%'"
_BEGIN = """
    insert into consumer_offset (topic, partition, next_offset) values (%s, %s, %s)
    on conflict (topic, partition) do update set next_offset = excluded.next_offset
"""
_STAND = "insert into own_position (topic, partition, next_offset) values (%s, %s, %s)"


def query(node: str, text: str, *values: Any) -> list[tuple[Any, ...]]:
    """Return a query's rows in the database of a node of the stack."""
    return rows(stack_settings(node), text, values)


def forget_everything(stack: LocalStack) -> None:
    """Make every node of the stack as new: empty tables, positions at the end of the topics."""
    with closing(clients.plain_consumer(stack_settings(NATIONAL), "test")) as client:
        for node in stack.nodes:
            query(node, f"truncate {_TABLES}")
            for (topic, partition), offset in _ends(client, consumed_topics(node)).items():
                query(node, _BEGIN, topic, partition, offset)
            for (topic, partition), offset in _ends(client, produced_topics(node)).items():
                query(node, _STAND, topic, partition, offset)


def empty_groups(stack: LocalStack) -> None:
    """Consumers that were killed hold their partitions no longer."""
    with closing(clients.admin(stack_settings(NATIONAL))) as client:
        groups = [one["group_id"] for one in client.list_groups()]
        for group, found in client.describe_groups(groups).items() if groups else ():
            members = [MemberToRemove(one["member_id"]) for one in found["members"]]
            if members:
                client.remove_group_members(group, members)


def _ends(client: KafkaConsumer, topics: Iterable[str]) -> dict[tuple[str, int], int]:
    """Return the ends of all partitions of these topics."""
    existing = client.topics()
    partitions = [
        one for topic in topics if topic in existing for one in _partitions(client, topic)
    ]
    ends = client.end_offsets(partitions, timeout_ms=_ANSWER_MS)
    return {tuple(one): end for one, end in ends.items()}


def _partitions(client: KafkaConsumer, topic: str) -> list[TopicPartition]:
    return [TopicPartition(topic, number) for number in client.partitions_for_topic(topic) or ()]


def records(node: str, topic: str) -> list[Any]:
    """Return all records that a topic holds now, in order within each partition."""
    with closing(clients.plain_consumer(stack_settings(node), "test")) as client:
        partitions = _partitions(client, topic)
        first, end = client.beginning_offsets(partitions), client.end_offsets(partitions)
        client.assign(partitions)
        for one in partitions:
            client.seek(one, first[one])
        found: list[Any] = []
        deadline = time.monotonic() + WAIT_SECONDS
        # By positions: what stands last may be the marker of a transaction.
        while any(at < end[one] for one, at in library_patches.next_offsets(client).items()):
            assert time.monotonic() < deadline, f"not in time: the records of {topic}"
            for several in client.poll(timeout_ms=200).values():
                found += several
    return found


def await_settled(stack: LocalStack, seconds: float = WAIT_SECONDS) -> None:
    """Until every outbox is empty, every node has applied its topics to their end, and the centre,
    if it runs, has found first and repeat."""
    with closing(clients.plain_consumer(stack_settings(NATIONAL), "test")) as client:
        eventually(lambda: _is_settled(client, stack), "all is delivered", seconds)


def _is_settled(client: KafkaConsumer, stack: LocalStack) -> bool:
    """Nothing is on its way: what is found after delivery must be delivered, too."""
    delivered = _is_delivered(client, stack)
    # The routine may have no connection yet if Postgres has just come back: ask for the process.
    identifies = is_running("run", NATIONAL)
    found = delivered and (not identifies or query(NATIONAL, _TO_IDENTIFY) == [(0,)])
    return found and _is_delivered(client, stack)


def _is_delivered(client: KafkaConsumer, stack: LocalStack) -> bool:
    if any(query(node, _PENDING) != [(0,)] for node in stack.nodes):
        return False
    try:
        return all(_has_applied(node, _ends(client, consumed_topics(node))) for node in stack.nodes)
    except KafkaError:  # a broker that has just come back may not know itself yet
        return False


def _has_applied(node: str, ends: dict[tuple[str, int], int]) -> bool:
    held = query(node, "select topic, partition, next_offset from consumer_offset")
    positions = {(topic, partition): offset for topic, partition, offset in held}
    return all(positions.get(one, 0) >= end for one, end in ends.items())


def assert_sound(stack: LocalStack) -> None:
    """The oracle: nothing missing, doubled, stuck or poisoned, and all hold the same."""
    for node in stack.nodes:
        assert query(node, BAD_SEQUENCES) == [], f"sequences of {node} are not 1…n"
        ((incomplete, conflicts, dead, pending, homeless),) = query(node, _TROUBLES)
        troubles = (incomplete, conflicts, dead, pending, homeless)
        assert troubles == (0, 0, 0, 0, 0), f"{node}: {troubles}"
    for node in stack.nodes:
        if node != NATIONAL:
            assert_equal(node)
            assert differences(node) == []


def differences(province: str) -> list[str]:
    """What the nodes' own proof finds between a province and the centre: digests that are not in
    step with the ledger, events that differ, flows that do not add up."""
    with (
        connected(stack_settings(province).dsn, "test") as own,
        connected(stack_settings(NATIONAL).dsn, "test") as centre,
    ):
        outcome = reconcile_side_by_side(province, own, NATIONAL, centre)
        wrong = [f"{province}: {one}" for one in outcome.findings]
        if not outcome.settled:
            wrong.append(f"{province}: too much is on its way to tell")
        for node, peer, connection in (province, NATIONAL, own), (NATIONAL, province, centre):
            with snapshot(connection) as cursor:
                flows = [*outgoing(cursor, node, peer)]
                wrong += [str(one) for one in flows if one.unaccounted or one.in_flight]
                wrong += _out_of_step(cursor, node, peer)
    return wrong


def _out_of_step(cursor: Cursor, node: str, peer: str) -> list[str]:
    """Cases whose digest is not that of their events, and buckets that are not those of cases."""
    cursor.execute("select case_id, events, digest from case_digest where peer = %s", (peer,))
    noted = {case_id: (events, digest) for case_id, events, digest in cursor}
    cursor.execute("select event_id::text, digest from case_event")
    digest_of = dict(cursor.fetchall())
    held = shared(cursor, node, peer, noted)
    true = {
        case_id: (len(events), reduce(xor, map(digest_of.__getitem__, events), 0))
        for case_id, events in held.items()
    }
    wrong = [f"{node}: digest of {one} with {peer}" for one in noted if noted[one] != true[one]]
    sums = [*digests.buckets(cursor, peer)]
    if sum(one.events for one in sums) != sum(events for events, _ in noted.values()):
        wrong.append(f"{node}: the buckets with {peer} are not in step")
    return wrong


def assert_equal(province: str) -> None:
    """A province and the centre hold the same events and folds of all the province's cases."""
    cases = cases_of(province)
    assert events(NATIONAL, cases) == events(province, cases)
    assert folds(NATIONAL, cases) == folds(province, cases)


def cases_of(node: str) -> list[str]:
    """Return the ids of the cases that a node knows."""
    return sorted(case_id for (case_id,) in query(node, _CASES))


def events(node: str, cases: Iterable[str]) -> dict[str, str]:
    """Return the events of these cases at a node, event id → md5 of the value."""
    return dict(query(node, _EVENTS, [*cases]))


def folds(node: str, cases: Iterable[str]) -> dict[str, str]:
    """Return the folds of these cases at a node as JSON text, by case id."""
    return dict(query(node, _FOLDS, [*cases]))


def event_count(node: str) -> int:
    """Count the events of a node's ledger, without what the centre finds by itself."""
    return int(query(node, _COUNT)[0][0])
