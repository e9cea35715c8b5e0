"""The tunables of a consumer 接收参数; tests pass other values."""

from typing import NamedTuple

from consumers.batch import MOST_CASES


class ConsumerPolicy(NamedTuple):
    """The waits and intervals of a consumer.

    The broker answers a fetch as soon as there is a record, after `fetch_wait_ms` at the latest.
    While the group is joined, the time of a poll is doubled up to `poll_doublings` times.
    """

    fetch_wait_ms: int = 100
    poll_ms: int = 200
    poll_doublings: int = 4  # thus a poll takes at most 3.2 s
    pause_poll_ms: int = 50
    leave_ms: int = 2_000
    # Different cases in one batch, see `batch.next_size`.
    most_cases: int = MOST_CASES
    # Stopped partitions are checked this often, so they are read again this soon after a repair.
    recheck_seconds: float = 15.0
    # The same while a partition has no leader: Kafka elects one within moments.
    recheck_leader_seconds: float = 2.0
    # A fetch reports the end of its partition; the end of an idle one is asked for this often.
    measure_seconds: float = 5.0
    measure_limit_ms: int = 3_000
    # How often the offsets are committed to Kafka, for lag tools.
    commit_seconds: float = 1.0


DEFAULT_POLICY = ConsumerPolicy()
