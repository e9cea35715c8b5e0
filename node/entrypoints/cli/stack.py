"""`petitionlink stack up / down / status`: the local stack 本地环境."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table

from cases.nodes import NODES
from node import localstack
from node.entrypoints.cli.output import Format, FormatOption, print_data, say, table
from node.runtime.errors import Fatal

NodesOption = Annotated[
    str | None,
    typer.Option(
        "--nodes",
        metavar="CODES|all",
        help="Nodes it shall have 节点, comma-separated; by default those it has, "
        f"or {','.join(localstack.DEFAULT_NODES)}.",
    ),
]
PurgeOption = Annotated[
    bool, typer.Option("--purge", help="Also remove its data, keys and settings 清除数据.")
]


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(no_args_is_help=True, help="The local stack 本地环境: Kafka and Postgres.")
    group.command("up")(up)
    group.command("down")(down)
    group.command("status")(status)
    app.add_typer(group, name="stack")


def up(nodes: NodesOption = None) -> None:
    """Start the stack 启动, or complete what is there; running it again changes nothing."""
    stack = localstack.up(_codes(nodes), say)
    say(f"the stack is up: broker {stack.bootstrap_servers}, nodes {', '.join(stack.nodes)}")


def down(purge: PurgeOption = False) -> None:
    """Stop what `up` started 停止; the data stay unless --purge is given."""
    localstack.down(say, purge=purge)


def status(output: FormatOption = Format.table) -> None:
    """Show what is up 状态; exit code 1 if a part is not."""
    found = localstack.health()
    if found.servers or output is Format.json:
        print_data(_as_data(found), output, lambda: _tables(found))
    if not found.servers:
        raise Fatal("there is no local stack: run `petitionlink stack up`")
    if found.down:
        raise Fatal(f"not up: {', '.join(found.down)}: run `petitionlink stack up`")


def _codes(nodes: str | None) -> list[str] | None:
    if nodes is None:
        return None
    if nodes == "all":
        return list(NODES)
    return [code.strip() for code in nodes.split(",") if code.strip()]


def _as_data(found: localstack.Health) -> dict[str, Any]:
    return {
        "folder": found.folder,
        "up": bool(found.servers) and not found.down,
        "servers": [part._asdict() for part in found.servers],
        "nodes": [part._asdict() for part in found.nodes],
    }


def _tables(found: localstack.Health) -> list[Table]:
    servers = [
        (
            part.name,
            part.address,
            "outside" if part.outside else part.pid,
            _word(part.up),
            part.place,
        )
        for part in found.servers
    ]
    nodes = [
        (
            part.node,
            NODES[part.node].english,
            part.database,
            _word(part.database_up),
            part.http_port,
            part.metrics_port,
            "yes" if part.running else "no",
        )
        for part in found.nodes
    ]
    return [
        table(f"Stack in {found.folder}", ("server", "address", "process", "", "data"), servers),
        table("Nodes", ("node", "name", "database", "", "HTTP", "metrics", "running"), nodes),
    ]


def _word(is_up: bool) -> str:
    return "up" if is_up else "DOWN"
