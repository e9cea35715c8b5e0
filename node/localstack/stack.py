"""The local stack as the rest of the code sees it: addresses, ports, keys and settings of nodes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from os import environ
from pathlib import Path
from typing import Any

from psycopg2.extensions import make_dsn

from cases.nodes import known_node
from node.localstack.folder import local_folder
from node.localstack.state import Ports, StackState, read_state
from node.runtime.errors import Fatal
from node.runtime.settings import ENV_PREFIX, Settings, load_settings


@dataclass(frozen=True)
class LocalStack:
    """A stack that is set up. Its repr shows no password."""

    folder: Path
    bootstrap_servers: str
    postgres_dsn: str = field(repr=False)
    ports: Mapping[str, Ports] = field(repr=False)

    @property
    def nodes(self) -> list[str]:
        """The codes of its nodes, the centre first."""
        return list(self.ports)

    @property
    def key_folder(self) -> Path:
        """The folder with the keys of its nodes."""
        return self.folder / "keys"

    def dsn(self, node: str) -> str:
        """Return the address of the node's own database, with the password."""
        self._of(node)
        return make_dsn(self.postgres_dsn, dbname=database_name(node))

    def http_port(self, node: str) -> int:
        """Return the port of the node's web service."""
        return self._of(node).http

    def metrics_port(self, node: str) -> int:
        """Return the port of the node's metrics."""
        return self._of(node).metrics

    def _of(self, node: str) -> Ports:
        known_node(node)
        if node not in self.ports:
            raise Fatal(
                f"node {node} is not in the local stack: run `petitionlink stack up --nodes {node}`"
            )
        return self.ports[node]


def database_name(node: str) -> str:
    """Return the name of a node's database in the stack's server."""
    return f"petitionlink_{node}"


def load() -> LocalStack | None:
    """Return the stack that `stack up` has set up, None if there is none or it was taken down.

    Reads one file, and asks no server.
    """
    folder = local_folder()
    return as_stack(folder, read_state(folder))


def as_stack(folder: Path, state: StackState) -> LocalStack | None:
    """Return the stack of a state, None if it is not up."""
    if not state.up or state.kafka is None or state.postgres is None:
        return None
    return LocalStack(folder, state.kafka.bootstrap_servers, state.postgres.dsn, state.nodes)


def stack_settings(node: str) -> Settings:
    """Return the settings of a node of the local stack: its addresses and keys, the rest as usual.

    Raises `Fatal` if there is no stack with this node, or if a setting in the environment is wrong.
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
