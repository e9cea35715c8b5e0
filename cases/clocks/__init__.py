"""The clocks 时限 D01–D16, and the events that start, meet and end them (docs/domain.md §3).

The node that makes an event calls `starting` once; the deadlines travel in the event and are never
computed again. The fold calls `run_clocks`, which only reads what events say.
"""

from cases.clocks.starts import Deadline, starting
from cases.clocks.transitions import run_clocks

__all__ = ["Deadline", "run_clocks", "starting"]
