"""Parse commands from JSON lines 指令文件, one object a line.

    {"command": "assign", "case_id": "110000-20260401-7K3M9QXA", "to": "370000",
     "occurred_at": "2026-04-02T09:30:00+08:00", "actor": "desk-7", "requirement": "…"}

`command` and `case_id` are required, but `register` may leave the id to the node; `occurred_at`
(UTC+8 without a zone) defaults to now and `actor` to the setting; `petitioner` goes with `register`
or `correct`. All other fields are those of the event's schema.
"""

import re
from collections.abc import Mapping
from typing import Any

import orjson

from cases.errors import Refusal
from cases.vocabulary.commands import event_type_of
from node.keys.office import Office
from producers.commands.draft_event import Command
from schemas.instants import parse_instant
from schemas.sealing.petitioner import PETITIONER_FIELDS

_CASE_ID = re.compile(r"[0-9A-Za-z._-]{1,64}")


def parse_line(line: str | bytes, office: Office) -> Command:
    """Return the command on one line; raise `Refusal` or `Invalid` if it is wrong."""
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise Refusal("no_json", f"the line is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise Refusal("no_object", "the line is no JSON object: write one command a line")
    return parse(value, office)


def parse(value: Mapping[str, Any], office: Office) -> Command:
    """Return the command in a JSON object."""
    given = {**value}
    name = _text(given, "command")
    event_type_of(name)
    occurred_at = given.pop("occurred_at", None)
    instant = office.clock() if occurred_at is None else parse_instant("occurred_at", occurred_at)
    actor = _text(given, "actor", default=office.actor)
    case_id = _case_id(given, office, name, instant)
    petitioner = _petitioner(given.pop("petitioner", None))
    if name == "register":
        given.setdefault("received_at", instant)
    return Command(name, case_id, instant, actor, given, petitioner)


def _case_id(given: dict[str, Any], office: Office, name: str, instant: int) -> str:
    if name == "register" and "case_id" not in given:
        return office.new_case_id(instant)
    case_id = _text(given, "case_id")
    if not _CASE_ID.fullmatch(case_id):
        raise Refusal("case_id", f"case_id {case_id[:70]!r}: 1 to 64 letters, digits, . _ or -")
    return case_id


def _text(given: dict[str, Any], name: str, default: str | None = None) -> str:
    value = given.pop(name, default)
    if not isinstance(value, str) or not value:
        raise Refusal(name, f"{name!r} is missing or no text: give it")
    return value


def _petitioner(value: object) -> dict[str, str] | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise Refusal("petitioner", f"'petitioner' is an object of {', '.join(PETITIONER_FIELDS)}")
    return value
