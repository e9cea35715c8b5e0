"""A node's end of the conversation 会话: it reads messages, handles each in a transaction of its
own, and sends the answers. Digests are read in one snapshot."""

import logging
from collections.abc import Iterator, Sequence
from typing import Protocol

from node.postgres.connection import Connection
from node.postgres.snapshot import snapshot
from node.reconcile import protocol, receipts, responder, results
from node.reconcile.control_channel import Received
from node.reconcile.initiator import Round, RoundOutcome
from node.reconcile.message_intake import Intake
from node.reconcile.protocol import (
    Cases,
    Concluded,
    Digests,
    Events,
    Findings,
    LinkAccount,
    Message,
    Verdict,
)
from node.recovery import flag

log = logging.getLogger(__name__)


class Transport(Protocol):
    """The methods of `node.reconcile.control_channel.Channel` that a conversation needs."""

    def send(self, peer: str, kind: str, payloads: Sequence[bytes]) -> None: ...

    def receive(self, seconds: float) -> Iterator[Received]: ...


class Conversation:
    """A node's end of the conversation with all its peers.

    `driver` names this process; answers to rounds of other processes are ignored.
    """

    def __init__(
        self,
        node: str,
        driver: str,
        connection: Connection,
        channel: Transport,
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
        # Peers whose position has changed since they were sent a whole account.
        self.moved: set[str] = set()

    def begin(self, peer: str) -> Round:
        """Begin a round with `peer`; its outcome is set at once if too much is in flight."""
        begun = Round(self._node, peer, self._driver)
        with snapshot(self._connection) as cursor:
            question = begun.begin(cursor)
        self._rounds[begun.id] = begun
        self.send(peer, question)
        return begun

    def forget(self, given_up: Round) -> None:
        """Ignore further answers to this round."""
        self._rounds.pop(given_up.id, None)

    def listen(self, seconds: float) -> None:
        """Handle whatever came within `seconds`."""
        for received in self._channel.receive(seconds):
            message = self._intake.read(received)
            if message is not None:
                with self._intake.handling(received):
                    self.send(received.peer, self._handle(received.peer, message))

    def _handle(self, peer: str, said: Message) -> Sequence[Message]:
        if isinstance(said, (Verdict, Cases, Findings)):
            begun = self._rounds.get(said.round)
            return self._continue(begun, said) if begun and begun.peer == peer else []
        return self._answer(peer, said) if self._answers else []

    def _continue(self, begun: Round, said: Verdict | Cases | Findings) -> Sequence[Message]:
        """Pass an answer to a round of ours; return its next questions."""
        if isinstance(said, Verdict):
            begun.on_verdict(said)
            return []
        with self._connection, self._connection.cursor() as cursor:
            if isinstance(said, Cases):
                return begun.on_cases(cursor, said)
            return begun.on_findings(cursor, said)

    def _answer(self, peer: str, said: Message) -> Sequence[Message]:
        """Answer a question of a peer, or save what it tells."""
        if isinstance(said, Digests):
            return self._compare(peer, said)
        with self._connection, self._connection.cursor() as cursor:
            if isinstance(said, Events):
                return [responder.answer_events(cursor, self._node, peer, said)]
            if isinstance(said, LinkAccount) and receipts.take(cursor, self._node, peer, said):
                self.moved.add(peer)
            if isinstance(said, Concluded):
                results.note(cursor, peer, said.mismatched, said.findings)
        return []

    def _compare(self, peer: str, said: Digests) -> Sequence[Message]:
        with snapshot(self._connection) as cursor:
            answers = responder.answer_digests(cursor, self._node, peer, said)
        first = answers[0]
        if isinstance(first, Verdict) and first.verdict == "equal":
            with self._connection, self._connection.cursor() as cursor:
                results.note(cursor, peer, 0, [])
        return answers

    def conclude(self, done: Round) -> RoundOutcome:
        """Return the outcome of a round of ours, and save its result if it is settled."""
        outcome = done.outcome
        assert outcome is not None
        self.forget(done)
        if outcome.settled:
            with self._connection, self._connection.cursor() as cursor:
                results.note(cursor, done.peer, outcome.mismatched, outcome.findings)
        return outcome

    def is_recovering(self) -> bool:
        """Return True while peers may send this node's own events back to it."""
        with self._connection, self._connection.cursor() as cursor:
            return flag.is_recovering(cursor)

    def end_recovery(self) -> None:
        """End the recovery, because all peers hold what this node holds."""
        with self._connection, self._connection.cursor() as cursor:
            if flag.end(cursor):
                log.info("recovered: every peer holds the same")

    def send(self, peer: str, messages: Sequence[Message]) -> None:
        """Send messages to a peer, those of one kind together."""
        by_kind: dict[str, list[bytes]] = {}
        for message in messages:
            by_kind.setdefault(protocol.kind_of(message), []).append(message.payload())
        for kind, payloads in by_kind.items():
            self._channel.send(peer, kind, payloads)
