"""How a line of a report names its node."""

from __future__ import annotations

from typing import Any

from cases.nodes import NODES


def named(code: str | None) -> dict[str, Any]:
    """A node's code and Chinese name; both None where nobody is responsible."""
    return {"node": code, "name": NODES[code].chinese if code in NODES else None}
