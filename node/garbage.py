"""Looking for garbage 垃圾回收 less often.

A batch of some thousand events makes tens of thousands of objects that live as long as it does and
hold no cycles. With Python's usual thresholds, looking at them again and again took a sixth of a
consumer's time and a fifth of an import's.
"""

from __future__ import annotations

import gc

_THRESHOLDS = (20, 50)  # of the second and third look


def look_seldom(objects: int = 50_000) -> None:
    """What is loaded now stays for good; look when there are so many objects more."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(objects, *_THRESHOLDS)
