"""The tunables of a consumer 接收参数: pass another value to change them, as the tests do."""

from __future__ import annotations

from typing import NamedTuple

from consumers.batch import MOST_CASES


class ConsumerPolicy(NamedTuple):
    """How long a consumer waits for what, and how often it does what is not a record.

    The broker answers a fetch as soon as there is a record; `fetch_wait_ms` is its longest silence.
    A poll during a join of the group takes longer, doubled at most `poll_doublings` times.
    """

    fetch_wait_ms: int = 100
    poll_ms: int = 200
    poll_doublings: int = 4  # thus a poll takes at most 3.2 s
    pause_poll_ms: int = 50
    leave_ms: int = 2_000
    # Different cases in one batch, see `batch.next_size`.
    most_cases: int = MOST_CASES
    # Stopped partitions are examined this often, and so are read again this soon after the repair.
    recheck_seconds: float = 15.0
    # The same while a partition has no leader: Kafka elects one within moments.
    recheck_leader_seconds: float = 2.0
    # A partition that is fetched reports its end by itself; an idle one is asked this often.
    measure_seconds: float = 5.0
    measure_limit_ms: int = 3_000
    # How often the offsets are committed to Kafka, for lag tools.
    commit_seconds: float = 1.0


DEFAULT_POLICY = ConsumerPolicy()
