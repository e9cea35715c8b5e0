"""The pipeline 流水线: one batch is applied while the next one is polled and decoded.

Waiting for Postgres costs no processor, and the driver gives the interpreter away meanwhile; so the
transaction of a batch runs on a thread of its own. Batches are applied one after the other, in the
order in which they were handed over; what fails stops the thread until its owner knows of it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

_Work = TypeVar("_Work")

# One is applied, this many wait: more would only be memory, and polled again after a failure.
_WAITING = 1


class Pipeline(Generic[_Work]):
    """Applies what it is given; all methods but `apply` belong to the owner's thread."""

    def __init__(self, apply: Callable[[_Work], None]) -> None:
        self._apply = apply
        self._waiting: deque[_Work] = deque()
        self._busy = False
        self._closed = False
        self._error: BaseException | None = None
        self._moved = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="applying", daemon=True)
        self._thread.start()

    @property
    def idle(self) -> bool:
        """Whether everything that was handed over is applied."""
        return not self._waiting and not self._busy and self._error is None

    def check(self) -> None:
        """Raise what a batch raised; those behind it were forgotten."""
        with self._moved:
            error, self._error = self._error, None
        if error is not None:
            raise error

    def hand_over(self, work: _Work) -> None:
        """Let it be applied behind the others; waits for room. Raises as `check`."""
        with self._moved:
            self._moved.wait_for(lambda: self._error or len(self._waiting) < _WAITING)
            if self._error is None:
                self._waiting.append(work)
                self._moved.notify_all()
        self.check()

    def drain(self) -> None:
        """Return when everything that was handed over is applied, or something failed."""
        with self._moved:
            self._moved.wait_for(lambda: not self._waiting and not self._busy)

    def drop(self) -> None:
        """Forget what waits, and what failed; return when nothing is being applied any more."""
        with self._moved:
            self._waiting.clear()
            self._moved.wait_for(lambda: not self._busy)
            self._error = None

    def close(self) -> None:
        """As `drop`, for good."""
        with self._moved:
            self._closed = True
            self._moved.notify_all()
        self.drop()
        self._thread.join()

    def _run(self) -> None:
        while (work := self._next()) is not None:
            try:
                self._apply(work)
            except BaseException as error:
                self._done(error)
            else:
                self._done(None)

    def _next(self) -> _Work | None:
        with self._moved:
            self._moved.wait_for(lambda: self._waiting or self._closed)
            if self._closed:
                return None
            self._busy = True
            work = self._waiting.popleft()
            self._moved.notify_all()
            return work

    def _done(self, error: BaseException | None) -> None:
        with self._moved:
            self._busy = False
            if error is not None:
                self._error = error
                self._waiting.clear()
            self._moved.notify_all()
