"""Pace 速率: events per second from the first to the last commit, seen from outside the process.

A counter in the database is asked every few milliseconds. The clock begins when its first change is
seen, and what that change brought does not count: so neither the start of the process nor the
joining of its group is measured, and nothing is counted that was done before the clock ran.
"""

import subprocess
import time
from collections.abc import Sequence

from node.postgres.connection import connected
from node.runtime.errors import PetitionLinkError

# Fine beside the seconds that a run takes, and cheap for the database.
_LOOK_SECONDS = 0.01
_SILENCE_SECONDS = 60


def pace(dsn: str, counter: str, goal: int, *workers: subprocess.Popen[bytes]) -> float:
    """Events per second while `counter`, a query for one number, goes from 0 to `goal`.

    Raises `PetitionLinkError` if a worker ends or the counter stands still for a minute.
    """
    first: tuple[float, int] | None = None
    last, moved_at = 0, time.perf_counter()
    with connected(dsn, "bench") as connection, connection.cursor() as cursor:
        connection.autocommit = True
        while last < goal:
            cursor.execute(counter)
            (now,) = cursor.fetchone() or (last,)
            if now != last:
                last, moved_at = now, time.perf_counter()
                first = first or (moved_at, now)
            _check(workers, moved_at)
            time.sleep(_LOOK_SECONDS)
    if first is None or first[1] >= goal:
        raise PetitionLinkError("everything came in one commit: give it more events")
    return (goal - first[1]) / (moved_at - first[0])


def _check(workers: Sequence[subprocess.Popen[bytes]], moved_at: float) -> None:
    if any(worker.poll() is not None for worker in workers):
        raise PetitionLinkError("a process ended while it was measured: see .local/bench.logs/")
    if time.perf_counter() - moved_at > _SILENCE_SECONDS:
        raise PetitionLinkError(f"nothing moved for {_SILENCE_SECONDS} s: see .local/bench.logs/")
