"""`POST /v1/commands`: done once, refused with a problem, whatever a client sends."""

import threading
from typing import Any

import httpx
import pytest
from support.web import new_case, post
from support.world import count, rows

from node.enquiry_access import query_codes
from node.entrypoints.web import execute_command
from node.runtime.settings import Settings
from producers.commands.handle import handled

NEW = {"command": "register", "title": "供暖不足", "channel": "web"}
PERSON = {"name": "张示例", "id_type": "resident_id", "id_number": "000000190001010001"}


def problem(answer: httpx.Response, status: int) -> Any:
    """Return the problem that was answered."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found = answer.json()
    assert found["status"] == status
    assert found["type"].startswith("urn:petitionlink:problem:")
    return found


def test_a_registered_case_is_answered_with_201_its_place_and_a_code_that_opens_it(
    client: httpx.Client, beijing: Settings
) -> None:
    answer = post(client, NEW | {"petitioner": PERSON})
    done = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/v1/cases/{done['case_id']}"
    assert (done["ok"], done["state"], done["version"]) == (True, "registered", 1)
    assert query_codes.understood(done["query_code"])
    assert client.get(answer.headers["location"]).json()["state"] == "registered"
    kept = str(rows(beijing, "select * from case_event, petition_case, query_code"))
    assert done["query_code"].replace("-", "") not in kept.replace("-", "")


def test_a_refused_command_is_a_problem_with_the_rule(client: httpx.Client) -> None:
    case_id = new_case(client)
    found = problem(post(client, {"command": "serve", "case_id": case_id}), 409)
    assert found["rule"] == "wrong_state"
    assert case_id in found["detail"]


WRONG_COMMANDS: list[tuple[Any, str, str]] = [
    (NEW | {"titel": "x"}, "invalid", "did you mean title"),
    (NEW | {"channel": "brieftaube"}, "invalid", "channel"),
    (NEW | {"title": "a\0b"}, "invalid", "NUL"),
    (NEW | {"persons": True}, "invalid", "persons"),
    (NEW | {"persons": 9007199254740993}, "invalid", "persons"),
    (NEW | {"occurred_at": "gestern"}, "invalid", "occurred_at"),
    ({"command": "fly"}, "unknown_command", "fly"),
    ({}, "command", "missing"),
    ({"command": "land", "case_id": "a\0b"}, "case_id", "letters"),
    ([], "invalid", "1 to 100"),
    ([NEW] * 101, "invalid", "divide"),
    ([1], "invalid", "[0]"),
    ("register", "invalid", "JSON object"),
    (None, "invalid", "JSON object"),
]


def test_a_wrong_command_is_unprocessable_and_changes_nothing(
    client: httpx.Client, beijing: Settings
) -> None:
    for value, rule, said in WRONG_COMMANDS:
        found = problem(post(client, value), 422)
        assert found["rule"] == rule
        assert said in found["detail"]
    assert count(beijing, "petition_case") == 0


AMBIGUOUS_BODIES = [
    (b"", "cannot be read"),
    (b"{", "cannot be read"),
    (b'{"command": "register", "title": "\xff"}', "cannot be read"),
    (b'{"command": "register", "title": "\\ud800"}', "cannot be read"),
    (b'{"command": "register", "command": "land"}', "is repeated"),
    (b'{"a": [{"b": 1, "b": 1}]}', "is repeated"),
    (b'{"persons": NaN}', "cannot be read"),
    (b'{"persons": ' + b"9" * 5000 + b"}", "cannot be read"),
    (b"[" * 100_000, "cannot be read"),
    (b"[" * 1000 + b"]" * 1000, "nested too deep"),
    (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "cannot be read"),
]


def test_a_body_that_two_readers_could_read_differently_is_refused(client: httpx.Client) -> None:
    headers = {"Content-Type": "application/json"}
    for body, said in AMBIGUOUS_BODIES:
        answer = client.post("/v1/commands", content=body, headers=headers)
        assert said in problem(answer, 400)["detail"], body[:40]


def test_only_json_is_taken_because_a_foreign_page_cannot_send_it(client: httpx.Client) -> None:
    for media_type in ("text/plain", "application/x-www-form-urlencoded", ""):
        answer = client.post("/v1/commands", content=b"{}", headers={"Content-Type": media_type})
        problem(answer, 415)


def test_a_list_is_done_in_order_and_a_refused_one_stops_nothing(client: httpx.Client) -> None:
    case_id = "110000-20260401-7K3M9QXA"
    commands = [
        NEW | {"case_id": case_id},
        {"command": "serve", "case_id": case_id},
        NEW | {"channel": "brieftaube"},
        {"command": "accept", "case_id": case_id},
    ]
    answer = post(client, commands)
    assert answer.status_code == 200
    results = answer.json()["results"]
    assert [one["ok"] for one in results] == [True, False, False, True]
    assert [one.get("status") for one in results] == [None, 409, 422, None]
    assert [one.get("rule") for one in results] == [None, "wrong_state", "invalid", None]
    assert results[3]["state"] == "accepted"


def test_a_key_makes_a_request_safe_to_repeat(client: httpx.Client, beijing: Settings) -> None:
    first, again = (post(client, NEW, key="k-1") for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json() | {"query_code": None}
    assert first.json()["query_code"] is not None
    assert count(beijing, "petition_case") == 1
    kept = str(rows(beijing, "select response from idempotent_result"))
    assert first.json()["query_code"] not in kept


def test_the_same_request_in_other_spelling_is_the_same(client: httpx.Client) -> None:
    spelt = b'{ "channel":"web", "title":"\\u4f9b\\u6696\\u4e0d\\u8db3", "command":"register" }'
    headers = {"Content-Type": "application/json; charset=utf-8", "Idempotency-Key": "k-1"}
    first = post(client, NEW, key="k-1").json()
    again = client.post("/v1/commands", content=spelt, headers=headers).json()
    assert again["case_id"] == first["case_id"]


def test_a_key_is_not_taken_for_another_request(client: httpx.Client, beijing: Settings) -> None:
    post(client, NEW, key="k-1")
    for other in (NEW | {"title": "别的"}, [NEW]):
        assert problem(post(client, other, key="k-1"), 422)["rule"] == "key_reused"
    assert count(beijing, "petition_case") == 1


def test_a_key_is_printable_and_short(client: httpx.Client) -> None:
    for key in (b"", b"x" * 201, b"a\tb", b"\xff"):
        headers = {b"Content-Type": b"application/json", b"Idempotency-Key": key}
        problem(client.post("/v1/commands", content=b"{}", headers=headers), 422)


def test_a_refusal_under_a_key_stays_one_even_if_it_would_be_legal_later(
    client: httpx.Client,
) -> None:
    case_id = new_case(client)
    too_early = {"command": "decide", "case_id": case_id, "outcome": "supported", "opinion": "好"}
    first = problem(post(client, too_early, key="k-1"), 409)
    assert post(client, {"command": "accept", "case_id": case_id}).status_code == 200
    assert problem(post(client, too_early, key="k-1"), 409) == first
    assert post(client, too_early, key="k-2").status_code == 200


def test_after_a_crash_in_the_middle_of_a_list_only_the_rest_is_done(
    client: httpx.Client, beijing: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies_at_third(*given: Any) -> Any:
        if count(beijing, "petition_case") == 2:
            raise RuntimeError("power cut")
        return handled(*given)

    commands = [NEW | {"title": f"第{number}件"} for number in range(4)]
    monkeypatch.setattr(execute_command, "handled", dies_at_third)
    problem(post(client, commands, key="k-1"), 500)
    done_before = {one for (one,) in rows(beijing, "select case_id from petition_case")}
    monkeypatch.setattr(execute_command, "handled", handled)
    results = post(client, commands, key="k-1").json()["results"]
    assert {one["case_id"] for one in results[:2]} == done_before
    assert count(beijing, "petition_case") == 4
    assert [one["query_code"] is None for one in results] == [True, True, False, False]


def test_two_requests_with_one_key_at_once_are_done_once_and_answered_alike(
    client: httpx.Client, beijing: Settings
) -> None:
    answers: list[httpx.Response] = []

    def ask() -> None:
        answers.append(post(client, [NEW, NEW], key="k-1"))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} == {200}
    told = {tuple(one["case_id"] for one in answer.json()["results"]) for answer in answers}
    assert len(told) == 1
    assert count(beijing, "petition_case") == 2
    assert count(beijing, "query_code") == 2


def test_two_commands_that_exclude_each_other_are_never_both_done(client: httpx.Client) -> None:
    case_id = new_case(client)
    answers: list[int] = []

    def ask() -> None:
        answers.append(post(client, {"command": "accept", "case_id": case_id}).status_code)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200, 409, 409, 409, 409, 409]


def test_nothing_personal_is_kept_in_the_clear_under_a_key(
    client: httpx.Client, beijing: Settings
) -> None:
    post(client, NEW | {"petitioner": PERSON}, key="k-1")
    post(client, NEW | {"channel": PERSON["id_number"]}, key="k-2")
    kept = str(rows(beijing, "select idempotent_result::text from idempotent_result"))
    assert count(beijing, "idempotent_result") == 1
    assert PERSON["name"] not in kept
    assert PERSON["id_number"] not in kept


def test_the_actor_of_a_command_is_the_one_given_or_the_setting(
    client: httpx.Client, beijing: Settings
) -> None:
    new_case(client, actor="desk-7")
    new_case(client)
    actors = rows(beijing, "select actor from case_event order by feed_id")
    assert actors == [("desk-7",), (beijing.actor,)]
