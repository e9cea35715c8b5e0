"""Forms 表单: what a command may say about its event, as the `.avsc` alone defines it.

`fill` turns JSON into the body of a record, `render` a body into JSON that people can read.
Both compile a schema once and keep it by the digest of its file.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, Final

from schemas.catalogue import Avro, Schema
from schemas.errors import Invalid, SchemaError
from schemas.event import ENVELOPE_FIELDS
from schemas.fields import (
    MAX_PROBLEMS,
    Check,
    Field,
    Wrong,
    bytes_check,
    flag_check,
    instant_check,
    list_check,
    null_check,
    number_check,
    text_check,
    uuid_check,
    wrong,
)
from schemas.instants import parse_instant
from schemas.rendering import render

__all__ = ["fill", "parse_instant", "render"]

_MAX_NAME_CHARACTERS: Final = 40

_CHECKS: Final = {
    "string": text_check,
    "int": number_check,
    "long": number_check,
    "boolean": flag_check,
    "bytes": bytes_check,
    ("string", "uuid"): uuid_check,
    ("long", "timestamp-micros"): instant_check,
}


def fill(schema: Schema, given: Mapping[str, Any]) -> dict[str, Any]:
    """The body of an event of this type, in the schema's order: what is given, then defaults.

    `given` holds JSON values; instants may also be micros. A computed field keeps its default. A
    field without a default that is neither required nor given is left out: the producer knows its
    value (case.registered has received_at). Raises `Invalid` with all problems in one line.
    """
    form = _FORMS.get(schema.sha256)
    if form is None:
        form = _FORMS[schema.sha256] = _body_form(schema.avro)
    try:
        return form.fill(given)
    except Wrong as found:
        raise Invalid(_line(found)) from None


class _Form:
    """A record with the checks of its fields."""

    __slots__ = ("_checks", "_computed", "_fresh", "_left_out", "_required", "_template")

    def __init__(
        self,
        fields: list[Field],
        checks: dict[str, Check],
        envelope: Iterable[str] = (),
        *,
        all_given: bool = False,
    ) -> None:
        """`all_given`: what has no default must be given, for nobody would fill it in later."""
        computed = {field["name"] for field in fields if field.get("computed")}
        required = {field["name"] for field in fields if field.get("required")}
        open_ = [field["name"] for field in fields if "default" not in field]
        required |= set(open_) - computed if all_given else set()
        self._checks = {name: check for name, check in checks.items() if name not in computed}
        self._computed = computed.union(envelope)
        self._required = tuple(name for name in checks if name in required)
        self._left_out = tuple(name for name in open_ if name not in required)
        self._template = {field["name"]: field.get("default") for field in fields}
        self._fresh = tuple(
            (name, value) for name, value in self._template.items() if isinstance(value, list)
        )

    def fill(self, given: Any) -> dict[str, Any]:
        """The record; raises `Wrong` with all problems."""
        if not isinstance(given, Mapping):
            raise wrong("must be an object")
        body = self._template.copy()
        for name, default in self._fresh:
            body[name] = default.copy()
        problems = self._check(given, body)
        problems += [(name, "is missing") for name in self._required if name not in given]
        if problems:
            raise Wrong(*problems)
        for name in self._left_out:
            if name not in given:
                del body[name]
        return body

    def _check(self, given: Mapping[str, Any], body: dict[str, Any]) -> list[tuple[str, str]]:
        """Put what is given into `body`; the problems there are."""
        problems: list[tuple[str, str]] = []
        checks = self._checks
        for name, value in given.items():
            check = checks.get(name)
            try:
                if check is None:
                    raise wrong(self._refusal(name))
                body[name] = check(value)
            except Wrong as found:
                problems += found.within(_shown(name))
                if len(problems) > MAX_PROBLEMS:
                    break
        return problems

    def _refusal(self, name: object) -> str:
        if name in self._computed:
            return "is filled in by the node and cannot be given"
        near = difflib.get_close_matches(str(name)[:_MAX_NAME_CHARACTERS], self._checks, 1)
        guess = f"did you mean {near[0]}? " if near else ""
        return f"is unknown ({guess}known: {', '.join(self._checks)})"


_FORMS: dict[str, _Form] = {}


def _body_form(avro: Avro) -> _Form:
    body = avro["fields"][len(ENVELOPE_FIELDS) :]
    return _Form(body, _checks_of(body, {}), ENVELOPE_FIELDS)


def _checks_of(fields: list[Field], named: dict[str, _Form]) -> dict[str, Check]:
    return {field["name"]: _check_of(field["type"], field, named) for field in fields}


def _check_of(avro: Avro, field: Field, named: dict[str, _Form]) -> Check:
    """The check of a type; `field` carries the limits that go with it."""
    if isinstance(avro, list):
        # our unions are all ["null", X]
        return null_check(field, _check_of(avro[1], field, named))
    if isinstance(avro, str) and avro in named:
        return named[avro].fill
    avro = avro if isinstance(avro, dict) else {"type": avro}
    kind = avro["type"]
    if kind == "record":
        fields = avro["fields"]
        form = named[avro["name"]] = _Form(fields, _checks_of(fields, named), all_given=True)
        return form.fill
    if kind == "array":
        return list_check(field, _check_of(avro["items"], _limits_of_items(field), named))
    make = _CHECKS.get((kind, avro.get("logicalType")), _CHECKS.get(kind))
    if make is None:
        raise SchemaError(f"field {field['name']}: no form has a field of type {kind!r}")
    return make({**field, "type": kind})


def _limits_of_items(field: Field) -> Field:
    """Codes and bounds of an array hold for its items, length and need for itself."""
    own = ("max_length", "required", "default")
    return {name: value for name, value in field.items() if name not in own}


def _line(found: Wrong) -> str:
    texts = [f"{path}: {text}" if path else text for path, text in found.problems[:MAX_PROBLEMS]]
    if len(found.problems) > MAX_PROBLEMS:
        texts.append("and more")
    return "; ".join(texts)


def _shown(name: object) -> str:
    """A name from outside, on one line whatever it holds."""
    text = str(name)[:_MAX_NAME_CHARACTERS]
    return text if text.isidentifier() else repr(text)
