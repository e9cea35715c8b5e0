"""This module defines the parts of a rule 规则: the checks of a fact, and its effect."""

from collections.abc import Callable
from typing import NamedTuple

from cases.case import Case, Fact, State
from schemas.event import Event


class Violation(NamedTuple):
    """The reason why a fact is not legal: a stable rule name and a sentence for people."""

    rule: str
    message: str


Check = Callable[[Case, Fact], Violation | None]
Effect = Callable[[Case, Event], None]


class Rule(NamedTuple):
    """A row of the table; `next_state` is None if the state stays or the effect sets it."""

    states: frozenset[str]
    checks: tuple[Check, ...]
    effect: Effect
    next_state: str | None = None


def no_effect(case: Case, event: Event) -> None:
    """Change nothing but the state."""


def files(document: str) -> Effect:
    """Return the effect that the event is this document of the case."""

    def effect(case: Case, event: Event) -> None:
        case.documents[document] = event.event_id

    return effect


UNREGISTERED = frozenset({State.UNKNOWN})
NOT_YET_ACCEPTED = frozenset(
    {State.REGISTERED, State.FORWARDED, State.ASSIGNED, State.LANDED, State.RETURNED}
)
UNDER_WAY = frozenset({State.FORWARDED, State.ASSIGNED})
# An office may handle a matter of its own without passing it on.
HELD = frozenset({State.REGISTERED, State.LANDED, State.RETURNED})
REFUSED = frozenset({State.NOT_ACCEPTED, State.NO_LONGER_ACCEPTED})
# The case is neither answered nor ended in another way.
OPEN = frozenset(
    {*NOT_YET_ACCEPTED, State.OBJECTED, State.ACCEPTANCE_OVERRULED, State.ACCEPTED, State.DECIDED}
)
# The decision has been served at least once.
ANSWERED = frozenset(
    {
        *(State.SERVED, State.CLOSED, State.REVIEW_REQUESTED, State.REVIEW_DECIDED),
        *(State.RECHECK_REQUESTED, State.RECHECK_DECIDED),
    }
)
LIVING = frozenset({*OPEN, *REFUSED, *ANSWERED})
ANY_REGISTERED = frozenset({*LIVING, State.DIVERTED, State.WITHDRAWN, State.MERGED})
