"""`petitionlink demo`: cases live a whole life across four nodes of the local stack."""

import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import track

from cases.nodes import NATIONAL, NODES
from node import localstack
from node.enquiry_access import query_codes
from node.entrypoints.cli.demo_cases import Route, is_open, live, open_desks
from node.entrypoints.cli.demo_figures import DemoFigures, read_figures
from node.entrypoints.cli.node_processes import running_nodes
from node.entrypoints.cli.node_settings import settings_for
from node.entrypoints.cli.output import err, out, say, table
from node.keys.office import open_office
from node.localstack import LocalStack
from node.postgres.connection import connected
from node.runtime.errors import PetitionLinkError
from producers.register import Rejected, load_mapping, read_register
from producers.register_import.import_rows import ImportTotals, import_rows

DEMO_NODES = (NATIONAL, "110000", "370000", "660000")
# The beginnings of numbers that tell which rows of the one register belong to which province.
_NUMBERS = {"110000": "示例京", "370000": "示例鲁", "660000": "示例兵"}
_REGISTER = Path(__file__).parents[3] / "deploy" / "demo" / "register.csv"
_QUIET_SECONDS = 60
_ROUTES = (
    Route("110000", "370000", "跨省欠薪问题"),
    Route("370000", "110000", "老旧小区供暖问题"),
    Route("660000", "370000", "团场水费问题"),
    Route("110000", "660000", "兵团退休待遇问题"),
)

app = typer.Typer()


@app.command("demo")
def demo_command(
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the stack and nodes running.")
    ] = False,
    lives: Annotated[
        int, typer.Option(min=1, max=10000, help="Cases that live a whole life.")
    ] = 40,
) -> None:
    """Run four nodes on real Kafka and Postgres, move cases between them, and print figures."""
    was_up = localstack.load() is not None
    say("1/5 the local stack: Kafka, Postgres, a database per node")
    stack = localstack.up(DEMO_NODES, _indented)
    try:
        reconciled = _show(stack, lives, keep=keep)
    finally:
        if not keep and not was_up:
            say("stopping what was started")
            localstack.down(_indented)
    if not reconciled:
        raise PetitionLinkError("the nodes do not hold the same: see the table above")


def _show(stack: LocalStack, lives: int, *, keep: bool) -> bool:
    say("2/5 four nodes, a process each: " + ", ".join(NODES[code].chinese for code in DEMO_NODES))
    with running_nodes(stack, DEMO_NODES, keep=keep):
        say(f"3/5 a case register at each province: {_REGISTER.name}, invented")
        for code in DEMO_NODES[1:]:
            say(f"    {NODES[code].chinese}: {_import(code)}")
        since = time.time()
        say(f"4/5 {lives} cases live: assigned, objected to, extended, reviewed, evaluated")
        with open_desks(stack) as desks:
            for number in track(range(lives), "    cases", console=err, transient=True):
                route = _ROUTES[number % len(_ROUTES)]
                last = live(desks, route, number)
                if is_open(number) or number == 0:
                    shown = (route.registered_at, last)
        say("5/5 waiting until every outbox is empty and every lag is 0")
        rows = _await_quiet(stack, since)
        _print(stack, rows, keep=keep)
        if keep:
            _invite(stack, *shown)
    return all(row.reconciled for row in rows)


def _invite(stack: LocalStack, node: str, case_id: str) -> None:
    """Print a case and its query code, so that the reader can act as its petitioner."""
    dsn = stack.dsn(node)
    with connected(dsn, "demo") as connection, connection, connection.cursor() as cursor:
        code = query_codes.issue(cursor, case_id, "demo")
    web = f"http://127.0.0.1:{stack.http_port(node)}"
    say(f"enquire and evaluate at {web}/enquiry: case {case_id}, query code {code}")


def _addresses(stack: LocalStack, node: str) -> list[tuple[str, str, str]]:
    name, web = NODES[node].chinese, f"http://127.0.0.1:{stack.http_port(node)}"
    return [
        (name, "staff 监控", f"{web}/monitor"),
        (name, "citizens 查询", f"{web}/enquiry"),
        (name, "Prometheus", f"http://127.0.0.1:{stack.metrics_port(node)}/metrics"),
    ]


def _indented(text: str) -> None:
    say(f"    {text}")


def _import(code: str) -> str:
    settings = settings_for(code)
    totals = ImportTotals()
    register = read_register(_REGISTER, load_mapping("register"))
    with closing(register), connected(settings.dsn, "demo-import") as connection:
        own = (
            row
            for row in register
            if isinstance(row, Rejected) or row.origin_number.startswith(_NUMBERS[code])
        )
        for chunk in import_rows(connection, open_office(settings), own):
            totals.add(chunk.totals)
    return (
        f"read {totals.read}, registered {totals.registered}, duplicates {totals.duplicates}, "
        f"rejected {totals.rejected}, events {totals.events}"
    )


def _await_quiet(stack: LocalStack, since: float) -> list[DemoFigures]:
    deadline = time.monotonic() + _QUIET_SECONDS
    while True:
        rows = [read_figures(stack, code, since) for code in DEMO_NODES]
        if all(row.is_quiet for row in rows):
            return rows
        if time.monotonic() > deadline:
            raise PetitionLinkError("the nodes did not come to rest: see .local/logs/")
        time.sleep(0.1)


def _print(stack: LocalStack, rows: Sequence[DemoFigures], *, keep: bool) -> None:
    columns = ("node", "cases", "events", "pending", "lag", "p50 ms", "p99 ms", "reconciled")
    out.print(table("PetitionLink 信访互联: four nodes", columns, [row.cells() for row in rows]))
    say(
        "p50 and p99: events of the lives above, from recording at the source to applying here, "
        "one at a time"
    )
    addresses = [line for code in DEMO_NODES for line in _addresses(stack, code)]
    out.print(table("addresses", ("node", "for", "address"), addresses))
    if not keep:
        say("they answer while the nodes run: make demo KEEP=1 leaves them running")
    else:
        say("look around:  petitionlink status --node 000000;  petitionlink stack down ends it")
