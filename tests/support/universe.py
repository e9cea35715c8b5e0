"""Four nodes in memory 四节点世界: the real drafting, folding and routing, no Kafka, no Postgres.

What `node/store/outbox.py` writes as rows is a bag of letters here, which are delivered in any
order and as often as the walk likes. `tests/integration/test_guards.py` holds the same for the real
outbox.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

from cases.case import Case
from cases.fold import continues, extend, fold, position
from cases.nodes import NATIONAL
from cases.routing import barred, recipients
from node.keys.key_ring import NodeKeys
from node.keys.office import Office
from producers.commands.draft_event import Command, draft, passes_petitioner_on
from schemas.event import Event
from schemas.sealing.cipher_suites import X25519_AES_GCM, Secret, suite_named
from schemas.sealing.sealed_record import KeyPair, PublicKey, Sealer, case_key

CODES = (NATIONAL, "110000", "370000", "660000")
HOUR = 3_600_000_000
DAY = 24 * HOUR


class Time:
    """The clock of all nodes, moved by hand; micros."""

    def __init__(self, now: int) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


@cache
def keys_of(node: str) -> NodeKeys:
    """Keys of one node, with everybody's public ones; made once."""
    directory = {code: {"0123456789abcdef": pair_of(code).public.key} for code in CODES}
    return NodeKeys(pair_of(node), Secret(b"i" * 32), directory)


@cache
def pair_of(node: str) -> KeyPair:
    """Return the key pair of one node; made once."""
    private, public = suite_named(X25519_AES_GCM).new_pair()
    return KeyPair(PublicKey(node, "0123456789abcdef", public), private)


_SEALER = Sealer()


def office_of(node: str, clock: Time) -> Office:
    """Return the office of a node, without files."""
    return Office(node, f"{node}-desk", keys_of(node), clock, _SEALER)


class Letter(NamedTuple):
    """An event on its way."""

    to: str
    event: Event


@dataclass
class Node:
    """A node's ledger and cases; `routes` are whom the centre began to send each case to."""

    office: Office
    ledger: dict[str, dict[str, Event]] = field(default_factory=dict)
    cases: dict[str, Case] = field(default_factory=dict)
    routes: dict[str, list[str]] = field(default_factory=dict)

    @property
    def code(self) -> str:
        return self.office.node

    def case(self, case_id: str) -> Case:
        return self.cases.get(case_id) or Case(case_id)

    def events(self, case_id: str) -> list[Event]:
        """Return this node's events of the case, in fold order."""
        return sorted(self.ledger.get(case_id, {}).values(), key=position)

    def do(self, name: str, case_id: str, given: dict[str, Any], **how: Any) -> Event:
        """Return the event of a command; nothing is written. `how`: at, petitioner, travelled."""
        case, now = self.case(case_id), self.office.clock()
        at = how.get("at", now)
        command = Command(name, case_id, at, "", given, how.get("petitioner"))
        sent = case.dispatch["at"] if case.dispatch else None
        arrived = None if sent is None else sent + how.get("travelled", 0)
        key = self._key(case_id) if passes_petitioner_on(self.office, command) else None
        return draft(self.office, case, command, case_key=key, arrived_at=arrived)

    def take(self, event: Event) -> list[Letter]:
        """Apply an event at a node; send what it owes."""
        known = self.ledger.setdefault(event.case_id, {})
        if event.event_id in known:
            return []
        known[event.event_id] = event
        before = self.case(event.case_id)
        after = extend(before, [event]) if continues(before, [event]) else self._anew(event)
        self.cases[event.case_id] = after
        if self.code == NATIONAL:
            return self._onward(after, event)
        return [Letter(to, event) for to in recipients(self.code, event.emitter, ())]

    def _anew(self, event: Event) -> Case:
        return fold(event.case_id, self.ledger[event.case_id].values())

    def _onward(self, case: Case, event: Event) -> list[Letter]:
        """Send as node/store/outbox.py does: news to the known, the whole history to those who
        join."""
        routes, closed = self.routes.setdefault(case.case_id, []), barred(case)
        news = [Letter(to, event) for to in recipients(NATIONAL, event.emitter, routes, closed)]
        joined = recipients(NATIONAL, NATIONAL, case.participants, closed)
        joined = [to for to in joined if to not in routes]
        routes += joined
        history = self.events(case.case_id)
        return news + [Letter(to, e) for to in joined for e in history if e.emitter != to]

    def _key(self, case_id: str) -> bytes | None:
        """Open a record that this node can read, as producers/commands/handle.py does."""
        bodies = [event.body for event in self.events(case_id)]
        sealed = [body["petitioner"] for body in bodies if body.get("petitioner")]
        if not sealed or not any(key["node"] == self.code for key in sealed[-1]["keys"]):
            return None
        return case_key(sealed[-1], case_id, self.office.keys.pair, [])


class Universe:
    """The nodes and what is on its way between them."""

    def __init__(self, now: int) -> None:
        self.time = Time(now)
        self.nodes = {code: Node(office_of(code, self.time)) for code in CODES}
        self.letters: list[Letter] = []

    @property
    def centre(self) -> Node:
        return self.nodes[NATIONAL]

    def take(self, node: Node, event: Event) -> list[Letter]:
        """Apply an event at a node; send what it owes."""
        sent = node.take(event)
        self.letters += sent
        return sent

    def deliver_all(self, order: Iterable[int] = ()) -> None:
        """Deliver until nothing is on its way; without `order`, oldest first."""
        places = iter(order)
        while self.letters:
            letter = self.letters.pop(next(places, 0) % len(self.letters))
            self.take(self.nodes[letter.to], letter.event)
