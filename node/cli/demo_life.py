"""The life that demo cases live 演示流程: registered in a province, assigned by the centre, closed
elsewhere, evaluated where they began. Every step waits for the last one to arrive over Kafka."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

from cases.nodes import NATIONAL
from node.errors import PetitionLinkError
from node.localstack import LocalStack
from node.postgres import Connection, connected
from node.settings import load_settings
from producers.commands import parse
from producers.handling import handle
from producers.office import Office, open_office

_ARRIVAL_SECONDS = 30
_LOOK_SECONDS = 0.002


class Desk(NamedTuple):
    """An office and its connection."""

    office: Office
    connection: Connection


class Route(NamedTuple):
    """Where a case begins and where it is handled."""

    registered_at: str
    handled_at: str
    title: str


@contextmanager
def open_desks(stack: LocalStack) -> Iterator[dict[str, Desk]]:
    """A desk at every node of the stack."""
    with ExitStack() as exits:
        desks = {}
        for node in stack.nodes:
            settings = load_settings(node)
            connection = exits.enter_context(connected(settings.dsn, "demo"))
            desks[node] = Desk(open_office(settings), connection)
        yield desks


def live(desks: Mapping[str, Desk], route: Route, number: int) -> str:
    """One case through its whole life; its id."""
    first, centre, second = desks[route.registered_at], desks[NATIONAL], desks[route.handled_at]
    case_id = _do(first, None, "register", **_registration(route, number))
    _await(centre, case_id, "registered")
    _do(centre, case_id, "assign", to=route.handled_at, requirement="请调查处理并回报(虚构)")
    _await(second, case_id, "assigned")
    _do(second, case_id, "land", unit="演示单位")
    _do(second, case_id, "accept", unit="演示单位", procedure="ordinary")
    _do(second, case_id, "decide", outcome="supported", opinion="诉求合理,予以支持(虚构)。")
    _do(second, case_id, "serve", method="online")
    _do(second, case_id, "close", note="演示")
    _await(first, case_id, "closed")
    _do(first, case_id, "evaluate", object="unit", satisfaction="satisfied")
    return case_id


def _registration(route: Route, number: int) -> dict[str, Any]:
    return {
        "channel": "web",
        "title": f"{route.title}({number})",
        "text": "演示数据,人物与事件均为虚构。",
        "petitioner": {
            "name": "张示例",
            "id_type": "resident_id",
            "id_number": f"DEMO{number:06d}",
        },
    }


def _do(desk: Desk, case_id: str | None, name: str, **given: Any) -> str:
    value = {"command": name, **given} | ({"case_id": case_id} if case_id else {})
    return handle(desk.connection, desk.office, parse(value, desk.office)).case.case_id


def _await(desk: Desk, case_id: str, state: str) -> None:
    deadline = time.monotonic() + _ARRIVAL_SECONDS
    while time.monotonic() < deadline:
        with desk.connection, desk.connection.cursor() as cursor:
            cursor.execute("select state from petition_case where case_id = %s", (case_id,))
            if cursor.fetchone() == (state,):
                return
        time.sleep(_LOOK_SECONDS)
    raise PetitionLinkError(f"case {case_id} did not become {state} at {desk.office.node} in time")
