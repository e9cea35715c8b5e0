"""The routines 例行任务, which a node does without a command (docs/routines.md)."""

from cases.nodes import NATIONAL
from node.runtime.settings import Settings
from node.runtime.supervisor import Worker
from producers.routines.expiry import Timekeeping
from producers.routines.identify_repeats import Identifying
from producers.routines.retention import Housekeeping
from producers.routines.supervision_routine import Supervising


def routines(settings: Settings) -> list[Worker]:
    """Return the routines of this node: time, clean-up; at the centre findings and supervision."""
    everywhere: list[Worker] = [Timekeeping(settings), Housekeeping(settings)]
    if settings.node != NATIONAL:
        return everywhere
    return [*everywhere, Identifying(settings), Supervising(settings)]
