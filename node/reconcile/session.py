"""One end of the conversation 会话: messages in, database, messages out.

Each message is handled in one transaction of its own; what reads digests reads one snapshot.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Protocol

from node.postgres.connection import Connection
from node.postgres.snapshot import snapshot
from node.reconcile import protocol, receipts, responder, results
from node.reconcile.control_channel import Received
from node.reconcile.initiator import Outcome, Round
from node.reconcile.message_intake import Intake
from node.reconcile.protocol import (
    Account,
    Cases,
    Concluded,
    Digests,
    Events,
    Findings,
    Message,
    OfRound,
    Verdict,
)
from node.recovery import flag

log = logging.getLogger(__name__)


class Channel(Protocol):
    """What a conversation needs of `node.reconcile.control_channel.Channel`."""

    def send(self, peer: str, kind: str, payloads: Sequence[bytes]) -> None:
        """Send messages of one kind, in order."""

    def receive(self, seconds: float) -> Iterator[Received]:
        """What came within `seconds`."""


class Conversation:
    """A node's end towards all its peers, for the process that answers for the node.

    `driver` names this process: answers to rounds of another one are not its business.
    """

    def __init__(
        self,
        node: str,
        driver: str,
        connection: Connection,
        channel: Channel,
        *,
        answers: bool,
        intake: Intake | None = None,
    ) -> None:
        self._node = node
        self._driver = driver
        self._connection = connection
        self._channel = channel
        self._answers = answers
        self._intake = intake or Intake()
        self._rounds: dict[str, Round] = {}
        # Peers that have told that they applied more; whoever tells them ours empties it.
        self.moved: set[str] = set()

    def begin(self, peer: str) -> Round:
        """Begin a round with `peer`; its outcome is there at once if nothing can be told now."""
        made = Round(self._node, peer, self._driver)
        with snapshot(self._connection) as cursor:
            question = made.begin(cursor)
        self._rounds[made.id] = made
        self._send(peer, question)
        return made

    def forget(self, given_up: Round) -> None:
        """Nothing more is awaited of this round."""
        self._rounds.pop(given_up.id, None)

    def listen(self, seconds: float) -> None:
        """Handle whatever came within `seconds`."""
        for received in self._channel.receive(seconds):
            message = self._intake.read(received)
            if message is not None:
                with self._intake.handling(received):
                    self._send(received.peer, self._handled(received, message))

    def _handled(self, received: Received, said: Message) -> Sequence[Message]:
        if isinstance(said, (Verdict, Cases, Findings)):
            made = self._rounds.get(said.round)
            return self._driven(made, said) if made and made.peer == received.peer else []
        return self._answered(received.peer, said) if self._answers else []

    def _driven(self, made: Round, said: OfRound) -> Sequence[Message]:
        """An answer in a round of ours."""
        if isinstance(said, Verdict):
            made.on_verdict(said)
            return []
        with self._connection, self._connection.cursor() as cursor:
            if isinstance(said, Cases):
                return made.on_cases(cursor, said)
            assert isinstance(said, Findings)
            return made.on_findings(cursor, said)

    def _answered(self, peer: str, said: Message) -> Sequence[Message]:
        """Something that a peer asks or tells."""
        if isinstance(said, Digests):
            return self._compared(peer, said)
        with self._connection, self._connection.cursor() as cursor:
            if isinstance(said, Events):
                return [responder.answer_events(cursor, self._node, peer, said)]
            if isinstance(said, Account) and receipts.take(cursor, self._node, peer, said):
                self.moved.add(peer)
            if isinstance(said, Concluded):
                results.note(cursor, peer, said.mismatched, said.findings)
        return []

    def _compared(self, peer: str, said: Digests) -> Sequence[Message]:
        with snapshot(self._connection) as cursor:
            answers = responder.answer_digests(cursor, self._node, peer, said)
        first = answers[0]
        if isinstance(first, Verdict) and first.verdict == "equal":
            with self._connection, self._connection.cursor() as cursor:
                results.note(cursor, peer, 0, [])
        return answers

    def conclude(self, done: Round) -> Outcome:
        """Keep what a round of ours found, if it could tell."""
        outcome = done.outcome
        assert outcome is not None
        self.forget(done)
        if outcome.settled:
            with self._connection, self._connection.cursor() as cursor:
                results.note(cursor, done.peer, outcome.mismatched, outcome.findings)
        return outcome

    def say_account(self, peer: str, said: Account) -> None:
        """Tell a peer how our side of the link stands."""
        self._send(peer, [said])

    def is_recovering(self) -> bool:
        """Whether own events may come home now."""
        with self._connection, self._connection.cursor() as cursor:
            return flag.is_recovering(cursor)

    def end_recovery(self) -> None:
        """All peers hold what this node holds: own events need not come home any more."""
        with self._connection, self._connection.cursor() as cursor:
            if flag.end(cursor):
                log.info("recovered: every peer holds the same")

    def _send(self, peer: str, several: Sequence[Message]) -> None:
        by_kind: dict[str, list[bytes]] = {}
        for one in several:
            by_kind.setdefault(protocol.kind_of(one), []).append(one.payload())
        for kind, payloads in by_kind.items():
            self._channel.send(peer, kind, payloads)
