"""A round between two databases that one process can open 同机对账: the same questions and answers.

For nodes of one machine of which one does not run: no Kafka between them, nobody who answers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from node.postgres.connection import Connection
from node.postgres.snapshot import snapshot
from node.reconcile import receipts
from node.reconcile.control_channel import Received
from node.reconcile.initiator import Outcome
from node.reconcile.session import Conversation
from node.store import digests, flow_counts


class _Wire:
    """One direction of a conversation within a process."""

    def __init__(self, node: str, there: deque[Received], here: deque[Received]) -> None:
        self._node = node
        self._there = there
        self._here = here

    def send(self, _peer: str, kind: str, payloads: Sequence[bytes]) -> None:
        self._there.extend(Received(self._node, kind, one) for one in payloads)

    def receive(self, _seconds: float) -> Iterator[Received]:
        while self._here:
            yield self._here.popleft()


def reconcile_side_by_side(node: str, own: Connection, peer: str, other: Connection) -> Outcome:
    """One round of `node` with `peer`, both accounts exchanged before, so that receipts are new."""
    to_peer: deque[Received] = deque()
    to_node: deque[Received] = deque()
    here = Conversation(node, "here", own, _Wire(node, to_peer, to_node), answers=True)
    there = Conversation(peer, "there", other, _Wire(peer, to_node, to_peer), answers=True)
    for speaker, listener, talk, connection in (
        (node, peer, here, own),
        (peer, node, there, other),
    ):
        with connection, connection.cursor() as cursor:
            digests.compact(cursor)
            flow_counts.compact(cursor)
        with snapshot(connection) as cursor:
            talk.say_account(listener, receipts.account(cursor, speaker, listener))
    here.listen(0)
    there.listen(0)
    made = here.begin(peer)
    while made.outcome is None:
        there.listen(0)
        here.listen(0)
    there.listen(0)
    return here.conclude(made)
