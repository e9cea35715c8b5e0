"""Evaluate a case 评价 from the enquiry page: the petition office and the responsible unit.

The rules that judge the command also say what is open; nothing is decided here.
"""

from typing import Final, NamedTuple

from cases.case import Case
from cases.errors import Refusal
from node.entrypoints.web.pages.tickets import Proven
from node.keys.office import Office
from node.postgres.connection import Connection, Cursor
from node.store import audit_log
from producers.commands.draft_event import Command, draft
from producers.commands.handle import Done, handled

# The actor: the petitioner, through this page.
_ACTOR: Final = "enquiry"
OBJECTS: Final = {"office": "信访部门", "unit": "责任单位"}
RESULTS: Final = {
    "satisfied": "满意",
    "basically_satisfied": "基本满意",
    "dissatisfied": "不满意",
}
_SHOWN_RESULTS: Final = {**RESULTS, "expired": "逾期未评价"}
LONGEST_REASON: Final = 500


class EvaluationState(NamedTuple):
    """The name of an object, its evaluation if there is one, and whether it can be given now."""

    name: str
    chinese: str
    result: str
    is_open: bool


class Given(NamedTuple):
    """The form's values for one object; empty where nothing was chosen."""

    satisfaction: str = ""
    reason: str = ""


def as_given(satisfaction: str, reason: str) -> Given:
    """Return the form's values; browsers count a new line as one character and send two."""
    return Given(satisfaction, reason.replace("\r\n", "\n").strip())


def evaluation_states(office: Office, case: Case) -> list[EvaluationState]:
    """Return the state of both objects of a case."""
    return [
        EvaluationState(
            name,
            chinese,
            _SHOWN_RESULTS.get(case.evaluations.get(name, ""), ""),
            name not in case.evaluations and _is_open(office, case, name),
        )
        for name, chinese in OBJECTS.items()
    ]


def problems(given: dict[str, Given]) -> dict[str, str]:
    """Return what is missing or wrong in the form, by the name of the field."""
    wrong = {}
    for name, (satisfaction, reason) in given.items():
        if satisfaction and satisfaction not in RESULTS:
            wrong[name] = "请选择满意、基本满意或不满意。"
        elif satisfaction == "dissatisfied" and not reason:
            wrong[f"{name}_reason"] = "选择“不满意”时，请写明理由。"
        elif len(reason) > LONGEST_REASON:
            wrong[f"{name}_reason"] = f"理由最多 {LONGEST_REASON} 字，请缩短。"
        elif "\0" in reason:
            wrong[f"{name}_reason"] = "理由中有无法保存的字符，请改写。"
        elif reason and not satisfaction:
            wrong[name] = "写了理由，但没有选择满意度，请选择。"
    if not wrong and not any(each.satisfaction for each in given.values()):
        wrong[next(iter(given), "office")] = "请至少对一个对象作出评价。"
    return wrong


def evaluate(
    connection: Connection, office: Office, proven: Proven, given: dict[str, Given]
) -> bool:
    """Record each given evaluation; return False if one was refused.

    A refused one was evaluated before, or its window has closed meanwhile. Each is audited in the
    transaction of its event, with the code by which the petitioner had proven himself.
    """
    all_recorded = True
    for name, answer in given.items():
        if answer.satisfaction:
            command = _command(office, proven.case_id, name, answer)
            try:
                with handled(connection, office, command) as (cursor, evaluated):
                    _audit(cursor, proven, evaluated)
            except Refusal:
                all_recorded = False
    return all_recorded


def _audit(cursor: Cursor, proven: Proven, done: Done) -> None:
    detail = {
        "event_id": done.event.event_id,
        "proven_by": "query_code",
        "code_issued_at": proven.code_issued_at.isoformat(),
    }
    audit_log.note(cursor, "petitioner", "enquiry.evaluated", detail, proven.case_id)


def _is_open(office: Office, case: Case, name: str) -> bool:
    command = _command(office, case.case_id, name, Given("satisfied"))
    try:
        draft(office, case, command)
    except Refusal:
        return False
    return True


def _command(office: Office, case_id: str, name: str, answer: Given) -> Command:
    reason = answer.reason if answer.satisfaction == "dissatisfied" else ""
    given = {"object": name, "satisfaction": answer.satisfaction, "reason": reason}
    return Command("evaluate", case_id, office.clock(), _ACTOR, given)
