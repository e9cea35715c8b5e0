"""`petitionlink stack up / down / status`: the local stack 本地环境."""

from typing import Annotated

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

app = typer.Typer(
    name="stack", no_args_is_help=True, help="The local stack 本地环境: Kafka and Postgres."
)


@app.command("up")
def up(nodes: NodesOption = None) -> None:
    """Start the stack 启动, or complete what is there; running it again changes nothing."""
    stack = localstack.up(_codes(nodes), say)
    say(f"the stack is up: broker {stack.bootstrap_servers}, nodes {', '.join(stack.nodes)}")


@app.command("down")
def down(purge: PurgeOption = False) -> None:
    """Stop what `up` started 停止; the data stay unless --purge is given."""
    localstack.down(say, purge=purge)


@app.command("status")
def status(output: FormatOption = Format.table) -> None:
    """Show what is up 状态; exit code 1 if a part is not."""
    health = localstack.health()
    data = {
        "folder": health.folder,
        "up": bool(health.servers) and not health.down,
        "servers": [part._asdict() for part in health.servers],
        "nodes": [part._asdict() for part in health.nodes],
    }
    if health.servers or output is Format.json:
        print_data(data, output, lambda: _tables(health))
    if not health.servers:
        raise Fatal("there is no local stack: run `petitionlink stack up`")
    if health.down:
        raise Fatal(f"not up: {', '.join(health.down)}: run `petitionlink stack up`")


def _codes(nodes: str | None) -> list[str] | None:
    if nodes is None:
        return None
    if nodes == "all":
        return list(NODES)
    return [code.strip() for code in nodes.split(",") if code.strip()]


def _tables(health: localstack.StackHealth) -> list[Table]:
    servers = [
        (part.name, part.address, "outside" if part.outside else part.pid, _word(part.up),
         part.place)
        for part in health.servers
    ]  # fmt: skip
    nodes = [
        (part.node, NODES[part.node].english, part.database, _word(part.database_up),
         part.http_port, part.metrics_port, "yes" if part.running else "no")
        for part in health.nodes
    ]  # fmt: skip
    return [
        table(f"Stack in {health.folder}", ("server", "address", "process", "", "data"), servers),
        table("Nodes", ("node", "name", "database", "", "HTTP", "metrics", "running"), nodes),
    ]


def _word(is_up: bool) -> str:
    return "up" if is_up else "DOWN"
