"""Clocks 时限 D01–D16: which event starts, meets and ends which (docs/domain.md §3).

`starting` is asked once, by the node that makes the event; what it computed travels in the event
and nobody computes it again. `run_clocks` belongs to the fold: it only reads what events say.
"""

from __future__ import annotations

from cases.clocks.starts import Deadline, starting
from cases.clocks.transitions import run_clocks

__all__ = ["Deadline", "run_clocks", "starting"]
