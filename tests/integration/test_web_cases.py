"""Lists of cases, one case and its events over HTTP."""

from typing import Any

import httpx
from support.web import new_case, post
from support.world import do, event, receive, rows

from node.runtime.settings import Settings

PERSON = {"name": "张示例", "id_type": "resident_id", "id_number": "000000190001010001"}


def listed(client: httpx.Client, **query: Any) -> list[str]:
    """Return the ids of a list that fits on one page."""
    answer = client.get("/v1/cases", params=query)
    assert answer.status_code == 200, answer.text
    assert answer.json()["next"] is None
    return [one["case_id"] for one in answer.json()["items"]]


def walked(client: httpx.Client, path: str, **query: Any) -> list[Any]:
    """Return all items of all pages."""
    found: list[Any] = []
    while True:
        page = client.get(path, params=query).json()
        assert len(page["items"]) <= query["limit"]
        found += page["items"]
        if page["next"] is None:
            return found
        query["after"] = page["next"]


def test_pages_follow_each_other_without_gap_or_repeat_newest_first(
    client: httpx.Client, beijing: Settings
) -> None:
    day = "2026-03-0{}T08:00:00+08:00"
    made = [
        new_case(client, occurred_at=day.format(1 + number // 3), received_at=day.format(1))
        for number in range(9)
    ]
    # Of two more, the registration has not arrived: they come first.
    unknown = ["110000-20260401-7K3M9QXA", "110000-20260401-8K3M9QXB"]
    for case_id in unknown:
        landed: dict[str, Any] = {"type_": "petition.case.landed.v1", "body": {}}
        receive(beijing, event(case_id, 2, **landed))
    expected = [
        one
        for (one,) in rows(
            beijing,
            "select case_id from petition_case order by registered_at desc, case_id desc",
        )
    ]
    assert set(expected[:2]) == set(unknown)
    assert set(expected[2:]) == set(made)
    for limit in (1, 2, 4, 11, 200):
        found = [one["case_id"] for one in walked(client, "/v1/cases", limit=limit)]
        assert found == expected


def test_a_case_that_appears_meanwhile_disturbs_no_later_page(client: httpx.Client) -> None:
    old = [new_case(client, occurred_at=f"2026-03-0{day}T08:00:00+08:00") for day in (3, 2, 1)]
    first = client.get("/v1/cases", params={"limit": 1}).json()
    new_case(client)
    query = {"limit": 5, "after": first["next"]}
    rest = [one["case_id"] for one in client.get("/v1/cases", params=query).json()["items"]]
    assert [first["items"][0]["case_id"], *rest] == old


def test_each_filter_gives_what_it_names(client: httpx.Client) -> None:
    dated = {"occurred_at": "2026-03-01T00:30:00+08:00"}
    first = new_case(client, area="370102", content_category_1="城乡建设", **dated)
    second = new_case(client, channel="letter", area="110105")
    assert post(client, {"command": "accept", "case_id": second}).status_code == 200
    sent = {"command": "forward", "case_id": first, "to": "370000"}
    assert post(client, sent).status_code == 200
    both = sorted([first, second])
    assert sorted(listed(client)) == both
    assert listed(client, state="accepted") == [second]
    assert listed(client, handled_by="370000") == [first]
    assert listed(client, handled_by="none") == []
    assert sorted(listed(client, registered_by="110000")) == both
    assert listed(client, registered_by="370000") == []
    assert listed(client, channel="letter") == [second]
    assert listed(client, area="37") == listed(client, area="370102") == [first]
    assert listed(client, area="3702") == []
    assert listed(client, content_category_1="城乡建设") == [first]
    # Half past midnight in China is the day before in UTC.
    assert listed(client, **{"from": "2026-03-01", "to": "2026-03-01"}) == [first]
    assert listed(client, to="2026-02-28") == []
    assert listed(client, **{"from": "2026-03-02"}) == [second]
    assert sorted(listed(client, conflicts="false", incomplete="false")) == both
    assert listed(client, conflicts="true") == listed(client, incomplete="true") == []
    assert listed(client, state="accepted", channel="web") == []


def test_cases_are_found_by_their_clocks(client: httpx.Client, beijing: Settings) -> None:
    late, soon, met, lapsed = (new_case(client) for _ in range(4))
    rows(beijing, "delete from case_clock")
    clocks = (
        (late, "D01", "-1 hour", None),
        (soon, "D01", "30 hours", None),
        (met, "D01", "-1 hour", "now"),
        (lapsed, "D08", "-1 hour", None),  # a right that lapsed is nobody's fault
    )
    for case_id, clock, due, ended in clocks:
        rows(
            beijing,
            "insert into case_clock (case_id, clock, event_id, owner, started_at, due_at, "
            "provisional, calendar, ended_at) values (%s, %s, gen_random_uuid(), '110000', "
            "now() - interval '9 days', now() + %s::interval, false, '', %s)",
            (case_id, clock, due, ended),
        )
    assert listed(client, overdue="true") == [late]
    assert sorted(listed(client, overdue="false")) == sorted([soon, met, lapsed])
    assert listed(client, due_within=48) == [soon]
    assert listed(client, due_within=24) == []
    assert sorted(listed(client, clock="D01")) == sorted([late, soon])
    assert listed(client, clock="D01", overdue="true") == [late]
    assert listed(client, clock="D08", overdue="true") == []


def test_a_case_has_its_clocks_and_what_was_evaluated(
    client: httpx.Client, beijing: Settings
) -> None:
    case_id = new_case(client, petitioner=PERSON)
    for name, given in (
        ("accept", {}),
        ("decide", {"outcome": "supported", "opinion": "予以支持"}),
        ("serve", {}),
        ("evaluate", {"object": "office", "satisfaction": "satisfied"}),
    ):
        do(beijing, name, case_id=case_id, **given)
    found = client.get(f"/v1/cases/{case_id}").json()
    assert (found["state"], found["outcome"], found["title"]) == ("served", "supported", "供暖不足")
    assert {one["clock"] for one in found["clocks"]} >= {"D01"}
    assert [(e["object"], e["result"]) for e in found["evaluations"]] == [("office", "satisfied")]
    assert (found["gaps"], found["conflicts"], found["supervisions"]) == ([], [], [])
    assert all(one["due_at"].endswith("Z") for one in found["clocks"])
    assert PERSON["name"] not in str(found)


def test_gaps_and_conflicts_are_told(client: httpx.Client, beijing: Settings) -> None:
    case_id = "110000-20260401-7K3M9QXA"
    registered = event(case_id, 1)
    repeated = event(case_id, 4, emitter_sequence=4)
    receive(beijing, registered, repeated)
    found = client.get(f"/v1/cases/{case_id}").json()
    assert found["gaps"] == [{"emitter": "110000", "first": 2, "last": 3}]
    assert [one["event_id"] for one in found["conflicts"]] == [repeated.event_id]
    assert (found["in_conflict"], found["incomplete"]) == (True, True)
    assert listed(client, conflicts="true") == listed(client, incomplete="true") == [case_id]


def test_events_of_a_case_come_in_fold_order_and_stay_sealed(client: httpx.Client) -> None:
    case_id = new_case(client, petitioner=PERSON, actor="desk-7")
    post(client, {"command": "accept", "case_id": case_id, "note": "已核"})
    registered, accepted = walked(client, f"/v1/cases/{case_id}/events", limit=1)
    assert [one["version"] for one in (registered, accepted)] == [1, 2]
    assert registered["specversion"] == "1.0"
    assert registered["type"] == "petition.case.registered.v1"
    assert (registered["source"], registered["subject"]) == ("/nodes/110000", case_id)
    assert (registered["actor"], registered["exchanged_at"]) == ("desk-7", None)
    assert registered["data"]["title"] == "供暖不足"
    assert registered["data"]["received_at"].endswith("+08:00")
    assert {"ciphertext", "nonce", "keys"} <= registered["data"]["petitioner"].keys()
    assert PERSON["name"] not in str(registered)
    assert accepted["data"]["note"] == "已核"


def test_an_unknown_case_is_a_404_problem(client: httpx.Client) -> None:
    for case_id in ("110000-20260401-7K3M9QXA", "%2e", "件", "'; drop table x--"):
        for path in (f"/v1/cases/{case_id}", f"/v1/cases/{case_id}/events"):
            answer = client.get(path)
            assert answer.status_code == 404, path
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["rule"] == "unknown_case"


WRONG_QUESTIONS: list[dict[str, Any]] = [
    {"limit": 0},
    {"limit": 201},
    {"limit": "9" * 5000},
    {"state": "x\0"},
    {"state": ""},
    {"area": "37%"},
    {"handled_by": "123456"},
    {"from": "2026-02-30"},
    {"from": "1767225600"},
    {"from": "2026-03-02", "to": "2026-03-01"},
    {"from": "0001-01-01"},
    {"to": "9999-12-31"},
    {"due_within": 0},
    {"overdue": "maybe"},
    {"content_category_1": "a\0b"},
    {"unknown": "1"},
    {"after": ""},
    {"after": "nonsense"},
    {"after": "件"},
    {"after": "WyJjYXNlcyJd"},  # ["cases"]
    {"after": "WyJjYXNlcyIsIjIwMjYiLCJhIl0"},  # ["cases","2026","a"]: no instant
    {"after": "WyJldmVudHMiLDEsIjExMDAwMCIsImEiXQ"},  # of another list
    {"after": "x" * 301},
]


def test_a_wrong_question_is_a_422_problem(client: httpx.Client) -> None:
    for query in WRONG_QUESTIONS:
        answer = client.get("/v1/cases", params=query)
        assert answer.status_code == 422, (query, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["detail"]
