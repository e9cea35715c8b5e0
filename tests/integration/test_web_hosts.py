"""DNS rebinding and foreign forms: only names of the node, only pages of the node."""

from collections.abc import Iterator

import httpx
import pytest
from support.web import client_of
from support.world import count

from node.runtime.settings import Settings

REGISTER = {"command": "register", "title": "供暖不足", "channel": "web"}


@pytest.fixture
def client(beijing: Settings) -> Iterator[httpx.Client]:
    """Beijing's web service, which also goes by a name of its office."""
    named = beijing.model_copy(update={"http_allowed_hosts": "petitions.example, 192.0.2.7"})
    with client_of(named) as made:
        yield made


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "127.0.0.2", "localhost.evil.example", "", "a b"]
)
def test_under_a_foreign_name_nothing_is_read_or_written(
    beijing: Settings, client: httpx.Client, host: str
) -> None:
    """Fails if any name is answered: `Host: evil.example` registers a case and reads it."""
    foreign = {"Host": host}
    for path in ("/v1/cases", "/v1/events", "/monitor", "/enquiry", "/openapi.json", "/static/x"):
        answer = client.get(path, headers=foreign)
        assert answer.status_code == 421
        assert host not in answer.text or not host
    assert client.post("/v1/commands", json=REGISTER, headers=foreign).status_code == 421
    assert client.get("/healthz", headers=foreign).status_code == 200
    assert client.get("/readyz", headers=foreign).status_code == 200
    assert count(beijing, "case_event") == 0


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:1", "127.0.0.1:99", "[::1]", "Petitions.Example", "192.0.2.7"]
)
def test_under_a_name_of_its_own_it_answers(client: httpx.Client, host: str) -> None:
    assert client.get("/v1/cases", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 422),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, 422),
        ({"Sec-Fetch-Site": "none"}, 422),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "http://127.0.0.1:8080"}, 422),
        ({"Origin": "https://petitions.example"}, 422),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "https://[evil"}, 403),
        ({"Origin": "x"}, 403),
    ],
)
def test_a_form_of_another_site_is_refused(
    client: httpx.Client, headers: dict[str, str], status: int
) -> None:
    assert client.post("/enquiry", data={"case": "x"}, headers=headers).status_code == status


def test_other_methods_and_paths_that_climb_give_nothing(client: httpx.Client) -> None:
    for method in ("OPTIONS", "TRACE", "PUT", "PATCH", "DELETE"):
        assert client.request(method, "/v1/cases").status_code == 405
    assert "access-control-allow-origin" not in client.options("/v1/commands").headers
    for path in (
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2fapp.py",
        "/static/%00",
    ):
        assert client.get(path).status_code in (400, 404)
