"""One case told step by step 个案: the real rules at four nodes, each letter delivered at once."""

from __future__ import annotations

from typing import Any

import pytest
from support.universe import DAY, Universe

from cases.case import Case, Clock
from cases.errors import Refusal
from schemas.instants import parse_instant

CENTRE, BEIJING, SHANDONG, CORPS = "000000", "110000", "370000", "660000"
CASE = "110000-20260302-7K3M9QXA"
# Mondays, 10:00 in China, followed by ordinary weeks.
BEGINNINGS = {"XF2022": "2026-03-02T10:00:00+08:00", "XF2005": "2015-03-02T10:00:00+08:00"}
REASONS = {"reasons": "理由"}

Step = tuple[str, str, dict[str, Any]]
# The main line 主线: the step that leads to each state from the one before.
MAIN_LINE: dict[str, Step] = {
    "registered": (BEIJING, "register", {"title": "供暖不足", "channel": "web"}),
    "assigned": (CENTRE, "assign", {"to": SHANDONG}),
    "landed": (SHANDONG, "land", {}),
    "accepted": (SHANDONG, "accept", {}),
    "decided": (SHANDONG, "decide", {"outcome": "explained", "opinion": "意见"}),
    "served": (SHANDONG, "serve", {}),
    "review_requested": (SHANDONG, "request_review", REASONS),
    "review_decided": (SHANDONG, "decide_review", {"outcome": "upheld", "opinion": "意见"}),
    "recheck_requested": (SHANDONG, "request_recheck", REASONS),
    "recheck_decided": (SHANDONG, "decide_recheck", {"outcome": "upheld", "opinion": "意见"}),
}


class Story:
    """A case and its nodes; time moves only by `later`."""

    def __init__(self, rule_set: str = "XF2022", **registration: Any) -> None:
        self.universe = Universe(instant(BEGINNINGS[rule_set]))
        self.registration = registration

    @property
    def now(self) -> int:
        return self.universe.time.now

    @property
    def case(self) -> Case:
        """Return the case as the centre shows it."""
        return self.universe.centre.case(CASE)

    def later(self, days: float) -> Story:
        """Advance the clock by `days`."""
        self.universe.time.now += int(days * DAY)
        return self

    def at(self, text: str) -> Story:
        """Let time pass until this instant."""
        self.universe.time.now = instant(text)
        return self

    def to(self, state: str) -> Story:
        """Go on along the main line until `state`."""
        states = [*MAIN_LINE]
        reached = states.index(self.case.state) + 1 if self.case.state in states else 0
        for name in states[reached : states.index(state) + 1]:
            node, command, given = MAIN_LINE[name]
            self.do(node, command, **given, **(self.registration if name == "registered" else {}))
        assert self.case.state == state
        return self

    def do(self, node: str, name: str, **given: Any) -> Case:
        """Deliver one command everywhere; return the case. `travelled` is no field of it."""
        travelled = given.pop("travelled", 0)
        if name == "register":
            given.setdefault("received_at", self.now)
        desk = self.universe.nodes[node]
        event = desk.do(name, CASE, given, travelled=travelled)
        self.universe.take(desk, event)
        self.universe.deliver_all()
        return self.case

    def refusal(self, node: str, name: str, **given: Any) -> Refusal:
        """Why a command is refused; nothing may have changed."""
        before = self.case.copy()
        with pytest.raises(Refusal) as caught:
            self.do(node, name, **given)
        assert self.case == before
        return caught.value

    def clock(self, name: str) -> Clock:
        """Return the clock of this name that was started last."""
        found = self.case.latest(name)
        assert found is not None, f"{name} was never started"
        return found

    def running(self) -> list[str]:
        """Return the names of the clocks that run, sorted."""
        return sorted(one.clock for one in self.case.clocks if one.runs)


def instant(text: str) -> int:
    """Micros of an instant as text."""
    return parse_instant("at", text)
