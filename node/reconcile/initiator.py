"""The initiator 发起方 of a round with one peer, from digests to its conclusion.

A `Round` holds the answers so far; each step reads or writes the database once, in the caller's
transaction. A round that gets no answer is given up: the next one repeats it.
"""

import uuid
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from node.postgres.connection import Cursor
from node.reconcile import consistent_cut, resend
from node.reconcile.protocol import (
    MOST_CASES,
    MOST_EVENTS,
    CaseDifference,
    Cases,
    Concluded,
    Digests,
    Events,
    Findings,
    Held,
    Message,
    Verdict,
)
from node.reconcile.results import note_differing, verified_at
from node.reconcile.shared_events import Shared, shared
from node.recovery.flag import is_recovering
from node.store import digests
from node.store.digests import Digest


class RoundOutcome(NamedTuple):
    """The result of a round. `mismatched` cases differ, the first of which are in `findings`, as
    seen from here; `settled` is False if too much was in flight to tell; `exchanges` counts the
    questions; `verified_here` and `verified_there` are when each node last recomputed its digests
    from its bytes, in epoch seconds."""

    settled: bool
    mismatched: int
    findings: list[CaseDifference]
    exchanges: int
    events: int
    verified_here: float | None = None
    verified_there: float | None = None

    @property
    def equal(self) -> bool:
        return self.settled and not self.mismatched


