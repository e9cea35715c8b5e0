"""Acting on many cases at once 批量办理: what `handling.handle` does for one command, for a batch.

The same drafting with the same guards, the same records; one transaction, because a routine may
find thousands of cases after an import.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from cases.case import Case
from cases.errors import Refusal
from cases.fold import extend
from node import projection
from node.postgres import Cursor
from producers.drafting import Command, draft
from producers.office import Office
from producers.recording import record
from schemas.errors import Invalid
from schemas.event import Event

log = logging.getLogger(__name__)

# Looks at the case as it stands, held; gives what is to be done, which may be nothing.
Plan = Callable[[Case], Sequence[Command]]


class Acted(NamedTuple):
    """What one batch did: events written, and cases that refused, of which nothing was written."""

    events: list[Event]
    refused: list[str]


def act(cursor: Cursor, office: Office, case_ids: Iterable[str], plan: Plan) -> Acted:
    """Hold the cases and do what `plan` says of each, in the caller's transaction.

    A case whose commands are refused is logged and passed over. Raises what the driver raises.
    """
    drafted: list[Event] = []
    refused: list[str] = []
    held = projection.hold(cursor, case_ids)
    for case_id, (case, _) in held.items():
        try:
            drafted += _drafted(office, case, plan(case))
        except (Refusal, Invalid) as error:
            log.warning("case %s is passed over: %s", case_id, error)
            refused.append(case_id)
    if drafted:
        record(cursor, office.node, drafted, held)
    return Acted(drafted, refused)


def _drafted(office: Office, case: Case, commands: Sequence[Command]) -> list[Event]:
    events: list[Event] = []
    for command in commands:
        case = extend(case, events[-1:])
        events.append(draft(office, case, command, lambda: None))
    return events
