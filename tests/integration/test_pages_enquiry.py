"""/enquiry: what a petitioner sees, what nobody else learns, and what stays inside."""

import psycopg2
import pytest
from httpx import Client
from support.cli import as_environment, petitionlink, refused
from support.enquiry import ask, code_of, served_case
from support.world import count, do, register

from node.runtime.settings import Settings

PERSON = {"name": "张示例", "id_type": "resident_id", "id_number": "000000190001010001"}
WRONG = "信访件编号或查询码不正确"


def test_number_and_code_open_the_petitioners_view(beijing: Settings, client: Client) -> None:
    case_id = served_case(beijing, petitioner=PERSON)
    answer = ask(client, case_id.lower().replace("-", " – "), code_of(beijing, case_id).lower())
    assert answer.status_code == 200
    for shown in ("登记", "北京市", "受理", "示例供热公司", "处理意见", "予以支持(虚构)。", "支持",
                  "示信〔2026〕1号", "评价截止"):  # fmt: skip
        assert shown in answer.text


def test_nothing_else_is_shown(beijing: Settings, client: Client) -> None:
    case_id = served_case(beijing, petitioner=PERSON, actor="desk-42")
    text = ask(client, case_id, code_of(beijing, case_id)).text
    for hidden in ("内部备注", "内容不外露", "供暖不足", "desk-42", "张示例", PERSON["id_number"],
                   "XF2022", "D06", "落地", "督办"):  # fmt: skip
        assert hidden not in text


def test_dispatches_and_what_was_refused_are_shown_with_their_dates(
    beijing: Settings, client: Client
) -> None:
    case_id = register(beijing, occurred_at="2026-03-31T23:30:00+08:00")
    told = {"reasons": "不属于受理范围(虚构)。", "guidance": "可依法申请仲裁"}
    day = "2026-04-02T00:10:00+08:00"
    do(beijing, "not_accept", case_id=case_id, article="示例条款", occurred_at=day, **told)
    text = ask(client, case_id, code_of(beijing, case_id)).text
    assert "2026年3月31日" in text
    assert "2026年4月2日" in text
    for shown in ("不予受理告知", "不属于受理范围(虚构)。", "可依法申请仲裁", "示例条款"):
        assert shown in text
    sent = register(beijing)
    do(beijing, "assign", case_id=sent, to="000000", requirement="内部要求", unit="内部单位")
    text = ask(client, sent, code_of(beijing, sent)).text
    assert "交办" in text
    assert "北京市 → 国家信访局" in text
    assert "内部要求" not in text
    assert "内部单位" not in text


def test_what_people_wrote_is_text_and_never_markup(beijing: Settings, client: Client) -> None:
    case_id = register(beijing)
    do(beijing, "accept", case_id=case_id, unit="<b>单位</b>")
    do(beijing, "decide", case_id=case_id, outcome="explained", opinion="<script>alert(1)</script>")
    text = ask(client, case_id, code_of(beijing, case_id)).text
    assert "&lt;script&gt;" in text
    assert "<script>" not in text
    assert "<b>" not in text
    assert "&#34;&gt;&lt;i" in ask(client, '"><i', "").text


def test_wrong_case_and_wrong_code_answer_alike(beijing: Settings, client: Client) -> None:
    case_id = register(beijing)
    code = code_of(beijing, case_id)
    wrong_case = ask(client, "110000-20260401-00000000", code)
    wrong_code = ask(client, case_id, "0000-0000-0000")
    answers = [
        (one.status_code, one.text.replace(case_id, "N").replace("110000-20260401-00000000", "N"))
        for one in (wrong_case, wrong_code)
    ]
    assert answers[0] == answers[1]
    assert answers[0][0] == 403
    assert WRONG in answers[0][1]


def test_a_lost_code_is_replaced_on_the_command_line(beijing: Settings, client: Client) -> None:
    case_id = register(beijing)
    settings = as_environment(beijing)
    asked = ("query-code", case_id, "--actor", "desk-7", "--format", "json")
    answer = petitionlink(*asked, settings=settings).json()
    assert ask(client, case_id, answer["query_code"]).status_code == 200
    unknown = petitionlink("query-code", "110000-20260401-00000000", settings=settings)
    assert "unknown to this node" in refused(unknown)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "case"),
        ({"case": "110000-20260401-7K3M9QXA"}, "code"),
        ({"case": "a b\0c", "code": "0000-0000-0000"}, "case"),
        ({"case": "信访", "code": "0000-0000-0000"}, "case"),
        ({"case": "x" * 65, "code": "0000-0000-0000"}, "case"),
        ({"case": "110000-20260401-7K3M9QXA", "code": "密码"}, "code"),
    ],
)
def test_what_can_be_no_number_or_code_is_said_at_its_field(
    beijing: Settings, client: Client, given: dict[str, str], field: str
) -> None:
    answer = client.post("/enquiry", data=given)
    assert answer.status_code == 422
    assert f'id="{field}-error"' in answer.text
    assert f'aria-describedby="{field}-hint {field}-error"' in answer.text
    assert count(beijing, "enquiry_attempt") == 0


def test_the_pages_are_kept_nowhere_and_take_nothing_from_elsewhere(client: Client) -> None:
    answer = client.get("/enquiry")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "Set-Cookie" not in answer.headers
    assert "<script" not in answer.text
    assert "style=" not in answer.text
    assert "http" not in answer.text.replace("http-equiv", "")
    assert client.get("/static/style.css").status_code == 200
    assert client.get("/enquiry/evaluation").headers["Location"] == "/enquiry"


def test_while_the_database_is_away_a_page_says_so(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:

    def away(*_: object) -> None:
        raise psycopg2.OperationalError("connection refused")

    monkeypatch.setattr("node.entrypoints.web.pages.open_case.attempt_limit.charge", away)
    answer = ask(client, "110000-20260401-7K3M9QXA", "0000-0000-0000")
    assert answer.status_code == 503
    assert "系统暂时不可用" in answer.text
    assert answer.headers["Retry-After"]
    monkeypatch.setattr("node.entrypoints.web.pages.open_case.attempt_limit.charge", lambda: None)
    broken = ask(client, "110000-20260401-7K3M9QXA", "0000-0000-0000")
    assert broken.status_code == 500
    assert "charge" not in broken.text
