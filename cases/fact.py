"""A fact 事实: an event, or what a command would make one of."""

from __future__ import annotations

from typing import Any, Protocol


class Fact(Protocol):
    """What rules and clocks look at: a recorded event, or one that a command would record."""

    @property
    def type(self) -> str: ...
    @property
    def emitter(self) -> str: ...
    @property
    def occurred_at(self) -> int: ...
    @property
    def body(self) -> dict[str, Any]: ...
