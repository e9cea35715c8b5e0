"""The side that answers 应答方: each message by itself, without memory of the round.

`answer_digests` compares buckets in one snapshot; what is on its way is taken out on both sides.
`answer_events` names the events of the differing cases and sends again what the other lacks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from node.kafka.topic_names import topic_between
from node.postgres.connection import Cursor
from node.reconcile import consistent_cut, resend
from node.reconcile.protocol import (
    MOST_CASES,
    Cases,
    Digests,
    Events,
    Finding,
    Findings,
    Held,
    Message,
    Verdict,
)
from node.reconcile.scrub_evidence import note_differing, verified_at
from node.reconcile.shared_events import Shared, held, shared
from node.recovery.flag import is_recovering
from node.store import digests


def answer_digests(cursor: Cursor, node: str, peer: str, said: Digests) -> list[Message]:
    """`Verdict`, or `Cases` for each bucket that differs; in a snapshot of the caller's."""
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
    theirs_in_flight = {one.event_id: one for one in said.cut.in_flight}
    here = held(cursor, theirs_in_flight)
    not_yet_here = [
        consistent_cut.OnItsWay(one.event_id, one.bucket, one.digest)
        for one in said.cut.in_flight
        if one.event_id not in here
    ]
    late = [
        one
        for one in consistent_cut.late(cursor, topic_between(peer, node), said.cut.sent)
        if one.event_id not in theirs_in_flight
    ]
    ours = consistent_cut.without(digests.buckets(cursor, peer), [*waiting, *late])
    theirs = consistent_cut.without([digests.Digest(*one) for one in said.buckets], not_yet_here)
    return [bucket for bucket in range(digests.BUCKETS) if ours[bucket] != theirs[bucket]]


def _verdict(cursor: Cursor, said: Digests, verdict: Literal["equal", "unsettled"]) -> Verdict:
    at = verified_at(cursor)
    return Verdict(round=said.round, driver=said.driver, verdict=verdict, verified_at=at)


def _cases(cursor: Cursor, peer: str, said: Digests, bucket: int, buckets: int) -> Iterator[Cases]:
    rows = [(case_id, *one) for case_id, one in digests.cases_in(cursor, peer, bucket).items()]
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
    """What is missing on either side of the cases in `said`; what `peer` lacks is sent again."""
    mine = shared(cursor, node, peer, [one.case_id for one in said.cases])
    missing_there = {
        one.case_id: mine[one.case_id].keys() - {*one.events, *one.in_flight} for one in said.cases
    }
    waiting = resend.on_its_way(cursor, node, peer, said.applied, _all(missing_there.values()))
    findings, again = [], []
    for one in said.cases:
        events = mine[one.case_id]
        there = [
            event_id
            for event_id in sorted(missing_there[one.case_id])
            if event_id not in waiting and (said.recovering or not events[event_id].just_came)
        ]
        here = sorted(set(one.events) - events.keys() - set(one.in_flight))
        differing = _differing_bytes(one, events)
        again += [
            event_id
            for event_id in there
            if resend.is_source(node, events[event_id], peer, peer_recovers=said.recovering)
        ]
        if here or there or differing:
            findings.append(
                Finding(
                    case_id=one.case_id,
                    missing_here=here,
                    missing_there=there,
                    differing=differing,
                )
            )
    sent = resend.resend(cursor, node, peer, again)
    note_differing(cursor, peer, said.cases, findings)
    findings = [
        one.model_copy(update={"sent": sorted(sent.intersection(one.missing_there))})
        for one in findings
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
    """The events that both hold with different bytes; none if the peer says no digests."""
    if len(said.digests) != len(said.events):
        return []
    return sorted(
        event_id
        for event_id, digest in zip(said.events, said.digests, strict=True)
        if event_id in events and events[event_id].digest != digest
    )


def _all(several: Iterable[Iterable[str]]) -> list[str]:
    return [one for some in several for one in some]
