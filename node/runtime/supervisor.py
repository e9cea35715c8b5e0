"""The life of a process of a node 生命周期: start workers, retry them, stop them cleanly.

A worker's session is opened again after each transient error, with growing pauses. A fatal error
of any worker stops the whole process: half a node is worse than a clear message.
"""

import logging
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, Protocol

from node.runtime.errors import PetitionLinkError, Transient, classified
from node.runtime.metrics import DEPENDENCIES, Metrics
from node.runtime.watchdog import hurry

log = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS = 0.1
# Recovery is promised within 10 s of a dependency's return.
_LONGEST_PAUSE_SECONDS = 3.0
# A session that lasted this long had worked: its error is the first of a new series.
_HELD_SECONDS = 10.0

Stop = threading.Event


class StopPolicy(NamedTuple):
    """The time limits of a stop: SIGTERM ends a process within 30 s."""

    # What Postgres has not answered by then is given up, so that sessions can end.
    hurry_seconds: float = 8.0
    # Threads that still run then end with the process.
    limit_seconds: float = 25.0


DEFAULT_STOP = StopPolicy()


class Worker(Protocol):
    """A loop of a node: relay, consumer, observer."""

    name: str

    def session(self, stop: Stop) -> None:
        """Work until `stop` is set; raise `Transient` to be opened again."""


class Backoff:
    """Growing pauses between attempts, short again after a success."""

    def __init__(self) -> None:
        self._seconds = _FIRST_PAUSE_SECONDS

    def reset(self) -> None:
        self._seconds = _FIRST_PAUSE_SECONDS

    def next_seconds(self) -> float:
        """Return the pause before the next attempt, and double the one after it."""
        seconds = self._seconds
        self._seconds = min(2 * seconds, _LONGEST_PAUSE_SECONDS)
        return seconds


@contextmanager
def signals_stop(stop: Stop) -> Iterator[None]:
    """Let SIGTERM and SIGINT set `stop`; a second signal ends the process at once."""

    def ask(number: int, _frame: object) -> None:
        if stop.is_set():
            raise SystemExit(128 + number)
        log.info("stopping: %s", signal.Signals(number).name)
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def supervise(
    workers: Sequence[Worker], metrics: Metrics, stop: Stop, policy: StopPolicy = DEFAULT_STOP
) -> None:
    """Run each worker in a thread until `stop`; raise the first error that ended one.

    After `stop` it returns within 25 s: a thread that still waits ends with the process, and what
    it had not committed is rolled back, as after a crash.
    """
    failures: list[BaseException] = []
    threads = [
        threading.Thread(
            target=_guarded, args=(worker, metrics, stop, failures), name=worker.name, daemon=True
        )
        for worker in workers
    ]
    for thread in threads:
        thread.start()
    while not stop.wait(_LONGEST_PAUSE_SECONDS):
        """Signals interrupt this wait."""
    hurry(policy.hurry_seconds)
    try:
        _join(threads, policy.limit_seconds)
    finally:
        hurry(None)
    if failures:
        raise failures[0]


def _join(threads: Sequence[threading.Thread], seconds: float) -> None:
    """Wait at most `seconds` for all threads together; log those that still run."""
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    late = ", ".join(thread.name for thread in threads if thread.is_alive())
    if late:
        log.warning("%s did not end within %.0f s: the process ends without waiting", late, seconds)


def _guarded(worker: Worker, metrics: Metrics, stop: Stop, failures: list[BaseException]) -> None:
    try:
        keep_open(worker, metrics, stop)
    except BaseException as error:
        if not isinstance(error, PetitionLinkError):
            log.exception("%s ended by a defect", worker.name)
        failures.append(error)
    finally:
        stop.set()


def keep_open(worker: Worker, metrics: Metrics, stop: Stop) -> None:
    """Open the worker's session again after each transient error, until `stop`."""
    backoff = Backoff()
    while not stop.is_set():
        opened = time.monotonic()
        try:
            worker.session(stop)
        except Exception as error:
            transient = as_transient(error)
            if transient.dependency in DEPENDENCIES:
                metrics.dependency_up.labels(transient.dependency).set(0)
            if time.monotonic() - opened > _HELD_SECONDS:
                backoff.reset()
            seconds = backoff.next_seconds()
            log.warning("%s: %s; trying again in %.1f s", worker.name, transient, seconds)
            stop.wait(seconds)


def as_transient(error: Exception) -> Transient:
    """Return the error as transient; raise it, classified, if a retry will not help."""
    known = error if isinstance(error, PetitionLinkError) else classified(error)
    if isinstance(known, Transient):
        return known
    if known is None:
        raise error
    raise known from error
