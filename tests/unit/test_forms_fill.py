"""A command says what the schema lets it say, and hears of all its mistakes at once."""

from typing import Any

import pytest

from schemas.catalogue import Schema, catalogue
from schemas.codec import encode
from schemas.errors import Invalid
from schemas.event import ENVELOPE_FIELDS
from schemas.validation.forms import fill

GIVEN: dict[str, Any] = {
    "origin_number": "SD20260001",
    "channel": "web",
    "received_at": "2026-02-13T09:30:00+08:00",
    "title": "关于供暖不足的反映",
    "persons": 3,
    "public": True,
    "accused": ["某某局"],
    "repeat_of": None,
    "attachments": [{"reference": "a/1", "sha256": "0" * 64}],
}
RECEIVED_AT = 1_770_946_200_000_000


def schema_of(name: str) -> Schema:
    return catalogue().by_type[f"petition.{name}.v1"]


def refusal(given: Any, name: str = "case.registered") -> str:
    """Return the one line that `given` is refused with."""
    with pytest.raises(Invalid) as refused:
        fill(schema_of(name), given)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def registered(**given: Any) -> dict[str, Any]:
    return fill(schema_of("case.registered"), GIVEN | given)


def test_what_is_given_and_the_defaults_make_the_body() -> None:
    body = registered()
    fields = [field["name"] for field in schema_of("case.registered").avro["fields"]]
    assert list(body) == fields[len(ENVELOPE_FIELDS) :]
    assert body["received_at"] == RECEIVED_AT
    assert body["persons"] == 3
    assert body["public"] is True
    assert body["text"] == ""
    assert body["clocks"] == []
    assert body["petitioner"] is None
    assert body["attachments"] == [
        {"reference": "a/1", "sha256": "0" * 64, "media_type": "", "size": 0, "name": ""}
    ]


def test_a_body_can_be_written_as_it_is() -> None:
    uuid = "0190b7e2-0000-7000-8000-000000000001"
    values = (uuid, "c1", 1, "370000", 1, RECEIVED_AT, RECEIVED_AT, "desk", "XF2022")
    envelope = dict(zip(ENVELOPE_FIELDS, values, strict=True))
    assert encode(schema_of("case.registered"), {**envelope, **registered()})


def test_bodies_share_no_list() -> None:
    registered()["clocks"].append("changed")
    assert registered()["clocks"] == []


def test_an_instant_that_the_producer_knows_may_be_left_out() -> None:
    given = {name: value for name, value in GIVEN.items() if name != "received_at"}
    assert "received_at" not in fill(schema_of("case.registered"), given)


def test_every_event_type_has_a_form() -> None:
    assert len(catalogue().by_type) == 30
    for schema in catalogue().by_type.values():
        with pytest.raises(Invalid, match=r"^no_such_field: is unknown \(known: "):
            fill(schema, {"no_such_field": 1})


def test_an_unknown_field_is_answered_with_the_nearest_name_and_the_list() -> None:
    line = refusal(GIVEN | {"titel": "x"})
    assert line.startswith("titel: is unknown (did you mean title? known: origin_number, channel,")
    assert "clocks" not in line  # computed: nothing to offer


@pytest.mark.parametrize("name", ["petitioner", "identity_digest", "clocks", "version", "emitter"])
def test_what_the_node_fills_in_cannot_be_given(name: str) -> None:
    assert refusal(GIVEN | {name: None}) == f"{name}: is filled in by the node and cannot be given"


def test_all_problems_are_in_one_line() -> None:
    assert refusal({"persons": "3", "title": " ", "public": 1}) == (
        "persons: must be a whole number, not text; title: must not be empty; "
        "public: must be true or false, not a whole number; channel: is missing"
    )


