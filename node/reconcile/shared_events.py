"""The events of a case that this node and a peer must both hold 共有事件.

A province shares all events with the centre. The centre shares with a province what that emitted,
and what was sent to it since it became a participant, without what was withheld from it.
"""

from collections.abc import Iterable
from typing import NamedTuple

from cases.nodes import NATIONAL
from node.kafka.topic_names import topic_between
from node.postgres.connection import Cursor

_COLUMNS = """
    e.case_id, e.event_id::text, e.emitter, e.digest,
    coalesce(e.source_topic = %(incoming)s and e.exchanged_at > now() - interval '2 minutes', false)
"""
_AT_PROVINCE = f"select {_COLUMNS} from case_event e where e.case_id = any(%(cases)s)"
_AT_CENTRE = f"""
    select {_COLUMNS} from case_event e
    left join case_route r on r.case_id = e.case_id and r.destination = %(peer)s
    where e.case_id = any(%(cases)s) and (e.emitter = %(peer)s or r.case_id is not null
        and not exists (select from withheld_event w where w.case_id = e.case_id
                        and w.event_id = e.event_id and w.destination = %(peer)s))
"""
_HELD = "select event_id::text from case_event where event_id = any(%s::uuid[])"


class Shared(NamedTuple):
    """An event that both must hold, with its recorded digest; `just_came` if the peer itself sent
    it a moment ago."""

    event_id: str
    emitter: str
    digest: int
    just_came: bool


def shared(
    cursor: Cursor, node: str, peer: str, case_ids: Iterable[str]
) -> dict[str, dict[str, Shared]]:
    query = _AT_CENTRE if node == NATIONAL else _AT_PROVINCE
    wanted = [*case_ids]
    values = {"cases": wanted, "peer": peer, "incoming": topic_between(peer, node)}
    cursor.execute(query, values)
    by_case: dict[str, dict[str, Shared]] = {case_id: {} for case_id in wanted}
    for case_id, event_id, *rest in cursor:
        by_case[case_id][event_id] = Shared(event_id, *rest)
    return by_case


def held(cursor: Cursor, event_ids: Iterable[str]) -> set[str]:
    """Return those of these events that this node has."""
    cursor.execute(_HELD, ([*event_ids],))
    return {event_id for (event_id,) in cursor}
