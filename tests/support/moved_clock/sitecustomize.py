"""Sets the wall clock of a Python process ahead or back while it runs, as `support.clocks` says.

Python imports this module by its name at start if its folder stands on PYTHONPATH. Monotonic
clocks go on as they are, as they do when an administrator sets the time.
"""

import os
import time

_FILE = os.environ["MOVED_CLOCK_FILE"]
# The file is read again at most this often.
_READ_SECONDS = 0.5
_true_time, _true_time_ns, _monotonic = time.time, time.time_ns, time.monotonic
_state = {"seconds": 0, "read_at": float("-inf")}


def _offset() -> int:
    now = _monotonic()
    if now - _state["read_at"] > _READ_SECONDS:
        with open(_FILE) as file:
            _state["seconds"] = int(file.read())
        _state["read_at"] = now
    return int(_state["seconds"])


time.time = lambda: _true_time() + _offset()
time.time_ns = lambda: _true_time_ns() + _offset() * 1_000_000_000
