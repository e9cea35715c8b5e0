"""/enquiry 信访件查询: case number and query code open the petitioner's own view.

There is no cookie, no script and nothing in the address: every step posts a form.
"""

from functools import partial
from typing import Annotated, Final

from fastapi import APIRouter, Form, Request
from starlette.responses import HTMLResponse, RedirectResponse

from cases.case import Case
from cases.nodes import NODES
from node.enquiry_access.query_codes import understood
from node.entrypoints.web.pages import tickets
from node.entrypoints.web.pages.evaluate import (
    OBJECTS,
    RESULTS,
    Given,
    as_given,
    evaluate,
    evaluation_states,
    problems,
)
from node.entrypoints.web.pages.open_case import Connections, OpenRefusal, open_case, parse_case_id
from node.entrypoints.web.pages.render import PageRoute, page
from node.entrypoints.web.services import web_key
from node.keys.office import Office
from node.postgres.connection import Connection
from node.queries.case_history import fold_of
from node.queries.petitioner_view import petitioner_view
from node.runtime.metrics import Metrics

Text = Annotated[str, Form()]

_WRONG: Final = (
    "信访件编号或查询码不正确。请对照回执核对；仍不能查询的，请向登记机构申请新的查询码。"
)
_TOO_OFTEN: Final = "您所在的网络一小时内输错次数过多，请一小时后再试。"
_LAPSED: Final = "页面停留时间过长，请重新输入信访件编号和查询码。"
_LONGEST_CASE: Final = 100
_THANKS: Final = "评价已收到，谢谢。"
_NOT_AGAIN: Final = "此前已经评价过，或评价期已过，本次提交没有改变原有评价。"


class EnquiryPage:
    """The steps of the page, one for each form."""

    def __init__(self, office: Office, connections: Connections, metrics: Metrics) -> None:
        self._office = office
        self._connections = connections
        self._attempts = metrics.enquiry_attempts
        self._attempts_key = web_key(office.keys, "attempts")

    def form(self) -> HTMLResponse:
        """Return the empty form."""
        return self._form()

    def open(self, request: Request, case: Text = "", code: Text = "") -> HTMLResponse:
        """Return the petitioner's view, or the form again with what was wrong."""
        meant_case, meant_code = parse_case_id(case), understood(code)
        wrong = {}
        if meant_case is None:
            wrong["case"] = "请输入回执上的信访件编号，例如 110000-20260401-7K3M9QXA。"
        if meant_code is None:
            wrong["code"] = "查询码为 12 位字母和数字，例如 7K3M-9QXA-2B4C。"
        if meant_case is None or meant_code is None:
            return self._form(422, case=case, wrong=wrong)
        address = request.client.host if request.client else ""
        opened = open_case(self._connections, self._attempts_key, meant_case, meant_code, address)
        self._attempts.labels(opened.value if isinstance(opened, OpenRefusal) else "opened").inc()
        if opened is OpenRefusal.TOO_OFTEN:
            return self._form(429, case=case, message=_TOO_OFTEN)
        if isinstance(opened, OpenRefusal):
            return self._form(403, case=case, message=_WRONG)
        with self._connections() as connection:
            return self._view(connection, *opened)

    def evaluate(
        self,
        ticket: Text = "",
        office: Text = "",
        office_reason: Text = "",
        unit: Text = "",
        unit_reason: Text = "",
    ) -> HTMLResponse:
        """Record the evaluations of the form, then return the view with them."""
        given = {"office": as_given(office, office_reason), "unit": as_given(unit, unit_reason)}
        with self._connections() as connection:
            with connection, connection.cursor() as cursor:
                proven = tickets.redeem(cursor, ticket)
            if proven is None:
                return self._form(403, message=_LAPSED)
            view = partial(self._view, connection, proven.case_id, ticket)
            wrong = problems(given)
            if wrong:
                return view(422, given=given, wrong=wrong)
            if evaluate(connection, self._office, proven, given):
                return view(200, said=_THANKS)
            return view(409, said=_NOT_AGAIN)

    def _form(
        self,
        status: int = 200,
        *,
        case: str = "",
        message: str = "",
        wrong: dict[str, str] | None = None,
    ) -> HTMLResponse:
        return page(
            "enquiry.html", status, node=NODES[self._office.node], case=case[:_LONGEST_CASE],
            message=message, wrong={"case": "", "code": "", **(wrong or {})},
        )  # fmt: skip

    def _view(
        self,
        connection: Connection,
        case_id: str,
        ticket: str,
        status: int = 200,
        *,
        given: dict[str, Given] | None = None,
        wrong: dict[str, str] | None = None,
        said: str = "",
    ) -> HTMLResponse:
        with connection, connection.cursor() as cursor:
            view = petitioner_view(cursor, case_id)
            case = fold_of(cursor, case_id) or Case(case_id)
        return page(
            "case.html", status, node=NODES[self._office.node], view=view, case_id=case_id,
            ticket=ticket, objects=evaluation_states(self._office, case), results=RESULTS,
            given=given or dict.fromkeys(OBJECTS, Given()), wrong=wrong or {}, said=said,
        )  # fmt: skip


def router(office: Office, connections: Connections, metrics: Metrics) -> APIRouter:
    """Return the routes of the page, which the API's description leaves out."""
    steps = EnquiryPage(office, connections, metrics)
    routes = APIRouter(route_class=PageRoute, include_in_schema=False)
    routes.get("/enquiry")(steps.form)
    routes.post("/enquiry")(steps.open)
    routes.post("/enquiry/evaluation")(steps.evaluate)
    routes.get("/enquiry/evaluation")(_back)
    return routes


def _back() -> RedirectResponse:
    """Send a visitor who comes by the address bar to the beginning."""
    return RedirectResponse("/enquiry", 303)
