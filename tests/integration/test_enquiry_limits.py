"""/enquiry counts wrong codes by address and checks only a few codes at once."""

import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from httpx import Client
from support.enquiry import ask, code_of
from support.web import client_of
from support.world import eventually, register, rows

from node.enquiry_access import attempt_limit, query_codes
from node.entrypoints.web.pages import open_case
from node.postgres.connection import connected
from node.runtime.settings import Settings


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
