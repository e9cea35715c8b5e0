"""Any history over four nodes, delivered in any order with repeats, ends in equal, lawful cases.

The nodes run the real drafting, rules, fold and routing (`support/universe.py`); the histories are
in `support/walks.py`, what must hold after every step in `support/lawful.py`, written from
docs/domain.md §4 and not from the rules. 150 histories of 50 steps by hypothesis in some 4 s, and
150 fixed ones of which the last test requires that they reach every command, state and many
refusals.

That this can fail is shown: each guard in MUTANTS, taken away, is missed within a few histories.
"""

from collections import Counter
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import universe
from support.universe import Node
from support.walks import Walk

from cases import rules
from cases.case import Case, State
from cases.clocks import transitions
from cases.fold import extend
from cases.rules.responsibility import (
    by_handler,
    by_participant,
    not_to_the_accused,
    to_another_node,
)
from cases.vocabulary import event_types as types
from cases.vocabulary.commands import COMMANDS
from schemas.event import Event

STEPS = 50
FIXED = 150


@settings(
    max_examples=150,
    suppress_health_check=[*HealthCheck],
    report_multiple_bugs=False,
)
@given(st.randoms(use_true_random=False))
def test_any_history_in_any_order_is_lawful_at_every_step_and_ends_equal(chance: Random) -> None:
    Walk(chance).run(STEPS)


def test_the_histories_reach_every_command_every_state_and_conflicts() -> None:
    made: Counter[str] = Counter()
    states: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    conflicts = 0
    for seed in range(FIXED):
        walk = Walk(Random(seed))
        walk.run(STEPS)
        made, states, refused = made + walk.made, states + walk.states, refused + walk.refused
        conflicts += walk.conflicts
    assert set(COMMANDS) <= set(made)
    every = {value for name, value in vars(State).items() if name.isupper()}
    assert set(states) == every - {State.UNKNOWN}
    assert conflicts > FIXED
    assert {"accusation", "state_secret", "not_responsible", "wrong_state"} <= set(refused)


def _without(type_: str, *checks: Callable[..., object]) -> Callable[[pytest.MonkeyPatch], None]:
    """Return the rule of a type without its checks, but those named."""

    def take_away(patch: pytest.MonkeyPatch) -> None:
        kept = tuple(check for check in rules.RULES[type_].checks if check in checks)
        patch.setitem(rules.RULES, type_, rules.RULES[type_]._replace(checks=kept))

    return take_away


def _no_refolding(patch: pytest.MonkeyPatch) -> None:
    def on(node: Node, event: Event) -> Case:
        return extend(node.case(event.case_id), [event])

    patch.setattr(Node, "_anew", on)


def _any_state(type_: str, *states: str) -> Callable[[pytest.MonkeyPatch], None]:
    def take_away(patch: pytest.MonkeyPatch) -> None:
        patch.setitem(rules.RULES, type_, rules.RULES[type_]._replace(states=frozenset(states)))

    return take_away


MUTANTS = {
    "anybody accepts": (_without(types.ACCEPTED), "did accept with a case of"),
    "anybody forwards": (
        _without(types.FORWARDED, to_another_node, not_to_the_accused),
        "did forward with a case of",
    ),
    "extended when it likes": (_without(types.EXTENDED, by_handler), "extended"),
    "evaluated again": (_without(types.EVALUATED), "evaluated twice"),
    "recheck without review": (
        _without(types.RECHECK_REQUESTED, by_participant),
        "a recheck of what was not reviewed|asked for twice",
    ),
    "the state secret travels": (_without(types.REGISTERED), "a state secret travelled"),
    "decided before acceptance": (
        _any_state(types.DECIDED, State.LANDED, State.ACCEPTED),
        "decide moved a case from landed to decided",
    ),
    "the router bars nobody": (
        lambda patch: patch.setattr(universe, "barred", lambda case: frozenset()),
        "the accused .* got",
    ),
    "no event ends a clock": (
        lambda patch: patch.setattr(transitions, "ENDS", {}),
        "a clock runs in a case that ended",
    ),
    "the accused may act": (
        lambda patch: patch.setattr(rules, "by_nobody_accused", lambda case, fact: None),
        "the accused .* acted",
    ),
    "a late event is folded behind": (_no_refolding, "shows another case|folded anew"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_missing_guard_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    take_away, noticed = MUTANTS[name]
    take_away(monkeypatch)
    with pytest.raises(AssertionError, match=noticed):
        _many_walks()


def _many_walks() -> None:
    for seed in range(400):
        Walk(Random(seed)).run(STEPS)
