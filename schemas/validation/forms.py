"""Fill forms 表单: turn the JSON of a command into the body of a record, as the `.avsc` defines it.

A schema is compiled once.
"""

import difflib
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final

from schemas.catalogue import Schema
from schemas.errors import Invalid
from schemas.event import ENVELOPE_FIELDS
from schemas.validation.field_checks import (
    MAX_PROBLEMS,
    Check,
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
from schemas.validation.field_spec import INSTANT, UUID, FieldSpec, body_fields_of

_MAX_NAME_CHARACTERS: Final = 40

_CHECKS: Final = {
    str: text_check,
    int: number_check,
    bool: flag_check,
    bytes: bytes_check,
    UUID: uuid_check,
    INSTANT: instant_check,
}


def fill(schema: Schema, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of an event of this type, in the schema's order: given values, else defaults.

    `given` holds JSON values; instants may also be micros. A computed field keeps its default. A
    field without a default that is neither required nor given is left out, for the producer to fill
    (received_at of case.registered). Raises `Invalid` with all problems in one line.
    """
    try:
        return _body_form(schema).fill(given)
    except Wrong as found:
        raise Invalid(_line(found)) from None


class _Form:
    """The checks of the fields of a record."""

    __slots__ = ("_checks", "_computed", "_fresh", "_left_out", "_required", "_template")

    def __init__(
        self, fields: dict[str, FieldSpec], envelope: Iterable[str] = (), *, all_given: bool = False
    ) -> None:
        """With `all_given`, fields without a default must be given, as no producer fills them."""
        computed = {name for name, field in fields.items() if field.computed}
        required = {name for name, field in fields.items() if field.required}
        open_ = [name for name, field in fields.items() if not field.has_default]
        required |= set(open_) - computed if all_given else set()
        self._checks = {
            name: _check_of(field) for name, field in fields.items() if name not in computed
        }
        self._computed = computed.union(envelope)
        self._required = tuple(name for name in fields if name in required)
        self._left_out = tuple(name for name in open_ if name not in required)
        self._template = {name: field.default for name, field in fields.items()}
        self._fresh = tuple(
            (name, value) for name, value in self._template.items() if isinstance(value, list)
        )

    def fill(self, given: Any) -> dict[str, Any]:
        """Return the record; raise `Wrong` with all problems."""
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
        """Put the given values into `body`; return the problems."""
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


@cache
def _body_form(schema: Schema) -> _Form:
    return _Form(body_fields_of(schema), ENVELOPE_FIELDS)


def _check_of(field: FieldSpec) -> Check:
    check = _check_of_value(field)
    return null_check(field, check) if field.nullable else check


def _check_of_value(field: FieldSpec) -> Check:
    if field.fields is not None:
        return _Form(field.fields, all_given=True).fill
    if field.items is not None:
        return list_check(field, _check_of(field.items))
    return _CHECKS[field.meaning or field.kind](field)


def _line(found: Wrong) -> str:
    texts = [f"{path}: {text}" if path else text for path, text in found.problems[:MAX_PROBLEMS]]
    if len(found.problems) > MAX_PROBLEMS:
        texts.append("and more")
    return "; ".join(texts)


def _shown(name: object) -> str:
    """Return a name from the input on one line."""
    text = str(name)[:_MAX_NAME_CHARACTERS]
    return text if text.isidentifier() else repr(text)
