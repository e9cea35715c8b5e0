"""`stack status`: ask the parts of the stack whether they are up."""

from pathlib import Path
from typing import NamedTuple

from psycopg2.extensions import parse_dsn

from node.localstack import broker, postgres
from node.localstack.databases import existing_nodes
from node.localstack.folder import local_folder
from node.localstack.ports import HOST, any_kafka_answers, listens
from node.localstack.stack import LocalStack, as_stack, database_name
from node.localstack.state import Kafka, Postgres, StackState, read_state
from node.runtime.errors import PetitionLinkError

BROKER, POSTGRES = "broker", "Postgres"


class ServerPart(NamedTuple):
    """A server of the stack; `pid` is None if it is an outside one or down."""

    name: str
    address: str
    outside: bool
    up: bool
    pid: int | None
    place: str


class NodePart(NamedTuple):
    """A node of the stack: its database, its ports, and whether its process answers there."""

    node: str
    database: str
    database_up: bool
    http_port: int
    metrics_port: int
    running: bool


class StackHealth(NamedTuple):
    """The whole stack. Nodes need not run: `petitionlink run` starts them."""

    folder: str
    servers: list[ServerPart]
    nodes: list[NodePart]

    @property
    def down(self) -> list[str]:
        """The names of what should be up and is not; databases only if their server is up."""
        names = [part.name for part in self.servers if not part.up]
        if any(part.up for part in self.servers if part.name == POSTGRES):
            names += [f"database {node.database}" for node in self.nodes if not node.database_up]
        return names


def health() -> StackHealth:
    """Look at every part now; a stack that was never set up has none."""
    folder = local_folder()
    state = read_state(folder)
    stack = as_stack(folder, state)
    present = _databases(stack)
    servers = [_broker(folder, state.kafka)] if state.kafka else []
    servers += [_postgres(state.postgres, answers=present is not None)] if state.postgres else []
    return StackHealth(str(folder), servers, _nodes(state, present or set()))


def _broker(folder: Path, kafka: Kafka) -> ServerPart:
    pid = None if kafka.outside else broker.find(folder)
    up = any_kafka_answers(kafka.bootstrap_servers) and (kafka.outside or pid is not None)
    place = "" if kafka.outside else str(folder / "kafka" / "data")
    return ServerPart(BROKER, kafka.bootstrap_servers, kafka.outside, up, pid, place)


def _postgres(known: Postgres, *, answers: bool) -> ServerPart:
    pid = None if known.outside else postgres.find(Path(known.folder))
    parts = parse_dsn(known.dsn)
    address = f"{parts.get('host', 'localhost')}:{parts.get('port', '5432')}"
    up = answers and (known.outside or pid is not None)
    return ServerPart(POSTGRES, address, known.outside, up, pid, known.folder)


def _databases(stack: LocalStack | None) -> set[str] | None:
    """Return the nodes whose database exists; None if the server does not answer."""
    if stack is None:
        return None
    try:
        return existing_nodes(stack)
    except PetitionLinkError:
        return None


def _nodes(state: StackState, present: set[str]) -> list[NodePart]:
    return [
        NodePart(
            node, database_name(node), node in present, ports.http, ports.metrics,
            listens(HOST, ports.http) or listens(HOST, ports.metrics),
        )
        for node, ports in state.nodes.items()
    ]  # fmt: skip
