"""Debian's kcat, which knows nothing of us, reads our topic."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.published import EVENTS, NODE, TOPIC, publish_a_case
from support.world import WAIT_SECONDS

from node.localstack import LocalStack

_CATALOGUE = Path(__file__).parents[2] / "schemas" / "catalogue.json"
_UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_TYPES = [
    "petition.case.registered.v1",
    "petition.case.accepted.v1",
    "petition.case.decided.v1",
    "petition.case.served.v1",
    "petition.case.closed.v1",
    "petition.evaluation.recorded.v1",
]


@pytest.fixture(scope="module")
def kcat() -> str:
    program = shutil.which("kcat")
    if program is None:
        pytest.fail("kcat is missing: run `sudo apt-get install -y kcat`, or `make test`")
    return program


@pytest.fixture(scope="module")
def seen(stack: LocalStack, kcat: str) -> tuple[str, list[dict[str, Any]]]:
    """The case's id and its records in the order in which kcat prints them, as JSON."""
    case_id = publish_a_case()
    command = [kcat, "-C", "-b", stack.bootstrap_servers, "-t", TOPIC, "-o", "beginning", "-e"]
    format_ = r'{"key":"%k","headers":"%h","bytes":%S,"partition":%p,"offset":%o}\n'
    done = subprocess.run(
        [*command, "-q", "-f", format_],
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
        check=True,
    )
    records = [json.loads(line) for line in done.stdout.splitlines() if case_id in line]
    return case_id, [record for record in records if record["key"] == case_id]


def headers_of(record: dict[str, Any]) -> dict[str, str]:
    return dict(header.split("=", 1) for header in record["headers"].split(","))


def test_kcat_prints_the_case_id_as_key_and_all_events_in_order_in_one_partition(
    seen: tuple[str, list[dict[str, Any]]],
) -> None:
    _, records = seen
    assert len(records) == EVENTS
    assert [headers_of(record)["ce_type"] for record in records] == _TYPES
    assert len({record["partition"] for record in records}) == 1


def test_kcat_prints_the_headers_of_a_cloud_event(
    seen: tuple[str, list[dict[str, Any]]],
) -> None:
    case_id, records = seen
    for record in records:
        headers = headers_of(record)
        assert headers["ce_specversion"] == "1.0"
        assert _UUID7.fullmatch(headers["ce_id"])
        assert headers["ce_source"] == f"/nodes/{NODE}"
        assert headers["ce_subject"] == case_id
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", headers["ce_time"])
        assert headers["content-type"] == "application/avro"
        assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", headers["traceparent"])
    assert len({headers_of(record)["ce_id"] for record in records}) == EVENTS


def test_kcat_prints_the_fingerprint_that_the_shipped_catalogue_has(
    seen: tuple[str, list[dict[str, Any]]],
) -> None:
    shipped = {entry["type"]: entry["fingerprint"] for entry in json.loads(_CATALOGUE.read_text())}
    for record in seen[1]:
        headers = headers_of(record)
        assert headers["schema-fingerprint"] == shipped[headers["ce_type"]]
