"""The responder 应答方 answers each message by itself, without state of the round.

`answer_digests` compares buckets in one snapshot, without what is in flight on either side.
`answer_events` names the events of the differing cases and sends again what the peer lacks.
"""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Literal

from node.kafka.topic_names import topic_between
from node.postgres.connection import Cursor
from node.reconcile import consistent_cut, resend
from node.reconcile.protocol import (
    MOST_CASES,
    CaseDifference,
    Cases,
    Digests,
    Events,
    Findings,
    Held,
    Message,
    Verdict,
)
from node.reconcile.results import note_differing, verified_at
from node.reconcile.shared_events import Shared, held, shared
from node.recovery.flag import is_recovering
from node.store import digests


def answer_digests(cursor: Cursor, node: str, peer: str, said: Digests) -> list[Message]:
    """Return a `Verdict`, or `Cases` for each differing bucket; in a snapshot of the caller."""
    waiting = consistent_cut.in_flight(cursor, topic_between(node, peer), said.cut.applied)
    if waiting is None:
        return [_verdict(cursor, said, "unsettled")]
    differing = _differing(cursor, node, peer, said, waiting)
    if not differing:
        return [_verdict(cursor, said, "equal")]
    answers: list[Message] = []
    for bucket in differing:
        answers += _cases(cursor, peer, said, bucket, len(differing))
    return answers


def _differing(
    cursor: Cursor, node: str, peer: str, said: Digests, waiting: list[consistent_cut.OnItsWay]
) -> list[int]:
    theirs_in_flight = {event.event_id for event in said.cut.in_flight}
    here = held(cursor, theirs_in_flight)
    not_yet_here = [
        consistent_cut.OnItsWay(event.event_id, event.bucket, event.digest)
        for event in said.cut.in_flight
        if event.event_id not in here
    ]
    late = [
        event
        for event in consistent_cut.late(cursor, topic_between(peer, node), said.cut.sent)
        if event.event_id not in theirs_in_flight
    ]
    ours = consistent_cut.without(digests.buckets(cursor, peer), [*waiting, *late])
    theirs = consistent_cut.without(
        [digests.Digest(*digest) for digest in said.buckets], not_yet_here
    )
    return [bucket for bucket in range(digests.BUCKETS) if ours[bucket] != theirs[bucket]]


def _verdict(cursor: Cursor, said: Digests, verdict: Literal["equal", "unsettled"]) -> Verdict:
    at = verified_at(cursor)
    return Verdict(round=said.round, driver=said.driver, verdict=verdict, verified_at=at)


def _cases(cursor: Cursor, peer: str, said: Digests, bucket: int, buckets: int) -> Iterator[Cases]:
    digest_of = digests.cases_in(cursor, peer, bucket)
    rows = [(case_id, *digest) for case_id, digest in digest_of.items()]
    parts = [rows[at : at + MOST_CASES] for at in range(0, len(rows), MOST_CASES)] or [[]]
    for number, part in enumerate(parts):
        yield Cases(
            round=said.round,
            driver=said.driver,
            buckets=buckets,
            bucket=bucket,
            part=number,
            parts=len(parts),
            cases=part,
        )


def answer_events(cursor: Cursor, node: str, peer: str, said: Events) -> Findings:
    """Return what either side lacks of the cases in `said`; send again what `peer` lacks."""
    mine = shared(cursor, node, peer, [case.case_id for case in said.cases])
    missing_there = {
        case.case_id: mine[case.case_id].keys() - {*case.events, *case.in_flight}
        for case in said.cases
    }
    every = [*chain.from_iterable(missing_there.values())]
    waiting = resend.on_its_way(cursor, node, peer, said.applied, every)
    findings, again = [], []
    for case in said.cases:
        events = mine[case.case_id]
        there = [
            event_id
            for event_id in sorted(missing_there[case.case_id])
            if event_id not in waiting and (said.recovering or not events[event_id].just_came)
        ]
        here = sorted(set(case.events) - events.keys() - set(case.in_flight))
        differing = _differing_bytes(case, events)
        again += [
            event_id
            for event_id in there
            if resend.is_source(node, events[event_id], peer, peer_recovers=said.recovering)
        ]
        if here or there or differing:
            findings.append(
                CaseDifference(
                    case_id=case.case_id,
                    missing_here=here,
                    missing_there=there,
                    differing=differing,
                )
            )
    sent = resend.resend(cursor, node, peer, again)
    note_differing(cursor, peer, said.cases, findings)
    findings = [
        case.model_copy(update={"sent": sorted(sent.intersection(case.missing_there))})
        for case in findings
    ]
    return Findings(
        round=said.round,
        driver=said.driver,
        bucket=said.bucket,
        part=said.part,
        parts=said.parts,
        recovering=is_recovering(cursor),
        findings=findings,
    )


def _differing_bytes(said: Held, events: Mapping[str, Shared]) -> list[str]:
    """Return the events that both hold with different bytes; none if the peer sent no digests."""
    if len(said.digests) != len(said.events):
        return []
    return sorted(
        event_id
        for event_id, digest in zip(said.events, said.digests, strict=True)
        if event_id in events and events[event_id].digest != digest
    )