def test_the_number_of_problems_told_is_bounded() -> None:
    line = refusal({f"field_{number}": 1 for number in range(10_000)})
    assert line.endswith("; and more")
    assert line.count("is unknown") == 20


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("channel", "fax", "channel: 'fax' is not one of app, letter, other, phone, visit, web,"),
        ("petition_class", "x", "petition_class: 'x' is not one of \"\", accusation, claim,"),
        ("title", "字" * 201, "title: has 201 characters, at most 200 are allowed"),
        ("title", 7, "title: must be text, not a whole number"),
        ("title", None, "title: must be text, not null"),
        ("title", ["x"], "title: must be text, not a list"),
        ("title", "a\0b", "title: has a NUL or half of a surrogate pair"),
        ("title", "\ud83d", "title: has a NUL or half of a surrogate pair"),
        ("persons", True, "persons: must be a whole number, not true or false"),
        ("persons", 3.0, "persons: must be a whole number, not a number with a fraction"),
        ("persons", 0, "persons: is not between 1 and 1000000"),
        ("persons", 10**30, "persons: is not between 1 and 1000000"),
        ("public", "true", "public: must be true or false, not text"),
        ("accused", "某某局", "accused: must be a list, not text"),
        ("accused", ["x", 7], "accused[1]: must be text, not a whole number"),
        ("accused", ["x"] * 51, "accused: has 51 items, at most 50 are allowed"),
        ("repeat_of", 7, "repeat_of: must be text, not a whole number"),
        ("repeat_of", "x" * 65, "repeat_of: has 65 characters, at most 64"),
        ("received_at", "yesterday", "received_at: 'yesterday' is no instant: write it as 2026"),
        ("received_at", "2026-02-30T00:00:00Z", "is not in the calendar or on the clock"),
        ("received_at", 1.5, "received_at: is no instant"),
        ("received_at", True, "received_at: is no instant"),
        ("received_at", 10**18, "received_at: the instant is outside the years 1 to 9999"),
        ("attachments", ["x"], "attachments[0]: must be an object"),
        ("attachments", {}, "attachments: must be a list, not an object"),
        (
            "attachments",
            [{"reference": "a", "sha256": "0"}, {"reference": "b", "sha256": 7}],
            "attachments[1].sha256: must be text, not a whole number",
        ),
        ("attachments", [{"reference": "a"}], "attachments[0].sha256: is missing"),
        (
            "attachments",
            [{"reference": "a", "sha256": "0", "sise": 1}],
            "attachments[0].sise: is unknown (did you mean size? known: reference, sha256,",
        ),
        (
            "attachments",
            [{"reference": "a", "sha256": "0", "size": -1}],
            "attachments[0].size: is not between 0 and",
        ),
    ],
)
def test_a_wrong_value_is_named_with_its_place(field: str, value: Any, problem: str) -> None:
    line = refusal(GIVEN | {field: value})
    assert problem in line
    assert line.startswith(field)


@pytest.mark.parametrize("given", [None, [], "x", 7])
def test_what_is_no_object_is_refused(given: Any) -> None:
    assert refusal(given) == "must be an object"


def test_a_name_from_outside_stays_on_one_line() -> None:
    assert refusal({**GIVEN, "a\nb\ud800": 1}).startswith("'a\\nb\\ud800': is unknown")


def test_bounds_of_a_list_of_numbers_hold_for_its_items() -> None:
    given = {"kind": "urged", "grounds": [1, 7], "to": "370000", "requirement": "x"}
    line = refusal(given, "supervision.issued")
    assert "grounds[1]: is not between 1 and 6" in line
    assert "grounds: must not be empty" in refusal(given | {"grounds": []}, "supervision.issued")


def test_a_uuid_is_checked_and_written_in_lower_case() -> None:
    schema, uuid = schema_of("supervision.lifted"), "0190B7E2-0000-7000-8000-00000000000A"
    assert fill(schema, {"supervision_id": uuid})["supervision_id"] == uuid.lower()
    line = refusal({"supervision_id": "7"}, "supervision.lifted")
    assert line.startswith("supervision_id: '7' is no UUID")
    assert "must be text" in refusal({"supervision_id": 7}, "supervision.lifted")


def test_a_code_list_accepts_its_default_and_a_field_its_limit() -> None:
    assert registered(petition_class="")["petition_class"] == ""
    assert len(registered(title="字" * 200)["title"]) == 200
    assert registered(repeat_of="c0")["repeat_of"] == "c0"
    assert registered(text="😀")["text"] == "😀"
