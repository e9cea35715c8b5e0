"""The side that asks 发起方: one round with one peer, from digests to its conclusion.

A `Round` holds what has been answered so far; each step reads or writes the database once, in a
transaction of the caller's. A round that gets no answer is simply given up: the next one says the
same again.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from node.postgres.connection import Cursor
from node.reconcile import consistent_cut, resend
from node.reconcile.protocol import (
    MOST_CASES,
    MOST_EVENTS,
    Cases,
    Concluded,
    Digests,
    Events,
    Finding,
    Findings,
    Held,
    Message,
    Verdict,
)
from node.reconcile.scrub_evidence import note_differing, verified_at
from node.reconcile.shared_events import Shared, shared
from node.recovery.flag import is_recovering
from node.store import digests
from node.store.digests import Digest


class Outcome(NamedTuple):
    """How a round ended. `mismatched` cases differ, of which the first are named in `findings`, as
    seen from here; `settled` is False while too much is on its way to tell; `exchanges` are the
    questions that were asked. What was compared are digests that each node keeps: `verified_here`
    and `verified_there` say when it had last recomputed them from its bytes, epoch seconds."""

    settled: bool
    mismatched: int
    findings: list[Finding]
    exchanges: int
    events: int
    verified_here: float | None = None
    verified_there: float | None = None

    @property
    def equal(self) -> bool:
        """Whether both nodes hold the same."""
        return self.settled and not self.mismatched


class Round:
    """One round that this process drives with `peer`."""

    def __init__(self, node: str, peer: str, driver: str) -> None:
        self.peer = peer
        self.id = str(uuid.uuid4())
        self.outcome: Outcome | None = None
        self._node = node
        self._driver = driver
        self._events = 0
        self._exchanges = 0
        self._buckets: int | None = None
        # What was asked of each bucket, and which parts of the answers have come.
        self._open: dict[int, set[int]] = {}
        self._cases: dict[int, dict[str, Digest]] = {}
        self._heard: dict[int, set[int]] = {}
        self._done: set[int] = set()
        self._findings: list[Finding] = []
        self._mismatched = 0
        self._verified_here: float | None = None
        self._verified_there: float | None = None

    def begin(self, cursor: Cursor) -> list[Message]:
        """The first question; none, and an outcome at once, if too much is on its way.

        Needs a snapshot: cut and digests must be of one instant.
        """
        here = consistent_cut.take(cursor, self._node, self.peer)
        buckets = digests.buckets(cursor, self.peer)
        self._events = sum(one.events for one in buckets)
        self._verified_here = verified_at(cursor)
        if here is None:
            self._end(settled=False)
            return []
        self._exchanges = 1
        return [
            Digests(
                round=self.id,
                driver=self._driver,
                cut=here,
                buckets=[*buckets],
                verified_at=self._verified_here,
            )
        ]

    def on_verdict(self, said: Verdict) -> None:
        """Equal, or not to be told now."""
        self._verified_there = said.verified_at
        self._end(settled=said.verdict == "equal")

    def on_cases(self, cursor: Cursor, said: Cases) -> list[Message]:
        """The events of the cases that differ, once the whole bucket is known."""
        self._buckets = said.buckets
        theirs = self._cases.setdefault(said.bucket, {})
        theirs |= {case_id: Digest(*one) for case_id, *one in said.cases}
        heard = self._heard.setdefault(said.bucket, set())
        heard.add(said.part)
        if len(heard) < said.parts or said.bucket in self._open:
            return []
        self._exchanges = max(self._exchanges, 2)
        ours = digests.cases_in(cursor, self.peer, said.bucket)
        del self._cases[said.bucket]
        differing = [
            one for one in sorted(ours.keys() | theirs) if ours.get(one) != theirs.get(one)
        ]
        questions = self._questions(cursor, said.bucket, differing)
        self._open[said.bucket] = set(range(len(questions)))
        return [*questions]

    def on_findings(self, cursor: Cursor, said: Findings) -> list[Message]:
        """What is missing at the peer is sent again; the conclusion if this was the last."""
        waiting = self._open.get(said.bucket, set())
        if said.part not in waiting:
            return []
        waiting.discard(said.part)
        self._exchanges = 3
        found = [_mirrored(one) for one in said.findings]
        sent = self._resend(cursor, found, peer_recovers=said.recovering)
        found = [
            one.model_copy(update={"sent": [*one.sent, *sorted(sent & {*one.missing_there})]})
            for one in found
        ]
        note_differing(cursor, self.peer, (), found)
        self._mismatched += len(found)
        self._findings += found[: MOST_NAMED - len(self._findings)]
        if not waiting:
            self._done.add(said.bucket)
        if len(self._done) != self._buckets:
            return []
        self._end(settled=True)
        shown = [_mirrored(one) for one in self._findings]
        said_last = Concluded(
            round=self.id, driver=self._driver, findings=shown, mismatched=self._mismatched
        )
        return [said_last]

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

    def _resend(self, cursor: Cursor, found: list[Finding], *, peer_recovers: bool) -> set[str]:
        lacking = [one for one in found if one.missing_there]
        held = shared(cursor, self._node, self.peer, [one.case_id for one in lacking])
        again = [
            event_id
            for one in lacking
            for event_id in one.missing_there
            if (event := held[one.case_id].get(event_id)) is not None
            and resend.is_source(self._node, event, self.peer, peer_recovers=peer_recovers)
        ]
        return resend.resend(cursor, self._node, self.peer, again)

    def _end(self, *, settled: bool) -> None:
        self.outcome = Outcome(
            *(settled, self._mismatched, self._findings, self._exchanges, self._events),
            *(self._verified_here, self._verified_there),
        )


# As many are named to the peer and kept; all are counted.
MOST_NAMED = 1000


def _mirrored(one: Finding) -> Finding:
    """As it looks from the other side."""
    here, there = one.missing_there, one.missing_here
    return one.model_copy(update={"missing_here": here, "missing_there": there})


def _parts(held: Iterable[Held]) -> Iterator[list[Held]]:
    """Lists that fit a message each; one case is never cut in two."""
    part: list[Held] = []
    events = 0
    for one in held:
        number = len(one.events) + len(one.in_flight)
        if part and (events + number > MOST_EVENTS or len(part) == MOST_CASES):
            yield part
            part, events = [], 0
        part.append(one)
        events += number
    if part:
        yield part
