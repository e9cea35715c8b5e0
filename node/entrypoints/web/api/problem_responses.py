"""The parts of the OpenAPI document 接口文档 beside the models: problems, the body of commands."""

from __future__ import annotations

from typing import Any

from node.entrypoints.web.problems import KINDS, MEDIA_TYPE

_REFERENCE = {"$ref": "#/components/schemas/Problem"}
_TITLES: dict[int, str] = {}
for kind in KINDS:
    known = _TITLES.get(kind.status)
    _TITLES[kind.status] = f"{known}; {kind.title}" if known else kind.title

COMMANDS = "#/components/schemas/Command"
COMMAND_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "anyOf": [
                    {"$ref": COMMANDS},
                    {
                        "type": "array",
                        "minItems": 1,
                        "maxItems": 100,
                        "items": {
                            "type": "object",
                            "description": "A command, checked when its turn comes.",
                        },
                    },
                ]
            }
        }
    },
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the problems that a route may answer with; 414, 422 and 503 are possible for all."""
    return {
        status: {
            "description": _TITLES[status],
            "content": {MEDIA_TYPE: {"schema": _REFERENCE}},
        }
        for status in sorted({*statuses, 414, 422, 503})
    }
