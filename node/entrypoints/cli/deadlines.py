"""`petitionlink deadlines`: duties that are overdue or soon due."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.table import Table

from cases.nodes import known_node
from node.entrypoints.cli.node_settings import NodeOption, node_database
from node.entrypoints.cli.output import Format, FormatOption, node_name, print_data, table
from node.queries.deadlines import (
    MAX_HOURS,
    MAX_PAGE,
    DeadlinePlace,
    deadline_counts,
    deadlines,
    due_within,
    overdue,
    place_of,
)
from schemas.errors import Invalid
from schemas.instants import CHINA

_SEPARATOR = " "

app = typer.Typer()


@app.command("deadlines")
def deadlines_command(
    late: Annotated[
        bool, typer.Option("--overdue", help="What is overdue 已逾期; so without --within.")
    ] = False,
    within: Annotated[
        int | None,
        typer.Option(min=1, max=MAX_HOURS, metavar="HOURS", help="What is due soon 即将到期."),
    ] = None,
    clock: Annotated[
        str | None, typer.Option(metavar="CLOCK", help="One clock 时限, e.g. D06.")
    ] = None,
    owner: Annotated[
        str | None, typer.Option(metavar="CODE", help="The node whose duty it is 责任节点.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=MAX_PAGE, help="Lines of a page.")] = 50,
    after: Annotated[
        str | None, typer.Option(help="The next page: what `next` of this one says.")
    ] = None,
    node: NodeOption = None,
    output: FormatOption = Format.table,
) -> None:
    """List and count the running duties 时限 that are overdue, or due within some hours."""
    if late and within is not None:
        raise typer.BadParameter("choose --overdue or --within HOURS, not both")
    owner = owner and known_node(owner).code
    now = datetime.now(UTC)
    span = due_within(now, within) if within is not None else overdue(now)
    with node_database(node, "deadlines") as (settings, connection):
        counts = deadline_counts(connection, span, clock=clock, owner=owner)
        place = _place(after) if after else None
        items = deadlines(connection, span, clock=clock, owner=owner, limit=limit, after=place)
    data = {
        "node": settings.node,
        "at": now.isoformat(),
        "overdue": within is None,
        "within_hours": within,
        "running": sum(row["running"] for row in counts),
        "counts": counts,
        "items": items,
        "next": _cursor(place_of(items[-1])) if len(items) == limit else None,
    }
    print_data(data, output, lambda: _tables(data))


def _cursor(place: DeadlinePlace) -> str:
    return _SEPARATOR.join((place.due_at.isoformat(), place.clock, place.event_id, place.case_id))


def _place(text: str) -> DeadlinePlace:
    try:
        due_at, clock, event_id, case_id = text.split(_SEPARATOR, 3)
        instant = datetime.fromisoformat(due_at)
        if instant.tzinfo is None:
            raise ValueError("an instant without a zone")
        return DeadlinePlace(instant, case_id, str(UUID(event_id)), clock)
    except ValueError:
        raise Invalid(f"--after {text!r}: take it from `next` of the page before") from None


def _tables(data: dict[str, Any]) -> Iterator[Table]:
    what = "overdue 已逾期" if data["overdue"] else f"due within {data['within_hours']} h 即将到期"
    counts = [(row["clock"], node_name(row["owner"]), row["running"]) for row in data["counts"]]
    title = f"{what}: {data['running']} duties at node {node_name(data['node'])}"
    yield table(title, ("clock 时限", "owner 责任节点", "running 件"), counts)
    rows = [
        (_due(row["due_at"]), row["clock"], node_name(row["owner"]), row["case_id"], row["state"],
         "暂定" if row["provisional"] else None)
        for row in data["items"]
    ]  # fmt: skip
    columns = ("due 到期(UTC+8)", "clock", "owner", "case", "state", "provisional")
    yield table("the longest due first", columns, rows)
    if data["next"]:
        yield Table(title=f"more: --after '{data['next']}'", title_justify="left")


def _due(instant: datetime) -> str:
    """Return the minute; the end of a day is 24:00 of that day, as people write it."""
    local = instant.astimezone(CHINA)
    if (local.hour, local.minute) == (0, 0):
        return f"{local - timedelta(days=1):%Y-%m-%d} 24:00"
    return f"{local:%Y-%m-%d %H:%M}"
