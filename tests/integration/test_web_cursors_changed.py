"""A cursor that somebody changed: a wrong page is never given, and nothing breaks."""

import base64
import json
import random
from typing import Any

import httpx
import pytest
from support.web import client_of, new_case, post

from node.runtime.settings import Settings

# What a client may put in place of a part of a cursor: the ends of every type, and a bit beyond.
PARTS: list[Any] = [
    *(
        None,
        True,
        0,
        -1,
        2**31,
        2**53,
        2**63 - 1,
        2**63,
        2**64 - 1,
        2**64,
        1.5,
        -0.0,
        1e308,
        "",
        " ",
    ),
    *("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59.999999-23:59", "2026-01-01T00:00:00"),
    *("0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59.999999+00:00", "2026-W01-1T00:00:00Z"),
    *("2026-01-01T00:00:00+00:00:00.000001", "2026-01-01T00:00:00+23:59:59.999999", "infinity"),
    *("2026-01-01T24:00:00Z", "2026-01-01T00:00:60Z", "20260101T000000Z", "\u0660", "\x01", "\x7f"),
    *("00000000-0000-0000-0000-000000000000", "0" * 32, "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF"),
    *("\U0010ffff", "\ufffe", "\u202e", "a" * 64, "a" * 65, "'", '"', "\\", "%s", [], {}, [1]),
]


def decoded(cursor: str) -> list[Any]:
    value: list[Any] = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    return value


def encoded(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def changed(cursor: str) -> list[str]:
    """Yield it with each part replaced by each of `PARTS`; with letters changed; shorter and
    longer."""
    parts = decoded(cursor)
    chance = random.Random(12)
    several = [
        encoded([*parts[:place], part, *parts[place + 1 :]])
        for place in range(len(parts))
        for part in PARTS
    ]
    several += [encoded([*parts, 1]), encoded(parts[:-1]), encoded(parts[0]), cursor + "=", "="]
    for _ in range(60):
        letters = list(cursor)
        letters[chance.randrange(len(letters))] = chance.choice("AZaz09-_+/=%é")
        several.append("".join(letters))
    return several


@pytest.fixture
def paths(shandong: Settings) -> Any:
    with client_of(shandong) as client:
        case_id = new_case(client)
        new_case(client)
        post(client, {"command": "accept", "case_id": case_id, "unit": "示例单位"})
        yield client, ("/v1/cases", f"/v1/cases/{case_id}/events", "/v1/events")


def test_a_changed_cursor_is_a_page_or_a_problem_and_never_a_defect(
    paths: tuple[httpx.Client, tuple[str, ...]],
) -> None:
    client, lists = paths
    broken = {}
    for path in lists:
        cursor = client.get(path, params={"limit": 1}).json()["next"]
        assert client.get(path, params={"after": cursor}).status_code == 200
        for after in changed(cursor):
            answer = client.get(path, params={"after": after, "limit": 1})
            if answer.status_code not in (200, 422):
                broken[path, after] = answer.status_code
    assert broken == {}
