"""/monitor 运行监控, for staff and the centre: flows, deadlines, indicators, what rises.

The centre sees the whole star, a province its own part. The page comes within a second, also
while Kafka is away: it then says so.
"""

from __future__ import annotations

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
    Board,
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
_UNHANDLED: Final = {
    "unknown": "登记未到",
    "diverted": "已导入法定途径或移送",
    "withdrawn": "已撤回",
    "merged": "已并件",
}


class MonitorPage:
    """The page of one node."""

    def __init__(self, settings: Settings, connections: Connections) -> None:
        self._node = settings.node
        self._board = Board(settings, connections)

    def show(self) -> HTMLResponse:
        """The page with the last readings; raises `Transient` while Postgres is away."""
        board = self._board
        board.refresh()
        live = board.live.reading
        if live.value is None:
            raise live.problem or Transient("Postgres does not answer in time")
        rows = star_diagram.rows(live.value["flows"], board.lags.reading.value)
        return page(
            "monitor.html", node=NODES[self._node], national=self._node == NATIONAL,
            now=datetime.now(UTC), live=live.value, rows=rows, spokes=star_diagram.spokes(rows),
            lags=board.lags.reading, deadlines=board.deadlines.reading,
            figures=board.figures.reading, **_WORDS,
        )  # fmt: skip


def key_text(by: str, key: list[str | None]) -> str:
    """What rises, in words."""
    told = [part for part in key if part]
    if not told:
        return "未注明"
    if by == "channel":
        return _CHANNELS.get(told[0], told[0])
    if by == "area":
        province = NODES.get(f"{told[0][:2]}0000")
        return f"{told[0]} {province.chinese}" if province else told[0]
    return " / ".join(told)


def percent(share: dict[str, Any]) -> str:
    """A share as people read it; nothing to count is 无, neither 0 nor 100 %."""
    value = share["value"]
    return "无" if value is None else f"{100 * value:.1f}%"


def node_text(code: str | None) -> str:
    """A node's name; without one nobody is responsible."""
    return NODES[code].chinese if code in NODES else "无责任节点"


def age(seconds: float | None) -> str:
    """A duration in the largest unit that fits."""
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
    "clock_names": clock_names(),
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
    """The page's route, for staff; it is no part of the API's description."""
    shown = MonitorPage(settings, connections)
    routes = APIRouter(
        route_class=PageRoute, include_in_schema=False, dependencies=[Depends(staff)]
    )
    routes.get("/monitor")(shown.show)
    return routes
