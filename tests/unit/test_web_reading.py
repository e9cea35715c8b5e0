"""The time for reading a request is proportional to its length, whatever it contains."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.entrypoints.web.hosts import host_of
from node.entrypoints.web.json_body import MAX_NAMES, read_json
from node.entrypoints.web.problems import INVALID, ProblemError, problem
from node.entrypoints.web.request_limits import (
    MAX_BODY_BYTES,
    MAX_ENQUIRY_BYTES,
    MAX_FORM_FIELDS,
    MAX_HEADERS,
    MAX_QUERY_BYTES,
    RequestLimits,
)

FORM = (b"content-type", b"application/x-www-form-urlencoded")


def processor_seconds(work: Callable[[], object]) -> float:
    """Return the least of several runs, because others on the machine only ever add time."""
    spent = []
    for _ in range(5):
        before = time.process_time()
        work()
        spent.append(time.process_time() - before)
    return min(spent)


def refused(body: bytes) -> str:
    with pytest.raises(ProblemError) as caught:
        read_json(body, "application/json")
    return caught.value.detail


def repeated_name(names: int) -> bytes:
    """Return an object with only its last name repeated."""
    return (
        b"{" + b",".join(b'"%d":1' % number for number in range(names)) + b',"%d":1}' % (names - 1)
    )


@pytest.mark.parametrize("names", [2, 1000])
def test_a_name_that_is_twice_is_found_wherever_it_is(names: int) -> None:
    assert f"'{names - 1}' is repeated" in refused(repeated_name(names))


def test_a_repeated_name_is_found_in_linear_time() -> None:
    """Fails if each name is counted in all of them, which took 1 s for 9,000 names."""
    short, long = repeated_name(1_000), repeated_name(16_000)
    ratio = processor_seconds(lambda: refused(long)) / processor_seconds(lambda: refused(short))
    assert ratio < 60


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b",".join([b"{}"] * (MAX_NAMES + 1)) + b"]",
        b"{" + b",".join(b'"%d":1' % number for number in range(MAX_NAMES)) + b"}",
    ],
)
def test_a_body_of_very_many_names_is_refused(body: bytes) -> None:
    assert f"more than {MAX_NAMES}" in refused(body)


@pytest.mark.parametrize(
    "body", [b"[" * 500_000, b'{"a":' * 100_000, b"[" + b"9" * 500_000 + b"]", b"[1e999]"]
)
def test_depth_and_digits_without_end_are_refused(body: bytes) -> None:
    assert len(refused(body)) < 200


def test_an_answer_does_not_repeat_a_megabyte() -> None:
    assert len(problem(INVALID, "x" * MAX_BODY_BYTES)["detail"]) <= 2000


def answered(
    method: str, path: str, body: bytes, *headers: tuple[bytes, bytes], query: bytes = b""
) -> int:
    """Return the status that `RequestLimits` answers with; 200 if the application was asked."""
    statuses = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    async def application(_scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["body"] == body
        await send({"type": "http.response.start", "status": 200, "headers": []})

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query,
        "headers": list(headers),
    }
    asyncio.run(RequestLimits(application)(scope, receive, send))
    return int(statuses[0])


@pytest.mark.parametrize("path", ["/enquiry", "/enquiry/evaluation"])
def test_a_form_of_very_many_fields_is_refused_before_it_is_split(path: str) -> None:
    """Fails without the count; each separator costs the event loop about a microsecond."""
    for separator in (b"&", b";"):
        assert answered("POST", path, separator * (MAX_FORM_FIELDS - 1), FORM) == 200
        assert answered("POST", path, separator * MAX_FORM_FIELDS, FORM) == 413


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/enquiry", MAX_ENQUIRY_BYTES),
        ("/enquiry/evaluation", 2 * MAX_ENQUIRY_BYTES),
        ("/v1/commands", MAX_BODY_BYTES),
        ("/v1/cases", 1024),
        ("/anything/else", 1024),
    ],
)
def test_each_route_reads_no_more_than_it_needs(path: str, allowed: int) -> None:
    assert answered("POST", path, b"x" * allowed, FORM) == 200
    assert answered("POST", path, b"x" * (allowed + 1), FORM) == 413
    announced = (b"content-length", b"9" * 5000)
    assert answered("POST", path, b"", FORM, announced) == 413


def test_the_largest_evaluation_that_is_allowed_is_read() -> None:
    reason = "%F0%A0%AE%B7" * 500
    ticket = "x" * 43
    form = f"ticket={ticket}&office=dissatisfied&office_reason={reason}&unit=dissatisfied"
    form += f"&unit_reason={reason}"
    assert answered("POST", "/enquiry/evaluation", form.encode(), FORM) == 200


@pytest.mark.parametrize(
    "media_type", [b"multipart/form-data; boundary=x", b"text/plain", b"application/json", b""]
)
def test_a_page_reads_nothing_but_plain_forms(media_type: bytes) -> None:
    assert answered("POST", "/enquiry", b"case=1", (b"content-type", media_type)) == 415


def test_queries_and_headers_are_bounded() -> None:
    assert answered("GET", "/v1/cases", b"", query=b"x" * MAX_QUERY_BYTES) == 200
    assert answered("GET", "/v1/cases", b"", query=b"x" * (MAX_QUERY_BYTES + 1)) == 414
    assert answered("GET", "/v1/cases", b"", query=b"a=1&" * 60) == 414
    assert answered("GET", "/", b"", *[(b"x", b"y")] * MAX_HEADERS) == 200
    assert answered("GET", "/", b"", *[(b"x", b"y")] * (MAX_HEADERS + 1)) == 431


@pytest.mark.parametrize(
    ("header", "host"),
    [
        ("localhost", "localhost"),
        ("LOCALHOST:8080", "localhost"),
        ("127.0.0.1:8080", "127.0.0.1"),
        ("[::1]:8080", "::1"),
        ("[::1]", "::1"),
        ("", None),
        (":80", None),
        ("a:b", None),
        ("a:80:90", None),
        ("[::1", None),
        ("[::1]x", None),
        ("localhost:80@evil.example", None),
    ],
)
def test_the_host_of_a_header_is_read_strictly(header: str, host: str | None) -> None:
    assert host_of(header) == host


@given(st.text(max_size=300))
def test_any_host_header_is_read_without_an_error(text: str) -> None:
    assert host_of(text) is None or isinstance(host_of(text), str)
