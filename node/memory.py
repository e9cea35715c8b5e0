"""Memory 内存 given back to the system after a burst.

A backlog is worked off in batches of thousands of rows, freed one by one; the C library keeps the
pages among those still in use, and a process that once caught up would look for ever as if it held
the backlog. Where there is no such call (other C libraries) nothing happens.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable


def _trimmer() -> Callable[[int], int]:
    try:
        found: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError):
        return lambda _: 0
    return found


_trim = _trimmer()


def give_back() -> bool:
    """Give free pages back; whether there were any. Takes some tens of milliseconds for 100 MB.

    What hangs in circles is let go first: clients make them while their cluster is away, and Python
    looks for old ones only after many new objects (`node.garbage`).
    """
    gc.collect()
    return bool(_trim(0))
