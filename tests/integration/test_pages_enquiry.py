"""/enquiry: what a petitioner sees, what nobody else learns, and what stays inside."""

from __future__ import annotations

import base64
import hmac
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psycopg2
import pytest
from httpx import Client, Response
from support.cli import as_environment, petitionlink, refused
from support.web import client_of
from support.world import count, do, eventually, register, rows

from node.enquiry_access import attempt_limit, query_codes
from node.entrypoints.web.pages import open_case
from node.keys.key_ring import load_keys
from node.postgres.connection import connected
from node.runtime.settings import Settings
from schemas.errors import PetitionLinkError

PERSON = {"name": "张示例", "id_type": "resident_id", "id_number": "000000190001010001"}
WRONG = "信访件编号或查询码不正确"


@pytest.fixture
def client(beijing: Settings) -> Iterator[Client]:
    """What a browser without script sends to Beijing's page."""
    with client_of(beijing) as made:
        yield made


def code_of(settings: Settings, case_id: str) -> str:
    with connected(settings.dsn, "test") as connection, connection, connection.cursor() as cursor:
        return query_codes.issue(cursor, case_id, "desk-7")


def ask(client: Client, case: str, code: str, **more: Any) -> Response:
    return client.post("/enquiry", data={"case": case, "code": code}, **more)


def served_case(settings: Settings, **given: Any) -> str:
    """A case that was accepted, decided and served here; evaluation is open."""
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


