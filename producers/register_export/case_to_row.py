"""Convert the events of a case to the values of a row of a register, for an export 导出."""

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
from schemas.validation.field_spec import fields_of

Body = dict[str, Any]

_STEPS: Final = {step.event_type: name for name, step in HANDLING.items()}
_NEUTRAL: Final = frozenset(
    {types.REGISTERED, types.IDENTIFIED}  # the centre identifies a new case too
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


def case_to_row(case: Exported) -> Told:
    """Return the values of a case for a row, without the petitioner."""
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
    # A case that was not imported has no origin number; its id identifies it.
    made.registered["origin_number"] = made.registered.get("origin_number") or case.case_id
    made.handling = [steps[name] for name in HANDLING if name in steps]
    return made


def petitioner_of(office: Office, case: Exported) -> dict[str, str] | None:
    """Return the filled fields of the petitioner; None if they are not sealed for this node."""
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
    """Put a step in its place; return True if the row cannot hold all that happened."""
    if name == "serve" and body.get("document") != "decision":
        return True
    excluded = {other for other, step in HANDLING.items() if name in step.without}
    lost = [step for step in (name, *HANDLING[name].without, *excluded) if steps.pop(step, None)]
    steps[name] = (name, at, body)
    return bool(lost)


def _correct(registered: Body, corrections: Iterable[dict[str, str]]) -> None:
    for one in corrections:
        name, value = corrected(one["field"], one["value"])
        if name in registered:  # not a part of an attachment, which no row holds
            registered[name] = value


def _own_fields(event_type: str, body: Body) -> Body:
    """Return the body without computed fields."""
    specs = fields_of(catalogue().by_type[event_type])
    return {name: v for name, v in body.items() if name not in specs or not specs[name].computed}
