"""Comparison 对照: one topic, our consumer and every peer, into the same Postgres in the same run.

Ours is the whole product as it ships (see `catch_up`): ledger, fold, routes, digests, accounts,
isolation, offsets fenced in the same transaction. The peers bring the events into one table.
`ledger_alone` is our consumer without the fold and what follows from it, as the peers do.
"""

from collections.abc import Callable

from benchmarks import catch_up
from benchmarks.catch_up import Flow
from benchmarks.events import events_together
from benchmarks.figures import Figure, Goal
from benchmarks.peers import ASYNCPG, DEBEZIUM, PEERS, QUIX, ROW_BY_ROW, Peer
from benchmarks.plan import Plan
from node.localstack import LocalStack

# No other measurement writes on its topic.
_PROVINCE = "500000"
OURS = "our consumer, whole"
OURS_ALONE = "our consumer, ledger alone"
# What our consumer shall be against a peer that only fills a table.
_GOALS: tuple[tuple[str, Peer, float], ...] = (
    (OURS, DEBEZIUM, 2),
    (OURS, QUIX, 2),
    (OURS_ALONE, QUIX, 3),
    (OURS_ALONE, ASYNCPG, 1),
    (OURS, ROW_BY_ROW, 12),
)

_Run = Callable[[LocalStack, Flow], float]


def measure(stack: LocalStack, plan: Plan) -> list[Figure]:
    """Events per second of all, and what ours is of the peers', run by run."""
    for peer in PEERS:
        peer.install()
    flow = catch_up.fill(_PROVINCE, events_together, plan.events)
    rates: dict[str, list[float]] = {name: [] for name in _RUNS}
    for _ in plan.runs("comparison"):
        for name, run in _RUNS.items():
            rates[name].append(run(stack, flow))
    about = f"{catch_up.about(flow)}, together"
    ours = [Figure(name, "events/s", rates[name], about) for name in (OURS, OURS_ALONE)]
    peers = [Figure(f"peer: {one.name}", "events/s", rates[one.name], one.about) for one in PEERS]
    return [*ours, *peers, *(_against(rates, *goal) for goal in _GOALS)]


def _whole(stack: LocalStack, flow: Flow) -> float:
    return catch_up.run(stack, flow).rate


def _alone(stack: LocalStack, flow: Flow) -> float:
    return catch_up.run_ledger_alone(stack, flow).rate


def _peer(peer: Peer) -> _Run:
    return lambda stack, flow: peer.run(stack, flow.topic, flow.events)


# In the order of a round.
_RUNS: dict[str, _Run] = {
    OURS: _whole,
    OURS_ALONE: _alone,
    **{peer.name: _peer(peer) for peer in PEERS},
}


def _against(rates: dict[str, list[float]], ours: str, peer: Peer, goal: float) -> Figure:
    return Figure(
        f"{ours}, against {peer.name}",
        "events/s",
        rates[ours],
        "the same runs",
        peer.name,
        rates[peer.name],
        Goal(goal),
    )
