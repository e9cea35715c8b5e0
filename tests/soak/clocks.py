"""Clocks of the nodes, each of which a fault can set apart from the broker's.

Each process of the soak reads the offset of its node from a file (`support.clocks`). Only the wall
clock is changed: monotonic clocks go on as they are.
"""

import random
import time

from soak.world import World

# Minutes, hours, a day and years; both ways.
_OFFSETS_SECONDS = (-600, 600, -7_200, 7_200, 86_400, 2 * 365 * 86_400)


def jump(world: World, chance: random.Random) -> None:
    """Set the clock of one node's processes ahead or back, and later right again."""
    node = chance.choice(world.nodes)
    world.clocks.set(node, chance.choice(_OFFSETS_SECONDS))
    time.sleep(chance.uniform(3, 20))
    world.clocks.set(node, 0)
