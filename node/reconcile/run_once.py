"""One round at once 即时核对, for a command: over Kafka, or between two databases 同机对账."""

import os
import time
import uuid
from collections import deque
from collections.abc import Iterator, Sequence

from node.postgres.connection import Connection
from node.postgres.snapshot import snapshot
from node.reconcile import receipts
from node.reconcile.control_channel import Channel, Received
from node.reconcile.initiator import RoundOutcome
from node.reconcile.session import Conversation
from node.runtime.errors import Transient
from node.runtime.settings import Settings
from node.store import digests, flow_counts

# A running peer answers within a second, or within a few for a large bucket.
ANSWER_SECONDS = 30.0
_LISTEN_SECONDS = 0.2


def reconcile(
    settings: Settings,
    connection: Connection,
    channel: Channel,
    peer: str,
    seconds: float = ANSWER_SECONDS,
) -> RoundOutcome:
    """Run a round with `peer`; raises `Transient` if it does not answer in time."""
    driver = f"cli-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    conversation = Conversation(settings.node, driver, connection, channel, answers=False)
    begun = conversation.begin(peer)
    deadline = time.monotonic() + seconds
    while begun.outcome is None:
        if time.monotonic() > deadline:
            raise Transient(
                f"node {peer} does not answer within {seconds:.0f} s: is it running "
                "(`petitionlink run` or `consume` there), and is Kafka reached from there?",
                "kafka",
            )
        conversation.listen(_LISTEN_SECONDS)
    return conversation.conclude(begun)


class _Wire:
    """A node's end of a conversation within one process, without Kafka."""

    def __init__(self, node: str, there: deque[Received], here: deque[Received]) -> None:
        self._node = node
        self._there = there
        self._here = here

    def send(self, _peer: str, kind: str, payloads: Sequence[bytes]) -> None:
        self._there.extend(Received(self._node, kind, payload) for payload in payloads)

    def receive(self, _seconds: float) -> Iterator[Received]:
        while self._here:
            yield self._here.popleft()


def reconcile_side_by_side(
    node: str, own: Connection, peer: str, other: Connection
) -> RoundOutcome:
    """Run a round between two databases; both accounts are exchanged first, for fresh receipts."""
    to_peer: deque[Received] = deque()
    to_node: deque[Received] = deque()
    here = Conversation(node, "here", own, _Wire(node, to_peer, to_node), answers=True)
    there = Conversation(peer, "there", other, _Wire(peer, to_node, to_peer), answers=True)
    ends = (node, peer, here, own), (peer, node, there, other)
    for sender, receiver, conversation, connection in ends:
        with connection, connection.cursor() as cursor:
            digests.compact(cursor)
            flow_counts.compact(cursor)
        with snapshot(connection) as cursor:
            conversation.send(receiver, [receipts.account(cursor, sender, receiver)])
    here.listen(0)
    there.listen(0)
    begun = here.begin(peer)
    while begun.outcome is None:
        there.listen(0)
        here.listen(0)
    there.listen(0)
    return here.conclude(begun)
