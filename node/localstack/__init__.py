"""The local stack 本地环境: a real broker, a real Postgres and the nodes' databases and keys.

`load` finds it, `up` makes or completes it, `down` ends it, `health` looks at it.
"""

from node.localstack.health import StackHealth, health
from node.localstack.stack import LocalStack, load
from node.localstack.updown import DEFAULT_NODES, cluster_settings, down, up

__all__ = [
    "DEFAULT_NODES",
    "LocalStack",
    "StackHealth",
    "cluster_settings",
    "down",
    "health",
    "load",
    "up",
]
