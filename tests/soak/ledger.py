"""Faults of a ledger that somebody writes to by hand: rows deleted, added or altered."""

import random
import time
from collections.abc import Callable

from soak.world import World
from support.cli import petitionlink
from support.ledgers import query

_HEALED_SECONDS = 180.0
_PAUSE_SECONDS = 2.0
# An event that has been delivered: what is still on its way can only be healed once it is there.
_PICK = """
    select event_id::text, case_id from case_event e
    where recorded_at < now() - interval '20 seconds'
        and not exists (select from outbox o
                        where o.event_id = e.event_id and o.published_at is null)
    order by random() limit 1
"""
_DELETE = "delete from case_event where event_id::text = %s"
# One bit of the last byte: the row still looks like an event.
_ALTER_VALUE = """
    update case_event set value = set_byte(value, length(value) - 1,
        get_byte(value, length(value) - 1) # 1) where event_id::text = %s
"""
_ALTER_BODY = "update case_event set body = body || '{\"soak\": 1}' where event_id::text = %s"
_ALTER_DIGEST = "update case_event set digest = digest # 1 where event_id::text = %s"
_ALTER_CASE = (
    "update petition_case set state = 'closed', revision = revision + 1 where case_id = %s"
)
_CUT_VALUE = "update case_event set value = substring(value from 1 for 7) where event_id::text = %s"
_BY_EVENT = (_DELETE, _ALTER_VALUE, _CUT_VALUE, _ALTER_BODY, _ALTER_DIGEST)


def tamper(world: World, chance: random.Random) -> None:
    """Damage one row of a node's ledger or projection; `petitionlink verify` must heal it."""
    node = chance.choice(world.nodes)
    picked = query(node, _PICK)
    if not picked:
        return
    event_id, case_id = picked[0]
    statement = chance.choice((*_BY_EVENT, _ALTER_CASE))
    query(node, statement, case_id if statement == _ALTER_CASE else event_id)
    if not _in_time(lambda: petitionlink("verify", "--node", node, seconds=120).code == 0):
        shown = " ".join(statement.split())
        world.find(f"{node}: not healed in time: {shown} ({event_id}, {case_id})")


def _in_time(done: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + _HEALED_SECONDS
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE_SECONDS)
    return True
