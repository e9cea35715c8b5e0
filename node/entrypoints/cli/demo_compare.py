"""Whether two nodes hold the same, looked at side by side: events and states of shared cases.

The plain way, for nodes whose databases one person can read: one digest over everything on each
side. What nodes prove to each other over the interconnect is `node/reconcile/` 对账. The cases
a province shares are all it has; at the centre they are those it began to send there.
"""

from __future__ import annotations

from typing import NamedTuple

from node.postgres.connection import Connection


class Holding(NamedTuple):
    """What one side holds of the shared cases: counts, and digests over events and states."""

    cases: int
    events: int
    events_digest: str
    states_digest: str


_SHARED_AT_CENTRE = "(select case_id from case_route where destination = %(peer)s)"
_SHARED_AT_PROVINCE = "(select case_id from petition_case)"
_HOLDING = """
    select
        (select count(*) from petition_case where case_id in {shared}),
        (select count(*) from case_event where case_id in {shared}),
        (select coalesce(md5(string_agg(md5(event_id || md5(value)), '' order by event_id)), '')
         from case_event where case_id in {shared}),
        (select coalesce(md5(string_agg(md5(case_id || fold::text), '' order by case_id)), '')
         from petition_case where case_id in {shared})
"""


def at_centre(connection: Connection, province: str) -> Holding:
    """What the centre holds of the cases it shares with `province`."""
    return _holding(connection, _SHARED_AT_CENTRE, {"peer": province})


def at_province(connection: Connection) -> Holding:
    """What a province holds: all its cases are shared with the centre."""
    return _holding(connection, _SHARED_AT_PROVINCE, {})


def _holding(connection: Connection, shared: str, values: dict[str, str]) -> Holding:
    with connection, connection.cursor() as cursor:
        cursor.execute(_HOLDING.format(shared=shared), values)
        row = cursor.fetchone()
    assert row is not None  # an aggregate always gives a row
    return Holding(*row)
