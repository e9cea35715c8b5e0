"""`petitionlink indicators`, `rising` and `overview`: figures about the cases."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from node.entrypoints.cli.node_settings import NodeOption, node_database
from node.entrypoints.cli.output import FROM_DAY, TO_DAY, Format, FormatOption, print_data, table
from node.queries.figures.indicators import indicators
from node.queries.figures.overview import overview
from node.queries.figures.periods import today
from node.queries.figures.ratios import BASES, RATIOS
from node.queries.figures.rising import KEYS, rising
from schemas.instants import CHINA

_NOT_APPLICABLE: Final = "n/a"
# This many columns of percentages fit on a usual screen.
_COLUMNS: Final = 4

app = typer.Typer()


@app.command("indicators")
def indicators_command(
    first: Annotated[datetime, FROM_DAY],
    last: Annotated[datetime, TO_DAY],
    by_date: Annotated[
        str, typer.Option(help=f"The date of the online share 网信占比: {', '.join(BASES)}.")
    ] = "registration",
    node: NodeOption = None,
    output: FormatOption = Format.table,
) -> None:
    """Show indicators 指标 by node and in total; "n/a" if there was nothing to count.

    Days are those of China; the first and the last are included.
    """
    _choice("--by-date", by_date, BASES)
    with node_database(node, "indicators") as (settings, connection):
        figures = indicators(connection, first.date(), last.date(), by_date=by_date)
    data = {"node": settings.node, **figures}
    print_data(data, output, lambda: _indicator_tables(data))


@app.command("rising")
def rising_command(
    days: Annotated[int, typer.Option(min=1, max=366, help="How many days 天数.")] = 30,
    by: Annotated[
        str, typer.Option(help=f"What makes a matter 统计口径: {', '.join(KEYS)}.")
    ] = "category",
    last: Annotated[datetime | None, TO_DAY] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The most lines.")] = 50,
    node: NodeOption = None,
    output: FormatOption = Format.table,
) -> None:
    """Compare the matters raised lately 近期反映 with as many days before, rising ones first."""
    _choice("--by", by, KEYS)
    with node_database(node, "rising") as (settings, connection):
        until = last.date() if last else today()
        figures = rising(connection, until, days, by, limit=limit)
    data = {"node": settings.node, **figures}
    print_data(data, output, lambda: _rising_tables(data))


@app.command("overview")
def overview_command(
    first: Annotated[datetime | None, FROM_DAY] = None,
    last: Annotated[datetime | None, TO_DAY] = None,
    node: NodeOption = None,
    output: FormatOption = Format.table,
) -> None:
    """Show facts of the interconnect 概况: connected nodes, online shares, landing, open problems.

    They are over all time, or over the days given.
    """
    with node_database(node, "overview") as (settings, connection):
        figures = overview(connection, first and first.date(), last and last.date())
    data = {"node": settings.node, **figures}
    print_data(data, output, lambda: _overview_tables(data))


def _choice(option: str, value: str, among: dict[str, str]) -> None:
    if value not in among:
        raise typer.BadParameter(f"{option} {value}: choose from {', '.join(among)}")


def _percent(share: dict[str, Any]) -> str:
    return _NOT_APPLICABLE if share["value"] is None else f"{100 * share['value']:.1f} %"


def _indicator_tables(data: dict[str, Any]) -> Iterator[Table]:
    total = data["total"]
    rows = [
        (f"{ratio.chinese} {ratio.english}", total[name]["numerator"], total[name]["denominator"],
         _percent(total[name]))
        for name, ratio in RATIOS.items()
    ]  # fmt: skip
    title = f"indicators 指标 {data['from']} – {data['to']}"
    yield table(title, ("", "numerator", "denominator", "value"), rows)
    parts = total["on_time_reply"]["parts"]
    yield table("on-time reply 按期办结", [*parts], [[*parts.values()]])
    yield _volumes(data)
    names = [*RATIOS]
    for start in range(0, len(names), _COLUMNS):
        yield _by_node(data, names[start : start + _COLUMNS])


def _volumes(data: dict[str, Any]) -> Table:
    columns = ["node"]
    for basis, chinese in BASES.items():
        columns += [f"{basis} {chinese} 件次", "人次"]
    everyone = [{"node": "total", "name": "合计", **data["total"]}]
    units = [(basis, unit) for basis in BASES for unit in ("cases", "persons")]
    rows = [
        [_node(row), *(row["volumes"][basis][unit] for basis, unit in units)]
        for row in [*data["nodes"], *everyone]
    ]
    return table("volumes 数量", columns, rows)


def _by_node(data: dict[str, Any], names: list[str]) -> Table:
    columns = ["node", *(RATIOS[name].chinese for name in names)]
    rows = [[_node(row), *(_percent(row[name]) for name in names)] for row in data["nodes"]]
    return table("by node 分节点", columns, rows)


def _rising_tables(data: dict[str, Any]) -> Iterator[Table]:
    now, before = data["current"], data["previous"]
    rows = [
        (" / ".join(part or "未填" for part in item["key"]), item["current"], item["previous"],
         f"{item['difference']:+d}", "new 新增" if item["new"] else f"× {item['ratio']:.2f}")
        for item in data["items"]
    ]  # fmt: skip
    title = f"rising 上升 by {data['by']}: {now['cases']} cases against {before['cases']}"
    current, previous = (f"{period['from']} – {period['to']}" for period in (now, before))
    yield table(title, (data["by"], current, previous, "more 增减", ""), rows)
    if data["keys"] > len(rows):
        yield Table(title=f"{data['keys'] - len(rows)} more: --limit", title_justify="left")


def _overview_tables(data: dict[str, Any]) -> Iterator[Table]:
    online, joined = data["online"], data["connected"]
    landed, care = data["landed_within_one_working_day"], data["attention"]
    unhandled = ", ".join(f"{state} {count}" for state, count in care["unhandled"].items())
    missing = ", ".join(joined["not_connected"])
    facts = [
        ("online share 网信占比", f"{_percent(online)} of {online['denominator']}"),
        ("provinces over half 过半省份", f"{online['provinces_over_half']} of {online['of']}"),
        ("connected nodes 已联网", f"{joined['connected']} of {joined['of']}"),
        ("not connected 未联网", missing or "none"),
        ("landed within 1 working day 及时落地", f"{landed['numerator']} of "
         f"{landed['denominator']}: {_percent(landed)}"),
        ("nobody responsible 无承办", unhandled or "none"),
        ("in conflict 冲突", care["in_conflict"]),
        ("incomplete 缺失", care["incomplete"]),
    ]  # fmt: skip
    yield table("overview 概况", ("", ""), facts)
    landings, shares, since = (
        {row["node"]: row for row in part["nodes"]} for part in (landed, online, joined)
    )
    rows = [
        (_node(row), _since(since.get(code)), _share(shares, code), _share(landings, code))
        for code, row in sorted({**since, **landings, **shares}.items())
    ]
    yield table("nodes 节点", ("node", "connected since 联网", "online 网信", "landed 落地"), rows)


def _share(shares: dict[str, Any], code: str) -> str:
    return _percent(shares[code]) if code in shares else _NOT_APPLICABLE


def _since(row: dict[str, Any] | None) -> str | None:
    since = row and row["connected_since"]
    return since.astimezone(CHINA).strftime("%Y-%m-%d %H:%M") if since else None


def _node(row: dict[str, Any]) -> str:
    return f"{row['node']} {row['name']}" if row["node"] else "nobody 无"