class Round:
    """A round that this process drives with `peer`."""

    def __init__(self, node: str, peer: str, driver: str) -> None:
        self.peer = peer
        self.id = str(uuid.uuid4())
        self.outcome: RoundOutcome | None = None
        self._node = node
        self._driver = driver
        self._events = 0
        self._exchanges = 0
        self._buckets: int | None = None
        # By bucket: unanswered questions, the peer's cases, and the parts of them received.
        self._open: dict[int, set[int]] = {}
        self._cases: dict[int, dict[str, Digest]] = {}
        self._received: dict[int, set[int]] = {}
        self._done: set[int] = set()
        self._findings: list[CaseDifference] = []
        self._mismatched = 0
        self._verified_here: float | None = None
        self._verified_there: float | None = None

    def begin(self, cursor: Cursor) -> list[Message]:
        """Return the first question; none, and set the outcome, if too much is in flight.

        Needs a snapshot: cut and digests must be of one instant.
        """
        cut = consistent_cut.take(cursor, self._node, self.peer)
        buckets = digests.buckets(cursor, self.peer)
        self._events = sum(bucket.events for bucket in buckets)
        self._verified_here = verified_at(cursor)
        if cut is None:
            self._end(settled=False)
            return []
        self._exchanges = 1
        return [
            Digests(
                round=self.id,
                driver=self._driver,
                cut=cut,
                buckets=[*buckets],
                verified_at=self._verified_here,
            )
        ]

    def on_verdict(self, said: Verdict) -> None:
        """End the round: equal, or not settled."""
        self._verified_there = said.verified_at
        self._end(settled=said.verdict == "equal")

    def on_cases(self, cursor: Cursor, said: Cases) -> list[Message]:
        """Return the events of the cases that differ, once the whole bucket was received."""
        self._buckets = said.buckets
        theirs = self._cases.setdefault(said.bucket, {})
        theirs |= {case_id: Digest(*digest) for case_id, *digest in said.cases}
        received = self._received.setdefault(said.bucket, set())
        received.add(said.part)
        if len(received) < said.parts or said.bucket in self._open:
            return []
        self._exchanges = max(self._exchanges, 2)
        ours = digests.cases_in(cursor, self.peer, said.bucket)
        del self._cases[said.bucket]
        case_ids = sorted(ours.keys() | theirs)
        differing = [case_id for case_id in case_ids if ours.get(case_id) != theirs.get(case_id)]
        questions = self._questions(cursor, said.bucket, differing)
        self._open[said.bucket] = set(range(len(questions)))
        return [*questions]

    def on_findings(self, cursor: Cursor, said: Findings) -> list[Message]:
        """Send again what the peer lacks; return the conclusion if this was the last answer."""
        waiting = self._open.get(said.bucket, set())
        if said.part not in waiting:
            return []
        waiting.discard(said.part)
        self._exchanges = 3
        differing = [_mirrored(case) for case in said.findings]
        sent = self._resend(cursor, differing, peer_recovers=said.recovering)
        differing = [
            case.model_copy(update={"sent": [*case.sent, *sorted(sent & {*case.missing_there})]})
            for case in differing
        ]
        note_differing(cursor, self.peer, (), differing)
        self._mismatched += len(differing)
        self._findings += differing[: MOST_NAMED - len(self._findings)]
        if not waiting:
            self._done.add(said.bucket)
        if len(self._done) != self._buckets:
            return []
        self._end(settled=True)
        return [
            Concluded(
                round=self.id,
                driver=self._driver,
                findings=[_mirrored(case) for case in self._findings],
                mismatched=self._mismatched,
            )
        ]

    def _questions(self, cursor: Cursor, bucket: int, case_ids: Sequence[str]) -> list[Events]:
        held = shared(cursor, self._node, self.peer, case_ids)
        applied = consistent_cut.applied(cursor, self._node, self.peer)
        recovering = is_recovering(cursor)
        parts = [*_parts(self._held(cursor, held))] or [[]]
        return [
            Events(
                round=self.id,
                driver=self._driver,
                bucket=bucket,
                part=number,
                parts=len(parts),
                applied=applied,
                recovering=recovering,
                cases=part,
            )
            for number, part in enumerate(parts)
        ]

    def _held(self, cursor: Cursor, held: dict[str, dict[str, Shared]]) -> Iterator[Held]:
        positions = consistent_cut.peer_positions(cursor, self._node, self.peer)
        every = [event_id for events in held.values() for event_id in events]
        waiting = resend.on_its_way(cursor, self._node, self.peer, positions, every)
        for case_id, events in held.items():
            there = sorted(events.keys() - waiting)
            told = there if len(there) <= MOST_EVENTS else []
            yield Held(
                case_id=case_id,
                events=there,
                in_flight=sorted(events.keys() & waiting),
                digests=[events[event_id].digest for event_id in told],
            )

    def _resend(
        self, cursor: Cursor, differing: list[CaseDifference], *, peer_recovers: bool
    ) -> set[str]:
        lacking = [case for case in differing if case.missing_there]
        held = shared(cursor, self._node, self.peer, [case.case_id for case in lacking])
        again = [
            event_id
            for case in lacking
            for event_id in case.missing_there
            if (event := held[case.case_id].get(event_id)) is not None
            and resend.is_source(self._node, event, self.peer, peer_recovers=peer_recovers)
        ]
        return resend.resend(cursor, self._node, self.peer, again)

    def _end(self, *, settled: bool) -> None:
        self.outcome = RoundOutcome(
            *(settled, self._mismatched, self._findings, self._exchanges, self._events),
            *(self._verified_here, self._verified_there),
        )


# Limit of the cases that are named to the peer and stored. The counts include all cases.
MOST_NAMED = 1000


def _mirrored(case: CaseDifference) -> CaseDifference:
    """Return the difference as the other side sees it."""
    here, there = case.missing_there, case.missing_here
    return case.model_copy(update={"missing_here": here, "missing_there": there})


def _parts(held: Iterable[Held]) -> Iterator[list[Held]]:
    """Yield lists that fit a message each; a case is never split."""
    part: list[Held] = []
    events = 0
    for case in held:
        number = len(case.events) + len(case.in_flight)
        if part and (events + number > MOST_EVENTS or len(part) == MOST_CASES):
            yield part
            part, events = [], 0
        part.append(case)
        events += number
    if part:
        yield part
