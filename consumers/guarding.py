"""Guarding 把关: before anything of a batch is dead-lettered or written, is it too much?

What counts stands in Postgres and is read only for a batch with poison in it: a process that is
started again, a batch that was halved or tried again, and an operator who dealt with letters
meanwhile all find the same figures.
"""

from __future__ import annotations

from consumers.batch import Batch
from consumers.limits import Crossing, History, Limits, crossing
from consumers.stopping import DEAD_LETTERS, StopPartition, Stopped
from node.kafka import TopicPartition
from node.postgres import Connection

# A partition that is not where we left it belongs to somebody else, who judges it.
_HISTORIES = """
    select held.topic, held.partition, held.consecutive_dead_letters,
           least(held.judged_from, moved.before),
           array(select dead."offset" from dead_letter dead
                 where dead.topic = held.topic and dead.partition = held.partition
                     and dead."offset" >= moved.before - %s and dead."offset" < moved.before
                     and dead.status = 'open' order by 1)
    from unnest(%s::text[], %s::integer[], %s::bigint[]) as moved (topic, partition, before)
    join consumer_offset held on held.topic = moved.topic and held.partition = moved.partition
        and held.next_offset = moved.before
"""


class Guard:
    """Stops a partition before a batch that would cross its limits."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def check(self, connection: Connection, batch: Batch) -> None:
        """Raise `StopPartition` if its poison is too much; then nothing of `batch` was kept."""
        if batch.poison:
            found = crossing(self._limits, batch, self._histories(connection, batch))
            if found is not None:
                raise _too_much(found)

    def _histories(self, connection: Connection, batch: Batch) -> dict[tuple[str, int], History]:
        columns = [list(column) for column in zip(*batch.advances, strict=True)]
        with connection, connection.cursor() as cursor:
            cursor.execute(_HISTORIES, (self._limits.window, *columns[:3]))
            return {(topic, partition): History(*rest) for topic, partition, *rest in cursor}


def _too_much(found: Crossing) -> StopPartition:
    record = found.poison.record
    detail = (
        f"{found.poison}: {found.limit}: nothing of this batch was dead-lettered, the position "
        "stays: mend the cause; `petitionlink deadletters list` shows what was kept before: replay "
        "or discard some of it, which counts anew, or raise the limit"
    )
    partition = TopicPartition(record.topic, record.partition)
    return StopPartition(Stopped(partition, DEAD_LETTERS, detail))
