"""`GET /v1/cases`, one case, and its events 信访件查询."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from cases.nodes import NODES
from node.entrypoints.web import cursors
from node.entrypoints.web.api.events import event_of
from node.entrypoints.web.api.models import CaseDetail, CasePage, EventPage
from node.entrypoints.web.api.parameters import MAX_LIMIT, CaseId, Cursor, Day
from node.entrypoints.web.problems import NOT_FOUND, ProblemError, problem_responses
from node.entrypoints.web.services import ServicesOf
from node.queries.cases import find_case, list_cases
from node.queries.deadlines import duties
from node.queries.feed import EventPlace, read_case_events
from node.queries.figures.periods import period

router = APIRouter(prefix="/v1/cases", tags=["cases"])

_DEFAULT_LIMIT = 50

_NodeCode = Annotated[str, StringConstraints(pattern=f"^({'|'.join(NODES)})$")]
_Word = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
_DUE_WITHIN_MAX_HOURS = 24 * 366


class CaseQuery(BaseModel):
    """The filters of the list; all that are given must hold."""

    model_config = ConfigDict(extra="forbid")

    state: _Word | None = Field(None, description="状态, e.g. registered, accepted, decided.")
    registered_by: _NodeCode | None = Field(None, description="登记机构")
    handled_by: Annotated[str | None, StringConstraints(pattern=f"^({'|'.join(NODES)}|none)$")] = (
        Field(None, description="承办节点; `none`: nobody is responsible.")
    )
    channel: _Word | None = Field(None, description="信访形式, e.g. web, letter.")
    area: Annotated[str | None, StringConstraints(pattern=r"^[0-9]{1,12}$")] = Field(
        None, description="问题属地, the first digits: 37, 3701, 370102."
    )
    content_category_1: Annotated[
        str | None, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00]*$")
    ] = Field(None, description="内容分类一级")
    from_: Day | None = Field(None, alias="from", description="Registered from this day in China.")
    to: Day | None = Field(None, description="Registered up to this day in China, inside.")
    overdue: bool | None = Field(None, description="逾期: a duty's clock ran out.")
    clock: Annotated[str | None, StringConstraints(pattern=r"^D[0-9]{2}[a-z]?$")] = Field(
        None, description="A clock 时限 that runs, e.g. D06."
    )
    due_within: int | None = Field(
        None,
        ge=1,
        le=_DUE_WITHIN_MAX_HOURS,
        description="A duty, or the `clock` that is named, runs out within these hours.",
    )
    finding: Literal["first", "repeat"] | None = Field(None, description="初次 or 重复")
    conflicts: bool | None = Field(None, description="With or without events in conflict 冲突.")
    incomplete: bool | None = Field(None, description="Whether events are missing 缺失.")
    limit: int = Field(_DEFAULT_LIMIT, ge=1, le=MAX_LIMIT)
    after: Cursor | None = Field(None, description="`next` of the page before 游标.")

    def filters(self) -> dict[str, Any]:
        """Return the filters as `list_cases` names them; raises `Invalid` for an empty period."""
        given = self.model_dump(exclude={"limit", "after", "from_", "to", "due_within"})
        begin, end = _registered(self.from_, self.to)
        return given | {
            "registered_from": begin,
            "registered_before": end,
            "due_within_hours": self.due_within,
        }


def _registered(first: date | None, last: date | None) -> tuple[datetime | None, datetime | None]:
    start, end = first or last, last or first
    if start is None or end is None:
        return None, None
    days = period(start, end)
    return days.begin if first else None, days.end if last else None


@router.get(
    "",
    summary="A list of cases, newest registration first 信访件列表",
    response_model=CasePage,
    responses=problem_responses(),
)
def get_cases(query: Annotated[CaseQuery, Query()], services: ServicesOf) -> dict[str, Any]:
    """Return cases that pass all filters; first those whose registration has not arrived yet."""
    after = cursors.case_place(query.after) if query.after is not None else None
    with services.connections() as connection:
        rows = list_cases(connection, query.filters(), [*duties()], query.limit + 1, after)
    return _page(rows, query.limit, cursors.case_cursor)


@router.get(
    "/{case_id}",
    summary="One case 信访件",
    response_model=CaseDetail,
    responses=problem_responses(404),
)
def get_case(case_id: CaseId, services: ServicesOf) -> dict[str, Any]:
    """Return the case as this node knows it, with clocks, evaluations and supervisions."""
    with services.connections() as connection:
        row = find_case(connection, case_id)
    if row is None:
        raise _unknown(case_id)
    gaps, conflicts = row.pop("gaps"), row.pop("conflict_list")
    row["gaps"] = [{"emitter": gap[0], "first": gap[1], "last": gap[2]} for gap in gaps or ()]
    row["conflicts"] = [{"event_id": event_id, "rule": rule} for event_id, rule in conflicts or ()]
    return row


class EventQuery(BaseModel):
    """The page of a case's events."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(MAX_LIMIT, ge=1, le=MAX_LIMIT)
    after: Cursor | None = Field(None, description="`next` of the page before 游标.")


@router.get(
    "/{case_id}/events",
    summary="The events of a case 信访件的事件",
    response_model=EventPage,
    responses=problem_responses(404),
)
def get_case_events(
    case_id: CaseId, query: Annotated[EventQuery, Query()], services: ServicesOf
) -> dict[str, Any]:
    """Return the events in the order in which they are folded; sealed data stays sealed."""
    after = cursors.event_place(query.after) if query.after is not None else EventPlace()
    with services.connections() as connection:
        rows = read_case_events(connection, case_id, after, query.limit + 1)
        if not rows and find_case(connection, case_id) is None:
            raise _unknown(case_id)
    page = _page(rows, query.limit, cursors.event_cursor)
    page["items"] = [event_of(row) for row in page["items"]]
    return page


def _page(rows: list[dict[str, Any]], limit: int, cursor_of: Any) -> dict[str, Any]:
    """Return a page; `rows` has one row more than it if there is a next page."""
    more = len(rows) > limit
    items = rows[:limit]
    return {"items": items, "next": cursor_of(items[-1]) if more else None}


def _unknown(case_id: str) -> ProblemError:
    return ProblemError(
        NOT_FOUND,
        f"case {case_id} is unknown to this node: it has no part in it, or nothing of it has "
        "arrived yet",
        "unknown_case",
    )
