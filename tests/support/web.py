"""The web service for tests: a live server on a free port, and what clients send it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import orjson
from support.world import WAIT_SECONDS, eventually, running

from node.entrypoints.web.server import WebServer
from node.localstack.ports import free_port
from node.runtime.metrics import Metrics
from node.runtime.settings import Settings


@contextmanager
def client_of(settings: Settings) -> Iterator[httpx.Client]:
    """Requests to a live web server of a node."""
    with served(settings) as base, httpx.Client(base_url=base, timeout=WAIT_SECONDS) as client:
        yield client


@contextmanager
def served(settings: Settings, metrics: Metrics | None = None) -> Iterator[str]:
    """Run a web server of a node; give its address."""
    settings = settings.model_copy(update={"http_port": free_port()})
    base = f"http://127.0.0.1:{settings.http_port}"
    metrics = metrics or Metrics()
    with running(WebServer(settings, metrics), metrics) as ended:
        eventually(lambda: bool(ended) or _answers(base), "the web server answers")
        assert not ended, ended
        yield base


def post(client: httpx.Client, value: Any, key: str | None = None) -> httpx.Response:
    """Commands, as a client sends them."""
    headers = {"Content-Type": "application/json"}
    if key is not None:
        headers["Idempotency-Key"] = key
    return client.post("/v1/commands", content=orjson.dumps(value), headers=headers)


def new_case(client: httpx.Client, **given: Any) -> str:
    """Register a case over HTTP; return its id."""
    done = post(client, {"command": "register", "title": "供暖不足", "channel": "web", **given})
    assert done.status_code == 201, done.text
    case_id: str = done.json()["case_id"]
    return case_id


def _answers(base: str) -> bool:
    try:
        return httpx.get(f"{base}/healthz").status_code == 200
    except httpx.HTTPError:
        return False
