"""A JSON body, read strictly 严格解析: what two readers could understand differently is refused.

That is: what is no UTF-8 or no JSON, NaN and infinity, half of a surrogate pair, nesting
without end, a name that stands twice in one object. Bounds of numbers are the fields' own.
"""

from __future__ import annotations

import json
from typing import Any

import orjson

from node.web.problems import NO_JSON, WRONG_MEDIA_TYPE, ProblemError

_MEDIA_TYPE = "application/json"


def read_json(body: bytes, content_type: str) -> Any:
    """The value; a problem if it is none that everybody reads alike.

    The media type is asked for because a form on a foreign page cannot send it: no other site
    can make a member of staff's browser give a command.
    """
    if content_type.split(";")[0].strip().lower() != _MEDIA_TYPE:
        raise ProblemError(WRONG_MEDIA_TYPE, f"send Content-Type: {_MEDIA_TYPE}")
    try:
        orjson.loads(body)  # strict about UTF-8, depth and grammar, but blind for the rest
        return json.loads(body, object_pairs_hook=_object)
    except ValueError as error:
        raise ProblemError(NO_JSON, f"the body cannot be read: {error}") from None
    except RecursionError:
        raise ProblemError(NO_JSON, "the body cannot be read: it is nested too deep") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {twice[:40]!r} stands twice in one object")
    return made
