"""A JSON body, read strictly 严格解析: what two readers could understand differently is refused.

That is: what is no UTF-8 or no JSON, NaN and infinity, half of a surrogate pair, nesting
without end, a name that stands twice in one object. Bounds of numbers are the fields' own.
The time it takes is linear in the length of the body.
"""

from __future__ import annotations

import json
from typing import Any

import orjson

from node.entrypoints.web.problems import NO_JSON, WRONG_MEDIA_TYPE, ProblemError

_MEDIA_TYPE = "application/json"
# A hundred commands with every field that there is have some four thousand.
MAX_NAMES = 20_000


def read_json(body: bytes, content_type: str) -> Any:
    """The value; a problem if it is none that everybody reads alike.

    The media type is asked for because a form on a foreign page cannot send it: no other site
    can make a member of staff's browser give a command.
    """
    if content_type.split(";")[0].strip().lower() != _MEDIA_TYPE:
        raise ProblemError(WRONG_MEDIA_TYPE, f"send Content-Type: {_MEDIA_TYPE}")
    try:
        orjson.loads(body)  # strict about UTF-8, depth and grammar, but blind for the rest
        return json.loads(body, object_pairs_hook=_Objects())
    except ValueError as error:
        raise ProblemError(NO_JSON, f"the body cannot be read: {error}") from None
    except RecursionError:
        raise ProblemError(NO_JSON, "the body cannot be read: it is nested too deep") from None


class _Objects:
    """Makes the objects of one body, and counts them with their names."""

    def __init__(self) -> None:
        self._counted = 0

    def __call__(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        """The object; `ValueError` if a name stands twice in it or the body has too many."""
        self._counted += 1 + len(pairs)
        if self._counted > MAX_NAMES:
            raise ValueError(f"it has more than {MAX_NAMES} names and objects: send less at once")
        made = dict(pairs)
        if len(made) != len(pairs):
            raise ValueError(f"the name {_repeated(pairs)[:40]!r} stands twice in one object")
        return made


def _repeated(pairs: list[tuple[str, Any]]) -> str:
    """The first name that was there before."""
    known: set[str] = set()
    for name, _ in pairs:
        if name in known:
            return name
        known.add(name)
    raise AssertionError("no name stands twice")
