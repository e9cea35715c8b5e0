"""Memory 内存 of a process: collect garbage less often, and return free pages to the system.

A batch of some thousand events makes tens of thousands of objects that live as long as it does and
form no cycles. With Python's default thresholds, scanning them took a sixth of a consumer's time
and a fifth of an import's.

After a backlog of large batches the C library keeps free pages between used ones, so that the
process would look as large as the backlog for ever. Only glibc can return them.
"""

import ctypes
import gc
from collections.abc import Callable

_THRESHOLDS = (20, 50)  # of the garbage collector's generations 1 and 2
_trim: Callable[[int], int] = getattr(ctypes.CDLL(None), "malloc_trim", lambda _: 0)


def collect_seldom(objects: int = 50_000) -> None:
    """Freeze all current objects out of garbage collection, and raise the generation-0 threshold
    to `objects`."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(objects, *_THRESHOLDS)


def give_back() -> bool:
    """Return free pages to the system, and whether there were any; some 10 ms for 100 MB.

    Reference cycles are collected first: clients make them while their cluster is away, and Python
    collects old ones only after many new objects (`collect_seldom`).
    """
    gc.collect()
    return bool(_trim(0))
