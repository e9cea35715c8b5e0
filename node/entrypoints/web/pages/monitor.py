"""/monitor 运行监控, for staff and the centre: flows, deadlines, indicators, rising matters.

The centre sees the whole star, a province its own part. The page is answered within a second; while
Kafka is away it says so.
"""

from datetime import UTC, datetime
from typing import Any, Final

from fastapi import APIRouter, Depends
from starlette.responses import HTMLResponse

from cases.nodes import NATIONAL, NODES
from consumers import stopped_partitions
from node.entrypoints.web.access import staff
from node.entrypoints.web.pages import star_diagram
from node.entrypoints.web.pages.dashboard import (
    RISING_BY,
    RISING_DAYS,
    SOON_HOURS,
    Dashboard,
    clock_names,
)
from node.entrypoints.web.pages.open_case import Connections
from node.entrypoints.web.pages.render import PageRoute, page
from node.queries.figures.ratios import RATIOS
from node.queries.flows import MINUTES
from node.runtime.errors import Transient
from node.runtime.settings import Settings

REFRESH_SECONDS: Final = 6
_CHANNELS: Final = {
    "letter": "来信",
    "visit": "来访",
    "web": "网站",
    "phone": "来电",
    "app": "手机客户端",
    "wechat": "微信",
    "other": "其他",
}
_STOPPED: Final = {
    stopped_partitions.MISSING: "主题不存在",
    stopped_partitions.RECREATED: "主题被删除后重建",
    stopped_partitions.RECORDS_GONE: "未入库的记录已被清除",
    stopped_partitions.BEYOND_END: "位置超出末尾",
    stopped_partitions.NOT_AUTHORIZED: "无读取权限",
    stopped_partitions.NO_LEADER: "没有主副本",
    stopped_partitions.UNREADABLE: "无法解读",
    stopped_partitions.DEAD_LETTERS: "死信过多",
}
_CLOCK_NAMES: Final = clock_names()
_UNHANDLED: Final = {
    "unknown": "登记未到",
    "diverted": "已导入法定途径或移送",
    "withdrawn": "已撤回",
    "merged": "已并件",
}


def key_text(by: str, key: list[str | None]) -> str:
    """Return the key of a rising matter in words."""
    parts = [part for part in key if part]
    if not parts:
        return "未注明"
    if by == "channel":
        return _CHANNELS.get(parts[0], parts[0])
    if by == "area":
        province = NODES.get(f"{parts[0][:2]}0000")
        return f"{parts[0]} {province.chinese}" if province else parts[0]
    return " / ".join(parts)


def percent(share: dict[str, Any]) -> str:
    """Return a share as a percentage; nothing to count is 无, neither 0 nor 100 %."""
    value = share["value"]
    return "无" if value is None else f"{100 * value:.1f}%"


def clock_text(clock: str) -> str:
    """Return a clock with its Chinese name."""
    return f"{clock} {_CLOCK_NAMES[clock]}"


def node_text(code: str | None) -> str:
    """Return the name of the responsible node; None means that nobody is."""
    return NODES[code].chinese if code in NODES else "无责任节点"


def age(seconds: float | None) -> str:
    """Return a duration in the largest unit that fits."""
    if seconds is None:
        return "未知"
    for size, unit in ((86400, "天"), (3600, "小时"), (60, "分")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} 秒"


_WORDS: Final[dict[str, Any]] = {
    "refresh_seconds": REFRESH_SECONDS,
    "minutes": MINUTES,
    "soon_hours": SOON_HOURS,
    "ratios": RATIOS,
    "clock_names": _CLOCK_NAMES,
    "clock_text": clock_text,
    "rising_by": RISING_BY,
    "rising_days": RISING_DAYS,
    "unhandled_words": _UNHANDLED,
    "stopped_words": _STOPPED,
    "size": star_diagram.SIZE,
    "key_text": key_text,
    "percent": percent,
    "node_text": node_text,
    "age": age,
}


def router(settings: Settings, connections: Connections) -> APIRouter:
    """Return the page's route, for staff, which the API's description leaves out."""
    dashboard = Dashboard(settings, connections)
    routes = APIRouter(
        route_class=PageRoute, include_in_schema=False, dependencies=[Depends(staff)]
    )
    routes.get("/monitor")(lambda: _show(settings.node, dashboard))
    return routes


def _show(node: str, dashboard: Dashboard) -> HTMLResponse:
    """Return the page with the last readings; raises `Transient` while Postgres is away."""
    dashboard.refresh()
    live = dashboard.live.reading
    if live.value is None:
        raise live.problem or Transient("Postgres does not answer in time")
    rows = star_diagram.flow_rows(live.value["flows"], dashboard.lags.reading.value)
    return page(
        "monitor.html", node=NODES[node], national=node == NATIONAL,
        now=datetime.now(UTC), live=live.value, rows=rows, spokes=star_diagram.spokes(rows),
        lags=dashboard.lags.reading, deadlines=dashboard.deadlines.reading,
        figures=dashboard.figures.reading, **_WORDS,
    )  # fmt: skip
