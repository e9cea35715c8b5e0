"""The clock 时钟 as a value, so that a test can replace it.

All code uses instants in microseconds since the epoch, UTC ("micros").
"""

import time
from collections.abc import Callable

Clock = Callable[[], int]


def now_micros() -> int:
    return time.time_ns() // 1000
