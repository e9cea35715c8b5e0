"""Clocks that go together 时限分组."""

from __future__ import annotations

DISPOSAL = frozenset({"D01", "D01a"})
ARRIVAL = frozenset({"D01a", "D02", "D03", "D05"})
REPLY = frozenset({"D06", "D07", "D14"})
WINDOWS = frozenset({"D08", "D10", "D16"})
ALL = DISPOSAL | ARRIVAL | REPLY | WINDOWS | {"D09", "D11", "D12", "D13"}
