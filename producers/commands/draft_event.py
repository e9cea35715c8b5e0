"""Draft the event of a command: check it against the case, seal, time, number and encode it.

There is no I/O: the caller locks the case, reads its key (`passes_petitioner_on`) and its arrival
(`land`) if the command needs them, and writes the event.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import uuid_utils

from cases.case import Case, State
from cases.clocks import Deadline, starting
from cases.clocks.names import EVALUATION
from cases.errors import Refusal
from cases.nodes import NODES
from cases.regulations import regulation, rule_set_of
from cases.routing import barred
from cases.rules import violation
from cases.vocabulary import event_types as types
from cases.vocabulary.commands import event_type_of
from node.keys.office import Office
from schemas.catalogue import catalogue
from schemas.event import Event
from schemas.sealing.petitioner import identity_digest
from schemas.validation.forms import fill
from schemas.wire import make_event, new_traceparent

# The clock of a client may be a little fast; a later instant is a mistake.
_AHEAD_MICROS = 10 * 60 * 1_000_000


class Command(NamedTuple):
    """A command. `given` holds the event's own fields; instants in micros.

    Only the timekeeping routine sets `clocks`, in a correction 更正. `told_later` marks a command
    of a register, about the time before this node knew the case.
    """

    name: str
    case_id: str
    occurred_at: int
    actor: str
    given: Mapping[str, Any]
    petitioner: Mapping[str, str] | None = None
    clocks: Sequence[Deadline] = ()
    told_later: bool = False


class Draft(NamedTuple):
    """The fact that the rules check."""

    type: str
    emitter: str
    occurred_at: int
    body: dict[str, Any]


@cache
def _carries_keys(event_type: str) -> bool:
    fields = catalogue().by_type[event_type].avro["fields"]
    return any(field["name"] == "petitioner_keys" for field in fields)


def passes_petitioner_on(office: Office, command: Command) -> bool:
    """Return whether `command` takes the case to another node, for which `draft` needs the case
    key. Raises `Refusal` if there is no such command."""
    return _carries_keys(event_type_of(command.name)) and command.given.get("to") != office.node


def draft(
    office: Office,
    case: Case,
    command: Command,
    *,
    case_key: bytes | None = None,
    arrived_at: int | None = None,
) -> Event:
    """Return the event that `command` makes of `case`.

    `case_key` opens the sealed petitioner; without it the case is passed on without the petitioner.
    `arrived_at` (micros) is when the case came to this node, if that is known. Raises `Refusal`
    with the rule and article that forbid the command, `Invalid` for a wrong field.
    """
    event_type = event_type_of(command.name)
    _check_known(case, event_type)
    given = {**_implied(case, event_type), **command.given}
    body = fill(catalogue().by_type[event_type], given)
    fact = Draft(event_type, office.node, command.occurred_at, body)
    rule_set = case.rule_set or rule_set_of(command.occurred_at)
    now = office.clock()
    _check(case, fact, now, rule_set)
    _seal(office, case, command, fact, case_key)
    _complete(case, fact, rule_set, arrived_at)
    if command.clocks:
        body["clocks"] = [clock._asdict() for clock in command.clocks]
    elif command.told_later and "clocks" in body:
        body["clocks"] = [one for one in body["clocks"] if not _was_never_open(one, now)]
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
        rule_set=rule_set,
        body=body,
        traceparent=new_traceparent(),
    )


def _was_never_open(clock: Mapping[str, Any], now: int) -> bool:
    """Return whether a window of evaluation ended before the case was known."""
    return bool(clock["clock"] == EVALUATION and clock["due_at"] <= now)


def _implied(case: Case, event_type: str) -> dict[str, Any]:
    """Return the receiver of an objection or ruling, which need not be given."""
    if event_type == types.OBJECTED and case.dispatch is not None:
        return {"to": case.dispatch["by"]}
    if event_type == types.OBJECTION_RULED and case.objection is not None:
        return {"to": case.objection["by"]}
    return {}


def _check_known(case: Case, event_type: str) -> None:
    """Refuse commands for an unknown case before anything else is checked."""
    unknown = case.state == State.UNKNOWN and event_type != types.REGISTERED
    violated = violation(case, Draft(event_type, "", 0, {})) if unknown else None
    if violated is not None:
        raise Refusal(*violated)


def _check(case: Case, fact: Draft, now: int, rule_set: str) -> None:
    if fact.occurred_at > now + _AHEAD_MICROS:
        raise Refusal("in_the_future", "occurred_at is in the future: correct the instant")
    owner = case.case_id.partition("-")[0]
    if fact.type == types.REGISTERED and owner in NODES and owner != fact.emitter:
        raise Refusal("case_id", f"case ids that begin with {owner}- are given by node {owner}")
    violated = violation(case, fact)
    if violated is not None:
        rule, message = violated
        cited = regulation(rule_set).cite(rule)
        raise Refusal(rule, f"{message} ({cited})" if cited else message)


def _complete(case: Case, fact: Draft, rule_set: str, arrived_at: int | None) -> None:
    """Fill in the fields that the node computes: references to earlier events, and clocks."""
    body = fact.body
    for field, document in _REFERS_TO.get(fact.type, {}).items():
        body[field] = case.documents.get(document)
    if fact.type == types.OBJECTED and case.dispatch is not None:
        body["dispatch_id"] = case.dispatch["event_id"]
    if fact.type == types.OBJECTION_RULED and case.objection is not None:
        body["objection_id"] = case.objection["event_id"]
    if "clocks" in body:
        body["clocks"] = starting(case, fact, rule_set, arrived_at)


# Fields that name an earlier event of the case, by the document that it made.
_REFERS_TO = {
    types.ACCEPTANCE_OVERRULED: {"refusal_id": "refusal"},
    types.REVIEW_REQUESTED: {"decision_id": "decision"},
    types.REVIEW_DECIDED: {"request_id": "review_request"},
    types.RECHECK_REQUESTED: {"decision_id": "review_decision"},
    types.RECHECK_DECIDED: {"request_id": "recheck_request"},
}


def _seal(
    office: Office, case: Case, command: Command, fact: Draft, case_key: bytes | None
) -> None:
    if command.petitioner:
        if fact.type not in _SEALED:
            raise Refusal("petitioner", "a petitioner is given only to `register` or `correct`")
        _seal_petitioner(office, case, command.petitioner, fact.body)
    elif case_key is not None and passes_petitioner_on(office, command):
        reader = office.keys.public(fact.body["to"])
        fact.body["petitioner_keys"] = office.sealer.rewrap(case_key, case.case_id, [reader])


_SEALED = frozenset({types.REGISTERED, types.CORRECTED})


def _seal_petitioner(
    office: Office, case: Case, petitioner: Mapping[str, str], body: dict[str, Any]
) -> None:
    """Seal for the registering node, the centre and all participants except the accused."""
    closed = barred(case)
    readers = office.readers(node for node in case.participants if node not in closed)
    record, _ = office.sealer.seal(case.case_id, petitioner, readers)
    body["petitioner"] = record
    body["identity_digest"] = identity_digest(
        office.keys.identity_key, petitioner.get("id_type", ""), petitioner.get("id_number", "")
    )
