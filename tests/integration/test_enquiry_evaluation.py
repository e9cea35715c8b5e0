"""/enquiry takes evaluations from those who showed a code, once and in time."""

import base64
import hmac
import re

import pytest
from httpx import Client
from support.enquiry import ask, code_of, evaluate, served_case, ticket_of
from support.world import count, register, rows

from node.keys.key_ring import load_keys
from node.runtime.settings import Settings
from schemas.errors import PetitionLinkError


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


def test_a_ticket_is_nowhere_and_its_use_is_audited(beijing: Settings, client: Client) -> None:
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
