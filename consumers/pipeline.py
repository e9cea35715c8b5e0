"""The pipeline 流水线: one batch is applied while the next one is polled and decoded.

Waiting for Postgres costs no processor, and the driver gives the interpreter away meanwhile; so the
transaction of a batch runs on a thread of its own. One batch is applied and one is being made, a
third would only be memory. What fails is forgotten with all behind it, once its owner knows.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

_Work = TypeVar("_Work")


class Pipeline(Generic[_Work]):
    """Applies what it is given, in order; all methods belong to the owner's thread."""

    def __init__(self, apply: Callable[[_Work], None]) -> None:
        self._apply = apply
        self._work: _Work | None = None
        self._closed = False
        self._error: BaseException | None = None
        self._moved = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="applying", daemon=True)
        self._thread.start()

    @property
    def idle(self) -> bool:
        """Whether everything that was handed over is applied."""
        return self._work is None and self._error is None

    def check(self) -> None:
        """Raise what a batch raised."""
        with self._moved:
            error, self._error = self._error, None
        if error is not None:
            raise error

    def hand_over(self, work: _Work) -> None:
        """Let it be applied; waits until the one before is. Raises as `check`, and forgets it."""
        self.drain()
        self.check()
        with self._moved:
            self._work = work
            self._moved.notify_all()

    def drain(self) -> None:
        """Return when everything that was handed over is applied, or failed."""
        with self._moved:
            self._moved.wait_for(lambda: self._work is None)

    def drop(self) -> None:
        """As `drain`, and forget what failed."""
        self.drain()
        self._error = None

    def close(self) -> None:
        """As `drop`, for good."""
        self.drop()
        with self._moved:
            self._closed = True
            self._moved.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while (work := self._next()) is not None:
            error: BaseException | None = None
            try:
                self._apply(work)
            except BaseException as raised:
                error = raised
            with self._moved:
                self._work, self._error = None, error
                self._moved.notify_all()

    def _next(self) -> _Work | None:
        with self._moved:
            self._moved.wait_for(lambda: self._work is not None or self._closed)
            return self._work
