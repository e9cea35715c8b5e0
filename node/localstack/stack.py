"""The local stack as the rest of the code sees it: addresses, ports and keys of its nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from psycopg2.extensions import make_dsn

from cases.nodes import known_node
from node.localstack.folder import local_folder
from node.localstack.state import Ports, State, read_state
from node.runtime.errors import Fatal


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
        """Where the keys of its nodes lie."""
        return self.folder / "keys"

    def dsn(self, node: str) -> str:
        """The address of the node's own database, with the password."""
        self._of(node)
        return make_dsn(self.postgres_dsn, dbname=database_name(node))

    def http_port(self, node: str) -> int:
        """Where the node's web service answers."""
        return self._of(node).http

    def metrics_port(self, node: str) -> int:
        """Where the node's metrics are read."""
        return self._of(node).metrics

    def _of(self, node: str) -> Ports:
        known_node(node)
        if node not in self.ports:
            raise Fatal(
                f"node {node} is not in the local stack: run `petitionlink stack up --nodes {node}`"
            )
        return self.ports[node]


def database_name(node: str) -> str:
    """The name of a node's database in the stack's server."""
    return f"petitionlink_{node}"


def load() -> LocalStack | None:
    """The stack that `stack up` has set up, None if there is none or it was taken down.

    Reads one file; whether the servers answer is not asked.
    """
    folder = local_folder()
    return as_stack(folder, read_state(folder))


def as_stack(folder: Path, state: State) -> LocalStack | None:
    """The outside view of a state."""
    if not state.up or state.kafka is None or state.postgres is None:
        return None
    return LocalStack(folder, state.kafka.bootstrap_servers, state.postgres.dsn, state.nodes)