def test_wrong_codes_from_anywhere_never_lock_the_petitioner_out(
    beijing: Settings, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """Fails with a limit of ten by case: the right code is refused too."""
    case_id = register(beijing)
    code = code_of(beijing, case_id)
    for host in range(2, 5):
        elsewhere = httpx.HTTPTransport(local_address=f"127.0.0.{host}")
        with Client(base_url=client.base_url, transport=elsewhere) as guesser:
            for _ in range(attempt_limit.CASE_ALERT_AN_HOUR):
                assert ask(guesser, case_id, "0000-0000-0000").status_code == 403
    assert ask(client, case_id, code).status_code == 200
    told = [one.message for one in caplog.records if "wrong query codes" in one.message]
    assert [one.count(case_id) for one in told] == [1]


def test_an_address_that_was_wrong_too_often_may_try_again_after_an_hour(
    beijing: Settings, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt_limit, "ADDRESS_FAILURES_AN_HOUR", 3)
    case_id = register(beijing)
    code = code_of(beijing, case_id)
    for _ in range(6):
        ask(client, case_id, "0000-0000-0000")
    assert ask(client, case_id, code).status_code == 429
    rows(beijing, "update enquiry_attempt set window_start = window_start - interval '61 minutes'")
    assert ask(client, case_id, code).status_code == 200


def test_an_address_that_tries_around_is_stopped_and_others_are_not(
    beijing: Settings, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt_limit, "ADDRESS_FAILURES_AN_HOUR", 5)
    case_id = register(beijing)
    code = code_of(beijing, case_id)
    answers = [
        ask(client, f"110000-20260401-{number:08}", code).status_code
        for number in range(attempt_limit.ADDRESS_FAILURES_AN_HOUR + 1)
    ]
    assert set(answers[:-1]) == {403}
    assert answers[-1] == 429
    assert ask(client, case_id, code).status_code == 429
    forwarded = {"X-Forwarded-For": "192.0.2.9"}
    assert ask(client, case_id, code, headers=forwarded).status_code == 429
    elsewhere = httpx.HTTPTransport(local_address="127.0.0.2")
    with Client(base_url=client.base_url, transport=elsewhere) as other:
        assert ask(other, case_id, code).status_code == 200


def test_many_at_once_do_not_pass_the_limit_together(beijing: Settings) -> None:
    key, allowed = b"key", []

    def attempt() -> None:
        with connected(beijing.dsn, "test") as made, made, made.cursor() as cursor:
            for _ in range(4):
                allowed.append(attempt_limit.charge(cursor, key, "CASE", "192.0.2.7").allowed)

    threads = [threading.Thread(target=attempt) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert allowed.count(True) == attempt_limit.ADDRESS_FAILURES_AN_HOUR


def test_right_attempts_do_not_count_and_old_ones_are_forgotten(
    beijing: Settings, client: Client
) -> None:
    case_id = register(beijing)
    code = code_of(beijing, case_id)
    for _ in range(3):
        assert ask(client, case_id, code).status_code == 200
    assert rows(beijing, "select coalesce(sum(failures), 0) from enquiry_attempt") == [(0,)]
    rows(beijing, "update enquiry_attempt set window_start = window_start - interval '2 hours'")
    ask(client, case_id, code)
    assert rows(beijing, "select count(*) from enquiry_attempt "
                "where window_start < now() - interval '70 minutes'") == [(0,)]  # fmt: skip


def test_attempts_and_codes_do_not_tell_whose_they_are(beijing: Settings, client: Client) -> None:
    case_id = register(beijing)
    code = code_of(beijing, case_id)
    ask(client, case_id, "0000-0000-0000")
    stored = rows(beijing, "select string_agg(t::text, ' ') from (select e::text as t from "
                  "enquiry_attempt e union all select q.digest::text from query_code q "
                  "union all select a::text from audit_log a) s")[0][0]  # fmt: skip
    assert "127.0.0.1" not in stored
    assert code not in stored
    assert code.replace("-", "") not in stored
    assert rows(beijing, "select count(*) from case_event where body::text like %s",
                (f"%{code}%",)) == [(0,)]  # fmt: skip


def test_a_new_code_voids_the_old_one_and_is_audited(beijing: Settings, client: Client) -> None:
    case_id = served_case(beijing)
    old = code_of(beijing, case_id)
    ticket = ticket_of(ask(client, case_id, old))
    new = code_of(beijing, case_id)
    assert ask(client, case_id, old).status_code == 403
    assert evaluate(client, ticket, office="satisfied").status_code == 403
    assert ask(client, case_id, new).status_code == 200
    assert rows(beijing, "select actor, action, case_id from audit_log order by id")[-1] == (
        "petitioner", "enquiry.opened", case_id)  # fmt: skip
    assert rows(beijing, "select count(*) from audit_log where action = 'query_code.issued' "
                "and actor = 'desk-7'") == [(2,)]  # fmt: skip
    with pytest.raises(PetitionLinkError, match="unknown to this node"):
        code_of(beijing, "110000-20260401-00000000")


def test_a_lost_code_is_replaced_on_the_command_line(beijing: Settings, client: Client) -> None:
    case_id = register(beijing)
    settings = as_environment(beijing)
    asked = ("query-code", case_id, "--actor", "desk-7", "--format", "json")
    answer = petitionlink(*asked, settings=settings).json()
    assert ask(client, case_id, answer["query_code"]).status_code == 200
    unknown = petitionlink("query-code", "110000-20260401-00000000", settings=settings)
    assert "unknown to this node" in refused(unknown)


def evaluate(client: Client, ticket: str, **given: str) -> Response:
    return client.post("/enquiry/evaluation", data={"ticket": ticket, **given})


def test_an_evaluation_is_recorded_shown_and_made_only_once(
    beijing: Settings, client: Client
) -> None:
    case_id = served_case(beijing)
    code = code_of(beijing, case_id)
    ticket = ticket_of(ask(client, case_id, code))
    done = evaluate(
        client, ticket, office="satisfied", unit="dissatisfied", unit_reason="太慢\r\n(虚构)"
    )
    assert done.status_code == 200
    assert "评价已收到" in done.text
    assert "提交评价" not in done.text
    bodies = rows(beijing, "select body ->> 'object', body ->> 'satisfaction', body ->> 'reason', "
                  "actor from case_event where event_type = 'petition.evaluation.recorded.v1' "
                  "order by version")  # fmt: skip
    assert bodies == [
        ("office", "satisfied", "", "enquiry"),
        ("unit", "dissatisfied", "太慢\n(虚构)", "enquiry"),
    ]
    again = evaluate(client, ticket, office="dissatisfied", office_reason="再来")
    assert again.status_code == 409
    assert "没有改变原有评价" in again.text
    assert count(beijing, "case_event") == 6
    assert "满意" in ask(client, case_id, code).text


def test_what_is_missing_in_an_evaluation_is_said_at_its_field(
    beijing: Settings, client: Client
) -> None:
    case_id = served_case(beijing)
    ticket = ticket_of(ask(client, case_id, code_of(beijing, case_id)))
    without = evaluate(client, ticket, unit="dissatisfied", unit_reason="  ")
    assert without.status_code == 422
    assert 'aria-describedby="unit-reason-error"' in without.text
    assert evaluate(client, ticket).status_code == 422
    assert evaluate(client, ticket, unit="excellent").status_code == 422
    assert evaluate(client, ticket, unit="dissatisfied", unit_reason="多" * 501).status_code == 422
    assert evaluate(client, ticket, unit="dissatisfied", unit_reason="a\0b").status_code == 422
    kept = evaluate(client, ticket, office="satisfied", office_reason="", unit_reason="只写理由")
    assert "只写理由" in kept.text
    assert count(beijing, "case_event") == 4


def test_when_the_window_has_closed_no_evaluation_is_offered(
    beijing: Settings, client: Client
) -> None:
    case_id = served_case(beijing)
    ticket = ticket_of(ask(client, case_id, code_of(beijing, case_id)))
    past = """
        update petition_case set fold = jsonb_set(fold, '{clocks}', (
            select jsonb_agg(jsonb_set(clock, '{4}', '1767225600000000'))
            from jsonb_array_elements(fold -> 'clocks') clock))
    """
    rows(beijing, past)
    late = evaluate(client, ticket, office="satisfied")
    assert late.status_code == 409
    assert "提交评价" not in late.text


def test_before_service_no_evaluation_is_offered(beijing: Settings, client: Client) -> None:
    case_id = register(beijing)
    answer = ask(client, case_id, code_of(beijing, case_id))
    assert "评价" not in re.sub("<style.*?</style>", "", answer.text.split("<main")[1])
    assert "ticket" not in answer.text


@pytest.mark.parametrize("ticket", ["", "x", "é", "AAAA", "MTIzfGE=" * 8, "\0"])
def test_a_forged_ticket_opens_nothing(client: Client, ticket: str) -> None:
    answer = evaluate(client, ticket, office="satisfied")
    assert answer.status_code == 403
    assert "重新输入" in answer.text


def test_a_ticket_is_good_for_half_an_hour_from_its_last_use(
    beijing: Settings, client: Client
) -> None:
    case_id = served_case(beijing)
    ticket = ticket_of(ask(client, case_id, code_of(beijing, case_id)))
    earlier = "update enquiry_ticket set expires_at = expires_at - interval '20 minutes'"
    rows(beijing, earlier)
    assert evaluate(client, ticket).status_code == 422
    rows(beijing, earlier)
    assert evaluate(client, ticket).status_code == 422
    rows(beijing, earlier)
    rows(beijing, earlier)
    assert evaluate(client, ticket, office="satisfied").status_code == 403


def test_a_ticket_cannot_be_made_from_any_key_that_a_node_has(
    beijing: Settings, client: Client
) -> None:
    """The form that tickets had when a key that came from `identity.key` signed them."""
    case_id = served_case(beijing)
    code_of(beijing, case_id)
    keys = load_keys(beijing.key_folder, beijing.node)
    stored = rows(beijing, "select digest from query_code")[0][0]
    claim = f"4102444800|{case_id}".encode()
    for secret in (keys.identity_key, keys.pair.private):
        for purpose in ("petitionlink pages|tickets", "petitionlink web|tickets"):
            key = hmac.digest(secret, purpose.encode(), "sha256")
            mac = hmac.digest(key, claim + b"|" + bytes(stored), "sha256")
            forged = base64.urlsafe_b64encode(mac + claim).decode()
            assert evaluate(client, forged, office="satisfied").status_code == 403
    assert rows(beijing, "select count(*) from audit_log where action = 'enquiry.evaluated'") == [
        (0,)
    ]


def test_a_ticket_stands_nowhere_and_its_use_is_audited(beijing: Settings, client: Client) -> None:
    case_id = served_case(beijing)
    ticket = ticket_of(ask(client, case_id, code_of(beijing, case_id)))
    evaluate(client, ticket, office="dissatisfied", office_reason="理由不入审计")
    kept = rows(beijing, "select string_agg(t::text, '') from enquiry_ticket t")[0][0]
    assert ticket not in kept
    audited = rows(beijing, "select a.actor, a.case_id, a.detail ->> 'proven_by', "
                   "(a.detail ->> 'code_issued_at')::timestamptz = q.issued_at, "
                   "e.event_type from audit_log a join query_code q using (case_id) "
                   "join case_event e on e.event_id::text = a.detail ->> 'event_id' "
                   "where action = 'enquiry.evaluated'")  # fmt: skip
    assert audited == [
        ("petitioner", case_id, "query_code", True, "petition.evaluation.recorded.v1")
    ]
    details = rows(beijing, "select string_agg(detail::text, '') from audit_log")[0][0]
    assert "理由" not in details


def test_when_too_many_codes_are_checked_at_once_the_page_says_so_and_others_are_answered(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "node.entrypoints.web.pages.open_case._CHECKS", threading.BoundedSemaphore(1)
    )
    monkeypatch.setattr(query_codes, "_AT_ONCE", threading.BoundedSemaphore(1))
    given = (client, "110000-20260401-7K3M9QXA", "0000-0000-0000")
    with ThreadPoolExecutor(1) as pool:
        with query_codes._AT_ONCE:
            first = pool.submit(ask, *given)
            eventually(lambda: not _is_free(open_case._CHECKS), "the first is being checked")
            second = ask(*given)
            assert client.get("/enquiry").status_code == 200
        assert first.result().status_code == 403
    assert second.status_code == 503
    assert ask(*given).status_code == 403


def _is_free(semaphore: threading.Semaphore) -> bool:
    if free := semaphore.acquire(blocking=False):
        semaphore.release()
    return free


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


def test_only_a_trusted_proxy_names_another_address(
    beijing: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt_limit, "ADDRESS_FAILURES_AN_HOUR", 2)
    case_id = register(beijing)
    code = code_of(beijing, case_id)
    behind = beijing.model_copy(update={"http_trusted_proxies": "127.0.0.1"})
    with client_of(behind) as client:
        for _ in range(3):
            ask(client, case_id, "0000-0000-0000", headers={"X-Forwarded-For": "192.0.2.9"})
        blocked = ask(client, case_id, code, headers={"X-Forwarded-For": "192.0.2.9"})
        other = ask(client, case_id, code, headers={"X-Forwarded-For": "192.0.2.10"})
    assert (blocked.status_code, other.status_code) == (429, 200)
