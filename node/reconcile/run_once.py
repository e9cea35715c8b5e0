"""Asking a peer now 即时核对: one round from a command, beside whatever runs."""

from __future__ import annotations

import os
import time
import uuid

from node.postgres.connection import Connection
from node.reconcile.control_channel import Channel
from node.reconcile.initiator import Outcome
from node.reconcile.session import Conversation
from node.runtime.errors import Transient
from node.runtime.settings import Settings

# A peer that runs answers within a second; one that is busy with a large bucket within a few.
ANSWER_SECONDS = 30.0
_LISTEN_SECONDS = 0.2


def reconcile(
    settings: Settings,
    connection: Connection,
    channel: Channel,
    peer: str,
    seconds: float = ANSWER_SECONDS,
) -> Outcome:
    """One round with `peer`; raises `Transient` if it does not answer in time."""
    driver = f"cli-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    talk = Conversation(settings.node, driver, connection, channel, answers=False)
    made = talk.begin(peer)
    deadline = time.monotonic() + seconds
    while made.outcome is None:
        if time.monotonic() > deadline:
            raise Transient(
                f"node {peer} does not answer within {seconds:.0f} s: is it running "
                "(`petitionlink run` or `consume` there), and is Kafka reached from there?",
                "kafka",
            )
        talk.listen(_LISTEN_SECONDS)
    return talk.conclude(made)
