"""`stack up` and `stack down`: make, complete and end the whole stack."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import SecretStr

from cases.nodes import NATIONAL, NODES, known_node
from node.kafka.topic_names import own_topic
from node.keys.key_ring import make_local_keys
from node.localstack import postgres
from node.localstack.databases import make_databases
from node.localstack.folder import local_folder, locked
from node.localstack.ports import free_port
from node.localstack.services import (
    begin_broker,
    bring_up_postgres,
    end_services,
    finish_broker,
    with_outside,
    without_outside,
)
from node.localstack.stack import LocalStack, as_stack
from node.localstack.state import FILE_NAME, Ports, StackState, read_state, write_state
from node.postgres.connection import connected
from node.runtime.settings import Settings
from node.store import command_gate

Say = Callable[[str], None]

DEFAULT_NODES = ("000000", "110000", "370000", "660000")
# Removed by `down --purge`; the jars in kafka/libs stay, as they belong to `make setup`.
_PURGED = ("kafka/data", "kafka/server.properties", "keys", "logs", FILE_NAME)
_PURGED_LOGS = ("broker.log*", "broker.out", "java_error.log")


def up(nodes: Sequence[str] | None, say: Say) -> LocalStack:
    """Bring the stack up with at least these nodes; healthy parts are left as they are.

    Without `nodes` it has those of before, or DEFAULT_NODES; the centre always belongs to it. `say`
    gets a line for each step that changes something. Two processes may call it at once. Raises
    `PetitionLinkError` if a part is missing, taken or does not start.
    """
    wanted = [known_node(node).code for node in nodes or ()]
    folder = local_folder()
    with locked(folder, say):
        state = _with_nodes(with_outside(read_state(folder)), wanted)
        state = begin_broker(folder, state, say)
        state = bring_up_postgres(folder, state, say)
        state = state.model_copy(update={"up": True})
        _prepare_databases(_stack(folder, state), say)
        # Meanwhile databases and keys were made.
        state = finish_broker(folder, state, say)
        write_state(folder, state)
        stack = _stack(folder, state)
        _apply_topics(stack, say)
    return stack


def down(say: Say, *, purge: bool = False) -> None:
    """End what `up` started; `purge` also removes data, keys and settings.

    Databases and topics in outside services stay.
    """
    folder = local_folder()
    if not folder.exists():
        say("there is no local stack")
        return
    with locked(folder, say):
        state = read_state(folder)
        end_services(folder, state, say)
        if purge:
            _purge(folder, state, say)
        elif state != StackState():
            write_state(folder, without_outside(state.model_copy(update={"up": False})))


def _stack(folder: Path, state: StackState) -> LocalStack:
    stack = as_stack(folder, state)
    assert stack
    return stack


def _with_nodes(state: StackState, wanted: Sequence[str]) -> StackState:
    chosen = {NATIONAL, *state.nodes, *(wanted or (() if state.nodes else DEFAULT_NODES))}
    nodes, taken = dict(state.nodes), state.ports()
    for node in sorted(chosen - nodes.keys()):
        http = free_port(taken)
        metrics = free_port(taken | {http})
        taken |= {http, metrics}
        nodes[node] = Ports(http=http, metrics=metrics)
    ordered = {node: nodes[node] for node in NODES if node in nodes}
    return state.model_copy(update={"nodes": ordered})


def _prepare_databases(stack: LocalStack, say: Say) -> None:
    changed = make_databases(stack)
    if changed:
        say(f"databases made or migrated: {', '.join(changed)}")
    make_local_keys(stack.key_folder, stack.nodes)


def cluster_settings(bootstrap_servers: str) -> Settings:
    """Return settings that are enough to look at a cluster, and for nothing else."""
    # The environment is not read, as it may hold a node's own settings.
    return Settings.model_construct(
        node=NATIONAL, postgres_dsn=SecretStr(""), kafka_bootstrap_servers=bootstrap_servers
    )


def _apply_topics(stack: LocalStack, say: Say) -> None:
    # Loading Kafka's client takes a tenth of a second, which most users of this module do not need.
    from node.kafka import clients
    from node.kafka.topics import apply as topics

    client = clients.admin(cluster_settings(stack.bootstrap_servers))
    try:
        local = topics.brokers(client) == 1
        declared = topics.declared_topics(stack.nodes, local=local)
        changes = topics.plan(client, declared)
        topics.apply(client, declared, changes)
    finally:
        client.close()
    changing = (topics.Action.CREATE, topics.Action.DIFFERS)
    count = sum(each.action in changing for each in changes)
    if count:
        say(f"topics made or altered: {count}")
    created = {each.topic for each in changes if each.action is topics.Action.CREATE}
    _open_gates(stack, [node for node in stack.nodes if own_topic(node) in created])


def _open_gates(stack: LocalStack, nodes: Sequence[str]) -> None:
    """Confirm that these databases lack nothing: the own topics of the nodes are new."""
    for dsn in map(stack.dsn, nodes):
        with connected(dsn, "stack") as connection, connection, connection.cursor() as cursor:
            command_gate.confirm(cursor)


def _purge(folder: Path, state: StackState, say: Say) -> None:
    paths = [folder / name for name in _PURGED]
    paths += [path for pattern in _PURGED_LOGS for path in (folder / "kafka").glob(pattern)]
    if not (state.postgres and state.postgres.outside):
        paths += postgres.homes(folder, state.postgres)
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    say("data, keys and settings of the stack removed")
