"""Settings 设置 of a node of the local stack: its own addresses and keys, the rest as usual."""

from __future__ import annotations

from os import environ
from typing import Any

from cases.nodes import known_node
from node.localstack.stack import load
from node.runtime.errors import Fatal
from node.runtime.settings import ENV_PREFIX, Settings, load_settings


def stack_settings(node: str) -> Settings:
    """Return the settings of `node`, a node of the local stack.

    Raises `Fatal` with one line if there is no local stack, if the node is not part of it, or if
    another setting in the environment is wrong.
    """
    return load_settings(_values(node))


def _values(node: str) -> dict[str, Any]:
    known_node(node)
    stack = load()
    if stack is None:
        raise Fatal(
            f"--node {node} picks a node of the local stack and none is set up: "
            "run `petitionlink stack up`, or set PETITIONLINK_NODE and the other settings "
            "of deploy/petitionlink.env instead"
        )
    ports = {"http_port": stack.http_port(node), "metrics_port": stack.metrics_port(node)}
    return {
        "node": node,
        "postgres_dsn": stack.dsn(node),
        "kafka_bootstrap_servers": stack.bootstrap_servers,
        "key_folder": stack.key_folder,
        # Two processes of one node, e.g. relay and consume, need a port each.
        **{name: port for name, port in ports.items() if ENV_PREFIX + name.upper() not in environ},
    }
