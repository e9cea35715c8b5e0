"""Comparison 对照: one topic, our consumer and every peer, into the same Postgres in the same run.

Ours is the whole product as it ships (see `catch_up`): ledger, fold, routes, digests, accounts,
isolation, offsets fenced in the same transaction. The peers bring the events into one table.
`ledger_alone` is our consumer without the fold and what follows from it, as the peers do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks import catch_up
from benchmarks.events import events_together
from benchmarks.figures import Figure, Goal
from benchmarks.filling import publish
from benchmarks.peers import DEBEZIUM, PEERS, QUIX, ROW_BY_ROW, Peer
from benchmarks.plan import Plan
from cases.topics import uplink
from node.localstack import LocalStack
from node.settings import load_settings
from producers.office import open_office

# No other measurement writes on its topic.
_PROVINCE = "500000"
OURS = "our consumer, whole"
# What our whole consumer shall be against a peer that only fills a table.
_GOALS: tuple[tuple[Peer, float], ...] = ((DEBEZIUM, 2), (QUIX, 2), (ROW_BY_ROW, 12))

Rates = dict[str, list[float]]
_Run = Callable[[LocalStack, str, int], float]


def measure(stack: LocalStack, plan: Plan) -> list[Figure]:
    """Events per second of all, and what ours is of the peers', run by run."""
    for peer in PEERS:
        peer.install()
    settings = load_settings(_PROVINCE)
    topic = uplink(_PROVINCE)
    events, size = publish(settings, topic, events_together(open_office(settings), plan.events))
    rates: Rates = {name: [] for name, _ in _runs()}
    for _ in plan.runs("comparison"):
        for name, run in _runs():
            rates[name].append(run(stack, topic, events))
    return [*_peers(rates), *_ratios(rates, f"{events:,} events of {size:,.0f} bytes")]


def _runs() -> Sequence[tuple[str, _Run]]:
    """Who runs, in the order of a round. `ledger_alone.run` belongs here, with its own name."""
    return [(OURS, _ours), *((peer.name, peer.run) for peer in PEERS)]


def _ours(stack: LocalStack, topic: str, events: int) -> float:
    rate, _ = catch_up.run(stack, topic, events)
    return rate


def _peers(rates: Rates) -> list[Figure]:
    return [
        Figure(f"peer: {peer.name}", "events/s", rates[peer.name], peer.about) for peer in PEERS
    ]


def _ratios(rates: Rates, about: str) -> list[Figure]:
    """Goals of the ledger alone belong here too: Quix 3, asyncpg 1."""
    told = f"{about}, 10 a case, together; ours is the whole product in one process"
    return [
        Figure(
            f"{OURS}, against {peer.name}",
            "events/s",
            rates[OURS],
            told,
            peer.name,
            rates[peer.name],
            Goal(goal),
        )
        for peer, goal in _GOALS
    ]
