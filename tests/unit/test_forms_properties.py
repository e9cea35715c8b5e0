"""Forms and instants against whatever JSON there is."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.catalogue import Schema, catalogue
from schemas.errors import Invalid
from schemas.instants import parse_instant, text_of
from schemas.limits import MAX_INSTANT_MICROS, MIN_INSTANT_MICROS
from schemas.validation.forms import fill
from schemas.validation.render import render

SCHEMAS = list(catalogue().by_id.values())

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(alphabet=st.characters(exclude_categories=()), max_size=20)
    | st.sampled_from(["2026-02-13T09:30:00Z", "web", "370000", "satisfied", "supported"])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def commands(draw: st.DrawFn) -> tuple[Schema, dict[str, Any]]:
    """Return a schema, and some of its fields (now and then others) with values of any kind."""
    schema = draw(st.sampled_from(SCHEMAS))
    names = st.sampled_from([field["name"] for field in schema.avro["fields"][9:]])
    return schema, draw(st.dictionaries(names | st.text(max_size=5), values, max_size=6))


def filled_or_refused(schema: Schema, said: Any) -> dict[str, Any] | str:
    """Return the body, or the line of the refusal; anything else that is raised fails the test."""
    try:
        return fill(schema, said)
    except Invalid as refused:
        return str(refused)


@given(command=commands())
def test_any_json_gives_a_body_or_one_line(command: tuple[Schema, dict[str, Any]]) -> None:
    schema, said = command
    answer = filled_or_refused(schema, said)
    if isinstance(answer, str):
        assert answer.isprintable()
        assert len(answer) < 20_000
    else:
        assert said.keys() <= answer.keys()
        orjson.dumps(render(schema, answer))


@given(value=values)
def test_any_json_in_place_of_a_command_is_refused_or_filled(value: Any) -> None:
    for schema in SCHEMAS[:3]:
        assert filled_or_refused(schema, value)


@given(value=st.dictionaries(st.text(), values) | values)
def test_rendering_is_total(value: Any) -> None:
    schema = SCHEMAS[0]
    for name in ("received_at", "petitioner", "attachments", "clocks", "title"):
        assert list(render(schema, {name: value})) == [name]


@given(micros=st.integers(MIN_INSTANT_MICROS, MAX_INSTANT_MICROS))
def test_an_instant_that_is_shown_can_be_given_back(micros: int) -> None:
    assert parse_instant("at", text_of(micros)) == micros
    assert parse_instant("at", micros) == micros


@given(
    instant=st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)),
    minutes=st.integers(-14 * 60, 14 * 60),
)
def test_any_zone_is_understood(instant: datetime, minutes: int) -> None:
    zoned = instant.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    expected = (zoned - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert parse_instant("at", zoned.isoformat()) == expected


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2026-02-13T09:30:00+08:00", "2026-02-13T09:30:00+08:00"),
        ("2026-02-13T01:30:00Z", "2026-02-13T09:30:00+08:00"),
        ("2026-02-13t01:30:00z", "2026-02-13T09:30:00+08:00"),
        ("2026-02-13T09:30:00", "2026-02-13T09:30:00+08:00"),  # without a zone: UTC+8
        ("2026-02-13 09:30", "2026-02-13T09:30:00+08:00"),
        ("2026-02-13T09:30:00.5", "2026-02-13T09:30:00.500000+08:00"),
        ("2026-02-13T09:30:00.000001", "2026-02-13T09:30:00.000001+08:00"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999+00:00"),
    ],
)
def test_how_an_instant_may_be_written(text: str, shown: str) -> None:
    assert text_of(parse_instant("at", text)) == shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-02-13",
        "20260213T093000Z",
        "2026-W07-5T09:30:00Z",
        "2026-02-13T24:00:00Z",
        "2026-02-13T23:59:60Z",
        "2026-02-13T09:30:00.1234567Z",
        "2026-02-13T09:30:00+0800",
        "２０２６-02-13T09:30:00Z",
        "0001-01-01T00:00:00+08:00",
        "2026-02-13T09:30:00Z\n",
    ],
)
def test_what_is_no_instant_is_refused_by_name(text: str) -> None:
    with pytest.raises(Invalid, match=r"^told_at: .*instant|calendar") as refused:
        parse_instant("told_at", text)
    assert "\n" not in str(refused.value)
