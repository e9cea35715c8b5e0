"""A body is shown with zones and base64, and sealed data only to those whom it is for."""

from typing import Any

from schemas.catalogue import Schema, catalogue
from schemas.validation.render import render


def schema_of(name: str) -> Schema:
    return catalogue().by_type[f"petition.{name}.v1"]


def wrap_for(node: str) -> dict[str, Any]:
    return {
        "node": node,
        "key_id": "a" * 16,
        "suite": "S",
        "ephemeral_key": b"\x00\x01",
        "nonce": b"\xff",
        "wrapped_key": b"",
    }


def test_the_sealed_petitioner_shows_only_for_whom_it_is() -> None:
    keys = [wrap_for("370000"), wrap_for("000000"), wrap_for("370000")]
    sealed = {"suite": "S", "nonce": b"secret", "ciphertext": b"secret", "keys": keys}
    assert render(schema_of("case.registered"), {"petitioner": sealed}) == {
        "petitioner": {"sealed": True, "for": ["370000", "000000"]}
    }


def test_an_anonymous_case_shows_no_petitioner() -> None:
    assert render(schema_of("case.registered"), {"petitioner": None}) == {"petitioner": None}


def test_instants_show_their_zone_also_inside_lists() -> None:
    clock = {"clock": "D06", "due_at": 1_775_923_200_000_000, "provisional": False, "calendar": ""}
    body = {"received_at": 1_770_946_200_000_000, "clocks": [clock], "title": "x", "persons": 1}
    assert render(schema_of("case.registered"), body) == {
        "received_at": "2026-02-13T09:30:00+08:00",
        "clocks": [clock | {"due_at": "2026-04-12T00:00:00+08:00"}],
        "title": "x",
        "persons": 1,
    }


def test_bytes_show_as_base64_and_a_body_from_the_ledger_stays_as_it_is() -> None:
    schema = schema_of("case.forwarded")
    shown = render(schema, {"to": "110000", "petitioner_keys": [wrap_for("110000")]})
    (wrap,) = shown["petitioner_keys"]
    assert [wrap["ephemeral_key"], wrap["nonce"], wrap["wrapped_key"]] == ["AAE=", "/w==", ""]
    assert render(schema, shown) == shown


def test_a_field_of_a_later_release_is_kept() -> None:
    assert render(schema_of("case.closed"), {"note": "x", "later": [1]}) == {
        "note": "x",
        "later": [1],
    }
    assert render(schema_of("case.registered"), {"received_at": 10**18}) == {"received_at": 10**18}
