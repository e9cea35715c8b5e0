"""The rules of the main line: which event is legal in which state, by whom, and its effect.

One table serves both sides: a command is refused by it before an event exists, and the fold
marks an event as a conflict by it (CONTRACT §3). Source: DOMAIN §4.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from cases import event_types as types
from cases.case import Case, State
from cases.nodes import NATIONAL, NODES
from schemas.event import Event


class Fact(Protocol):
    """What the rules look at: a recorded event, or one that a command would record."""

    @property
    def type(self) -> str: ...
    @property
    def emitter(self) -> str: ...
    @property
    def body(self) -> dict[str, object]: ...


class Violation(NamedTuple):
    """Why a fact is not legal: a stable rule name and a sentence for people."""

    rule: str
    message: str


Check = Callable[[Case, Fact], Violation | None]
Effect = Callable[[Case, Event], None]


class Rule(NamedTuple):
    """One row of the table. An empty `states` allows every state after registration."""

    states: frozenset[str]
    checks: tuple[Check, ...]
    effect: Effect
    next_state: str | None


def violation(case: Case, fact: Fact) -> Violation | None:
    """Why `fact` is not legal for `case`, or None. Types outside the table are always legal."""
    rule = RULES.get(fact.type)
    if rule is None:
        return None
    if rule.states and case.state not in rule.states:
        return _wrong_state(case, rule)
    for check in rule.checks:
        found = check(case, fact)
        if found is not None:
            return found
    return None


def take_effect(case: Case, event: Event) -> None:
    """Change `case` by a legal event; a type outside the table changes nothing."""
    rule = RULES.get(event.type)
    if rule is None:
        return
    rule.effect(case, event)
    if rule.next_state is not None:
        case.state = rule.next_state
        case.milestones[rule.next_state] = event.occurred_at


def _wrong_state(case: Case, rule: Rule) -> Violation:
    if case.state == State.UNKNOWN:
        return Violation("not_registered", f"case {case.case_id} is not registered here")
    if rule.states == _UNREGISTERED:
        return Violation("already_registered", f"case {case.case_id} is already registered")
    allowed = " or ".join(sorted(rule.states))
    return Violation(
        "wrong_state",
        f"case {case.case_id} is {case.state}, and this needs it {allowed} (DOMAIN: main line)",
    )


def _by_handler(case: Case, fact: Fact) -> Violation | None:
    """Only the responsible node acts on a case."""
    if fact.emitter == case.handled_by:
        return None
    holder = case.handled_by or "nobody"
    return Violation(
        "not_responsible",
        f"case {case.case_id} is handled by {holder}, not by {fact.emitter}",
    )


def _by_handler_or_centre(case: Case, fact: Fact) -> Violation | None:
    """The centre may forward or assign any case that is not yet accepted."""
    return None if fact.emitter == NATIONAL else _by_handler(case, fact)


def _by_participant(case: Case, fact: Fact) -> Violation | None:
    if fact.emitter == NATIONAL or fact.emitter in case.participants:
        return None
    return Violation("not_a_participant", f"{fact.emitter} has no part in case {case.case_id}")


def _to_another_node(case: Case, fact: Fact) -> Violation | None:
    to = fact.body.get("to")
    if to not in NODES:
        return Violation("unknown_node", f"'to' is {to!r}, which is no node: use a six-digit code")
    if to == case.handled_by:
        return Violation("same_node", f"case {case.case_id} is already with {to}")
    return None


def _to_a_known_node(case: Case, fact: Fact) -> Violation | None:
    to = fact.body.get("to")
    if to in NODES:
        return None
    return Violation("unknown_node", f"'to' is {to!r}, which is no node: use a six-digit code")


def _evaluated_once(case: Case, fact: Fact) -> Violation | None:
    about = str(fact.body.get("object"))
    if about not in case.evaluations:
        return None
    return Violation("already_evaluated", f"the {about} of case {case.case_id} was evaluated")


# What a list of cases shows; the text stays in the ledger.
_SHOWN = (
    "origin_number",
    "channel",
    "received_at",
    "area",
    "content_category_1",
    "content_category_2",
    "content_category_3",
    "title",
    "persons",
    "urgent",
    "petition_class",
)


def _register(case: Case, event: Event) -> None:
    case.registered_by = case.handled_by = event.emitter
    _take_part(case, event.emitter)
    case.rule_set = event.rule_set
    case.registration = {name: event.body.get(name) for name in _SHOWN}


def _hand_over(case: Case, event: Event) -> None:
    case.handled_by = event.body["to"]
    _take_part(case, event.body["to"])


def _copy(case: Case, event: Event) -> None:
    _take_part(case, event.body["to"])


def _decide(case: Case, event: Event) -> None:
    case.outcome = event.body["outcome"]


def _evaluate(case: Case, event: Event) -> None:
    case.evaluations[event.body["object"]] = event.body.get("satisfaction", "expired")


def _nothing_more(case: Case, event: Event) -> None:
    """The state is the whole effect."""


def _take_part(case: Case, node: str) -> None:
    if node not in case.participants:
        case.participants.append(node)


_UNREGISTERED = frozenset({State.UNKNOWN})
_NOT_YET_ACCEPTED = frozenset({State.REGISTERED, State.FORWARDED, State.ASSIGNED, State.LANDED})
_ANY_REGISTERED = frozenset(
    {*_NOT_YET_ACCEPTED, State.ACCEPTED, State.DECIDED, State.SERVED, State.CLOSED}
)
_ANSWERED = frozenset({State.SERVED, State.CLOSED})
_UNDER_WAY = frozenset({State.FORWARDED, State.ASSIGNED})
# An office may accept a matter of its own without passing it on.
_HELD = frozenset({State.REGISTERED, State.LANDED})

_HANDLER = (_by_handler,)
_HAND_OVER = (_by_handler_or_centre, _to_another_node)
_EVALUATION = (_by_participant, _evaluated_once)

RULES: dict[str, Rule] = {
    types.REGISTERED: Rule(_UNREGISTERED, (), _register, State.REGISTERED),
    types.FORWARDED: Rule(_NOT_YET_ACCEPTED, _HAND_OVER, _hand_over, State.FORWARDED),
    types.ASSIGNED: Rule(_NOT_YET_ACCEPTED, _HAND_OVER, _hand_over, State.ASSIGNED),
    types.COPIED: Rule(_ANY_REGISTERED, (_by_participant, _to_a_known_node), _copy, None),
    types.LANDED: Rule(_UNDER_WAY, _HANDLER, _nothing_more, State.LANDED),
    types.ACCEPTED: Rule(_HELD, _HANDLER, _nothing_more, State.ACCEPTED),
    types.DECIDED: Rule(frozenset({State.ACCEPTED}), _HANDLER, _decide, State.DECIDED),
    types.SERVED: Rule(frozenset({State.DECIDED}), _HANDLER, _nothing_more, State.SERVED),
    types.CLOSED: Rule(frozenset({State.SERVED}), _HANDLER, _nothing_more, State.CLOSED),
    types.EVALUATED: Rule(_ANSWERED, _EVALUATION, _evaluate, None),
    types.EVALUATION_EXPIRED: Rule(_ANSWERED, _EVALUATION, _evaluate, None),
}
