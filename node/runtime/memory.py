"""Memory 内存 of a process: garbage is looked for less often, and free pages are given back.

A batch of some thousand events makes tens of thousands of objects that live as long as it does and
form no cycles. With Python's usual thresholds, looking at them again and again took a sixth of a
consumer's time and a fifth of an import's.

A backlog is worked off in batches of thousands of rows, freed one by one; the C library keeps the
pages among those still in use, and a process that once caught up would look for ever as if it held
the backlog. Where there is no such call (other C libraries) nothing is given back.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable

_THRESHOLDS = (20, 50)  # of the garbage collector's generations 1 and 2


def collect_seldom(objects: int = 50_000) -> None:
    """Freeze all current objects out of garbage collection, and raise the generation-0 threshold
    to `objects`."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(objects, *_THRESHOLDS)


def _trimmer() -> Callable[[int], int]:
    try:
        found: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError):
        return lambda _: 0
    return found


_trim = _trimmer()


def give_back() -> bool:
    """Give free pages back to the system; return whether there were any.

    It takes some tens of milliseconds for 100 MB.

    Reference cycles are collected first: clients make them while their cluster is away, and Python
    looks for old ones only after many new objects (`collect_seldom`).
    """
    gc.collect()
    return bool(_trim(0))
