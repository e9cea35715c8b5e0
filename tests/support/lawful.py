"""What must hold of every case at every node at any time 不变式, written apart from the rules.

Source: docs/domain.md §4 and docs/contract.md §3. `check` takes a case with the events that it was
folded from.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from cases.case import Case, Clock
from cases.clocks import names
from cases.fold import extend
from cases.vocabulary import event_types as types
from cases.vocabulary.commands import COMMANDS
from schemas.event import Event

NAME_OF = {event_type: name for name, event_type in COMMANDS.items()}
_NOBODYS = ("unknown", "diverted", "withdrawn", "merged")
_UNDECIDED = "registered forwarded assigned landed returned"
_HELD = "registered landed returned"
_OPEN = f"{_UNDECIDED} objected acceptance_overruled accepted decided"
# The state graph 状态图: command → from where to where. What is not named here keeps the state.
MOVES: dict[str, tuple[str, str]] = {
    "register": ("unknown", "registered"),
    "forward": (_UNDECIDED, "forwarded"),
    "assign": (_UNDECIDED, "assigned"),
    "land": ("forwarded assigned", "landed"),
    "object": ("forwarded assigned landed", "objected"),
    "rule_objection": ("objected", "returned forwarded assigned landed"),
    "accept": (f"{_HELD} acceptance_overruled", "accepted"),
    "not_accept": (_HELD, "not_accepted"),
    "no_longer_accept": (_HELD, "no_longer_accepted"),
    "overrule": ("not_accepted no_longer_accepted", "acceptance_overruled"),
    "divert": (f"{_HELD} accepted", "diverted"),
    "decide": ("accepted review_decided recheck_decided", "decided"),
    "close": ("served review_decided recheck_decided", "closed"),
    "request_review": ("served closed", "review_requested"),
    "decide_review": ("review_requested", "review_decided"),
    "request_recheck": ("review_decided closed", "recheck_requested"),
    "decide_recheck": ("recheck_requested", "recheck_decided"),
    "withdraw": (_OPEN, "withdrawn"),
    "merge": (_OPEN, "merged"),
}
# Who acts 责任主体: these are for the handler alone, for it or the centre, for the centre alone.
_BY_HANDLER = (
    "land object rule_objection divert accept not_accept no_longer_accept "
    "progress extend decide close"
)
_BY_HANDLER_OR_CENTRE = "forward assign merge"
_BY_CENTRE = "identify overrule"
# These may change the state or leave it.
MAY_MOVE: dict[str, tuple[str, str]] = {
    "serve": ("decided", "served"),
    # The handler turned out to be accused: the centre takes the case over.
    "correct": (_OPEN, "returned"),
}


def check(case: Case, events: list[Event]) -> None:
    """Assert what must hold of a case that was folded from `events` (in order)."""
    valid = [*_effective(case, events)]
    nobody = case.handled_by is None
    assert nobody == (case.state in _NOBODYS), (case.state, case.handled_by)
    _check_clocks(case, valid)
    _check_extensions(case, valid)
    _check_reviews(valid)
    evaluated = Counter(e.body["object"] for e in valid if e.type == types.EVALUATED)
    assert all(times == 1 for times in evaluated.values()), "evaluated twice"
    assert not any(e.body.get("confidential") for e in events), "a state secret travelled"


def _effective(case: Case, events: Iterable[Event]) -> Iterator[Event]:
    marked = {conflict.event_id for conflict in case.conflicts}
    return (event for event in events if event.event_id not in marked)


def _check_clocks(case: Case, valid: list[Event]) -> None:
    running = Counter(
        one.clock for one in case.clocks if one.runs and one.clock != names.SUPERVISION
    )
    assert all(times == 1 for times in running.values()), f"two clocks of one name: {running}"
    origin = {event.event_id: event for event in valid}
    for one in case.clocks:
        assert one.event_id in origin, f"{one.clock} of a conflict or of nothing"
        if one.clock in (names.REPLY, names.SIMPLE_REPLY):
            assert _is_accepted(valid, origin[one.event_id], one), f"{one.clock} before acceptance"
    if case.state in ("withdrawn", "merged"):
        assert not any(one.runs for one in case.clocks if one.clock != names.SUPERVISION), (
            "a clock runs in a case that ended"
        )


def _is_accepted(valid: list[Event], origin: Event, clock: Clock) -> bool:
    """Started by the acceptance, or by a later correction from the acceptance on."""
    if origin.type == types.ACCEPTED:
        return True
    before = valid[: valid.index(origin)]
    return origin.type == types.CORRECTED and any(
        event.type == types.ACCEPTED and event.occurred_at == clock.started_at for event in before
    )


def _check_extensions(case: Case, valid: list[Event]) -> None:
    since_acceptance = 0
    for event in valid:
        if event.type == types.ACCEPTED:
            since_acceptance = 0
        if event.type == types.EXTENDED:
            since_acceptance += 1
            assert since_acceptance <= 1, "extended twice"
            assert _extends_what_ran(case.clocks, event), "extended without D06 running"


def _extends_what_ran(clocks: list[Clock], event: Event) -> bool:
    return any(
        one.clock == names.REPLY and one.ended_at == event.occurred_at < one.due_at
        for one in clocks
    )


def _check_reviews(valid: list[Event]) -> None:
    """There is one review of each decision, a recheck only of a review, nothing after a recheck."""
    asked: set[str] = set()
    final = False
    for event in valid:
        if event.type == types.DECIDED:
            asked = set()
        if event.type in (types.REVIEW_REQUESTED, types.RECHECK_REQUESTED):
            assert not final, "a review of what was final"
            assert event.type not in asked, "asked for twice"
        if event.type == types.RECHECK_REQUESTED:
            assert types.REVIEW_DECIDED in asked, "a recheck of what was not reviewed"
        asked.add(event.type)
        final = final or event.type == types.RECHECK_DECIDED


def check_every_move(case_id: str, events: list[Event]) -> Case:
    """Fold one event after the other: each moves along the graph, or is a conflict and changes
    nothing but the marks of it. The case at the end."""
    case = Case(case_id)
    for event in events:
        after = extend(case, [event])
        if len(after.conflicts) > len(case.conflicts):
            assert _substance(after) == _substance(case), "a conflict changed the case"
        else:
            _check_move(NAME_OF.get(event.type, ""), case.state, after.state)
            _check_actor(NAME_OF.get(event.type, ""), event.emitter, case.handled_by)
            accused = case.registration.get("accused") or ()
            acted = event.emitter in accused and event.type != types.CORRECTED
            assert not acted, f"the accused {event.emitter} acted"
        case = after
    return case


def _substance(case: Case) -> dict[str, object]:
    marks = ("conflicts", "position", "version", "sequences", "gaps")
    return {name: value for name, value in case.to_json().items() if name not in marks}


def _check_actor(name: str, emitter: str, handler: str | None) -> None:
    by_centre = emitter == "000000"
    if name in _BY_CENTRE.split():
        assert by_centre, f"{emitter} did {name}"
    if name in _BY_HANDLER.split() or (name in _BY_HANDLER_OR_CENTRE.split() and not by_centre):
        assert emitter == handler, f"{emitter} did {name} with a case of {handler}"


def _check_move(name: str, before: str, after: str) -> None:
    here, there = MOVES.get(name) or MAY_MOVE.get(name, ("", ""))
    moved = before in here.split() and after in there.split()
    stayed = before == after and name not in MOVES
    assert moved or stayed, f"{name} moved a case from {before} to {after}"
