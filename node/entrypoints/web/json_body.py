"""Strict parsing 严格解析 of a JSON body: whatever two parsers could read differently is refused.

Refused are invalid UTF-8 and JSON, NaN and infinity, half of a surrogate pair, endless nesting, and
a name that an object has twice. The fields check the bounds of their numbers. The time is linear in
the length of the body.
"""

import json
from typing import Any

import orjson

from node.entrypoints.web.problems import NO_JSON, WRONG_MEDIA_TYPE, ProblemError

_MEDIA_TYPE = "application/json"
# A hundred commands with all fields have about four thousand.
MAX_NAMES = 20_000


def read_json(body: bytes, content_type: str) -> Any:
    """Return the value; raises a problem if it is not strict JSON.

    The media type is required because a form on a foreign page cannot send it: no other site can
    make the browser of a member of staff give a command.
    """
    if content_type.split(";")[0].strip().lower() != _MEDIA_TYPE:
        raise ProblemError(WRONG_MEDIA_TYPE, f"send Content-Type: {_MEDIA_TYPE}")
    try:
        orjson.loads(body)  # strict about UTF-8, depth and grammar only
        return json.loads(body, object_pairs_hook=_Objects())
    except ValueError as error:
        raise ProblemError(NO_JSON, f"the body cannot be read: {error}") from None
    except RecursionError:
        raise ProblemError(NO_JSON, "the body cannot be read: it is nested too deep") from None


class _Objects:
    """A hook that makes the objects of one body, and counts them and their names."""

    def __init__(self) -> None:
        self._counted = 0

    def __call__(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        """Return the object; raises `ValueError` for a repeated name or too many in the body."""
        self._counted += 1 + len(pairs)
        if self._counted > MAX_NAMES:
            raise ValueError(f"it has more than {MAX_NAMES} names and objects: send less at once")
        made = dict(pairs)
        if len(made) != len(pairs):
            raise ValueError(f"the name {_repeated(pairs)[:40]!r} is repeated in one object")
        return made


def _repeated(pairs: list[tuple[str, Any]]) -> str:
    """Return the first name that is repeated."""
    known: set[str] = set()
    for name, _ in pairs:
        if name in known:
            return name
        known.add(name)
    raise AssertionError("no name is repeated")
