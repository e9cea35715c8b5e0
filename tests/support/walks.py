"""Histories 随机历史: what offices may happen to do, sensible or not, at any time."""

from collections import Counter
from random import Random
from typing import Any, NamedTuple

from support.givens import CASES, given
from support.lawful import check, check_every_move
from support.universe import CODES, DAY, HOUR, Letter, Node, Universe

from cases.case import Case
from cases.rules import violation
from cases.vocabulary import event_types as types
from cases.vocabulary.commands import COMMANDS
from schemas.errors import PetitionLinkError
from schemas.event import Event

# One begins under XF2022, one under XF2005.
BEGINNINGS = (1_772_416_800_000_000, 1_598_918_400_000_000)
_ENDED = ("withdrawn", "merged", "diverted")
_JUMPS = (0, 0, HOUR, HOUR, HOUR, DAY, 6 * DAY, 12 * DAY, 31 * DAY)
# How often a command is chosen among those that are legal; 8 if not named.
_WEIGHTS = {
    **dict.fromkeys(("object", "forward", "assign"), 24),
    **dict.fromkeys(("withdraw", "merge", "divert", "correct", "identify", "copy"), 1),
    **dict.fromkeys(("supervise", "progress", "not_accept", "no_longer_accept", "register"), 2),
    **dict.fromkeys(("close", "evaluate"), 3),
    **dict.fromkeys(("land", "accept", "decide", "serve", "expire_evaluation"), 24),
    **dict.fromkeys(("request_review", "request_recheck", "overrule", "rule_objection"), 24),
    **dict.fromkeys(("decide_review", "decide_recheck", "extend", "reply_supervision"), 24),
}
_NAMED = {"370000": "370000", "山东省信访局": "370000", "660000": "660000"}
_PERSON = {"name": "张示例", "id_type": "resident_id", "id_number": "000000190001010001"}


class Draft(NamedTuple):
    """A fact for the rules to judge, as the drafting makes one."""

    type: str
    emitter: str
    occurred_at: int
    body: dict[str, Any]


class Walk:
    """One history over four nodes, checked at every step; `made` counts the events by command."""

    def __init__(self, chance: Random) -> None:
        self.chance = chance
        self.universe = Universe(chance.choice(BEGINNINGS))
        self.made: Counter[str] = Counter()
        self.states: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.conflicts = 0

    def run(self, steps: int) -> None:
        """Do `steps` steps, then deliver everything, in any order with repeats."""
        for _ in range(steps):
            letters = self.universe.letters
            if letters and self.chance.randrange(10) < 5:
                self._deliver()
            else:
                self._act()
        while self.universe.letters:
            self._deliver()
        self._check_the_end()

    def _deliver(self) -> None:
        letters = self.universe.letters
        place = self.chance.randrange(2 * len(letters))
        letter = letters[place // 2]
        # A letter that stays comes again; not for ever, when there are many.
        if place % 2 or len(letters) > 20 or self.chance.randrange(2):
            letters.remove(letter)
        self._take(self.universe.nodes[letter.to], letter.event)

    def _take(self, node: Node, event: Event) -> None:
        sent = self.universe.take(node, event)
        self._check_what_was_sent(node, sent)
        check(node.case(event.case_id), node.events(event.case_id))

    def _check_what_was_sent(self, node: Node, sent: list[Letter]) -> None:
        for letter in sent:
            known = node.events(letter.event.case_id)
            accused = _accused_in(node.case(letter.event.case_id), known)
            assert letter.to not in accused, f"the accused {letter.to} got {letter.event.type}"

    def _act(self) -> None:
        chance, universe = self.chance, self.universe
        universe.time.now += chance.choice(_JUMPS)
        ended = universe.centre.case(CASES[0]).state in _ENDED
        case_id = CASES[ended or chance.randrange(4) == 0]
        node = self._somebody(case_id)
        case = node.case(case_id)
        detail = chance.randrange(1 << 20)
        at = universe.time.now - (detail % 5 == 0) * 2 * DAY
        bodies = {name: given(name, case, node.code, at, detail) for name in COMMANDS}
        name = self._choose(node, case, bodies, at, wild=detail % 8 == 0)
        self._do(node, case, name, bodies[name], at, detail)

    def _somebody(self, case_id: str) -> Node:
        """Mostly who believes to hold the case, or will register it; else who knows it."""
        nodes = self.universe.nodes
        known = [code for code in CODES if case_id in nodes[code].cases]
        holders = [code for code in known if nodes[code].case(case_id).handled_by == code]
        return nodes[self.chance.choice((*CODES, *known, *(holders or [case_id[:6]]) * 12))]

    def _choose(self, node: Node, case: Case, bodies: dict[str, Any], at: int, wild: bool) -> str:
        legal = [
            name
            for name, body in bodies.items()
            for _ in range(_WEIGHTS.get(name, 8))
            if wild or violation(case, Draft(COMMANDS[name], node.code, at, body)) is None
        ]
        return self.chance.choice(legal or [*COMMANDS])

    def _do(
        self, node: Node, case: Case, name: str, body: dict[str, Any], at: int, detail: int
    ) -> None:
        sealed = _PERSON if name == "register" and detail % 3 == 0 else None
        how = {"at": at, "petitioner": sealed, "travelled": detail % 5 * DAY}
        try:
            event = node.do(name, case.case_id, body, **how)
        except PetitionLinkError as refusal:
            self.refused[getattr(refusal, "rule", "invalid")] += 1
            return
        self.made[name] += 1
        own = [e for e in node.events(case.case_id) if e.emitter == node.code]
        assert event.emitter_sequence == len(own) + 1, "the sequence has a gap"
        self._take(node, event)
        now = node.case(case.case_id)
        self.states[now.state] += 1
        assert event.event_id not in {c.event_id for c in now.conflicts}, (
            f"{name} was legal at the desk and is a conflict in its own ledger"
        )

    def _check_the_end(self) -> None:
        centre = self.universe.centre
        for case_id in CASES:
            events = centre.events(case_id)
            whole = check_every_move(case_id, events)
            assert whole == centre.case(case_id), "folded on is not folded anew"
            assert not whole.gaps, "events are missing at the centre"
            self.conflicts += len(whole.conflicts)
            accused = _accused_in(whole, events)
            for code in {*whole.participants, *centre.routes.get(case_id, ())} - accused:
                node = self.universe.nodes[code]
                assert node.events(case_id) == events, f"{code} has other events"
                assert node.case(case_id) == whole, f"{code} shows another case"


def _accused_in(case: Case, events: list[Event]) -> set[str]:
    """Nodes that are accused by what takes effect, read from the events themselves."""
    marked = {conflict.event_id for conflict in case.conflicts}
    found: set[str] = set()
    for event in events:
        if event.event_id not in marked and event.type in (types.REGISTERED, types.CORRECTED):
            named = [*(event.body.get("accused") or ())]
            for one in event.body.get("corrections") or ():
                named += one["value"].split(";") if one["field"] == "accused" else []
            found |= {_NAMED[name] for name in named if name in _NAMED}
    return found
