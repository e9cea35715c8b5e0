"""The clock 时钟 as a value, so that a test can hold it still.

Instants are microseconds since the epoch, UTC ("micros"), everywhere inside the code.
"""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], int]


def now_micros() -> int:
    """The present instant in micros."""
    return time.time_ns() // 1000
