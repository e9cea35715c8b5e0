"""An adaptive number of rows per step, for steps that may take longer than Postgres allows.

An administrator's `statement_timeout`, or an answer that does not come in time, stops a whole
batch, and would stop the same batch again. So the next one is half as large, down to one row, and
twice as large again after a series of successes.
"""

import logging
from typing import Final

log = logging.getLogger(__name__)

_SUCCESSES: Final = 50


class StepSize:
    """The number of rows `now` of the next step: `most`, or fewer after slow steps."""

    def __init__(self, name: str, most: int) -> None:
        self._name = name
        self._most = most
        self._good = 0
        self.now = most

    def too_slow(self, tried: int) -> None:
        """Halve the size, because a step of `tried` rows took too long."""
        self._good = 0
        self.now = max(1, min(self.now, tried) // 2)
        if tried > 1:
            log.warning("%s: %d rows took too long, at most %d next", self._name, tried, self.now)
        else:
            log.error(
                "%s: a single row takes longer than Postgres allows: it is tried again until "
                "statement_timeout is raised for the node's role",
                self._name,
            )

    def succeeded(self) -> None:
        """Count a step that was done in time; double the size after enough of them."""
        if self.now < self._most:
            self._good += 1
            if self._good >= _SUCCESSES:
                self._good, self.now = 0, min(self._most, 2 * self.now)
