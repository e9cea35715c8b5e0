"""How figures look on the screen 指标表: percent, and an explicit "n/a" for nothing to count."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from rich.table import Table

from node.entrypoints.cli.output import table
from node.queries.figures.ratios import BASES, RATIOS
from schemas.instants import CHINA

NOT_APPLICABLE: Final = "n/a"
# So many columns of percentages stand beside one another on a usual screen.
_COLUMNS = 4


def percent(share: dict[str, Any]) -> str:
    """A share as people read it."""
    return NOT_APPLICABLE if share["value"] is None else f"{100 * share['value']:.1f} %"


def indicator_tables(data: dict[str, Any]) -> Iterator[Table]:
    """Totals with their counts, volumes, then each node's percentages."""
    total = data["total"]
    rows = [
        (f"{ratio.chinese} {ratio.english}", total[name]["numerator"], total[name]["denominator"],
         percent(total[name]))
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
    rows = []
    for one in [*data["nodes"], *everyone]:
        volumes = one["volumes"]
        counts = [volumes[basis][unit] for basis in BASES for unit in ("cases", "persons")]
        rows.append([_node(one), *counts])
    return table("volumes 数量", columns, rows)


def _by_node(data: dict[str, Any], names: list[str]) -> Table:
    columns = ["node", *(RATIOS[name].chinese for name in names)]
    rows = [[_node(one), *(percent(one[name]) for name in names)] for one in data["nodes"]]
    return table("by node 分节点", columns, rows)


def rising_tables(data: dict[str, Any]) -> Iterator[Table]:
    """One line a matter, the steepest rise first."""
    now, before = data["current"], data["previous"]
    rows = [
        (" / ".join(part or "未填" for part in item["key"]), item["current"], item["previous"],
         f"{item['difference']:+d}", "new 新增" if item["new"] else f"× {item['ratio']:.2f}")
        for item in data["items"]
    ]  # fmt: skip
    title = f"rising 上升 by {data['by']}: {now['cases']} cases against {before['cases']}"
    current, previous = (f"{one['from']} – {one['to']}" for one in (now, before))
    yield table(title, (data["by"], current, previous, "more 增减", ""), rows)
    if data["keys"] > len(rows):
        yield Table(title=f"{data['keys'] - len(rows)} more: --limit", title_justify="left")


def facts_tables(data: dict[str, Any]) -> Iterator[Table]:
    """The facts in one table, the shares of the nodes in another."""
    online, joined = data["online"], data["connected"]
    landed, care = data["landed_within_one_working_day"], data["attention"]
    unhandled = ", ".join(f"{state} {count}" for state, count in care["unhandled"].items())
    missing = ", ".join(joined["not_connected"])
    facts = [
        ("online share 网信占比", f"{percent(online)} of {online['denominator']}"),
        ("provinces over half 过半省份", f"{online['provinces_over_half']} of {online['of']}"),
        ("connected nodes 已联网", f"{joined['connected']} of {joined['of']}"),
        ("not connected 未联网", missing or "none"),
        ("landed within 1 working day 及时落地", f"{landed['numerator']} of "
         f"{landed['denominator']}: {percent(landed)}"),
        ("nobody responsible 无承办", unhandled or "none"),
        ("in conflict 冲突", care["in_conflict"]),
        ("incomplete 缺失", care["incomplete"]),
    ]  # fmt: skip
    yield table("overview 概况", ("", ""), facts)
    landings = {one["node"]: one for one in landed["nodes"]}
    shares = {one["node"]: one for one in online["nodes"]}
    since = {one["node"]: one for one in joined["nodes"]}
    rows = [
        (_node(one), _since(since.get(code)), _share(shares, code), _share(landings, code))
        for code, one in sorted({**since, **landings, **shares}.items())
    ]
    yield table("nodes 节点", ("node", "connected since 联网", "online 网信", "landed 落地"), rows)


def _share(shares: dict[str, Any], code: str) -> str:
    return percent(shares[code]) if code in shares else NOT_APPLICABLE


def _since(one: dict[str, Any] | None) -> str | None:
    since = one and one["connected_since"]
    return since.astimezone(CHINA).strftime("%Y-%m-%d %H:%M") if since else None


def _node(one: dict[str, Any]) -> str:
    return f"{one['node']} {one['name']}" if one["node"] else "nobody 无"
