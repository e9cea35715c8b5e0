"""Do the duties of a relay's session for the node's own topic besides publishing.

It opens the gate of commands as soon as the database is known to have all own events
(`node.recovery.own_topics`), and enqueues own events that are on no topic yet
(`node.recovery.own_backfill`).
"""

import logging
import time
from collections.abc import Sequence

from node.kafka.silence import HeldUp
from node.kafka.topic_names import own_topic
from node.postgres.connection import Connection
from node.recovery import own_backfill, own_topics
from node.runtime.errors import Fatal
from node.runtime.settings import Settings
from node.runtime.supervisor import Stop

log = logging.getLogger(__name__)

# A missing own topic is looked for again, as other missing topics are.
_LOOK_SECONDS = 30.0
# So is one on which another producer's transaction is open.
_HELD_UP_SECONDS = 15.0


class OwnTopic:
    """The duties of one session; its connection is in autocommit."""

    def __init__(self, connection: Connection, settings: Settings, settle_seconds: float) -> None:
        self._connection = connection
        self._settings = settings
        self._settle_seconds = settle_seconds
        self._confirmed = False
        self._confirm_due = 0.0
        self._backfills = False

    def gained(self, topics: Sequence[str]) -> None:
        """Start the duties if this session now publishes the own topic."""
        if own_topic(self._settings.node) in topics:
            own_backfill.notice_new_topic(self._connection, self._settings)
            self._backfills = True

    def step(self, stop: Stop) -> None:
        """Do what is due, in bounded time; raise errors of the driver or client."""
        if not self._confirmed and time.monotonic() >= self._confirm_due:
            self._confirm(stop)
        if self._backfills:
            self._backfills = own_backfill.step(self._connection, self._settings.node)

    def _confirm(self, stop: Stop) -> None:
        try:
            seconds = own_topics.confirm(self._settings, self._settle_seconds, stop)
        except Fatal as error:  # the other topics are published
            log.error("no commands are taken: %s", error)
            seconds = _LOOK_SECONDS
        except HeldUp as error:  # commands could reuse the numbers of events that cannot be read
            log.error("no commands are taken: %s", error)
            seconds = _HELD_UP_SECONDS
        self._confirmed = seconds <= 0
        self._confirm_due = time.monotonic() + seconds
