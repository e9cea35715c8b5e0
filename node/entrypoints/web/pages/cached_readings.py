"""Readings that are remembered 缓存读数: computed apart, so that a page never waits for them.

Whoever asks gets the last reading and, if that has grown old, sets off the next in a thread;
many who ask at once set off one. What is not there in time is said to be not there.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from node.runtime.errors import PetitionLinkError, classified

log = logging.getLogger(__name__)

T = TypeVar("T")


class Reading(NamedTuple, Generic[T]):
    """The last answer; `value` is None before the first and after one that failed."""

    value: T | None
    problem: Exception | None = None
    at: float = float("-inf")


class Remembered(Generic[T]):
    """One reading, computed anew when it is older than `seconds`."""

    def __init__(self, name: str, compute: Callable[[], T], seconds: float) -> None:
        self._name = name
        self._compute = compute
        self._seconds = seconds
        self._lock = threading.Lock()
        self._running: threading.Event | None = None
        self.reading: Reading[T] = Reading(None)

    def refresh(self) -> threading.Event:
        """Set off a computation if the reading is old; the event is set when it is fresh."""
        with self._lock:
            if self._running is not None:
                return self._running
            done = threading.Event()
            if time.monotonic() - self.reading.at < self._seconds:
                done.set()
                return done
            self._running = done
        threading.Thread(target=self._run, args=(done,), name=self._name, daemon=True).start()
        return done

    def _run(self, done: threading.Event) -> None:
        try:
            self.reading = Reading(self._compute(), None, time.monotonic())
        except Exception as error:
            if not isinstance(error, PetitionLinkError) and classified(error) is None:
                log.exception("%s ended by a defect", self._name)
            self.reading = Reading(None, error, time.monotonic())
        finally:
            with self._lock:
                self._running = None
            done.set()


def refresh_all(several: Sequence[Remembered[Any]], patience_seconds: float) -> None:
    """Refresh all at once and wait for them together, no longer than `patience_seconds`."""
    deadline = time.monotonic() + patience_seconds
    for done in [one.refresh() for one in several]:
        done.wait(max(0.0, deadline - time.monotonic()))
