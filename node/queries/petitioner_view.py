"""The petitioner's view of a case 信访人视图 shows what docs/domain.md §4 grants, nothing else.

That is registration, forwarding, transfer to the competent body, notices of acceptance and
extension, and opinions, each with its date. Only the fields named below are read from the ledger:
notes, accounts, supervision, conflicts and everything about the person never leave it.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, NamedTuple

from cases.clocks.names import EVALUATION
from cases.nodes import NODES
from node.postgres.connection import Cursor
from node.queries.case_history import fold_of

Body = Mapping[str, Any]


class Notice(NamedTuple):
    """A line of the view: what, when, by or to whom, and the facts and text of the document."""

    title: str
    at: datetime
    where: str
    facts: list[tuple[str, str]]
    text: str


class View(NamedTuple):
    """A case as its petitioner sees it, the oldest notice first, and the end of evaluation."""

    case_id: str
    notices: list[Notice]
    evaluate_until: datetime | None


# An event that was marked as a conflict has no effect, and is not shown.
_FIELDS: Final = (
    *("to", "unit", "competent", "pathway", "kind", "reasons", "reason", "article", "guidance"),
    *("opinion", "outcome", "opinion_number", "procedure", "days"),
)
_EVENTS: Final = f"""
    select e.event_type, e.emitter, e.occurred_at,
           {", ".join(f"e.body -> '{name}'" for name in _FIELDS)}
    from case_event e join petition_case c using (case_id)
    where case_id = %s and event_type = any(%s)
      and not coalesce(c.fold -> 'conflicts', '[]')
          @> jsonb_build_array(jsonb_build_array(e.event_id::text))
    order by e.version, e.emitter, e.event_id
"""


def petitioner_view(cursor: Cursor, case_id: str) -> View | None:
    """Return what the petitioner may see of the case; None if it is not registered here."""
    case = fold_of(cursor, case_id)
    if case is None or case.registered_by is None:
        return None
    cursor.execute(_EVENTS, (case_id, [*_SHOWN]))
    notices = [
        _SHOWN[event_type](emitter, at, dict(zip(_FIELDS, fields, strict=True)))
        for event_type, emitter, at, *fields in cursor
    ]
    window = case.running(EVALUATION)
    until = window and datetime.fromtimestamp(window.due_at / 1_000_000, UTC)
    return View(case_id, [notice for notice in notices if notice is not None], until)


def _named(code: object) -> str:
    node = NODES.get(str(code))
    return node.chinese if node else str(code or "")


def _by(emitter: str, body: Body) -> str:
    return body["unit"] or _named(emitter)


def _facts(*pairs: tuple[str, Any]) -> list[tuple[str, str]]:
    return [(label, str(value)) for label, value in pairs if value]


def _registered(emitter: str, at: datetime, _body: Body) -> Notice:
    return Notice("登记", at, _named(emitter), [], "")


def _sent(title: str, emitter: str, at: datetime, body: Body) -> Notice:
    return Notice(title, at, f"{_named(emitter)} → {_named(body['to'])}", [], "")


def _landed(_emitter: str, at: datetime, body: Body) -> Notice | None:
    """Return a notice if the case was passed to a unit; otherwise landing is not shown."""
    unit = body["unit"]
    return Notice("转交有权处理的机关、单位", at, unit, [], "") if unit else None


def _diverted(emitter: str, at: datetime, body: Body) -> Notice:
    title = "移送有权处理的机关、单位" if body["kind"] == "handed_over" else "导入法定途径"
    facts = _facts(
        ("途径", _PATHWAYS.get(str(body["pathway"]), "")),
        ("有权处理的机关、单位", body["competent"]),
        ("依据", body["article"]),
    )
    return Notice(title, at, _by(emitter, body), facts, body["reasons"] or "")


def _accepted(emitter: str, at: datetime, body: Body) -> Notice:
    simple = body["procedure"] == "simple"
    return Notice("受理", at, _by(emitter, body), _facts(("程序", "简易办理" * simple)), "")


def _refused(title: str, emitter: str, at: datetime, body: Body) -> Notice:
    facts = _facts(
        ("文号", body["opinion_number"]),
        ("依据", body["article"]),
        ("可通过以下途径提出", body["guidance"]),
    )
    return Notice(title, at, _by(emitter, body), facts, body["reasons"] or "")


def _extended(emitter: str, at: datetime, body: Body) -> Notice:
    facts = _facts(("文号", body["opinion_number"]), ("延长", f"{body['days']} 日"))
    return Notice("延期告知", at, _by(emitter, body), facts, body["reason"] or "")


def _opinion(title: str, emitter: str, at: datetime, body: Body) -> Notice:
    outcome = _OUTCOMES.get(str(body["outcome"]), "")
    facts = _facts(("文号", body["opinion_number"]), ("结论", outcome))
    return Notice(title, at, _by(emitter, body), facts, body["opinion"] or "")


_PATHWAYS: Final = {
    "litigation": "诉讼",
    "arbitration": "仲裁",
    "reconsideration": "行政复议",
    "administrative": "行政程序",
    "discipline": "纪检监察",
    "procuratorial": "检察",
    "other": "其他法定途径",
}
_OUTCOMES: Final = {
    "supported": "支持",
    "explained": "解释说明",
    "not_supported": "不予支持",
    "upheld": "维持",
    "changed": "变更",
    "revoked": "撤销",
    "remanded": "责令重新处理",
}
# The event types that a petitioner sees.
_SHOWN: Final[dict[str, Callable[[str, datetime, Body], Notice | None]]] = {
    "petition.case.registered.v1": _registered,
    "petition.case.forwarded.v1": partial(_sent, "转送"),
    "petition.case.assigned.v1": partial(_sent, "交办"),
    "petition.case.landed.v1": _landed,
    "petition.case.diverted.v1": _diverted,
    "petition.case.accepted.v1": _accepted,
    "petition.case.not_accepted.v1": partial(_refused, "不予受理告知"),
    "petition.case.no_longer_accepted.v1": partial(_refused, "不再受理告知"),
    "petition.case.extended.v1": _extended,
    "petition.case.decided.v1": partial(_opinion, "处理意见"),
    "petition.review.decided.v1": partial(_opinion, "复查意见"),
    "petition.recheck.decided.v1": partial(_opinion, "复核意见"),
}
