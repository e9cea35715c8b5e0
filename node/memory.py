"""Memory 内存: looked through less often, and given back to the system after a burst.

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
    """Give free pages back; whether there were any. Takes some milliseconds for 100 MB."""
    return bool(_trim(0))


# Objects that hold others, made and not freed again, before Python looks for circles among them:
# a batch of 2,000 events makes as many, which live as long as it does. With Python's own 700, a
# sixth of a consumer's time and a tenth of a relay's went there.
_LOOK_EVERY = (50_000, 20, 50)


def look_less_often() -> None:
    """For a process that will work in batches; call it when everything is imported.

    What is there then stays for as long as the process does: it is never looked through again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_LOOK_EVERY)
