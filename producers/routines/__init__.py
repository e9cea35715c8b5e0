"""The routines 例行任务: what a node does by itself, without anybody's command.

`worker` (one process of a node at a time) carries `identifying` (with `sameness`), `timekeeping`,
`superviser` and `housekeeping`; `acting` is `handling` for many cases at once; `policy`, `due`,
`overdue` and `supervising` are the parts of routine supervision. Explained in docs/routines.md.
"""

from __future__ import annotations

from cases.nodes import NATIONAL
from node.runtime.settings import Settings
from node.runtime.supervisor import Worker
from producers.routines.expiry import Timekeeping
from producers.routines.identify_repeats import Identifying
from producers.routines.retention import Housekeeping
from producers.routines.supervision_routine import Supervising

__all__ = ["Housekeeping", "Identifying", "Supervising", "Timekeeping", "routines"]


def routines(settings: Settings) -> list[Worker]:
    """The routines of this node: time, clean-up; at the centre findings and supervision too."""
    everywhere: list[Worker] = [Timekeeping(settings), Housekeeping(settings)]
    if settings.node != NATIONAL:
        return everywhere
    return [*everywhere, Identifying(settings), Supervising(settings)]
