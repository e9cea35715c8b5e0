"""Memory 内存: return it to the system after a burst, and look for garbage 垃圾回收 less often.

A backlog is processed in batches of thousands of rows, which are freed one by one. The C library
keeps the pages that lie among those still in use, and a process that once caught up would seem to
hold the backlog for ever. With another C library than glibc nothing is returned.

A batch of some thousand events makes tens of thousands of objects that live as long as the batch
and hold no reference cycles. With Python's default thresholds, the garbage collector took a sixth
of a consumer's time and a fifth of an import's.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable

_THRESHOLDS = (20, 50)  # of generations 1 and 2


def _trimmer() -> Callable[[int], int]:
    try:
        found: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError):
        return lambda _: 0
    return found


_trim = _trimmer()


def give_back() -> bool:
    """Return free pages to the system; return whether there were any.

    Takes some tens of milliseconds for 100 MB. Reference cycles are collected first: Kafka's client
    makes them while its cluster is away, and they would wait for many new objects (`look_seldom`).
    """
    gc.collect()
    return bool(_trim(0))


def look_seldom(objects: int = 50_000) -> None:
    """Freeze all current objects out of garbage collection and raise the generation-0 threshold to
    `objects`."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(objects, *_THRESHOLDS)
