"""The petitioner's page in tests: query codes, requests, tickets and evaluations."""

import re
from typing import Any

from httpx import Client, Response
from support.world import do, register

from node.enquiry_access import query_codes
from node.postgres.connection import connected
from node.runtime.settings import Settings


def code_of(settings: Settings, case_id: str) -> str:
    with connected(settings.dsn, "test") as connection, connection, connection.cursor() as cursor:
        return query_codes.issue(cursor, case_id, "desk-7")


def ask(client: Client, case: str, code: str, **more: Any) -> Response:
    return client.post("/enquiry", data={"case": case, "code": code}, **more)


def served_case(settings: Settings, **given: Any) -> str:
    """Make a case that was accepted, decided and served here; evaluation is open."""
    case_id = register(settings, text="内容不外露", **given)
    do(settings, "accept", case_id=case_id, unit="示例供热公司", note="内部备注")
    do(settings, "decide", case_id=case_id, outcome="supported", opinion="予以支持(虚构)。",
       opinion_number="示信〔2026〕1号", unit="示例供热公司")  # fmt: skip
    do(settings, "serve", case_id=case_id, document="decision", method="online")
    return case_id


def ticket_of(answer: Response) -> str:
    found = re.search(r'name="ticket" value="([^"]+)"', answer.text)
    assert found, answer.text
    return found[1]


def evaluate(client: Client, ticket: str, **given: str) -> Response:
    return client.post("/enquiry/evaluation", data={"ticket": ticket, **given})
