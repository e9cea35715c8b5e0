"""Control messages for tests: a valid one of each kind, and a channel that holds them in memory."""

import copy
import json
import random
from collections.abc import Iterator, Sequence
from typing import Any

from node.reconcile.control_channel import Received
from node.store.digests import BUCKETS

EVENT_ID = "01890000-0000-7000-8000-000000000001"
CASE_ID = "110000-20260401-7K3M9QXA"
_HELD = {"case_id": CASE_ID, "events": [EVENT_ID], "in_flight": []}
_FINDING = {"case_id": CASE_ID, "missing_here": [EVENT_ID], "missing_there": []}
_DAY = {"day": "2026-04-01", "received": 3, "applied": 2, "duplicates": 1, "dead_lettered": 0}
_SENT = {"day": "2026-04-01", "committed": 3, "published": 3, "unaccounted": 0}


def valid(round_id: str = "r", driver: str = "d") -> dict[str, dict[str, Any]]:
    """Return a valid message of each kind of this round, as the object that its JSON is."""
    about = {"round": round_id, "driver": driver}
    in_flight = [{"event_id": EVENT_ID, "bucket": 1, "digest": 7}]
    return {
        "account": {
            "positions": {"0": 5},
            "received": [_DAY],
            "dead_letters": [{"partition": 0, "offset": 3, "reason": "empty"}],
            "sent": [_SENT],
        },
        "digests": about
        | {
            "cut": {"applied": {"0": 1}, "sent": {"0": 2}, "in_flight": in_flight},
            "buckets": [[0, 0]] * BUCKETS,
        },
        "verdict": about | {"verdict": "equal"},
        "cases": about
        | {"buckets": 2, "bucket": 1, "part": 0, "parts": 1, "cases": [[CASE_ID, 1, 9]]},
        "events": about
        | {
            "bucket": 1,
            "part": 0,
            "parts": 1,
            "applied": {"0": 1},
            "recovering": False,
            "cases": [_HELD],
        },
        "findings": about
        | {"bucket": 1, "part": 0, "parts": 1, "recovering": True, "findings": [_FINDING]},
        "concluded": about | {"findings": [_FINDING], "mismatched": 1},
        "clock": {},
    }


def received(peer: str, kind: str, message: Any) -> Received:
    """Return a message as it comes from the topic."""
    return Received(peer, kind, json.dumps(message).encode())


class MemoryChannel:
    """Gives what was put in, once, and keeps what was sent."""

    def __init__(self) -> None:
        self.incoming: list[Received] = []
        self.sent: list[tuple[str, str, bytes]] = []

    def send(self, peer: str, kind: str, payloads: Sequence[bytes]) -> None:
        """Keep it."""
        self.sent += [(peer, kind, one) for one in payloads]

    def receive(self, _seconds: float) -> Iterator[Received]:
        """Return what was put in."""
        waiting, self.incoming = self.incoming, []
        yield from waiting


_STRANGE: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 999, 1_000, 2**31, 2**53, 2**63 - 1, 2**63, -(2**63) - 1, 10**40),
    *(1.5, 1e300, "", "\0", "a\0b", "\ud800", "1", "0001-01-01", "9999-12-31", "10000-01-01"),
    *("x" * 100_000, [], {}, [[]], {"0": 10**18}, {"-1": 1}, {"99999999999": 1}, EVENT_ID, CASE_ID),
)


def mutated(message: Any, dice: random.Random) -> Any:
    """Return a copy in which some places hold something else: strange, doubled, or from
    elsewhere."""
    made = copy.deepcopy(message)
    for _ in range(dice.randint(1, 3)):
        places = [*_places(made)]
        if places:
            where, key = dice.choice(places)
            _change(where, key, dice)
    return made


def _change(where: Any, key: Any, dice: random.Random) -> None:
    how = dice.randrange(5)
    if how == 0 and isinstance(where[key], list):
        where[key] = where[key] * dice.choice((2, 3, 500))
    elif how == 1 and isinstance(where, dict):
        where[str(dice.choice(_STRANGE))[:50]] = where.pop(key)
    elif how == 2 and isinstance(where[key], int):
        where[key] = where[key] + dice.choice((-1, 1, 2**31, 2**62, 10**15))
    else:
        where[key] = dice.choice(_STRANGE)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, (dict, list)):
        for key in [*value] if isinstance(value, dict) else range(min(len(value), 8)):
            yield value, key
            yield from _places(value[key])
