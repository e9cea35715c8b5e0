"""The web service as a whole: health, limits, errors, and life without Postgres or Kafka."""

import gc
import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from support.servers import postgres_away
from support.web import client_of, new_case, post, served
from support.world import ended_with, eventually, rows, running

from node.entrypoints.web.request_limits import MAX_BODY_BYTES
from node.entrypoints.web.server import WebServer
from node.localstack import LocalStack
from node.localstack.ports import free_port
from node.postgres.schema_version import migrations
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings


@pytest.fixture
def settings(fresh_settings: Callable[..., Settings]) -> Settings:
    """Shandong with an empty database."""
    return fresh_settings("370000")


@pytest.fixture
def client(settings: Settings) -> Iterator[httpx.Client]:
    with client_of(settings) as made:
        yield made


def rule(answer: httpx.Response, status: int) -> str:
    """Return the rule of the problem that was answered."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found: str = answer.json()["rule"]
    return found


def test_it_lives_and_is_ready(client: httpx.Client) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ready", "stopped": []}


def test_it_is_not_ready_before_its_database_is_migrated(
    client: httpx.Client, settings: Settings
) -> None:
    newest = max(step.number for step in migrations())
    rows(settings, "delete from schema_migration where number = %s", (newest,))
    answer = client.get("/readyz")
    assert rule(answer, 503) == "not_ready"
    assert "petitionlink migrate" in answer.json()["reasons"][0]


def test_status_is_what_the_command_gives(client: httpx.Client) -> None:
    new_case(client)
    found = client.get("/v1/status").json()
    assert (found["node"], found["events"], found["cases"]) == ("370000", 1, 1)
    assert found["outbox"][0]["pending"] == 1
    assert len(found["partitions"]) == 6


# The Kafka library leaves a socket open when it finds no broker.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_status_without_kafka_has_null_for_what_kafka_knows(settings: Settings) -> None:
    nowhere = {"kafka_bootstrap_servers": f"127.0.0.1:{free_port()}"}
    with client_of(settings.model_copy(update=nowhere)) as client:
        answer = client.get("/v1/status")
    gc.collect()
    assert answer.status_code == 200
    assert (answer.json()["partitions"], answer.json()["cases"]) == (None, 0)


def test_indicators_and_rising_are_given_for_a_period(client: httpx.Client) -> None:
    new_case(client, content_category_1="城乡建设")
    period = {"from": "2020-01-01", "to": "2100-01-01"}
    found = client.get("/v1/indicators", params=period).json()
    assert found["total"]["volumes"]["registration"] == {"cases": 1, "persons": 1}
    assert found["total"]["online_share"]["value"] == 1
    assert found["total"]["landing"]["value"] is None
    assert [one["node"] for one in found["nodes"]] == ["370000"]
    (item,) = client.get("/v1/rising", params={"days": 7}).json()["items"]
    assert (item["key"], item["current"], item["new"]) == (["城乡建设"], 1, True)


def test_a_period_that_is_none_is_a_problem(client: httpx.Client) -> None:
    backwards = {"from": "2026-02-01", "to": "2026-01-01"}
    assert rule(client.get("/v1/indicators", params=backwards), 422) == "invalid"
    assert rule(client.get("/v1/indicators"), 422) == "invalid"
    assert rule(client.get("/v1/rising", params={"to": "0001-01-01"}), 422) == "invalid"
    assert rule(client.get("/v1/rising", params={"by": "colour"}), 422) == "invalid"


def test_an_unknown_address_and_method_are_problems_too(client: httpx.Client) -> None:
    assert rule(client.get("/v2/nothing"), 404) == "not_found"
    answer = client.delete("/v1/commands")
    assert rule(answer, 405) == "wrong_method"
    assert answer.headers["allow"] == "POST"


def test_every_answer_forbids_scripts_sniffing_and_keeping(client: httpx.Client) -> None:
    for path in ("/healthz", "/v1/cases", "/v2/nothing", "/openapi.json"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers


def test_a_body_over_the_limit_is_refused_announced_or_in_chunks(client: httpx.Client) -> None:
    headers = {"Content-Type": "application/json"}
    body = json.dumps({"command": "x" * MAX_BODY_BYTES}).encode()
    chunks = (body[at : at + 60_000] for at in range(0, len(body), 60_000))
    for content in (body, chunks):
        answer = client.post("/v1/commands", content=content, headers=headers)
        assert rule(answer, 413) == "too_large"
    within = b'"' + b"x" * (MAX_BODY_BYTES - 2) + b'"'
    assert rule(client.post("/v1/commands", content=within, headers=headers), 422) == "invalid"


def test_openapi_describes_every_command_and_every_problem(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    components = document["components"]["schemas"]
    register = components["RegisterCommand"]
    assert register["properties"]["channel"]["enum"][0] == "letter"
    assert register["required"] == ["command", "channel", "title"]
    assert "petitioner_keys" not in components["AssignCommand"]["properties"]
    assert "HTTPValidationError" not in json.dumps(document)
    for path, methods in document["paths"].items():
        if path.startswith("/v1/"):
            for operation in methods.values():
                assert {"200", "422", "503"} <= operation["responses"].keys()
                problem = operation["responses"]["422"]["content"]
                assert [*problem] == ["application/problem+json"]
    assert _unresolved(document) == set()


def _unresolved(document: Any) -> set[str]:
    """References to components that do not exist."""
    text = json.dumps(document)
    named = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    return named - set(document["components"]["schemas"])


def test_a_port_in_use_is_named_with_the_cure(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        metrics = Metrics()
        server = WebServer(settings.model_copy(update={"http_port": port}), metrics)
        with running(server, metrics) as ended:
            said = ended_with(ended)
    assert f"web port {port}" in said
    assert "PETITIONLINK_HTTP_PORT" in said


def test_the_database_of_another_node_stops_it(
    settings: Settings, fresh_dsn: Callable[..., str]
) -> None:
    metrics = Metrics()
    foreign = settings.model_copy(update={"postgres_dsn": SecretStr(fresh_dsn("110000"))})
    with running(WebServer(foreign, metrics), metrics) as ended:
        assert "belongs to node 110000" in ended_with(ended)


def test_it_starts_and_says_so_while_postgres_is_away_and_goes_on_when_it_is_back(
    settings: Settings, stack: LocalStack
) -> None:
    with client_of(settings) as client:
        case_id = new_case(client)
        with postgres_away(stack):
            for path in ("/readyz", "/v1/cases", "/v1/status", f"/v1/cases/{case_id}"):
                answer = client.get(path)
                assert rule(answer, 503) in ("unavailable", "not_ready")
                assert int(answer.headers["retry-after"]) > 0
                assert "127.0.0.1" not in answer.text
            assert rule(post(client, {"command": "land", "case_id": case_id}), 503)
            assert client.get("/healthz").status_code == 200
            with served(settings) as started_meanwhile:
                assert httpx.get(f"{started_meanwhile}/readyz").status_code == 503
        eventually(lambda: client.get("/readyz").status_code == 200, "it is ready again")
        assert client.get(f"/v1/cases/{case_id}").status_code == 200


def test_a_defect_is_a_500_problem_without_its_text(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_given: Any) -> Any:
        raise RuntimeError("secret thing")

    monkeypatch.setattr("node.entrypoints.web.api.cases.find_case", broken)
    answer = client.get("/v1/cases/x")
    assert rule(answer, 500) == "internal"
    assert "secret" not in answer.text
    assert answer.headers["cache-control"] == "no-store"


def test_a_defect_costs_a_client_neither_its_connection_nor_its_next_request(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails with the framework's handler of `Exception`: it raises again, the server closes, and
    a request that was sent meanwhile is lost."""

    def broken(*_given: Any) -> Any:
        raise RuntimeError

    monkeypatch.setattr("node.entrypoints.web.api.cases.find_case", broken)
    answers = [client.get("/v1/cases/x"), client.get("/healthz"), client.get("/v1/cases/x")]
    assert [answer.status_code for answer in answers] == [500, 200, 500]
    used = {one.extensions["network_stream"].get_extra_info("client_addr") for one in answers}
    assert len(used) == 1
