"""The size of a step that Postgres may find too large for the time that it allows.

An administrator's `statement_timeout`, or an answer that does not come in time, stops a batch as a
whole: the same batch again would be stopped again. So the next one is half as large, down to one
row, and after a while of successes twice as large again.
"""

from __future__ import annotations

import logging
from typing import Final

log = logging.getLogger(__name__)

_SUCCESSES: Final = 50


class StepSize:
    """How many rows the next step may have: `most`, or fewer after steps that took too long."""

    def __init__(self, name: str, most: int) -> None:
        self._name = name
        self._most = most
        self._good = 0
        self.now = most

    def too_slow(self, tried: int) -> None:
        """A step of `tried` rows took too long."""
        self._good = 0
        self.now = max(1, min(self.now, tried) // 2)
        if tried > 1:
            log.warning("%s: %d rows took too long, at most %d next", self._name, tried, self.now)
        else:
            log.error(
                "%s: one row alone takes longer than Postgres is allowed to: it is tried again "
                "until statement_timeout is raised for the node's role",
                self._name,
            )

    def succeeded(self) -> None:
        """A step was done in time."""
        if self.now < self._most:
            self._good += 1
            if self._good >= _SUCCESSES:
                self._good, self.now = 0, min(self._most, 2 * self.now)
