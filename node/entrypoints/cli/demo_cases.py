"""The lives of demo cases 演示流程: each is registered in a province, assigned by the centre,
closed elsewhere and evaluated where it began; in turn they are objected to, extended, reviewed,
supervised.

Every step waits until the step before has arrived over Kafka.
"""

import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

from cases.nodes import NATIONAL
from node.entrypoints.cli.node_settings import settings_for
from node.keys.office import Office, open_office
from node.localstack import LocalStack
from node.postgres.connection import Connection, connected
from node.runtime.errors import PetitionLinkError
from producers.commands.handle import handle
from producers.commands.parse import parse

_ARRIVAL_SECONDS = 30
# Every run has other persons, or the centre would find their cases to be repeats.
_RUN = secrets.token_hex(4)
_LOOK_SECONDS = 0.002


class Desk(NamedTuple):
    """An office and its connection."""

    office: Office
    connection: Connection


class Route(NamedTuple):
    """A case's title, the node that registers it and the node that handles it."""

    registered_at: str
    handled_at: str
    title: str


@contextmanager
def open_desks(stack: LocalStack) -> Iterator[dict[str, Desk]]:
    """Open a desk at every node of the stack."""
    with ExitStack() as exits:
        desks = {}
        for node in stack.nodes:
            settings = settings_for(node)
            connection = exits.enter_context(connected(settings.dsn, "demo"))
            desks[node] = Desk(open_office(settings), connection)
        yield desks


def live(desks: Mapping[str, Desk], route: Route, number: int) -> str:
    """Take one case through its whole life, with turn `number` of `_TURNS`; return its id."""
    first, second = desks[route.registered_at], desks[route.handled_at]
    turn = _TURNS[number % len(_TURNS)]
    case_id = _register(first, route, number)
    _await(desks[NATIONAL], case_id, "registered")
    _do(desks[NATIONAL], case_id, "assign", to=route.handled_at, requirement="请调查并回报(虚构)")
    _await(second, case_id, "assigned")
    if turn == "objected":
        _object(desks, second, case_id)
    _handle(second, case_id, extended=turn == "extended")
    _await(first, case_id, "closed")
    if turn != "open":
        _evaluate(first, case_id, satisfied=turn != "extended")
    if turn == "reviewed":
        _review(desks, first, case_id)
    if turn == "supervised":
        _supervise(desks, second, case_id)
    return case_id


# The last one keeps its evaluation open, for somebody who looks around.
_TURNS = ("plain", "objected", "extended", "reviewed", "supervised", "open")


def is_open(number: int) -> bool:
    """Return whether case `number` is left without evaluation."""
    return _TURNS[number % len(_TURNS)] == "open"


def _object(desks: Mapping[str, Desk], second: Desk, case_id: str) -> None:
    """Object 异议: the case goes back to the centre, which refuses the objection."""
    _do(second, case_id, "object", reasons="似不属本地管辖(虚构)")
    _await(desks[NATIONAL], case_id, "objected")
    _do(desks[NATIONAL], case_id, "rule_objection", ruling="refused", reasons="属地管辖(虚构)")
    _await(second, case_id, "assigned")


def _handle(second: Desk, case_id: str, *, extended: bool) -> None:
    _do(second, case_id, "land", unit="演示单位")
    _do(second, case_id, "accept", unit="演示单位", procedure="ordinary")
    if extended:
        why = {"reason": "情况复杂(虚构)", "approver": "演示单位负责人"}
        _do(second, case_id, "extend", days=30, **why)
    _do(second, case_id, "decide", outcome="supported", opinion="诉求合理,予以支持(虚构)。")
    _do(second, case_id, "serve", method="online")
    _do(second, case_id, "close", note="演示")


def _evaluate(first: Desk, case_id: str, *, satisfied: bool) -> None:
    _do(first, case_id, "evaluate", object="office", satisfaction="satisfied")
    unit = (
        {"satisfaction": "basically_satisfied"}
        if satisfied
        else {"satisfaction": "dissatisfied", "reason": "办理太慢"}
    )
    _do(first, case_id, "evaluate", object="unit", **unit)


def _review(desks: Mapping[str, Desk], first: Desk, case_id: str) -> None:
    """Request a review 复查 where the case began; the centre decides it."""
    _do(first, case_id, "request_review", reasons="对处理意见不服(虚构)")
    _await(desks[NATIONAL], case_id, "review_requested")
    _do(desks[NATIONAL], case_id, "decide_review", outcome="upheld", opinion="予以维持(虚构)。")
    _await(first, case_id, "review_decided")


def _supervise(desks: Mapping[str, Desk], second: Desk, case_id: str) -> None:
    """Supervise 督办: the centre urges, the handling node answers, the centre lifts it."""
    centre = desks[NATIONAL]
    urged = {"kind": "urged", "grounds": [5], "requirement": "请落实(虚构)"}
    issued = _do(centre, case_id, "supervise", to=second.office.node, **urged)
    _await_event(second, issued)
    replied = _do(
        second, case_id, "reply_supervision", supervision_id=issued, answer="已落实(虚构)"
    )
    _await_event(centre, replied)
    _do(centre, case_id, "lift_supervision", supervision_id=issued)


def _register(desk: Desk, route: Route, number: int) -> str:
    value = {
        "command": "register",
        "channel": "web",
        "title": f"{route.title}({number})",
        "text": "演示数据,人物与事件均为虚构。",
        "petition_class": "claim",
        "claim_path": "6",
        "petitioner": {
            "name": "张示例",
            "id_type": "resident_id",
            "id_number": f"DEMO{_RUN}{number:06d}",
        },
    }
    return handle(desk.connection, desk.office, parse(value, desk.office)).case.case_id


def _do(desk: Desk, case_id: str, name: str, **given: Any) -> str:
    """Give a command; return the id of its event."""
    value = {"command": name, "case_id": case_id, **given}
    return handle(desk.connection, desk.office, parse(value, desk.office)).event.event_id


def _await(desk: Desk, case_id: str, state: str) -> None:
    query = "select 1 from petition_case where case_id = %s and state = %s"
    _await_row(desk, query, (case_id, state), f"case {case_id} did not become {state}")


def _await_event(desk: Desk, event_id: str) -> None:
    query = "select 1 from case_event where event_id = %s"
    _await_row(desk, query, (event_id,), f"event {event_id} did not arrive")


def _await_row(desk: Desk, query: str, values: tuple[str, ...], failure: str) -> None:
    deadline = time.monotonic() + _ARRIVAL_SECONDS
    while time.monotonic() < deadline:
        with desk.connection, desk.connection.cursor() as cursor:
            cursor.execute(query, values)
            if cursor.fetchone() is not None:
                return
        time.sleep(_LOOK_SECONDS)
    raise PetitionLinkError(f"{failure} at {desk.office.node} in time: see .local/logs/")
