"""Act on many cases at once 批量办理, as `handle` does on one.

Drafting and checks are the same, but a batch has one transaction, because a routine may find
thousands of cases after an import.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from cases.case import Case
from cases.errors import Refusal
from cases.fold import advance
from node.keys.office import Office
from node.postgres.connection import Cursor
from node.store import projection
from node.store.projection import CaseSnapshot, CaseTransition
from node.store.write_events import pack_own, write_own_events
from producers.commands.draft_event import Command, draft
from schemas.errors import Invalid
from schemas.event import Event

log = logging.getLogger(__name__)

# Returns the commands for a locked case, which may be none.
Plan = Callable[[Case], Sequence[Command]]


class Acted(NamedTuple):
    """The result of a batch: the events written, and the cases that refused their commands."""

    events: list[Event]
    refused: list[str]


def act(cursor: Cursor, office: Office, case_ids: Iterable[str], plan: Plan) -> Acted:
    """Lock the cases and execute the commands of `plan`, in the caller's transaction.

    A case whose commands are refused is logged and passed over. Raises errors of the driver.
    """
    transitions: list[CaseTransition] = []
    refused: list[str] = []
    for case_id, before in projection.lock_cases(cursor, case_ids).items():
        try:
            made = _drafted(office, before, plan(before.case))
        except (Refusal, Invalid) as error:
            log.warning("case %s is passed over: %s", case_id, error)
            refused.append(case_id)
        else:
            transitions += [made] if made.events else []
    events = [event for transition in transitions for event in transition.events]
    if events:
        write_own_events(cursor, office.node, pack_own(events), transitions)
    return Acted(events, refused)


def _drafted(office: Office, before: CaseSnapshot, commands: Iterable[Command]) -> CaseTransition:
    after = before.case.copy()
    events: list[Event] = []
    for command in commands:
        events.append(draft(office, after, command))
        advance(after, events[-1])
    return projection.transition(before, after, events)
