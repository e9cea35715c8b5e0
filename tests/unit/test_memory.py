"""Memory that a burst took is given back to the system."""

import gc
import os
import weakref
from pathlib import Path

from node.runtime.memory import collect_seldom, give_back

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_ROW_BYTES = 900
_ROWS = 150_000


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES


def test_pages_among_what_is_still_in_use_are_given_back() -> None:
    """Seen failing with `give_back` doing nothing: one row kept in a hundred holds all pages."""
    rows = [bytes(_ROW_BYTES) for _ in range(_ROWS)]
    kept = rows[::100]
    burst = resident()
    del rows
    before = resident()
    assert burst - before < _ROWS * _ROW_BYTES / 2  # freed, and yet there
    assert give_back()
    assert before - resident() > _ROWS * _ROW_BYTES / 2
    assert len(kept) == _ROWS // 100


def test_circles_are_still_found_and_what_was_there_is_left_alone() -> None:
    """Seen failing with `gc.disable()` instead: a long-lived process would keep every circle."""
    before = gc.get_threshold()
    try:
        collect_seldom()
        assert gc.get_freeze_count() > 0
        circle: list[object] = []
        circle.append(circle)
        gone = weakref.ref(_Held(circle), lambda _: found.append(True))
        found: list[bool] = []
        del circle
        many = [[number] for number in range(100_000)]
        assert found
        assert gone() is None
        assert len(many) == 100_000
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)


class _Held:
    """Lives as long as the circle that it puts itself into."""

    def __init__(self, circle: list[object]) -> None:
        circle.append(self)
