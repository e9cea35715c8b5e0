"""Evaluating a case 评价 from the enquiry page: of the petition office and of the unit.

What is open is asked of the same rules that will judge the command; nothing is decided here.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from cases.case import Case
from cases.errors import Refusal
from node.entrypoints.web.pages.tickets import Proven
from node.keys.office import Office
from node.postgres.connection import Connection, Cursor
from node.store import audit_log
from producers.commands.draft_event import Command, draft
from producers.commands.handle import Done, handled

# Who acts: the petitioner, through this page.
_ACTOR: Final = "enquiry"
OBJECTS: Final = {"office": "信访部门", "unit": "责任单位"}
RESULTS: Final = {
    "satisfied": "满意",
    "basically_satisfied": "基本满意",
    "dissatisfied": "不满意",
}
_SHOWN_RESULTS: Final = {**RESULTS, "expired": "逾期未评价"}
LONGEST_REASON: Final = 500


class Standing(NamedTuple):
    """One object: what it is called, how it was evaluated if it was, and if it can be now."""

    name: str
    chinese: str
    result: str
    is_open: bool


class Given(NamedTuple):
    """What the form says about one object; empty where nothing was chosen."""

    satisfaction: str = ""
    reason: str = ""


def as_given(satisfaction: str, reason: str) -> Given:
    """The form's values; browsers count a new line as one character and send two."""
    return Given(satisfaction, reason.replace("\r\n", "\n").strip())


def standings(office: Office, case: Case) -> list[Standing]:
    """Both objects of a case."""
    return [
        Standing(
            name,
            chinese,
            _SHOWN_RESULTS.get(case.evaluations.get(name, ""), ""),
            name not in case.evaluations and _is_open(office, case, name),
        )
        for name, chinese in OBJECTS.items()
    ]


def problems(given: dict[str, Given]) -> dict[str, str]:
    """What is missing or wrong in the form, by the name of the field."""
    found = {}
    for name, one in given.items():
        if one.satisfaction and one.satisfaction not in RESULTS:
            found[name] = "请选择满意、基本满意或不满意。"
        elif one.satisfaction == "dissatisfied" and not one.reason:
            found[f"{name}_reason"] = "选择“不满意”时，请写明理由。"
        elif len(one.reason) > LONGEST_REASON:
            found[f"{name}_reason"] = f"理由最多 {LONGEST_REASON} 字，请缩短。"
        elif "\0" in one.reason:
            found[f"{name}_reason"] = "理由中有无法保存的字符，请改写。"
        elif one.reason and not one.satisfaction:
            found[name] = "写了理由，但没有选择满意度，请选择。"
    if not found and not any(one.satisfaction for one in given.values()):
        found[next(iter(given), "office")] = "请至少对一个对象作出评价。"
    return found


def evaluate(
    connection: Connection, office: Office, proven: Proven, given: dict[str, Given]
) -> dict[str, bool]:
    """Record each evaluation that was given; for each object whether it was recorded.

    One that the rules refuse was evaluated before, or its window has closed meanwhile. Each is
    audited in the transaction of its event: by which code the petitioner had proven himself.
    """
    done = {}
    for name, one in given.items():
        if one.satisfaction:
            command = _command(office, proven.case_id, name, one)
            try:
                with handled(connection, office, command) as (cursor, evaluated):
                    _audit(cursor, proven, evaluated)
                done[name] = True
            except Refusal:
                done[name] = False
    return done


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


def _command(office: Office, case_id: str, name: str, one: Given) -> Command:
    reason = one.reason if one.satisfaction == "dissatisfied" else ""
    given = {"object": name, "satisfaction": one.satisfaction, "reason": reason}
    return Command("evaluate", case_id, office.clock(), _ACTOR, given)
