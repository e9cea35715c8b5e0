"""Check JSON values of fields and convert them to the values of a record.

A check is made once from the field's spec and is then called for every command.
"""

import base64
from collections.abc import Callable
from typing import Any, Final

from schemas.instants import micros_of
from schemas.limits import is_storable, is_uuid
from schemas.validation.field_spec import FieldSpec

Check = Callable[[Any], Any]

# More problems in a line do not help, and the sender of the input decides on their number.
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


class Wrong(Exception):
    """A value is wrong; `problems` are pairs of a path inside it ("" is itself) and a text."""

    def __init__(self, *problems: tuple[str, str]) -> None:
        super().__init__(problems)
        self.problems = problems

    def within(self, outer: str) -> list[tuple[str, str]]:
        """Return the problems with the paths from the value that holds this one as `outer`."""
        return [
            (f"{outer}{'.' if path[:1] not in ('', '[') else ''}{path}", text)
            for path, text in self.problems
        ]


def wrong(text: str) -> Wrong:
    """Return one problem with the value itself."""
    return Wrong(("", text))


def text_check(field: FieldSpec) -> Check:
    """Check text of at most `high` characters, one of `codes` if there are any."""
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
        if not is_storable(value):
            raise wrong("has a NUL or half of a surrogate pair: remove that character")
        return value

    return check


def uuid_check(_field: FieldSpec) -> Check:
    """Check a UUID of 36 characters; upper case becomes lower case."""

    def check(value: Any) -> str:
        if type(value) is not str:
            raise _other_kind(value, str)
        if not is_uuid(value.lower()):
            raise wrong(f"{value[:40]!r} is no UUID of 36 characters")
        return value.lower()

    return check


def number_check(field: FieldSpec) -> Check:
    """Check a whole number within the field's bounds, or what `int` and `long` can hold."""
    low, high = field.low, field.high

    def check(value: Any) -> int:
        if type(value) is not int:  # also keeps out true and false
            raise _other_kind(value, int)
        if not low <= value <= high:
            raise wrong(f"is not between {low} and {high}")
        return value

    return check


def instant_check(_field: FieldSpec) -> Check:
    """Check RFC 3339 text (without a zone: UTC+8), or an int that is micros already."""

    def check(value: Any) -> int:
        try:
            return micros_of(value)
        except ValueError as error:
            raise wrong(str(error)) from None

    return check


def flag_check(_field: FieldSpec) -> Check:
    """Check true or false."""

    def check(value: Any) -> bool:
        if type(value) is not bool:
            raise _other_kind(value, bool)
        return value

    return check


def bytes_check(field: FieldSpec) -> Check:
    """Check base64 text of at most `high` bytes."""
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
    """Check a list of at most `high` items by `item`."""
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
    """Allow null, unless the field is required, besides the values of `check`."""
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
