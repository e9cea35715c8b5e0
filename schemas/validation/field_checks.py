"""One check per kind of field: from a JSON value to what a record holds, or what is wrong with it.

A check is made once from the field's spec and is then called for every command.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Any, Final

from schemas.instants import micros_of
from schemas.limits import UUID_PATTERN
from schemas.validation.field_spec import FieldSpec

Check = Callable[[Any], Any]

# A line with more problems helps nobody, and whoever sent the input decides on their number.
MAX_PROBLEMS: Final = 20

_KINDS: Final[dict[type, str]] = {
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number with a fraction",
    list: "a list",
    dict: "an object",
    type(None): "null",
}
_UUID: Final = re.compile(UUID_PATTERN)


class Wrong(Exception):
    """What is wrong with a value: pairs of a path inside it ("" is itself) and a text."""

    def __init__(self, *problems: tuple[str, str]) -> None:
        super().__init__(problems)
        self.problems = problems

    def within(self, outer: str) -> list[tuple[str, str]]:
        """The same problems, seen from the value that holds this one as `outer`."""
        return [
            (f"{outer}{'.' if path[:1] not in ('', '[') else ''}{path}", text)
            for path, text in self.problems
        ]


def wrong(text: str) -> Wrong:
    """One problem with the value itself."""
    return Wrong(("", text))


def text_check(field: FieldSpec) -> Check:
    """Text of at most `high` characters, one of `codes` if there are any."""
    limit, required, codes = field.high, field.required, frozenset(field.codes)

    def check(value: Any) -> str:
        if type(value) is not str:
            raise _other_kind(value, str)
        if len(value) > limit:
            raise wrong(f"has {len(value)} characters, at most {limit} are allowed")
        if required and not value.strip():
            raise wrong("must not be empty")
        if codes and value not in codes:
            raise wrong(f"{value[:40]!r} is not one of {_listed(codes)}")
        if "\0" in value or not (value.isascii() or _is_unicode(value)):
            raise wrong("has a NUL or half of a surrogate pair: remove that character")
        return value

    return check


def uuid_check(_field: FieldSpec) -> Check:
    """A UUID of 36 characters; upper case becomes lower case."""

    def check(value: Any) -> str:
        if type(value) is not str:
            raise _other_kind(value, str)
        if not _UUID.fullmatch(value.lower()):
            raise wrong(f"{value[:40]!r} is no UUID of 36 characters")
        return value.lower()

    return check


def number_check(field: FieldSpec) -> Check:
    """A whole number within the field's bounds, or what `int` and `long` can hold."""
    low, high = field.low, field.high

    def check(value: Any) -> int:
        if type(value) is not int:  # also keeps out true and false
            raise _other_kind(value, int)
        if not low <= value <= high:
            raise wrong(f"is not between {low} and {high}")
        return value

    return check


def instant_check(_field: FieldSpec) -> Check:
    """RFC 3339 text (without a zone: UTC+8), or an int that is micros already."""

    def check(value: Any) -> int:
        try:
            return micros_of(value)
        except ValueError as error:
            raise wrong(str(error)) from None

    return check


def flag_check(_field: FieldSpec) -> Check:
    """True or false, nothing that merely looks like it."""

    def check(value: Any) -> bool:
        if type(value) is not bool:
            raise _other_kind(value, bool)
        return value

    return check


def bytes_check(field: FieldSpec) -> Check:
    """Base64 text of at most `high` bytes."""
    limit = field.high

    def check(value: Any) -> bytes:
        if type(value) is not str:
            raise _other_kind(value, str)
        try:
            content = base64.b64decode(value, validate=True)
        except ValueError:
            raise wrong("is not base64") from None
        if len(content) > limit:
            raise wrong(f"has {len(content)} bytes, at most {limit} are allowed")
        return content

    return check


def list_check(field: FieldSpec, item: Check) -> Check:
    """At most `high` items, each good for `item`."""
    limit, required = field.high, field.required

    def check(value: Any) -> list[Any]:
        if type(value) is not list:
            raise _other_kind(value, list)
        if len(value) > limit:
            raise wrong(f"has {len(value)} items, at most {limit} are allowed")
        if required and not value:
            raise wrong("must not be empty")
        return _checked_items(item, value)

    return check


def null_check(field: FieldSpec, check: Check) -> Check:
    """Null, unless the field is required, or what `check` takes."""
    if field.required:
        return check
    return lambda value: None if value is None else check(value)


def _checked_items(item: Check, values: list[Any]) -> list[Any]:
    checked, problems = [], []
    for index, value in enumerate(values):
        try:
            checked.append(item(value))
        except Wrong as found:
            problems += found.within(f"[{index}]")
            if len(problems) > MAX_PROBLEMS:
                break
    if problems:
        raise Wrong(*problems)
    return checked


def _other_kind(value: Any, wanted: type) -> Wrong:
    return wrong(f"must be {_KINDS[wanted]}, not {_KINDS.get(type(value), type(value).__name__)}")


def _listed(codes: frozenset[str]) -> str:
    return ", ".join(code or '""' for code in sorted(codes))


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
