"""`petitionlink topics plan / apply`: bring the cluster in line with the declared topics 主题."""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from kafka import KafkaAdminClient
from rich.table import Table

from cases.nodes import NODES
from node import localstack
from node.entrypoints.cli.output import Format, FormatOption, print_data, say, table
from node.kafka import clients
from node.kafka.topics import apply as topics
from node.kafka.topics.apply import Action, Topic, TopicChange
from node.runtime.errors import Fatal

_SERVERS = "PETITIONLINK_KAFKA_BOOTSTRAP_SERVERS"
LocalOption = Annotated[
    bool,
    typer.Option("--local", help="Apply the [local] section 单机: for a cluster of one broker."),
]

app = typer.Typer(
    name="topics",
    no_args_is_help=True,
    help=f"Declared topics 主题 against the cluster that {_SERVERS} names, all 33 nodes; "
    "without it against the local stack and its nodes.",
)


@app.command("plan")
def plan(output: FormatOption = Format.table, local: LocalOption = False) -> None:
    """Show what `apply` would do 计划; changes nothing."""
    with _cluster(local) as (client, declared):
        changes = topics.plan(client, declared)
    say(_print(changes, output))


@app.command("apply")
def apply(output: FormatOption = Format.table, local: LocalOption = False) -> None:
    """Create and alter topics as declared 应用; unsafe changes are refused with exit code 1."""
    with _cluster(local) as (client, declared):
        changes = topics.plan(client, declared)
        topics.apply(client, declared, changes)
    say(f"applied: {_print(changes, output)}")


@contextmanager
def _cluster(local: bool) -> Iterator[tuple[KafkaAdminClient, list[Topic]]]:
    servers, nodes = os.environ.get(_SERVERS), list(NODES)
    stack = None if servers else localstack.load()
    if stack:
        servers, nodes = stack.bootstrap_servers, stack.nodes
    if not servers:
        raise Fatal(f"no cluster is named: set {_SERVERS}, or run `petitionlink stack up`")
    client = clients.admin(localstack.cluster_settings(servers))
    try:
        is_local = local or (stack is not None and topics.brokers(client) == 1)
        yield client, topics.declared_topics(nodes, local=is_local)
    finally:
        client.close()


def _print(changes: list[TopicChange], output: Format) -> str:
    """Print the changes and return a summary."""
    data = [
        {
            "topic": change.topic,
            "action": change.action.value,
            "differences": [each._asdict() for each in change.differences],
        }
        for change in changes
    ]
    print_data(data, output, lambda: _table(changes))
    counts = Counter(change.action for change in changes)
    return ", ".join(f"{counts[action]} {action.value}" for action in Action)


def _table(changes: list[TopicChange]) -> Table:
    rows: list[tuple[object, ...]] = []
    for change in changes:
        if not change.differences:
            rows.append((change.topic, change.action.value, "", "", "", ""))
        for each in change.differences:
            will = f"refused: {each.refusal}" if each.refusal else "is altered"
            cells = (each.setting, each.declared, each.actual, will)
            rows.append((change.topic, change.action.value, *cells))
    return table("Topics", ("topic", "action", "setting", "declared", "actual", "apply"), rows)
