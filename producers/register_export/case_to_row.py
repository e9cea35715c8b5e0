"""What a row of a register can tell of a case, from its events: for an export 导出."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from cases.case import State
from cases.nodes import NODES
from cases.rules.corrections import corrected
from cases.vocabulary import event_types as types
from node.keys.office import Office
from node.queries.export import Exported
from node.store.events import bytes_of
from producers.register.case_steps import HANDLING
from producers.register.row_writer import Told
from schemas.catalogue import catalogue
from schemas.errors import PetitionLinkError
from schemas.sealing.sealed_record import unseal

Body = dict[str, Any]

_STEPS: Final = {step.event_type: name for name, step in HANDLING.items()}
_NEUTRAL: Final = frozenset(
    {types.REGISTERED, types.IDENTIFIED}  # what the centre finds, it finds for a new case too
)
_HANDED_OVER: Final = frozenset({types.FORWARDED, types.ASSIGNED, types.COPIED})
_STATES: Final = {
    State.REGISTERED: "已登记",
    State.FORWARDED: "已转送",
    State.ASSIGNED: "已交办",
    State.LANDED: "已落地",
    State.OBJECTED: "异议待裁定",
    State.RETURNED: "异议退回",
    State.ACCEPTED: "已受理",
    State.NOT_ACCEPTED: "不予受理",
    State.NO_LONGER_ACCEPTED: "不再受理",
    State.ACCEPTANCE_OVERRULED: "应予受理",
    State.DIVERTED: "已导入法定途径或移送",
    State.DECIDED: "已出具处理意见",
    State.SERVED: "已送达",
    State.CLOSED: "已办结",
    State.REVIEW_REQUESTED: "复查中",
    State.REVIEW_DECIDED: "已复查",
    State.RECHECK_REQUESTED: "复核中",
    State.RECHECK_DECIDED: "已复核",
    State.WITHDRAWN: "已撤回",
    State.MERGED: "已并件",
}


def told(case: Exported) -> Told:
    """What a row tells of a case, without the petitioner."""
    made = Told(
        case_id=case.case_id,
        state=_STATES.get(case.state, case.state),
        handler=NODES[case.handled_by].chinese if case.handled_by in NODES else "",
        registered={},
        registered_at=0,
        handling=[],
    )
    steps: dict[str, tuple[str, int, Body]] = {}
    for event_type, emitter, at, body in case.events:
        made.more |= emitter != case.registered_by and event_type not in _NEUTRAL
        if event_type == types.REGISTERED:
            made.registered, made.registered_at = _own_fields(event_type, body), at
        elif event_type in _STEPS:
            made.more |= _take(steps, _STEPS[event_type], at, _own_fields(event_type, body))
        else:
            made.more |= event_type not in _NEUTRAL
            _correct(made.registered, body.get("corrections", ()))
    # A case that was not imported has no number of its origin; the id finds it again.
    made.registered["origin_number"] = made.registered.get("origin_number") or case.case_id
    made.handling = [steps[name] for name in HANDLING if name in steps]
    return made


def petitioner_of(office: Office, case: Exported) -> dict[str, str] | None:
    """The filled fields of the petitioner, none if there is none; None if sealed from this node."""
    sealed: Body | None = None
    keys: list[Body] = []
    for event_type, _, _, body in case.events:
        if body.get("petitioner"):
            sealed, keys = body["petitioner"], []
        if event_type in _HANDED_OVER:
            keys += body.get("petitioner_keys", ())
    if sealed is None:
        return {}
    try:
        found = unseal(bytes_of(sealed), case.case_id, office.keys.pair, map(bytes_of, keys))
    except PetitionLinkError:
        return None
    return {name: text for name, text in found.items() if text}


def _take(steps: dict[str, tuple[str, int, Body]], name: str, at: int, body: Body) -> bool:
    """Put a step in its place; True if the row cannot tell all that happened."""
    if name == "serve" and body.get("document") != "decision":
        return True
    lost = [other for other in (name, *_others(name)) if steps.pop(other, None)]
    steps[name] = (name, at, body)
    return bool(lost)


def _others(name: str) -> Iterable[str]:
    """The steps that cannot stand beside this one."""
    for other, step in HANDLING.items():
        if name in step.without or other in HANDLING[name].without:
            yield other


def _correct(registered: Body, corrections: Iterable[dict[str, str]]) -> None:
    for one in corrections:
        name, value = corrected(one["field"], one["value"])
        if name in registered:  # not a part of an attachment, which no row tells
            registered[name] = value


def _own_fields(event_type: str, body: Body) -> Body:
    """The body without what the node fills in."""
    computed = _COMPUTED.get(event_type)
    if computed is None:
        fields = catalogue().by_type[event_type].avro["fields"]
        computed = frozenset(one["name"] for one in fields if one.get("computed"))
        _COMPUTED[event_type] = computed
    return {name: value for name, value in body.items() if name not in computed}


_COMPUTED: dict[str, frozenset[str]] = {}
