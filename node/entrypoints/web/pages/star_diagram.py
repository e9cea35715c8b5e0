"""The star diagram 星形图: the centre, its provinces, and the flow on each link.

The width of a line shows the rate, its colour the lag; the table beside it has both in figures.
"""

import math
from typing import Final, NamedTuple

from cases.nodes import NODES, PROVINCES
from node.entrypoints.web.pages.link_lag import Lag
from node.kafka.topic_names import downlink, uplink
from node.queries.flows import MINUTES, Flow

# An alert is raised at 300 s (docs/metrics.md); the page shows a lag well before.
SLOW_SECONDS: Final = 30.0
LATE_SECONDS: Final = 300.0
SIZE: Final = 780
_CENTRE_RADIUS: Final = 62.0
_RIM: Final = 285.0
_LABEL: Final = _RIM + 14
# Half the distance between the two directions of a link.
_APART: Final = 5.0
_THINNEST, _WIDEST = 1.5, 8.0

_SHORT: Final = {
    "000000": "国家",
    "150000": "内蒙古",
    "450000": "广西",
    "540000": "西藏",
    "640000": "宁夏",
    "650000": "新疆",
    "660000": "兵团",
}


class Line(NamedTuple):
    """One direction of a link."""

    x1: float
    y1: float
    x2: float
    y2: float
    width: float
    kind: str  # ok, slow, late, unknown


class Spoke(NamedTuple):
    """One province: its two lines, its dot and its name."""

    name: str
    connected: bool
    up: Line
    down: Line
    x: float
    y: float
    label_x: float
    label_y: float
    turn: float
    anchor: str


class FlowRow(NamedTuple):
    """One province in figures; a lag is None if Kafka does not answer."""

    flow: Flow
    name: str
    connected: bool
    up_lag: Lag | None
    down_lag: Lag | None
    kafka_answers: bool

    def kind(self, lag: Lag | None) -> str:
        """Return the lag as a word for colours; "absent" means that there is no such topic."""
        if lag is None:
            return "absent" if self.kafka_answers else "unknown"
        if lag.records == 0:
            return "ok"
        seconds = lag.seconds
        if seconds is None:
            return "slow"
        return "late" if seconds >= LATE_SECONDS else "slow" if seconds >= SLOW_SECONDS else "ok"


def short_name(code: str) -> str:
    """Return the short name of a province for the diagram."""
    return _SHORT.get(code) or NODES[code].chinese[:-1]


def flow_rows(flows: list[Flow], lags: dict[str, Lag] | None) -> list[FlowRow]:
    """Return the flows with the lags of both directions; `lags` is None if Kafka is away."""
    known = lags or {}
    return [
        FlowRow(
            flow,
            NODES[flow.node].chinese,
            flow.connected_since is not None,
            known.get(uplink(flow.node)),
            known.get(downlink(flow.node)),
            lags is not None,
        )
        for flow in flows
    ]


def spokes(rows: list[FlowRow]) -> list[Spoke]:
    """Return the spokes clockwise from the top; a single one goes to the right."""
    if len(rows) == 1:
        return [_spoke(rows[0], 0.0)]
    return [
        _spoke(row, 2 * math.pi * place / len(PROVINCES) - math.pi / 2)
        for place, row in enumerate(rows)
    ]


def _spoke(row: FlowRow, angle: float) -> Spoke:
    left = math.cos(angle) < -1e-9
    return Spoke(
        short_name(row.flow.node),
        row.connected,
        _line(angle, _RIM - 8, _CENTRE_RADIUS + 6, _APART, row.flow.up, row.kind(row.up_lag)),
        _line(angle, _CENTRE_RADIUS + 6, _RIM - 8, -_APART, row.flow.down, row.kind(row.down_lag)),
        *_point(angle, _RIM),
        *_point(angle, _LABEL),
        round(math.degrees(angle) + (180 if left else 0), 2),
        "end" if left else "start",
    )


def _line(angle: float, begin: float, end: float, apart: float, events: int, kind: str) -> Line:
    shown = kind if kind in ("slow", "late", "unknown") or (events and kind == "ok") else "idle"
    ends = (*_point(angle, begin, apart), *_point(angle, end, apart))
    return Line(*ends, _width(events), shown)


def _point(angle: float, radius: float, apart: float = 0.0) -> tuple[float, float]:
    """Return the point at `radius`, moved by `apart` across the spoke."""
    cos, sin = math.cos(angle), math.sin(angle)
    return round(radius * cos - apart * sin, 1), round(radius * sin + apart * cos, 1)


def _width(events: int) -> float:
    """Return the width of a line: a logarithm, as one province may send a thousand times more."""
    a_minute = events / MINUTES
    return round(min(_WIDEST, _THINNEST + 1.6 * math.log10(1 + a_minute)), 2)
