"""`GET /v1/events`: the feed 事件流水 for a province's own systems."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from node.entrypoints.web import cursors
from node.entrypoints.web.api.models import FeedPage
from node.entrypoints.web.api.parameters import MAX_LIMIT, Cursor
from node.entrypoints.web.problems import GONE, ProblemError, problem_responses
from node.entrypoints.web.services import Services, ServicesOf
from node.queries.database_history import FeedPlace, UnknownHistory
from node.queries.feed import Page, read_feed
from schemas.catalogue import catalogue
from schemas.validation.render import render

router = APIRouter(prefix="/v1/events", tags=["events"])

_DEFAULT_LIMIT = 100
_GONE = (
    "after: this cursor was made in a database that this node has no more, and where to go on is "
    "not known: read the feed from the beginning (without `after`), and leave out events that you "
    "have by their `id`"
)
# Sealed records are returned as they are: a system that holds the node's key may open them.
_SEALED = ("petitioner", "petitioner_keys")


class FeedQuery(BaseModel):
    """The beginning and the length of the page."""

    model_config = ConfigDict(extra="forbid")

    after: Cursor | None = Field(
        None, description="`next` of the answer before; from the very first event if left out."
    )
    limit: int = Field(_DEFAULT_LIMIT, ge=1, le=MAX_LIMIT)


@router.get(
    "",
    summary="Everything this node has applied, in order 事件流水",
    response_model=FeedPage,
    responses=problem_responses(410),
)
def get_feed(query: Annotated[FeedQuery, Query()], services: ServicesOf) -> dict[str, Any]:
    """Return own events and those of others in the order in which this node committed them.

    Each comes once and none is skipped if every request gives the `next` of the answer before. An
    empty page means that there is nothing new yet. After the database was restored, events may come
    again (`restored`), and a cursor of a database that is gone is answered with 410.
    """
    node = services.settings.node
    after = FeedPlace() if query.after is None else cursors.feed_place(node, query.after)
    page = _page(services, after, query.limit)
    return {
        "items": [event_of(row) for row in page.rows],
        "next": cursors.feed_cursor(node, page.end),
        "restored": page.restored,
    }


def _page(services: Services, after: FeedPlace, limit: int) -> Page:
    with services.connections() as connection:
        try:
            return read_feed(connection, after, limit)
        except UnknownHistory:
            raise ProblemError(GONE, _GONE) from None


def event_of(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of the ledger as the API shows it: CloudEvents attributes, then our own."""
    event = {**row}
    event_type, case_id = event.pop("event_type"), event.pop("case_id")
    return {
        "specversion": "1.0",
        "id": event.pop("event_id"),
        "type": event_type,
        "source": f"/nodes/{event['emitter']}",
        "subject": case_id,
        "time": event["recorded_at"],
        "datacontenttype": "application/json",
        "data": _readable(event_type, event.pop("body")),
        **event,
    }


def _readable(event_type: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return the body with readable instants; an unknown type's body as it is."""
    schema = catalogue().by_type.get(event_type)
    if schema is None:
        return body
    return render(schema, body) | {name: body[name] for name in _SEALED if name in body}
