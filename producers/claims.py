"""Claims 认领: which topics this relay publishes, one relay per topic.

An advisory lock of the session for each: it lives and dies with the connection that also marks
rows, so a relay that lost its lock cannot mark either.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from cases.topics import produced_topics
from node import kafka
from node.errors import Fatal
from node.postgres import Connection, Cursor
from node.settings import Settings

_LOCK_CLASS = 0x0072656C  # any number of our own: separates our advisory locks from others
# A topic that another relay holds is tried for again; it takes over within this time.
_TRY_SECONDS = 1.0
# A topic that did not exist is looked for again: a province that is connected later.
_LOOK_SECONDS = 30.0


class Claims:
    """The topics held by one session's connection."""

    def __init__(self, connection: Connection, settings: Settings) -> None:
        self._connection = connection
        self._settings = settings
        self._missing = produced_topics(settings.node)
        self._existing: list[str] = []
        self._try_due = self._look_due = 0.0
        self.held: list[str] = []

    def renew_if_due(self) -> Iterator[list[str]]:
        """Try for what is not held; gives the topics that were gained, before they are `held`.

        Raises a Kafka error, or `Fatal` if no topic exists.
        """
        now = time.monotonic()
        if self._missing and now >= self._look_due:
            self._look_due = now + _LOOK_SECONDS
            self._look()
        if len(self.held) < len(self._existing) and now >= self._try_due:
            self._try_due = now + _TRY_SECONDS
            gained = self._gained()
            if gained:
                yield gained
                self.held += gained

    def _look(self) -> None:
        found = kafka.existing_topics(self._settings)
        self._existing += [topic for topic in self._missing if topic in found]
        self._missing = [topic for topic in self._missing if topic not in found]
        if not self._existing:
            raise Fatal(f"topic {self._missing[0]} is missing: run `petitionlink topics apply`")

    def _gained(self) -> list[str]:
        wanted = [topic for topic in self._existing if topic not in self.held]
        with self._connection.cursor() as cursor:
            return [topic for topic in wanted if _locked(cursor, topic)]


def _locked(cursor: Cursor, topic: str) -> bool:
    cursor.execute("select pg_try_advisory_lock(%s, hashtext(%s))", (_LOCK_CLASS, topic))
    return cursor.fetchone() == (True,)
