"""From a command to an event: checked against the case, sealed, numbered, encoded.

No I/O: the caller holds the case and writes what is drafted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import uuid_utils

from cases import event_types as types
from cases.case import Case
from cases.commands import event_type_of
from cases.errors import Refusal
from cases.rule_sets import rule_set_of
from cases.rules import violation
from producers.office import Office
from schemas.catalogue import catalogue
from schemas.event import Event
from schemas.forms import fill
from schemas.headers import make_event, new_traceparent
from schemas.sealing import identity_digest

# A desk's clock may run a little ahead of ours; tomorrow is a mistake.
_AHEAD_MICROS = 10 * 60 * 1_000_000

KeyOfCase = Callable[[], bytes | None]


class Command(NamedTuple):
    """What somebody wants done. `given` holds the event's own fields; instants in micros."""

    name: str
    case_id: str
    occurred_at: int
    actor: str
    given: Mapping[str, Any]
    petitioner: Mapping[str, str] | None = None


class Draft(NamedTuple):
    """The fact that the rules judge."""

    type: str
    emitter: str
    body: dict[str, Any]


def draft(office: Office, case: Case, command: Command, key_of_case: KeyOfCase) -> Event:
    """The event that `command` makes of `case`.

    Raises `Refusal` with the rule that forbids it, `Invalid` for a wrong field, in both cases
    before anything exists. `key_of_case` is asked only when the case goes to a further node.
    """
    event_type = event_type_of(command.name)
    body = fill(catalogue().by_type[event_type], command.given)
    fact = Draft(event_type, office.node, body)
    now = office.clock()
    _check(case, fact, command, now)
    _seal(office, case, command, fact, key_of_case)
    return make_event(
        event_type,
        event_id=str(uuid_utils.uuid7()),
        case_id=case.case_id,
        version=case.version + 1,
        emitter=office.node,
        emitter_sequence=case.sequences.get(office.node, 0) + 1,
        occurred_at=command.occurred_at,
        recorded_at=now,
        actor=command.actor or office.actor,
        rule_set=case.rule_set or rule_set_of(command.occurred_at),
        body=body,
        traceparent=new_traceparent(),
    )


def _check(case: Case, fact: Draft, command: Command, now: int) -> None:
    if command.occurred_at > now + _AHEAD_MICROS:
        raise Refusal("in_the_future", "occurred_at is in the future: correct the instant")
    if fact.body.get("confidential"):
        raise Refusal(
            "state_secret",
            "confidential matters never travel here: handle this one outside the interconnect",
        )
    found = violation(case, fact)
    if found is not None:
        raise Refusal(*found)


def _seal(
    office: Office, case: Case, command: Command, fact: Draft, key_of_case: KeyOfCase
) -> None:
    if fact.type == types.REGISTERED:
        if command.petitioner:
            _seal_petitioner(office, case.case_id, command.petitioner, fact.body)
    elif command.petitioner:
        raise Refusal("petitioner", "a petitioner is given only when a case is registered")
    elif "petitioner_keys" in fact.body and fact.body["to"] != office.node:
        key = key_of_case()
        if key is not None:
            reader = office.keys.public(fact.body["to"])
            fact.body["petitioner_keys"] = office.sealer.rewrap(key, case.case_id, [reader])


def _seal_petitioner(
    office: Office, case_id: str, petitioner: Mapping[str, str], body: dict[str, Any]
) -> None:
    record, _ = office.sealer.seal(case_id, petitioner, office.readers_of_registration())
    body["petitioner"] = record
    body["identity_digest"] = identity_digest(
        office.keys.identity_key, petitioner.get("id_type", ""), petitioner.get("id_number", "")
    )
