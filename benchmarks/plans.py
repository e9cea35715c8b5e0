"""The plans 查询计划 of what a piece of the product asks, as Postgres ran it.

By the extension auto_explain in the session that asks: the very statements, not copies of them.
"""

from collections.abc import Callable
from typing import Any

from node.postgres.connection import Connection

_ON = """
    load 'auto_explain';
    set auto_explain.log_min_duration = 0; set auto_explain.log_analyze = on;
    set auto_explain.log_buffers = on; set client_min_messages = log
"""
_OFF = "set auto_explain.log_min_duration = -1; set client_min_messages = notice"
_MARK = "plan:\n"


def plans_of(connection: Connection, ask: Callable[[], Any]) -> list[str]:
    """The plans of all statements of `ask`, in order, with rows, times and buffers."""
    _run(connection, _ON)
    del connection.notices[:]
    try:
        ask()
        notices = [*connection.notices]
    finally:
        _run(connection, _OFF)
    return [_plan(notice) for notice in notices if _MARK in notice]


def _run(connection: Connection, statement: str) -> None:
    with connection, connection.cursor() as cursor:
        cursor.execute(statement)


def _plan(notice: str) -> str:
    """Without the statement: the plan begins at the first line that names a node's cost."""
    lines = notice.partition(_MARK)[2].rstrip().splitlines()
    first = next(number for number, line in enumerate(lines) if "(cost=" in line)
    return "\n".join(lines[first:])
